"""Messages to services on this machine: what arrives, what is made of the answer, and what must not happen."""

from __future__ import annotations

import asyncio
import email
import email.policy
import logging
import sys
import threading
import time

import pytest
from aiohttp import web

import deskbell
from deskbell_apprise import Apprise, transport

from .conftest import Desk, Postbox, Service, options

pytest.importorskip("apprise", reason="the Apprise library is not installed: pip install 'deskbell[apprise]'")

SENT = "sent by Apprise, which says no more"


async def test_the_message_arrives_with_its_title_and_says_who_sends(desk: Desk, service: Service) -> None:
    attempt = await desk.send(
        service.url(),
        "Where is it?\nHello?",
        template="%username%:\n%content%",
        variables={"username": "Ann"},
        options=options(title="Ticket: %subject%"),
    )
    assert attempt.outcome == deskbell.Delivered(detail=SENT)
    ((path, headers, body),) = service.got
    assert (path, headers["User-Agent"]) == ("/hook", "deskbell")
    assert (body["title"], body["message"]) == ("Ticket: Refund", "Ann:\nWhere is it?\nHello?")
    assert body["attachments"] == []


async def test_a_service_without_titles_gets_it_as_the_first_line(desk: Desk, service: Service) -> None:
    url = service.url("/abcdefgh12345678", "mmost")
    attempt = await desk.send(url, "a <b>", options=options(title="T: %subject%"))
    assert isinstance(attempt.outcome, deskbell.Delivered)
    assert service.got[0][2]["text"] == "T: Refund\r\na <\u200bb>"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, deskbell.Delivered(detail=SENT)),
        (202, deskbell.Delivered(detail=SENT)),
        (400, deskbell.PermanentFailure("400 …")),
        (401, deskbell.DestinationGone("401 …", certain=False)),
        (403, deskbell.DestinationGone("403 …", certain=False)),
        (404, deskbell.DestinationGone("404 …", certain=False)),
        (410, deskbell.DestinationGone("410 …")),
        (429, deskbell.Throttled(60.0, detail="429 …")),
        (500, deskbell.TemporaryFailure("500 …")),
        (502, deskbell.TemporaryFailure("502 …", maybe_received=True)),
        (503, deskbell.TemporaryFailure("503 …")),
    ],
)
async def test_a_status_means_what_it_means_to_deskbell(
    desk: Desk, service: Service, status: int, outcome: deskbell.Outcome
) -> None:
    """The detail is Apprise's sentence and the service's own words, which Apprise's wording may change around."""
    service.says("/hook", status, "the service's words")
    said = (await desk.send(service.url())).outcome
    if status >= 300:
        assert said.detail.startswith(f"{status} ")
        assert "the service's words" in said.detail
    shown = f"{status} …" if status >= 300 else SENT
    fields = {name: getattr(said, name) for name in said.__dataclass_fields__} | {"detail": shown}
    assert type(said)(**fields) == outcome
    assert len(service.got) == 1


async def test_a_redirect_is_not_followed_whatever_the_url_says(desk: Desk, service: Service) -> None:
    service.says("/hook", 307, location="/elsewhere")
    outcome = (await desk.send(service.url("/hook?redirect=yes"))).outcome
    assert isinstance(outcome, deskbell.DestinationGone)
    assert not outcome.certain
    assert [path for path, *_ in service.got] == ["/hook"]


async def test_only_deskbell_tries_again(desk: Desk, service: Service) -> None:
    """``retry``, ``wait`` and ``optional`` are Apprise's; with the last one every failure would be a success."""
    service.says("/hook", 500)
    attempt = await desk.send(service.url("/hook?retry=3&wait=1&optional=yes"))
    assert isinstance(attempt.outcome, deskbell.TemporaryFailure)
    assert len(service.got) == 1


def test_it_does_not_sleep_between_the_requests_of_one_message() -> None:
    """Most of Apprise's services would wait 5.5 s, and some make several requests."""
    from deskbell_apprise import library

    service = library.service_at("bark://127.0.0.1/device")
    assert service is not None
    assert type(service).request_rate_per_sec > 5
    began = time.monotonic()
    for _ in range(3):
        service.throttle()  # type: ignore[no-untyped-call]
    assert time.monotonic() - began < 1


async def test_emoji_codes_and_backslashes_of_a_customer_stay(desk: Desk, service: Service) -> None:
    await desk.send(service.url("/hook?emojis=yes"), r"C:\new\table :smile:")
    assert service.got[0][2]["message"] == r"C:\new\table :smile:"


async def test_one_message_is_one_request_and_it_is_said_that_its_end_is_missing(
    desk: Desk, service: Service
) -> None:
    """Mattermost gets 4,000 characters of Apprise."""
    url = service.url("/abcdefgh12345678?overflow=split", "mmost")
    attempt = await desk.send(url, "word " * 1800, options=options(max_length=9000))
    assert attempt.outcome == deskbell.Delivered(detail=f"{SENT}; its end was cut off, set max_length: 4000")
    assert [len(body["text"]) <= 4000 for _, _, body in service.got] == [True]


async def test_the_loop_stays_free_while_a_service_hangs(desk: Desk, service: Service) -> None:
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    service.replies["/hook"] = hang
    sending = asyncio.create_task(desk.send(service.url("/hook?rto=1")))
    slowest = 0.0
    while not sending.done():
        began = time.monotonic()
        await asyncio.sleep(0.01)
        slowest = max(slowest, time.monotonic() - began)
    released.set()
    attempt = await sending
    assert slowest < 0.5
    assert isinstance(attempt.outcome, deskbell.TemporaryFailure)
    assert attempt.outcome.maybe_received
    assert 1 <= attempt.seconds < 4


async def test_a_dropped_connection_may_have_carried_the_message(desk: Desk, service: Service) -> None:
    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    service.replies["/hook"] = drop
    outcome = (await desk.send(service.url())).outcome
    assert isinstance(outcome, deskbell.TemporaryFailure)
    assert outcome.maybe_received


@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1:{port}/hook",
        "json://nobody.invalid/hook",
        "mailto://ann:secret@example.com?smtp=127.0.0.1&mode=insecure&to=bob@example.com&port={port}",
    ],
)
async def test_where_nobody_listens_nothing_was_received(desk: Desk, unused_tcp_port: int, url: str) -> None:
    outcome = (await desk.send(url.format(port=unused_tcp_port))).outcome
    assert isinstance(outcome, deskbell.TemporaryFailure)
    assert "onnection error" in outcome.detail
    assert outcome.detail.endswith("(no connection came about)")
    assert not outcome.maybe_received


async def test_a_customer_cannot_claim_that_nothing_was_received(desk: Desk, service: Service) -> None:
    """What he writes stands in Apprise's log, and so does what deskbell looks for there."""

    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    service.replies["/hook"] = drop
    spoof = "Socket Exception: (Caused by NewConnectionError('x')) error=404 A Connection error occurred"
    outcome = (await desk.send(service.url(), spoof)).outcome
    assert isinstance(outcome, deskbell.TemporaryFailure)
    assert outcome.maybe_received


async def test_what_is_said_of_one_message_is_not_said_of_another(desk: Desk, service: Service) -> None:
    """Twenty at once, two at a time to each of ten destinations; each answer has its own status and words."""
    statuses = [400, 401, 403, 404, 410, 413, 429, 500, 502, 503]
    for status in statuses:
        service.says(f"/{status}", status, f"word{status}")
    for _ in range(3):
        attempts = await asyncio.gather(*(desk.send(service.url(f"/{status}")) for status in statuses * 2))
        for status, attempt in zip(statuses * 2, attempts, strict=True):
            assert attempt.outcome.detail.startswith(f"{status} ")
            assert attempt.outcome.detail.count("word") == 1
            assert f"word{status}" in attempt.outcome.detail


async def test_the_secrets_of_the_url_come_out_nowhere(
    desk: Desk, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Apprise takes percent signs out of a URL; the service sends both back."""
    caplog.set_level(logging.DEBUG)
    service.says("/hook", 403, "bad key open/sesame1 for topsecret9, open%2Fsesame1")
    attempt = await desk.send(service.url("/hook/open%2Fsesame1").replace("://", "://ann:topsecret9@"))
    assert "•••" in attempt.outcome.detail
    for secret in ("sesame", "topsecret"):
        assert secret not in attempt.outcome.detail
        assert secret not in attempt.payload
    assert [record for record in caplog.records if record.name.startswith(("apprise", "urllib3"))] == []


LONG = "sesame-opens-the-door-to-forty-thieves-1"


@pytest.mark.parametrize(
    "answer",
    [
        "x" * 280 + LONG,
        "x" * 297 + LONG,
        LONG * 60,
        "x" + LONG * 60,
        "/hook/" * 30 + LONG * 60,
        " " * 1980 + LONG,
        "é" + LONG * 60,
    ],
    ids=["cut by us", "cut in its name", "cut by Apprise", "cut later", "with a path", "blank", "not ASCII"],
)
@pytest.mark.parametrize("place", ["/hook/{}", "/hook?token={}", "{}"])
async def test_no_half_of_a_secret_is_left_where_an_answer_is_cut(
    desk: Desk, service: Service, answer: str, place: str
) -> None:
    """Apprise keeps 2,000 bytes of an answer, and less of them is shown."""
    service.says("/", 403, answer)
    url = service.url(place.format(LONG)) if "/" in place else service.url().replace("://", f"://ann:{LONG}@")
    detail = (await desk.send(url)).outcome.detail
    assert len(service.got) == 1
    assert "sesa" not in detail
    assert len(detail) < 500


async def test_an_answer_that_is_not_cut_keeps_its_last_word(desk: Desk, service: Service) -> None:
    service.says("/hook", 403, "what is sesame")
    detail = (await desk.send(service.url(f"/hook/{LONG}"))).outcome.detail
    assert detail.endswith("(what is sesame)")


@pytest.mark.parametrize(
    ("login", "shown"),
    [
        ("ann:topsecret9@", "Basic •••"),
        ("ann:top%3Asecret%409@", "Basic •••"),
        ("ann:caf%C3%A9-secret@", "Basic •••"),
        ("ann:p@", "Basic •••"),
    ],
)
async def test_a_service_that_repeats_the_login_tells_nobody(
    desk: Desk, service: Service, login: str, shown: str
) -> None:
    async def repeat(request: web.Request) -> web.Response:
        return web.Response(status=401, text=f"got {request.headers['Authorization']}, no")

    service.replies["/hook"] = repeat
    detail = (await desk.send(service.url().replace("://", f"://{login}"))).outcome.detail
    assert detail.endswith(f"(got {shown}, no)")


def test_the_log_of_others_who_use_apprise_stays_theirs(caplog: pytest.LogCaptureFixture) -> None:
    from deskbell_apprise import logs

    log = logging.getLogger("apprise")
    before = (log.level, log.handlers[:], log.propagate)
    with logs.hearing() as heard:
        log.warning("ours")
        thread = threading.Thread(target=log.warning, args=("another's",))
        thread.start()
        thread.join()
    log.warning("theirs")
    assert [record.getMessage() for record in heard] == ["ours"]
    assert [record.getMessage() for record in caplog.records] == ["another's", "theirs"]
    assert (log.level, log.handlers, log.propagate) == before


@pytest.mark.parametrize(
    ("query", "seconds"), [("", (4.0, 4.0)), ("?cto=1&rto=2", (1.0, 2.0)), ("?cto=60&rto=600", (4.0, 10.0))]
)
def test_no_wait_is_longer_than_an_attempt_may_be(query: str, seconds: tuple[float, float]) -> None:
    from deskbell_apprise import library

    service = library.service_at(f"json://127.0.0.1/{query}")
    assert service is not None
    assert service.request_timeout == seconds
    assert sum(seconds) < 15


@pytest.mark.parametrize("query", ["?rto=0", "?rto=nan", "?cto=0&rto=inf", "?cto=-1&rto=-1"])
def test_a_wait_that_is_none_is_bounded_however_apprise_reads_it(query: str) -> None:
    from deskbell_apprise import library

    service = library.service_at(f"json://127.0.0.1/{query}")
    assert service is not None
    connect, read = service.request_timeout
    assert 0 < connect <= library.CONNECT
    assert 0 < read <= library.READ


async def test_an_url_that_apprise_cannot_read_pauses_the_webhook(desk: Desk) -> None:
    outcome = (await desk.send("tgram://")).outcome
    assert outcome == deskbell.DestinationGone("Apprise cannot read this URL here; deskbell check says why")


async def test_a_library_that_went_away_pauses_the_webhook(
    desk: Desk, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert Apprise.unavailable() == transport.MISSING
    assert Apprise.refuses("tgram://") == "", "what it cannot ask it does not refuse"
    assert (await desk.send(service.url())).outcome == deskbell.DestinationGone(transport.MISSING)
    assert service.got == []


async def test_an_e_mail_arrives(desk: Desk, postbox: Postbox) -> None:
    url = (
        f"mailto://ann@example.com:{postbox.port}?smtp=127.0.0.1&mode=insecure"
        "&from=desk@example.com&to=bob@example.com"
    )
    attempt = await desk.send(
        url,
        "1 < 2 & <b>bold</b>\nsecond line",
        options=options(title="%subject%"),
        variables={"subject": "Refund\r\nBcc: eve@example.com"},
    )
    assert attempt.outcome == deskbell.Delivered(detail=SENT)
    (raw,) = postbox.mails
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail["Subject"] == "Refund Bcc: eve@example.com"
    assert mail["Bcc"] is None
    assert "desk@example.com" in mail["From"]
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert "1 < 2 & <\u200bb>bold" in plain.get_content()
