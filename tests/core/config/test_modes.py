"""Files with secrets that everybody may read: ``check`` warns, once, and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deskbell.config import Loaded

Problems = Callable[..., list[str]]
Load = Callable[..., Loaded]
PRIVATE, SHARED_WITH_A_GROUP, PUBLIC = 0o600, 0o640, 0o644
FROM_ELSEWHERE = """\
version: 1
sources: [{name: clientxcms, token: "${TOKEN}"}]
webhooks: [{name: a, url: "${URL:-demo:discord}", transport: discord, action: Submit, message: x}]
"""


@pytest.fixture
def read_with_mode(problems: Problems) -> Callable[[str, int], list[str]]:
    """The problems of a text in a file of this mode."""

    def found(text: str, mode: int) -> list[str]:
        Path("config.yaml").touch()
        Path("config.yaml").chmod(mode)
        return problems(text, environ={"TOKEN": "a-token-of-the-tests"})

    return found


def test_secrets_in_a_config_that_everybody_may_read(
    read_with_mode: Callable[[str, int], list[str]], good: str
) -> None:
    (warning,) = read_with_mode(good, PUBLIC)
    said, _, hint = warning.partition(" -> ")
    assert said == (
        "4:12 warning everybody on this machine may read this file, and it holds secrets; the first is here"
    )
    assert hint == "chmod 600 config.yaml, or write ${NAME} here and NAME=… into secrets.env"


@pytest.mark.parametrize("mode", [PRIVATE, SHARED_WITH_A_GROUP])
def test_a_config_that_only_its_owner_or_a_group_reads_may_hold_them(
    read_with_mode: Callable[[str, int], list[str]], good: str, mode: int
) -> None:
    assert read_with_mode(good, mode) == []


def test_a_config_that_names_variables_may_be_read_by_everybody(
    read_with_mode: Callable[[str, int], list[str]],
) -> None:
    assert read_with_mode(FROM_ELSEWHERE, PUBLIC) == []


@pytest.mark.parametrize(
    "webhook",
    [
        "url: https://hooks.slack.com/services/T/B/secret",
        'url: "${URL:-demo:discord}", transport: discord, options: {api_token: a-secret-of-mine}',
    ],
)
def test_any_secret_counts_also_one_of_an_option(
    read_with_mode: Callable[[str, int], list[str]], webhook: str
) -> None:
    text = (
        f"version: 1\nsources: [{{name: clientxcms, token: '${{TOKEN}}'}}]\nwebhooks: [{{name: a, {webhook}, "
    )
    (warning,) = read_with_mode(f"{text}action: Submit, message: x}}]\n", PUBLIC)
    assert warning.startswith("3:")
    assert "everybody on this machine may read this file" in warning
    assert "secret-of-mine" not in warning


def test_a_url_that_names_a_host_alone_is_no_secret(read_with_mode: Callable[[str, int], list[str]]) -> None:
    text = FROM_ELSEWHERE.replace(
        '"${URL:-demo:discord}", transport: discord', "https://ntfy.sh/, transport: slack"
    )
    assert "ntfy" in text
    assert read_with_mode(text, PUBLIC) == []


def test_a_warning_is_no_error(load: Load, good: str) -> None:
    Path("config.yaml").touch()
    Path("config.yaml").chmod(PUBLIC)
    assert load(good).config is not None


@pytest.mark.parametrize(("mode", "warned"), [(PRIVATE, False), (SHARED_WITH_A_GROUP, False), (PUBLIC, True)])
def test_a_file_that_holds_a_secret(problems: Problems, mode: int, warned: bool) -> None:
    for name, content in (
        ("token", "a-token-of-the-tests"),
        ("url", "https://hooks.slack.com/services/T/B/x"),
    ):
        Path(name).write_text(content)
        Path(name).chmod(mode)
    found = problems(
        "version: 1\nsources: [{name: clientxcms, token_file: token}]\n"
        "webhooks: [{name: a, url_file: url, transport: slack, action: Submit, message: x}]\n"
    )
    said = "'{0}': everybody on this machine may read this file, and it holds secrets -> chmod 600 {0}"
    expected = [f"token_file: {said.format('token')}", f"url_file: {said.format('url')}"]
    assert [line.partition(" warning ")[2] for line in found] == expected * warned
