"""What a transport's author subclasses: options, typing, the inherited send, and how answers are read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typing_extensions import TypeVar

from deskbell import (
    Delivered,
    DestinationGone,
    Notice,
    Options,
    Outcome,
    Payload,
    PermanentFailure,
    Response,
    Secret,
    SendContext,
    Template,
    TemporaryFailure,
    Throttled,
    Transport,
    classify_response,
    plain,
    retry_after,
    seconds_in,
    seconds_in_header,
)
from deskbell.testing import sample_notice


class TopicOptions(Options):
    topic: str
    token: Secret | None = None


class Bell(Transport):
    name = "bell"
    max_length = 100

    def format(self, notice: Notice, options: Options) -> Payload:
        return {"text": notice.text(plain, self.max_length), **options.model_dump()}


class Ntfy(Transport[TopicOptions]):
    name = "ntfy"
    max_length = 4096

    def format(self, notice: Notice, options: TopicOptions) -> Payload:
        return {"topic": options.topic, "message": notice.text(plain, self.max_length)}

    def headers(self, options: TopicOptions) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {options.token.reveal()}"} if options.token else {}


Wider = TypeVar("Wider", bound=Options)


class OverHttp(Transport[Wider], Generic[Wider]):
    def format(self, notice: Notice, options: Wider) -> Payload:
        return {"text": notice.text(plain, 10), **options.model_dump()}


class Mixin:
    """Something else to inherit from."""


class FromIntermediate(Mixin, OverHttp[TopicOptions]):
    name = "intermediate"
    max_length = 10


class FromParent(Ntfy):
    name = "child"


@pytest.mark.parametrize(
    ("transport", "options_type"),
    [
        (Bell, Options),
        (Ntfy, TopicOptions),
        (OverHttp, Options),
        (FromIntermediate, TopicOptions),
        (FromParent, TopicOptions),
    ],
)
def test_options_are_read_from_the_generic_argument(
    transport: type[Transport[Any]], options_type: type[Options]
) -> None:
    assert transport.options_type is options_type


def subclass_of(argument: Any) -> type:
    class Wrong(Transport[argument]):
        pass

    return Wrong


@pytest.mark.parametrize("argument", ["Later", dict, int | str, Options | None, Secret])
def test_an_argument_that_is_no_options_is_refused_in_words(argument: Any) -> None:
    with pytest.raises(
        TypeError, match=r"Wrong: Transport\[.*put a subclass of deskbell.Options inside the brackets"
    ):
        subclass_of(argument)


@pytest.mark.parametrize(
    ("values", "kind", "place"),
    [
        ({"topic": "a", "topik": "b"}, "extra_forbidden", ("topik",)),
        ({}, "missing", ("topic",)),
        ({"topic": ["a"]}, "string_type", ("topic",)),
    ],
)
def test_wrong_options_are_refused_where_they_stand(
    values: dict[str, Any], kind: str, place: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as refused:
        TopicOptions.model_validate(values)
    assert [(error["type"], error["loc"]) for error in refused.value.errors(include_input=False)] == [
        (kind, place)
    ]


def test_an_unquoted_id_in_yaml_is_an_exact_text() -> None:
    assert TopicOptions.model_validate({"topic": 1097219411294621797}).topic == "1097219411294621797"


class Titled(Options):
    title: Template = Template.of_option("%subject%")


def test_an_option_that_is_a_template_may_have_one_as_its_default() -> None:
    notice = sample_notice()
    assert notice.using(Titled().title).text(escape=plain, limit=99) == notice.values["subject"]


MISTAKES = """
import deskbell

class Topic(deskbell.Options):
    topic: str

class Other(deskbell.Options):
    pass

class Bell(deskbell.Transport[Topic]):
    name = 3  # wrong: a name is a text
    max_length = 100
    def format(self, notice: deskbell.Notice, options: Other) -> deskbell.Payload:  # wrong: not Topic
        return {}

class Horn(deskbell.Transport[Topic]):
    name = "horn"
    max_length = 100
    def format(self, notice: deskbell.Notice, options: Topic) -> deskbell.Payload:
        text = notice.text(limit=self.max_length)  # wrong: no escape
        return {"topic": options.topik, "text": text}  # wrong: topik
    def send(self, payload: deskbell.Payload, context: deskbell.SendContext[Topic]) -> deskbell.Outcome:  # wrong: sync
        return deskbell.Delivered()

class Dict(deskbell.Transport[dict]):  # wrong: no Options
    pass

class Gong(deskbell.Transport):
    name = "gong"
    max_length = 100
    def format(self, notice: deskbell.Notice, options: deskbell.Options) -> deskbell.Payload:
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}

@deskbell.hookimpl
def deskbell_transports() -> deskbell.Transports:
    return [Horn, Gong]
"""


def test_a_type_checker_finds_the_authors_mistakes_in_their_own_lines(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    author = tmp_path / "author.py"
    author.write_text(MISTAKES, "utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        str(tmp_path),
        str(author),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    found = {int(number) for number in re.findall(r"author\.py:(\d+): error", answer.stdout)}
    wrong = {number for number, line in enumerate(MISTAKES.splitlines(), 1) if "# wrong" in line}
    assert found == wrong, answer.stdout


class Wire:
    """Answers as told, and keeps what was asked of it."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, bytes | None, dict[str, str]]] = []

    async def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        self.asked.append((method, url, body, dict(headers)))
        return self.answer

    def context(self) -> SendContext[TopicOptions]:
        options = TopicOptions.model_validate({"topic": "t", "token": "b3arer"})
        return SendContext(
            url=Secret("https://ntfy.example/s3cr3t"),
            options=options,
            webhook="w",
            delivery="d1",
            attempt=1,
            request=self.request,
        )


async def test_the_inherited_send_posts_json_with_the_transports_headers() -> None:
    wire = Wire(Response(200, {}, b"fine"))
    outcome = await Ntfy().send({"message": "é 👍", "n": 1}, wire.context())
    assert outcome == Delivered(detail="200 fine")
    [(method, url, body, headers)] = wire.asked
    assert (method, url) == ("POST", "https://ntfy.example/s3cr3t")
    assert body == '{"message":"é 👍","n":1}'.encode()
    assert headers == {"Content-Type": "application/json", "Authorization": "Bearer b3arer"}


async def test_get_and_post_may_go_elsewhere() -> None:
    wire = Wire(Response(200, {}, b""))
    await wire.context().get()
    await wire.context().get(url="https://ntfy.example/v1/health", headers={"Accept": "x"})
    await wire.context().post({}, url="https://ntfy.example/other", headers={"Content-Type": "text/plain"})
    assert wire.asked == [
        ("GET", "https://ntfy.example/s3cr3t", None, {}),
        ("GET", "https://ntfy.example/v1/health", None, {"Accept": "x"}),
        ("POST", "https://ntfy.example/other", b"{}", {"Content-Type": "text/plain"}),
    ]


def test_a_context_shows_no_secret() -> None:
    shown = repr(Wire(Response(200, {}, b"")).context())
    assert "s3cr3t" not in shown
    assert "b3arer" not in shown


def test_what_an_author_need_not_write_promises_nothing() -> None:
    assert not Bell.recognises("https://bell.example/")
    assert Bell.redact("x") == "x"
    assert (Bell.refuses("https://bell.example/"), Bell.unavailable(), Bell().picture({"a": 1})) == (
        "",
        "",
        "",
    )
    assert (Bell.blocking, Bell.own_urls) == (False, False)
    assert Bell().warnings("%") == ()
    assert Bell.fake() is None
    assert dict(Bell().headers(Options())) == {}
    assert json.loads(Bell().readable({"text": "é"})) == {"text": "é"}
    assert "é" in Bell().readable({"text": "é"})


async def test_an_author_need_not_write_a_probe() -> None:
    assert await Bell().probe(Wire(Response(200, {}, b"")).context()) is None  # type: ignore[arg-type]


def expected_outcome(status: int) -> type:
    """By class, as Standard Webhooks tells senders to read a status."""
    if 200 <= status < 300:
        return Delivered
    if status in (401, 403, 404, 410) or 300 <= status < 400:
        return DestinationGone
    if status == 429:
        return Throttled
    if status in (408, 425) or not 400 <= status < 500:
        return TemporaryFailure
    return PermanentFailure


@pytest.mark.parametrize("status", [100, *range(200, 600), 999])
def test_every_status_has_its_outcome(status: int) -> None:
    outcome = classify_response(Response(status, {}, b"words"))
    assert type(outcome) is expected_outcome(status)
    assert str(status) in outcome.detail


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><body>Sign in</body></html>",
        b"\xef\xbb\xbf\n <HTML lang='en'>",
        b"<!doctype  html>",
    ],
)
def test_a_page_in_place_of_an_answer_is_no_delivery(body: bytes) -> None:
    """It comes from a proxy or a place to sign in: doubtful, so that it pauses the webhook when it goes on."""
    outcome = classify_response(Response(200, {"content-type": "text/html"}, body))
    assert isinstance(outcome, DestinationGone)
    assert (outcome.certain, outcome.maybe_received) == (False, True)
    assert "page of HTML" in outcome.detail


@pytest.mark.parametrize("body", [b'{"ok": false, "error": "chat not found"}', b'{"success": false}'])
def test_a_success_that_says_no_in_its_body_is_none(body: bytes) -> None:
    """As Telegram (https://core.telegram.org/bots/api#making-requests) and Slack's Web API write it."""
    assert classify_response(Response(200, {}, body)) == PermanentFailure(f"200 {body.decode()}")


@pytest.mark.parametrize(
    "body",
    [b"ok", b"", b'{"ok": true}', b'{"ok": 0}', b'{"ok": null}', b"[false]", b"<htmlish>", b"<p>thanks</p>"],
)
def test_any_other_success_is_believed(body: bytes) -> None:
    assert type(classify_response(Response(200, {}, body))) is Delivered


REDIRECTS = "307 redirects, and redirects are not followed: use the new URL"


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (410, {}, DestinationGone("410 x", certain=True)),
        (404, {}, DestinationGone("404 x", certain=False)),
        (429, {"retry-after": "2.5"}, Throttled(2.5, detail="429 x")),
        (429, {}, Throttled(60.0, detail="429 x")),
        (503, {"retry-after": "120"}, TemporaryFailure("503 x", 120.0)),
        (500, {}, TemporaryFailure("500 x")),
        (502, {}, TemporaryFailure("502 x", maybe_received=True)),  # RFC 9110 §15.6.3
        (504, {}, TemporaryFailure("504 x", maybe_received=True)),  # RFC 9110 §15.6.5
        (524, {}, TemporaryFailure("524 x", maybe_received=True)),  # Cloudflare: the origin did not answer in time
        (307, {"location": "https://s3cr3t.example"}, DestinationGone(REDIRECTS, certain=False)),
    ],
)  # fmt: skip
def test_statuses_with_more_to_say(status: int, headers: dict[str, str], outcome: Outcome) -> None:
    assert classify_response(Response(status, headers, b" x\n")) == outcome


NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("5", 5.0),
        (" 5 ", 5.0),
        ("0.376", 0.376),
        ("3600.000000001", 3600.000000001),
        ("1.3365700000000001", 1.33657),  # as Python prints a float
        ("1000000000", 1e9),
        ("999999999999.9", 999999999999.9),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sunday, 22-Nov-26 12:01:00 GMT", 60.0),  # the two older forms that RFC 9110 asks readers to take
        ("Sun Nov 22 12:02:00 2026", 120.0),
        ("Sun, 22 Nov 2026 13:00:30 +0100", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),  # past
        ("Mon, 01 Jan 1990 00:00:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("9" * 13, None),
        ("9" * 400, None),
        ("1_000", None),
        ("٣", None),
        ("5s", None),
        ("5, 6", None),
        ("soon", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 99 Xyz 2026 99:99:99 GMT", None),
        ("\x00", None),
    ],
)
def test_retry_after_in_every_form(value: str, seconds: float | None) -> None:
    assert retry_after(Response(503, {"retry-after": value}, b""), now=NOW) == seconds


def test_dates_are_compared_with_the_services_own_clock() -> None:
    headers = {"retry-after": "Thu, 01 Jan 2015 00:01:00 GMT", "date": "Thu, 01 Jan 2015 00:00:00 GMT"}
    assert retry_after(Response(429, headers, b"")) == 60.0
    assert retry_after(Response(429, {**headers, "date": "garbage"}, b"")) == 0.0


@given(
    st.text(max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,12} [A-Z][a-z]{2} \d{1,12} \d+:\d+:\d+ [+-]?\w{1,6}")
)
def test_any_retry_after_is_a_wait_or_nothing(value: str) -> None:
    seconds = retry_after(Response(429, {"retry-after": value, "date": value}, b""))
    assert seconds is None or 0 <= seconds < float("inf")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0), (1.5, 1.5), (64_000, 64_000.0),
        (-1, None), (True, None), ("5", None), (None, None), ([1], None), ({}, None),
        (float("nan"), None), (float("inf"), None), (-0.5, None), (10**400, None),
    ],
)  # fmt: skip
def test_only_finite_numbers_are_waits(value: Any, seconds: float | None) -> None:
    assert seconds_in(value) == seconds


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "400"),
        (b"no_text\r\n", "400 no_text"),
        (b'{"message":\n  "Bad"}', '400 {"message": "Bad"}'),
        (b"\xff\xfe", "400 \ufffd\ufffd"),
        (b"\x1b[2Jevil\x9b\x00", "400 [2Jevil\ufffd"),  # nothing that a terminal obeys
        ("a\u202eb\u2028c".encode(), "400 ab c"),
        (b"x" * 20_000, "400 " + "x" * 20_000),  # whole: core cuts once it has masked what is secret
    ],
)
def test_the_services_words_fit_on_one_safe_line(body: bytes, words: str) -> None:
    assert Response(400, {}, body).words() == words


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"", None),
        (b"ok", None),
        (b"\xff", None),
        (b"[" * 20_000, None),
        (b"9" * 5_000, None),
    ],
)
def test_a_body_that_is_no_json_is_none(body: bytes, data: Any) -> None:
    assert Response(200, {}, body).json() == data


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), (" 0.376 ", 0.376), ("", None), ("-1", None), ("nan", None), ("1e9", None), ("soon", None)],
)
def test_a_number_of_seconds_in_any_header(value: str, seconds: float | None) -> None:
    response = Response(429, {"x-ratelimit-reset-after": value}, b"")
    assert seconds_in_header(response, "X-RateLimit-Reset-After") == seconds
    assert seconds_in_header(response, "X-RateLimit-Reset") is None
