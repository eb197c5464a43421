"""``server:`` the password of the pages, and where they are reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deskbell.config import Loaded

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]
HASH = "scrypt:16:1:1:YSBzYWx0IG9mIHNpeHRlZQ:a-_1RKeoCTcl_hhuRFpHoswB9XMjO0YShdDBwf6Wf9U"
"""Of the words below, as cheap as can be."""
WORDS = "correct horse battery staple"
BEYOND = "server: {listen: 0.0.0.0:8700"


def test_without_the_keys_there_is_no_password(load: Load, good: str) -> None:
    config = load(good + "server: {admin_password: '${NOT_SET:-}', public_url: '${NOT_SET:-}'}\n").config
    assert config is not None
    assert (config.password, config.public_url) == (None, "")


@pytest.mark.parametrize("style", ["server: {{admin_password: {}}}\n", "server:\n  admin_password: {}\n"])
def test_a_hash_needs_no_quotes(load: Load, good: str, style: str) -> None:
    config = load(good + style.format(HASH)).config
    assert config is not None
    assert config.password
    assert config.password.matches(WORDS)
    assert HASH in [secret.reveal() for secret in config.secrets]


@pytest.mark.parametrize("content", [HASH, WORDS, f"{WORDS}\n", f"{HASH}\r\n"])
def test_a_file_holds_the_hash_or_the_password(load: Load, good: str, tmp_path: Path, content: str) -> None:
    (tmp_path / "admin").write_text(content, "utf-8")
    config = load(good + "server: {admin_password_file: admin}\n").config
    assert config is not None
    assert config.password
    assert config.password.matches(WORDS)


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("https://Desk.Example", "https://desk.example"),
        ("http://192.168.1.5:8700/", "http://192.168.1.5:8700"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]"),
    ],
)
def test_a_public_url(load: Load, good: str, written: str, taken: str) -> None:
    config = load(good + f'server: {{public_url: "{written}"}}\n').config
    assert config is not None
    assert config.public_url == taken


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "server: {admin_password: ¦let me in please}",
            "error admin_password: this is no hash, and a password itself does not belong in here -> `deskbell pass",
        ),
        (
            f"server: {{admin_password: ¦{HASH[:-1]}}}",
            "error admin_password: this hash is not whole, or asks for more than a sign-in may cost -> `deskbell pass",
        ),
        (
            f"server: {{admin_password: {HASH}, ¦admin_password_file: short}}",
            "error there is an admin_password and an admin_password_file -> keep one of the two",
        ),
        (
            "server: {admin_password_file: ¦none}",
            "error admin_password_file: 'none' cannot be read: no such file",
        ),
        ("server: {admin_password_file: ¦empty}", "error admin_password_file: 'empty' is empty"),
        (
            "server: {admin_password_file: ¦short}",
            "error admin_password_file: the password in it is shorter than 12 characters -> take a few words",
        ),
        (
            "server: {public_url: ¦desk.example}",
            "error public_url: must be http:// or https:// and a host -> for exam",
        ),
        (
            "server: {public_url: ¦ftp://desk.example}",
            "error public_url: must be http:// or https:// and a host",
        ),
        (
            "server: {public_url: ¦'https://x:y@desk.example'}",
            "error public_url: must be http:// or https:// and a",
        ),
        (
            "server: {public_url: ¦'https://desk.example:port'}",
            "error public_url: must be http:// or https:// and a",
        ),
        ("server: {public_url: ¦'https://[::'}", "error public_url: must be http:// or https:// and a host"),
        (
            "server: {public_url: ¦https://desk.example/desk}",
            "error public_url: the pages lie at the root of a host",
        ),
        (
            "server: {listen: ¦0.0.0.0:8700}",
            "error server.listen is 0.0.0.0, which other machines reach, and there is no server.admin_password -> `desk",
        ),
    ],
)
def test_a_wrong_value_is_told_at_its_place(
    only_problem: Callable[..., str], good: str, tmp_path: Path, line: str, expected: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "short").write_text("let me in")
    assert only_problem(f"{good}{line}\n").startswith(expected)


def test_beyond_loopback_a_wrong_password_is_told_once(problems: Problems, good: str) -> None:
    (found,) = problems(f"{good}{BEYOND}, admin_password: 'let me in please'}}\n")
    assert "this is no hash" in found
    assert problems(f"{good}{BEYOND}, admin_password: {HASH}}}\n") == []


def test_no_report_shows_a_password(load: Load, good: str) -> None:
    loaded = load(f"{good}server: {{listen: 8700, admin_password: let me in please}}\n")
    assert loaded.problems
    assert "let me in" not in "".join(map(str, loaded.problems))
