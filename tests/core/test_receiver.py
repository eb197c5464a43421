"""The HTTP door, over real sockets and in front of a real store: every answer, and what is stored after it."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from standardwebhooks import Webhook

from deskbell import EventError, EventRequest, Secret, Source, TicketEvent, listener
from deskbell.intake import Intake
from deskbell.receiver import LARGEST_BODY, Receiver, not_found
from deskbell.refusals import Refusals
from deskbell.settings import SourceSettings
from deskbell.source import NativeSource
from deskbell.store.sqlite import MAX_WAITING, SqliteStore

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the shared test data is not beside this checkout"
)

TOKEN, OLD_TOKEN = "a-token-of-the-tests/+=", "the-token-of-last-year"
SIGNING_SECRET, OLD_SIGNING_SECRET = (
    f"whsec_{b64encode(b'n' * 32).decode()}",
    f"whsec_{b64encode(b'o' * 24).decode()}",
)
CAPTURED_TOKEN = "s3cret!"  # in one of the captured requests
NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
EVENT = b'{"action": "Submit", "ticket": 7}'
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SLOWEST_BODY = 0.2


class Broken(Source):
    """Raises what a test wants, or returns it."""

    name = "broken"
    does: Any = None

    def parse(self, _: EventRequest) -> TicketEvent:
        if isinstance(self.does, BaseException):
            raise self.does
        result: TicketEvent = self.does
        return result

    def sample(self, action: str) -> dict[str, Any]:
        return {"action": action}


@dataclass
class Answer:
    """One complete answer. ``names`` of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self, status: int) -> dict[str, Any]:
        """The problem+json (RFC 9457) that it must be, with ``status``."""
        assert (self.status, self.headers["content-type"]) == (status, "application/problem+json")
        body: dict[str, Any] = self.json()
        assert body.keys() - {"errors"} == {"title", "status", "detail"}
        assert (body["title"], body["status"]) == (HTTPStatus(status).phrase, status)
        assert body["detail"]
        return body


@dataclass
class Door:
    """A listening receiver, the store behind it, and a client in front of it."""

    port: int
    path: Path
    store: SqliteStore
    session: aiohttp.ClientSession
    sources: dict[str, SourceSettings]
    broken: Broken
    troubles: dict[str, str]
    refused: list[str]

    async def ask(self, method: str, target: str, headers: Mapping[str, str], body: Any = None) -> Answer:
        url = f"http://127.0.0.1:{self.port}{target}"
        async with self.session.request(
            method, url, data=body, headers=headers, skip_auto_headers=["Content-Type"]
        ) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, found, await response.read())

    async def post(self, body: Any = EVENT, source: str = "cms", **headers: str) -> Answer:
        """Post with a good token; ``headers`` by their names with ``_``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("POST", f"/events/{source}", {**BEARER, **named}, body)

    def stored(self) -> list[bytes]:
        """The bodies in the file, as another process sees them."""
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            return [row[0] for row in connection.execute("SELECT raw FROM event ORDER BY seq")]


def settings(name: str, adapter: Source, tokens: tuple[str, ...], *signing: str) -> SourceSettings:
    return SourceSettings(
        name=name,
        adapter=adapter,
        tokens=tuple(map(Secret, tokens)),
        signing_secrets=tuple(map(Secret, signing)),
    )


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with AsyncExitStack() as stack:
        path, broken, troubles = tmp_path / "desk.db", Broken(), dict[str, str]()
        refused = list[str]()
        store = SqliteStore.open(path)
        stack.push_async_callback(store.close)
        intake = Intake(
            store,
            webhooks=[],
            priorities={},
            wake=lambda _: None,
            accepted=lambda _, __: None,
            clock=lambda: datetime.now(UTC),
            refusal=lambda: troubles.get("queue", ""),
        )
        listed = [
            settings("cms", NativeSource(), (TOKEN, OLD_TOKEN)),
            settings("signed", NativeSource(), (), SIGNING_SECRET, OLD_SIGNING_SECRET),
            settings("both", NativeSource(), (TOKEN,), SIGNING_SECRET),
            settings("closed", NativeSource(), ()),
            settings("broken", broken, (TOKEN,)),
        ]
        sources = {source.name: source for source in listed}
        receiver = Receiver(
            sources,
            accept=intake.accept,
            ready=lambda: troubles,
            metrics=lambda: (b"events 1\n", "text/plain; version=0.0.4"),
            refusals=Refusals(refused.append),
            clock=NOW.timestamp,
            slowest_body=SLOWEST_BODY,
        )
        port = await listen(receiver, stack)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Door(port, path, store, session, sources, broken, troubles, refused)


async def listen(receiver: Receiver, stack: AsyncExitStack) -> int:
    app = receiver.app()
    app.router.add_route("*", "/{path:.*}", not_found)
    return await listener.listen(app, "127.0.0.1", 0, stack)


async def raw(port: int, request: bytes) -> Answer:
    """Send these very bytes, and read one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])
        }
        return Answer(
            int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
        )
    finally:
        writer.close()


def without_date(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in headers.items() if name != "date")


def basic(credentials: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}


# -- who may


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/events/cms", BEARER),
        ("/events/cms", {"Authorization": f"bearer   {OLD_TOKEN} "}),
        ("/events/cms", basic(f"anybody:{TOKEN}")),
        ("/events/cms", basic(f":{TOKEN}")),
        ("/events/cms/", BEARER),
        ("/events/cms/the-token-of-last-year", {}),
        ("/events/cms/the-token-of-last-year?src=main", {"Authorization": "Bearer wrong"}),
        ("/events/%63ms/a-token-of-the-tests%2F%2B%3D", {}),
    ],
)
async def test_a_token_opens_from_the_header_or_the_path(
    door: Door, target: str, headers: dict[str, str]
) -> None:
    answer = await door.ask("POST", target, headers, EVENT)
    assert (answer.status, answer.headers["content-type"]) == (202, "application/json")
    assert answer.json() == {"id": answer.json()["id"], "deliveries": 0}
    assert door.stored() == [EVENT]


async def test_a_url_with_credentials_opens_as_clients_send_it(door: Door) -> None:
    """`https://x:TOKEN@host/…` is all that ClientXCMS can be given."""
    url = f"http://x:{OLD_TOKEN}@127.0.0.1:{door.port}/events/cms"
    async with door.session.post(url, data=EVENT, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 202


REFUSED: list[tuple[str, dict[str, str]]] = [
    ("/events/cms", {}),
    ("/events/cms", {"Authorization": ""}),
    ("/events/cms", {"Authorization": "Bearer"}),
    ("/events/cms", {"Authorization": f"Bearer {TOKEN}x"}),
    ("/events/cms", {"Authorization": f"Token {TOKEN}"}),
    ("/events/cms", {"Authorization": TOKEN}),
    ("/events/cms", basic(TOKEN)),
    ("/events/cms", basic("x:")),
    ("/events/cms", {"Authorization": basic(f"x:{TOKEN}")["Authorization"] + "!"}),
    ("/events/cms", {"Authorization": "Basic no-base64!"}),
    ("/events/cms", {"Authorization": "Basic //79"}),  # base64 of what is not UTF-8
    ("/events/cms", {"Authorization": "Bearer é€"}),
    ("/events/cms/", {}),
    ("/events/cms/wrong", BEARER),  # the path counts, where it has a token
    ("/events/cms/%00", {}),
    ("/events/closed", BEARER),
    ("/events/closed/", {}),
    ("/events/signed", BEARER),
    ("/events/both", BEARER),
    ("/events/both", {}),
]


async def test_every_refusal_of_a_sender_is_the_same(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Whether token or signature is wrong, missing or unreadable: nobody learns which."""
    answers = [await door.ask("POST", target, headers, EVENT) for target, headers in REFUSED]
    problem = answers[0].problem(401)
    assert problem["detail"] == "the token or the signature is missing or wrong"
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert answers[0].headers["connection"] == "close"
    told = {(answer.status, answer.body, *without_date(answer.headers)) for answer in answers}
    assert len(told) == 1
    assert door.stored() == []
    assert len(caplog.records) == len(REFUSED)
    assert TOKEN not in caplog.text


def signed(
    body: bytes, secret: str = SIGNING_SECRET, at: datetime = NOW, identity: str = "msg_1"
) -> dict[str, str]:
    """The headers that the reference library makes."""
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(identity, at, body.decode()),
    }


@pytest.mark.parametrize(
    ("source", "headers", "status"),
    [
        ("signed", signed(EVENT), 202),
        ("signed", signed(EVENT, OLD_SIGNING_SECRET), 202),
        ("signed", signed(EVENT, at=NOW - timedelta(seconds=299)), 202),
        ("signed", signed(EVENT, at=NOW - timedelta(seconds=301)), 401),
        ("signed", signed(EVENT + b" "), 401),
        ("signed", {**signed(EVENT), "webhook-id": "msg_2"}, 401),
        ("both", {**signed(EVENT), **BEARER}, 202),
        ("both", signed(EVENT), 401),
        ("both", {**signed(EVENT, OLD_SIGNING_SECRET), **BEARER}, 401),
        ("cms", {**signed(EVENT, OLD_SIGNING_SECRET), **BEARER}, 202),  # asks for none
    ],
)
async def test_a_source_with_a_signing_secret_wants_each_request_signed(
    door: Door, source: str, headers: dict[str, str], status: int
) -> None:
    answer = await door.ask("POST", f"/events/{source}", headers, EVENT)
    assert answer.status == status
    assert len(door.stored()) == (status == 202)


# -- what is refused


async def test_an_unknown_source_is_not_found(door: Door) -> None:
    for method in ("POST", "GET"):
        answer = await door.ask(method, "/events/nobody", BEARER, EVENT)
        assert answer.problem(404)["detail"] == "no source of this name is configured"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_another_method_is_told_of_the_redirect(
    door: Door, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The CMS reports success for a redirected POST: this line in the owner's log is all that tells."""
    answer = await door.ask(method, "/events/cms/the-token-of-last-year", {})
    assert "redirect" in answer.problem(405)["detail"]
    assert answer.headers["allow"] == "POST"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "source cms, from 127.0.0.1: answered 405: send a POST" in caplog.text


REFUSED_TYPES = [
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/json",
    "application/jsonp", ";;;", "é",
]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [*({"Content_Type": kind} for kind in REFUSED_TYPES),
     *({"Content_Encoding": coding} for coding in ("gzip", "deflate", "br", "x-gzip", "GZIP"))],
)  # fmt: skip
async def test_only_plain_json_is_read(door: Door, headers: dict[str, str]) -> None:
    answer = await door.post(b"action=Submit", **headers)
    assert "JSON" in answer.problem(415)["detail"] or "Content-Encoding" in answer.problem(415)["detail"]
    assert door.stored() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content_Type": ""},
        {"Content_Type": "application/json"},
        {"Content_Type": "Application/JSON; charset=utf-8"},
        {"Content_Type": "application/cloudevents+json"},
        {"Content_Encoding": "identity"},
    ],
)
async def test_json_is_read_by_any_of_its_names_and_without_one(door: Door, headers: dict[str, str]) -> None:
    assert (await door.post(**headers)).status == 202


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"", 400, "the body is not JSON"),
        (b"action=Submit", 400, "the body is not JSON"),
        (b'{"action": "Submit", "ticket": NaN}', 400, "the body is not JSON"),
        (b'{"action": "Submit", "subject": "caf\xe9"}', 400, "the body is not UTF-8"),
        (
            b'{"action": "Submit", "x": ' + b"[" * 32 + b"]" * 32 + b"}",
            400,
            "the body is nested deeper than 32",
        ),
        (b"[" * 200_000, 400, "the body is nested deeper than 32"),
        (b"null", 422, "the body must be a JSON object"),
    ],
)
async def test_what_is_no_json_object_is_refused_with_the_reason(
    door: Door, body: bytes, status: int, detail: str
) -> None:
    assert (await door.post(body)).problem(status)["detail"].startswith(detail)
    assert door.stored() == []


async def test_wrong_fields_are_named_with_their_paths(door: Door) -> None:
    answer = await door.post(b'{"Subject": ["a"], "content": true, "extra": {}}')
    assert answer.problem(422)["errors"] == [
        {"path": "Subject", "message": "must be a string, a number or null"},
        {"path": "content", "message": "must be a string, a number or null"},
        {"path": "action", "message": "is required"},
    ]
    assert door.stored() == []


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


@pytest.mark.parametrize("framed", [lambda body: body, chunked], ids=["Content-Length", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(LARGEST_BODY, 202), (LARGEST_BODY + 1, 413)])
async def test_a_body_may_have_256_kib(
    door: Door, framed: Callable[[bytes], Any], size: int, status: int
) -> None:
    body = EVENT.replace(b"Submit", b"Submit" + b"x" * (size - len(EVENT)))
    answer = await door.post(framed(body))
    assert answer.status == status
    assert door.stored() == [body][: status == 202]
    if status == 413:
        assert answer.problem(413)["detail"] == "the body is larger than 256 KiB"


async def test_a_body_that_drips_is_given_up(door: Door) -> None:
    head = f"POST /events/cms HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 33\r\n\r\n"
    answer = await raw(door.port, head.encode() + EVENT[:-1])
    assert answer.problem(408)["detail"] == f"the body took longer than {SLOWEST_BODY:g} s"
    assert answer.headers["connection"] == "close"
    assert door.stored() == []


# -- idempotency


@pytest.mark.parametrize("header", ["webhook_id", "Idempotency_Key"])
async def test_a_key_that_comes_again_gets_the_first_answer(door: Door, header: str) -> None:
    key = {header: "k" * 255}
    first = await door.post(**key)
    again = await door.post(**key)
    assert (again.status, again.body) == (202, first.body)
    assert (again.headers["idempotent-replayed"], "idempotent-replayed" in first.headers) == ("true", False)
    other = await door.post(b'{"action": "Close"}', **key)
    assert "before" in other.problem(422)["detail"]
    assert door.stored() == [EVENT]


async def test_keys_are_of_one_source_and_without_one_equal_bodies_are_two_events(door: Door) -> None:
    door.broken.does = TicketEvent(action="Submit")
    ids = {
        (await door.post(source=source, **key)).json()["id"]
        for source in ("cms", "broken")
        for key in ({"webhook_id": "k"}, {}, {})
    }
    assert len(ids) == len(door.stored()) == 6


async def test_the_id_of_a_signed_message_is_its_key(door: Door) -> None:
    headers = {**signed(EVENT), "Idempotency-Key": "another each time"}
    first, again = [await door.ask("POST", "/events/signed", headers, EVENT) for _ in range(2)]
    assert (again.body, again.headers["idempotent-replayed"]) == (first.body, "true")


@pytest.mark.parametrize("header", ["webhook_id", "Idempotency_Key"])
@pytest.mark.parametrize("key", ["", "k" * 256, "two words", "clé"])
async def test_a_key_must_be_visible_ascii(door: Door, header: str, key: str) -> None:
    assert "visible ASCII" in (await door.post(**{header: key})).problem(400)["detail"]
    assert door.stored() == []


# -- whose fault it is


async def test_a_full_disk_is_a_503_until_there_is_room_again(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has it once each time it begins: senders try again and again."""
    large = EVENT + b" " * 200_000
    for times in (1, 2):
        door.store._database.connection.execute("PRAGMA max_page_count = 1")
        for _ in range(3):
            answer = await door.post(large)
            assert answer.problem(503)["detail"] == "events cannot be stored now"
            assert int(answer.headers["retry-after"]) > 0
        door.store._database.connection.execute("PRAGMA max_page_count = 1000000")
        assert len(door.stored()) == times - 1
        assert (await door.post(large)).status == 202
        logged = [record.levelname for record in caplog.records if record.name == "deskbell.receiver"]
        assert logged == ["ERROR"] * times


async def test_while_the_queue_is_full_events_get_a_503_that_says_so(door: Door) -> None:
    door.troubles["queue"] = "1,000,000 deliveries wait already"
    for _ in range(2):
        refused = await door.post()
        assert refused.problem(503)["detail"] == "1,000,000 deliveries wait already"
        assert int(refused.headers["retry-after"]) > 0
    assert door.stored() == []
    del door.troubles["queue"]
    assert (await door.post()).status == 202


async def test_too_much_waiting_is_a_503(door: Door) -> None:
    """Another process holds the file, and more jobs gather than may wait."""
    with closing(sqlite3.connect(door.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(door.store.recover()) for _ in range(MAX_WAITING + 1000)]
        answer = await door.post(b'{"action": "Submit"}')
        other.execute("ROLLBACK")
    await asyncio.gather(*waiting)
    assert answer.problem(503)["detail"] == "too many events are waiting for the disk"
    assert int(answer.headers["retry-after"]) > 0
    assert door.stored() == []


@pytest.mark.parametrize(
    ("does", "told"),
    [(KeyError("s3cret"), "KeyError"), (SystemExit("s3cret"), "the adapter broken raised SystemExit"),
     (asyncio.CancelledError("s3cret"), "the adapter broken raised CancelledError"),
     (None, "the adapter broken returned no TicketEvent but NoneType"), ("s3cret", "no TicketEvent but str")],
)  # fmt: skip
async def test_a_source_that_fails_is_a_500_that_tells_only_the_log(
    door: Door, does: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    door.broken.does = does
    answer = await door.post(source="broken")
    assert answer.problem(500)["detail"] == "a defect of the receiver; it is in its log"
    assert b"s3cret" not in answer.body
    (record,) = caplog.records
    assert (record.levelname, bool(record.exc_info)) == ("ERROR", True)
    assert told in caplog.text
    assert (await door.post()).status == 202


async def test_an_event_error_is_never_a_5xx(door: Door) -> None:
    door.broken.does = EventError("no event of mine", status=503)
    assert (await door.post(source="broken")).problem(422)["detail"] == "no event of mine"


async def test_a_refused_event_is_one_line_in_the_owners_log(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    await door.post(b"{}")
    await door.ask("POST", "/events/signed", {"webhook-id": "msg_1"}, EVENT)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    refused, unsigned = [record.getMessage() for record in caplog.records]
    assert refused == "source cms, from 127.0.0.1: answered 422: not a ticket event"
    assert unsigned.startswith(
        "source signed, from 127.0.0.1: answered 401: webhook-timestamp"
    )  # the sender does not learn that


# -- captured requests


@needs_shared
async def test_every_captured_request_of_clientxcms_is_accepted(door: Door) -> None:
    plugin = pytest.importorskip("deskbell_clientxcms")
    door.sources["clientxcms"] = settings("clientxcms", plugin.ClientXCMS(), (OLD_TOKEN, CAPTURED_TOKEN))
    requests = [posted_to_desk(file.read_bytes()) for file in sorted((SHARED / "clientxcms").glob("*.http"))]
    answers = [await raw(door.port, request) for request in requests]
    assert len(requests) > 10
    assert [answer.status for answer in answers] == [202] * len(requests)
    assert door.stored() == [request.partition(b"\r\n\r\n")[2] for request in requests]


def posted_to_desk(captured: bytes) -> bytes:
    """The capture with our path, and the token in it unless the capture has credentials of its own."""
    token = b"" if b"\r\nAuthorization: Basic " in captured else b"/" + OLD_TOKEN.encode()
    return captured.replace(b"POST /in/clientxcms", b"POST /events/clientxcms" + token, 1)


# -- what machines ask


async def test_health_is_told_to_everybody_and_the_reasons_only_to_this_machine(door: Door) -> None:
    far = {"Host": "desk.example"}
    assert (await door.ask("GET", "/healthz", far)).json() == {"status": "ok"}
    assert (await door.ask("GET", "/readyz", {})).json() == {"status": "ready", "detail": {}}
    door.troubles["webhook a"] = "paused: 404"
    assert (await door.ask("GET", "/readyz", {})).json() == {"status": "ready", "detail": door.troubles}
    assert (await door.ask("GET", "/readyz", far)).json() == {"status": "ready", "detail": {}}


@pytest.mark.parametrize("what", ["store", "queue"])
async def test_what_keeps_events_out_makes_the_service_not_ready(door: Door, what: str) -> None:
    door.troubles |= {what: "full", "webhook a": "paused: 404"}
    here, far = (
        await door.ask("GET", "/readyz", {}),
        await door.ask("GET", "/readyz", {"Host": "desk.example"}),
    )
    assert (here.status, here.json()) == (503, {"status": "not ready", "detail": door.troubles})
    assert (far.status, far.json()) == (503, {"status": "not ready", "detail": {}})
    assert (await door.ask("GET", "/healthz", {})).status == 200, "to start it again would not help"
    del door.troubles[what]
    assert (await door.ask("GET", "/readyz", {})).status == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8700", "127.0.0.1", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8700"]
)
async def test_metrics_are_for_this_machine(door: Door, host: str) -> None:
    answer = await door.ask("GET", "/metrics", {"Host": host})
    assert (answer.status, answer.body) == (200, b"events 1\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
async def test_metrics_are_for_nobody_behind_a_proxy(door: Door, header: str) -> None:
    """A proxy that passes requests to 127.0.0.1 often names just that."""
    (await door.ask("GET", "/metrics", {"Host": "127.0.0.1", header: "203.0.113.9"})).problem(404)


@pytest.mark.parametrize(
    "host", ["desk.example", "127.0.0.1.desk.example", "localhost:80:80", "[::1", "::1", "10.0.0.1"]
)
async def test_metrics_are_for_no_other_machine(door: Door, host: str) -> None:
    (await door.ask("GET", "/metrics", {"Host": host})).problem(404)


@pytest.mark.parametrize("target", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_machines_ask_with_get(door: Door, method: str, target: str) -> None:
    answer = await door.ask(method, target, {}, EVENT)
    answer.problem(405)
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/events"),
        ("POST", "/events/"),
        ("POST", "/events/cms/a/b"),
        ("POST", "/Events/cms"),
        ("GET", "/healthz/"),
    ],
)
async def test_there_is_nothing_else(door: Door, method: str, target: str) -> None:
    answer = await door.ask(method, target, BEARER, EVENT)
    assert answer.problem(404)["detail"] == "there is nothing here; events go to POST /events/{source}"
    assert door.stored() == []
