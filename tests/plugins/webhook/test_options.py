"""What ``deskbell check`` says about the options, with the line and the column of a real ``config.yaml``."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deskbell import Transport
from deskbell.config import Loaded, Severity, load_config
from deskbell_clientxcms.source import ClientXCMS
from deskbell_webhook import Webhook
from deskbell_webhook.body import MAX_DEPTH, MAX_PARTS, MAX_TEXTS, MAX_WRITTEN
from deskbell_webhook.options import WebhookOptions

from .conftest import options_of

HEAD = """\
version: 1
sources:
  - {name: clientxcms, token: a-token-of-the-tests}
webhooks:
  - name: helpdesk
    url: https://helpdesk.example.com/hook
    transport: webhook
    action: Submit
    message: "%subject%"
"""
FIRST_LINE = HEAD.count("\n") + 1
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

Check = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    def load(options: str, *, message: str = "%subject%", **environ: str) -> Loaded:
        path = tmp_path / "config.yaml"
        path.write_text(HEAD.replace("%subject%", message) + options, "utf-8")
        transports: dict[str, Transport[Any]] = {"webhook": Webhook()}
        return load_config(
            path, transports=transports, sources={"clientxcms": ClientXCMS()}, broken={}, environ=environ
        )

    return load


@pytest.fixture
def check(load: Callable[..., Loaded]) -> Check:
    """Every problem, as ``LINE:COLUMN KEY: MESSAGE``; line 1 is that of ``options:``."""

    def check(options: str, **environ: str) -> list[str]:
        return [
            f"{one.line - FIRST_LINE + 1}:{one.column} {one.key.partition('.options.')[2]}: {one.message}"
            for one in load(options, **environ).problems
        ]

    return check


def only(problems: list[str]) -> str:
    (problem,) = problems
    return problem


GOOD = f"""\
    options:
      headers: {{Authorization: "Bearer ${{TOKEN}}", X-Team: support}}
      signing_secret: {KEY}
      markup: markdown
      body:
        text: "%message%"
        ticket: {{name: "%username%", panel: "%appname%", tags: [a, "%priority%"], open: yes, n: 0123}}
"""


def test_a_good_config_has_no_problem(load: Callable[..., Loaded], check: Check) -> None:
    assert check(GOOD, TOKEN="s3cret-of-the-tests") == []
    loaded = load(GOOD, TOKEN="s3cret-of-the-tests")
    assert loaded.config is not None
    (webhook,) = loaded.config.webhooks
    assert isinstance(webhook.options, WebhookOptions)
    assert webhook.options.headers["Authorization"].reveal() == "Bearer s3cret-of-the-tests"
    assert webhook.options.body.written["ticket"]["n"] == "0123"


def test_an_unknown_variable_is_told_at_its_own_place_with_its_path(check: Check) -> None:
    problem = only(
        check("""\
    options:
      body:
        ticket:
          name: "%usrname%"
""")
    )
    assert problem.startswith("4:17 body.ticket.name: ")
    assert problem.endswith("unknown variable %usrname%; did you mean %username%?")


def test_every_fault_of_a_body_is_told_at_once(check: Check) -> None:
    problems = check("""\
    options:
      body:
        title: "New: %message%"
        lines: [ok, "%conten%"]
        text: "%mesage%"
""")
    assert [problem.partition(": ")[0] for problem in problems] == [
        "3:16 body.title",
        "4:21 body.lines[1]",
        "5:15 body.text",
    ]
    assert "%message% must stand alone" in problems[0]
    assert problems[1].endswith("did you mean %content%?")
    assert problems[2].endswith("did you mean %message%?")


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("body: ['%message%']", "2:13 body", "must be a mapping (key: value)"),
        ("body: '%message%'", "2:13 body", "must be a mapping (key: value)"),
        ("body: {}", "2:13 body", "is empty"),
        ("body: {n: 99999999999999999999}", "2:17 body.n", "put quotes round it"),
        ("markup: mrkdwn", "2:15 markup", "'plain', 'markdown' or 'html'"),
        ("signing_secret: abc", "2:23 signing_secret", "whsec_"),
        ("header: {}", "2:7 header", "unknown key"),
        ("headers: {Host: x.fr}", "2:23 headers.Host", "belongs to the connection"),
        ("headers: {content-length: 1}", "2:33 headers.content-length", "knows what it sends"),
        ("headers: {Transfer-Encoding: x}", "2:36 headers.Transfer-Encoding", "belongs to the connection"),
        ("headers: {Connection: close}", "2:29 headers.Connection", "belongs to the connection"),
        ("headers: {webhook-id: x}", "2:29 headers.webhook-id", "signing_secret"),
        ("headers: {Content-Type: text/plain}", "2:31 headers.Content-Type", "what is sent is JSON"),
        ("headers: {X Team: x}", "2:25 headers.X Team", "is no name of a header"),
        ("headers: {'X:': x}", "2:23 headers.X:", "is no name of a header"),
        ("headers: {X: a, x: b}", "2:26 headers.x", "twice"),
        ("headers: {x: a, X: b}", "2:26 headers.X", "twice"),
        ("headers: {X: ''}", "2:20 headers.X", "is empty"),
        ('headers: {X: "a\\r\\nEvil: 1"}', "2:20 headers.X", "a line break"),
        ('headers: {X: "a "}', "2:20 headers.X", "white space"),
    ],
)
def test_what_cannot_be_sent_is_an_error_where_it_stands(
    check: Check, line: str, place: str, words: str
) -> None:
    problem = only(check(f"    options:\n      {line}\n"))
    assert problem.startswith(f"{place}: ")
    assert words in problem


def test_a_message_with_too_many_words_of_its_own_is_an_error(load: Callable[..., Loaded]) -> None:
    loaded = load("", message="%subject% " + "é" * 3_999)
    assert "4001 characters, a message takes 4000" in only([one.message for one in loaded.problems])
    assert load("", message="%subject% " + "é" * 3_998).problems == ()


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ('<a href=\\"%content%\\">x</a>', 1),
        ("<b %subject%>x</b>", 1),
        ('<a href=\\"%url%\\">%subject%</a> 1 < %content%', 0),
        ("<p>%subject%</p> <%content%>", 0),
    ],
)
def test_a_variable_inside_a_tag_is_warned_of(load: Callable[..., Loaded], message: str, told: int) -> None:
    """``javascript:…`` has no character that an entity would help against."""
    loaded = load("    options: {markup: html}\n", message=message)
    assert loaded.config is not None
    found = [one for one in loaded.problems if "inside a tag" in one.message]
    assert [one.severity for one in found] == [Severity.WARNING] * told


def test_a_secret_never_stands_in_an_error(load: Callable[..., Loaded]) -> None:
    loaded = load(
        "    options:\n      headers: {X: '${TOKEN}'}\n      signing_secret: ${KEY}\n",
        TOKEN="CANARY\ncanary",
        KEY="whsec_CANARY",
    )
    assert len(loaded.problems) == 2
    assert "CANARY" not in "".join(map(str, loaded.problems))


@pytest.mark.parametrize(
    "written",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/VND.api+json",
        "application/cloudevents+json",
    ],
)
def test_a_content_type_may_be_any_name_of_json(written: str) -> None:
    assert options_of(headers={"Content-Type": written}).headers["Content-Type"].reveal() == written


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else "x"


@pytest.mark.parametrize(
    ("most", "more", "words"),
    [
        (nested(MAX_DEPTH), nested(MAX_DEPTH + 1), "nested deeper than 32"),
        ({"a": [1] * (MAX_PARTS - 2)}, {"a": [1] * (MAX_PARTS - 1)}, "more than 1000 values"),
        ({"a": ["x"] * MAX_TEXTS}, {"a": ["x"] * (MAX_TEXTS + 1)}, "51 texts"),
        ({"a": "x" * 16_000}, {"a": "x" * 16_001}, "16001 characters"),
        ({"x" * (MAX_WRITTEN - 7): 1}, {"x" * (MAX_WRITTEN - 7): 11}, "may have 100000"),
    ],
    ids=["depth", "values", "texts", "own words", "everything"],
)
def test_a_body_has_limits(most: Any, more: Any, words: str) -> None:
    assert options_of(body=most).body.written == most
    with pytest.raises(ValidationError, match=words):
        options_of(body=more)


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"x", {"a": {1: 2}}, {"\ud800": 1}, "\ud800", math.nan, math.inf]
)
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        options_of(body={"a": value})


def test_a_structure_that_holds_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = [endless]
    with pytest.raises(ValidationError, match="nested deeper"):
        options_of(body=endless)


def test_too_many_or_too_long_headers_are_refused() -> None:
    with pytest.raises(ValidationError, match="31 headers"):
        options_of(headers={f"X-{number}": "x" for number in range(31)})
    with pytest.raises(ValidationError, match="4097 characters"):
        options_of(headers={"X": "x" * 4_097})


def test_without_a_list_of_variables_any_word_may_stand_in_a_text() -> None:
    options = Webhook.options_type.model_validate({"body": {"a": "%plan% %subject%"}})
    assert options.model_dump() == {
        "headers": {},
        "body": {"a": "%plan% %subject%"},
        "markup": "plain",
        "signing_secret": None,
    }
