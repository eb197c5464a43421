"""The keys about the service itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from deskbell.config import Loaded, parse_listen

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]


def test_what_is_left_out_has_its_documented_default(load: Load, good: str, tmp_path: Path) -> None:
    config = load(good).config
    assert config is not None
    assert (config.path, config.host, config.port) == (Path("config.yaml"), "127.0.0.1", 8700)
    assert config.store == tmp_path / "deskbell.db"
    assert config.date_format == "%d/%m/%y %H:%M"
    assert config.egress.allowed == ()
    at = datetime.fromisoformat("2022-11-22T00:30:00+01:00").astimezone(config.timezone)
    assert at.strftime(config.date_format) == "22/11/22 00:30"


def test_every_key_is_taken(load: Load, good: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    config = load(
        good
        + "server: {listen: '[::1]:0'}\nstore: sqlite:////var/lib/desk bell.db\ntimezone: America/New_York\n"
        "date_format: '%Y-%m-%d'\nplugins_dir: mine\negress: {allow: [10.1.2.3/8, '::1', 192.168.1.7]}\n"
    ).config
    assert config is not None
    assert (config.host, config.port) == ("::1", 0)
    assert config.store == Path("/var/lib/desk bell.db")
    assert config.timezone == ZoneInfo("America/New_York")
    assert config.date_format == "%Y-%m-%d"
    assert config.egress.allowed == tuple(map(ip_network, ("10.0.0.0/8", "::1/128", "192.168.1.7/32")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8700", ("127.0.0.1", 8700)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),  # noqa: S104 - what an owner may write
        ("[::]:65535", ("::", 65535)),
        (" desk.example:80 ", ("desk.example", 80)),
    ],
)
def test_a_listening_address(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text", ["", "8700", ":8700", "host", "host:", "host:http", "::1:80", "a b:1", "http://x:1"]
)
def test_no_listening_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be HOST:PORT, for example 127\.0\.0\.1:8700"):
        parse_listen(text)


def test_a_port_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="the port is larger than 65535"):
        parse_listen("127.0.0.1:65536")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("version: ¦2", "error version: this deskbell reads version 1 -> version: 1"),
        ("version: ¦new", "error version: must be a whole number"),
        ("server: {listen: ¦8700}", "error server.listen: must be HOST:PORT, for example 127.0.0.1:8700"),
        ("server: {¦port: 80}", "error unknown key 'port' -> known keys: listen"),
        ("server: ¦8700", "error server: must be a mapping (key: value)"),
        ("store: ¦postgresql://u:p@h/d", "error store: PostgreSQL comes later; this deskbell keeps its deliveries"),
        ("store: ¦deskbell.db", "error store: must be sqlite:/// and a file -> store: sqlite:///deskbell.db"),
        ("store: ¦'sqlite:///'", "error store: must be sqlite:/// and a file -> store: sqlite:///deskbell.db"),
        ("store: ¦mysql://h/d", "error store: must be sqlite:/// and a file -> store: sqlite:///deskbell.db"),
        ("store: ¦'sqlite:///:memory:'", "error store: memory forgets what was accepted when deskbell stops"),
        ("store: ¦sqlite:///a?mode=ro", "error store: takes a file and nothing else"),
        ("timezone: ¦Europe/Pari", "error timezone: 'Europe/Pari' is no known time zone -> did you mean 'Europe/P"),
        ("timezone: ¦europe/paris", "error timezone: 'europe/paris' is no known time zone -> did you mean 'Europe"),
        ("timezone: ¦Europe", "error timezone: 'Europe' is no known time zone"),
        ("timezone: ¦../../etc/passwd", "error timezone: '../../etc/passwd' is no known time zone"),
        ("timezone: ¦''", "error timezone: '' is no known time zone -> name it like Europe/Paris, or UTC"),
        ("date_format: ¦'%d %Q'", "error date_format: %Q means nothing -> as in '%d/%m/%y %H:%M'; %% is a percent"),
        ("date_format: ¦100%", "error date_format: % means nothing"),
        ("date_format: ¦' '", "error date_format: is empty"),
        ("date_format: ¦dd/mm", "warning date_format: every date would read 'dd/mm'"),
        ("plugins_dir: ¦nowhere", "warning plugins_dir: 'nowhere' is no folder -> make it, or take the key out"),
        ("egress: {allow: ¦lan}", "error egress.allow: 'lan' is no network -> write an address or a network"),
        ("egress: {allow: [10.0.0.0/8, ¦x]}", "error egress.allow: 'x' is no network"),
        ("egress: {allow: [¦0.0.0.0/0]}", "warning egress.allow: this allows every address, also those of this"),
        ("egress: {¦deny: []}", "error unknown key 'deny' -> known keys: allow"),
        ("sources: ¦none", "error sources: must be a list"),
        ("¦webhook: []", "error unknown key 'webhook' -> did you mean 'webhooks'?"),
        ("¦tz: UTC", "error unknown key 'tz' -> did you mean 'timezone'?"),
        ("¦databse: x", "error unknown key 'databse' -> known keys: version, server, store, timezone, date_format"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_at_its_place(
    only_problem: Callable[..., str], good: str, line: str, expected: str
) -> None:
    text = good.partition("\n")[2]
    if "sources" in line:
        text = text[text.index("webhooks") :]
    assert only_problem(f"{line}\n{text}").startswith(expected)


def test_the_word_that_a_key_has_elsewhere_is_understood(problems: Problems, good: str) -> None:
    for word, key in {"on": "action", "template": "message", "type": "transport", "filter": "when"}.items():
        assert (
            problems(f"{good}    {word}: x\n")[-1]
            == f"11:5 error unknown key '{word}' -> did you mean '{key}'?"
        )


def test_a_config_without_sources_and_webhooks_is_warned_of(load: Load) -> None:
    loaded = load("version: 1")
    assert loaded.config is not None
    assert [one.message for one in loaded.problems] == [
        "there are no sources: nobody can post events",
        "there are no webhooks: events are kept, and shown nowhere",
    ]
