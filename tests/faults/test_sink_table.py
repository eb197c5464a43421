"""Each fault that a chat service may have, and what becomes of the message, of the destination and of everybody else.

The expected outcomes are written by hand from the promises (docs/delivery.md), not from what the program says. CI
shortens a second; ``DESKBELL_TIER=R`` leaves it as it is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import re
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import kit
from tests.faults.sinks import REDIRECTS, Fault, Sink, answering, authority, faults, http

import deskbell
from deskbell.client import LONGEST_ANSWER, Client, Resolver
from deskbell.delivery import Attempt, Destination, RetryPolicy
from deskbell.dispatcher import Dispatcher
from deskbell.egress import EgressPolicy
from deskbell.outcome import Delivered, DestinationGone, PermanentFailure, TemporaryFailure, Throttled
from deskbell.sender import Sender
from deskbell.settings import Webhook
from deskbell.store.sqlite import SqliteStore
from deskbell_discord import Discord
from deskbell_slack import Slack

if TYPE_CHECKING:
    from tests.conftest import Serve, Server

REAL = os.environ.get("DESKBELL_TIER") == "R"
SECOND = 1.0 if REAL else 0.08
ATTEMPT, CONNECT = 15, 5
"""Seconds of the real program, before they are shortened: see ``deskbell.client``."""
LADDER = (30.0, 60.0)
CANARY = "CANARY0123456789abcdef"
PATH = f"/services/T0/B0/{CANARY}"
BESIDE = 5
"""Messages for the healthy sink while the other one is faulty."""
MOST_DELAY = 1.0
"""Seconds that a faulty destination may delay another by."""
MOST_GROWTH, MOST_MEMORY = 30_000, 150_000
"""Kilobytes: of one answer, and of the whole process."""
LONGEST_STOP = 25.0
RATE = 15
"""Events a second, each to nine webhooks."""
LOOPBACK = EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))
PLAIN, DISCORD, SLACK = kit.Bell(), Discord(), Slack()


@dataclass(frozen=True)
class Expected:
    """``state``, counted ``attempts`` and ``marked`` (``maybe_duplicate``) are the row's; ``wait`` is the destination's:
    seconds, 0 when it is simply active, infinite when it is paused. ``detail`` is how the stored reason begins.
    """

    outcome: type
    state: str
    attempts: int
    wait: float
    detail: str = ""
    marked: bool = False


def failed(detail: str = "", wait: float = LADDER[0]) -> Expected:
    return Expected(TemporaryFailure, "ready", 1, wait, detail)


def unsure(detail: str = "") -> Expected:
    """As ``failed``, and the message may have arrived."""
    return replace(failed(detail), marked=True)


def throttled(wait: float) -> Expected:
    return Expected(Throttled, "ready", 0, wait)


def refused(detail: str = "") -> Expected:
    """One of three in a row that pause the destination."""
    return Expected(DestinationGone, "ready", 0, LADDER[0], detail)


GOT = Expected(Delivered, "delivered", 1, 0)
DEAD = Expected(PermanentFailure, "dead", 1, 0)
PAUSED = Expected(DestinationGone, "ready", 0, math.inf)
NO_ANSWER = unsure(f"no complete answer within {ATTEMPT * SECOND:g} s")
NO_CONNECTION = failed(f"no connection within {CONNECT * SECOND:g} s")
NOT_HTTP = unsure("the answer breaks the rules of HTTP")
UNTRUSTED = "the certificate of 127.0.0.1 cannot be trusted: "
LONGEST_WAIT = 3600.0

ANSWERS: dict[str, tuple[deskbell.Transport[Any], Expected]] = {
    # no connection: certainly not received
    "refused": (PLAIN, failed("cannot connect to 127.0.0.1:")),
    "blackhole": (PLAIN, NO_CONNECTION),
    "TLS silence": (PLAIN, NO_CONNECTION),
    "TLS none": (PLAIN, failed("no secure connection with 127.0.0.1:")),
    "TLS 1.0": (PLAIN, failed("no secure connection with 127.0.0.1:")),
    "TLS 1.1": (PLAIN, failed("no secure connection with 127.0.0.1:")),
    "TLS expired": (PLAIN, failed(f"{UNTRUSTED}certificate has expired")),
    "TLS wrong host": (PLAIN, failed(f"{UNTRUSTED}IP address mismatch")),
    "TLS self-signed": (PLAIN, failed(f"{UNTRUSTED}self-signed certificate")),
    "TLS healthy": (PLAIN, GOT),
    # no answer, or none that can be read: perhaps received
    "silence": (PLAIN, NO_ANSWER),
    "silence in the head": (PLAIN, NO_ANSWER),
    "silence after the head": (PLAIN, NO_ANSWER),
    "drip": (PLAIN, NO_ANSWER),
    "100 for ever": (PLAIN, NO_ANSWER),
    "length too long, held open": (PLAIN, NO_ANSWER),
    "reset at accept": (PLAIN, unsure("the connection broke")),
    "reset before the body": (PLAIN, unsure("the connection broke")),
    "reset after the request": (PLAIN, unsure("the connection broke")),
    "reset in the answer": (PLAIN, unsure("the answer broke off")),
    "hung up without an answer": (PLAIN, unsure("the connection was closed without an answer")),
    "length too long": (PLAIN, unsure("the answer broke off")),
    "length too short": (PLAIN, NOT_HTTP),
    "length negative": (PLAIN, NOT_HTTP),
    "lengths differ": (PLAIN, NOT_HTTP),
    "no HTTP": (PLAIN, NOT_HTTP),
    "10,000 headers": (PLAIN, NOT_HTTP),
    "header for ever": (PLAIN, NOT_HTTP),
    # success, with what its transport asks for beyond the status
    "200": (PLAIN, GOT), "201": (PLAIN, GOT), "202": (PLAIN, GOT), "204": (PLAIN, GOT),
    "200 garbage": (PLAIN, GOT),
    "100 MB": (PLAIN, GOT),
    "chunks for ever": (PLAIN, GOT),
    "gzip bomb": (SLACK, replace(refused("not Slack's answer `ok`: 200"), marked=True)),
    "200 discord, last of the window": (DISCORD, replace(GOT, wait=1.5)),
    # refusals
    "301 itself": (PLAIN, refused("301 redirects")), "302 itself": (PLAIN, refused("302 redirects")),
    "307 itself": (PLAIN, refused("307 redirects")), "308 itself": (PLAIN, refused("308 redirects")),
    "302 file": (PLAIN, refused("302 redirects")), "302 metadata": (PLAIN, refused("302 redirects")),
    "400": (PLAIN, DEAD), "405": (PLAIN, DEAD), "411": (PLAIN, DEAD), "413": (PLAIN, DEAD), "414": (PLAIN, DEAD),
    "415": (PLAIN, DEAD), "422": (PLAIN, DEAD),
    "echo": (PLAIN, replace(DEAD, detail="400 cannot post to •••")),
    "401": (PLAIN, refused("401")), "403": (PLAIN, refused("403")), "404": (PLAIN, refused("404")),
    "410": (PLAIN, PAUSED),
    "404 discord, unknown webhook": (DISCORD, PAUSED),
    "401 discord, bad token": (DISCORD, PAUSED),
    "404 slack, no_service": (SLACK, PAUSED),
    # the service's own trouble
    "408": (PLAIN, failed("408")), "425": (PLAIN, failed("425")),
    "101": (PLAIN, failed("101")),
    "500": (PLAIN, failed("500")), "502": (PLAIN, unsure("502")), "503": (PLAIN, failed("503")),
    "503 2 s": (PLAIN, failed("503 later")), "503 120 s": (PLAIN, failed("503 later", 120)),
    "504": (PLAIN, unsure("504")),  # a gateway that passed it on, and does not know either
    # too fast; what means nothing counts as unstated
    "429": (PLAIN, throttled(60)),
    "429 2 s": (PLAIN, throttled(2)), "429 2.5 s": (PLAIN, throttled(2.5)), "429 date": (PLAIN, throttled(30)),
    "429 past date": (PLAIN, throttled(1)),
    "429 negative": (PLAIN, throttled(60)), "429 nan": (PLAIN, throttled(60)), "429 1e9": (PLAIN, throttled(60)),
    "429 1000000000": (PLAIN, throttled(LONGEST_WAIT)),
    "429 discord": (DISCORD, throttled(1336.57)), "429 discord, global": (DISCORD, throttled(1336.57)),
}  # fmt: skip
IN_SEQUENCE = {"healthy", "flapping", "slow 14 s", "slow 16 s", "slow 16 s, once", "closed when idle"}
"""Those that take more than one answer to show, or exact time: each has a test of its own below."""
FAULTS = faults(SECOND)


@dataclass
class Bench:
    """The real engine on a real store, with the webhooks ``faulty`` and ``healthy``."""

    store: SqliteStore
    dispatcher: Dispatcher
    hooks: dict[str, Webhook]
    settled: dict[str, asyncio.Queue[Attempt]]
    file: Path

    async def post(self, ticket: str, *names: str) -> None:
        """Accept an event for the webhooks ``names``."""
        event = kit.event(ticket, text=ticket, received_at=kit.now())
        await self.store.add(event, b"{}", webhooks=[self.hooks[name] for name in names])
        self.dispatcher.wake(names)

    async def attempts(self, name: str, count: int = 1) -> list[Attempt]:
        """The next saved attempts of a webhook."""
        async with asyncio.timeout(kit.PATIENCE + 2 * ATTEMPT * SECOND):
            return [await self.settled[name].get() for _ in range(count)]

    def rows(self, columns: str = "state, attempts, maybe_duplicate") -> list[tuple[Any, ...]]:
        """The deliveries to ``faulty``, as anybody may read them from the file."""
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as database:
            query = f"SELECT {columns} FROM delivery WHERE webhook = 'faulty' ORDER BY id"  # noqa: S608 - constants
            return database.execute(query).fetchall()

    async def destination(self) -> Destination:
        """How ``faulty`` fares, as the store has it."""
        return (await self.store.destinations()).get(self.hooks["faulty"].destination, Destination())

    def stored(self) -> bytes:
        """Every byte of it."""
        return b"".join(path.read_bytes() for path in self.file.parent.glob(f"{self.file.name}*"))


@asynccontextmanager
async def bench(
    folder: Path,
    faulty: str,
    healthy: str = "http://127.0.0.1:9",
    *,
    transport: deskbell.Transport[Any] = PLAIN,
    ladder: tuple[float, ...] = LADDER,
    second: float = SECOND,
    resolver: Resolver | None = None,
) -> AsyncIterator[Bench]:
    """Lanes to the URLs ``faulty`` and ``healthy``, with the program's own times in seconds of ``second``."""
    options, retry = type(transport).options_type(), RetryPolicy(ladder=ladder, jitter=0.0)
    hooks = {
        "faulty": kit.webhook("faulty", faulty + PATH, transport, options=options, retry=retry),
        "healthy": kit.webhook("healthy", healthy + PATH),
    }
    settled = {name: asyncio.Queue[Attempt]() for name in hooks}
    timeout = ATTEMPT * second
    async with AsyncExitStack() as stack:
        store = SqliteStore.open(folder / "deskbell.db")
        stack.push_async_callback(store.close)
        client = Client(LOOPBACK, timeout=timeout, resolver=resolver, tls=trusting())
        await stack.enter_async_context(client)
        sender = Sender(client.request, timezone=UTC, date_format="", clock=kit.now, timeout=timeout)
        engine = kit.engine(
            store,
            client,
            sender=sender,
            settled=lambda _, attempt: settled[attempt.webhook].put_nowait(attempt),
        )
        dispatcher = Dispatcher(hooks.values(), engine, locate=lambda hook: hook.url)
        await dispatcher.start()
        stack.push_async_callback(dispatcher.stop)
        yield Bench(store, dispatcher, hooks, settled, folder / "deskbell.db")


@cache
def trusting() -> ssl.SSLContext:
    """Trusts the certificates of the sinks, as far as they are good."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


def test_no_fault_is_left_out() -> None:
    assert ANSWERS.keys() | IN_SEQUENCE == FAULTS.keys()


@pytest.mark.parametrize("fault", ANSWERS)
async def test_fault(fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One message into the fault, and others to a healthy sink meanwhile."""
    transport, expected = ANSWERS[fault]
    second = SECOND if expected in (NO_ANSWER, NO_CONNECTION) else 1.0
    caplog.set_level(logging.DEBUG)
    async with (
        Sink(FAULTS[fault]) as sink,
        Sink(FAULTS["healthy"]) as healthy,
        bench(tmp_path, sink.url, healthy.url, transport=transport, second=second) as engine,
    ):
        await check_attempt(engine, expected, healthy)
        assert CANARY.encode() not in engine.stored()
    assert len(sink.received) <= 1  # nothing is sent twice, no redirect is followed
    assert CANARY not in caplog.text


async def check_attempt(engine: Bench, expected: Expected, healthy: Sink) -> None:
    """One attempt: what it comes to, what it takes, what it leaves behind, and whom it disturbs."""
    began = time.time()
    await engine.post("0", "faulty", "healthy")
    for number in range(1, BESIDE):
        await engine.post(str(number), "healthy")
    [attempt] = await engine.attempts("faulty")
    assert type(attempt.outcome) is expected.outcome, attempt.outcome
    assert attempt.seconds <= ATTEMPT * SECOND + 1
    check_fate(engine, expected)
    check_wait(await engine.destination(), expected)
    assert {type(each.outcome) for each in await engine.attempts("healthy", BESIDE)} == {Delivered}
    assert max(request.at for request in healthy.received) - began < MOST_DELAY


def check_fate(engine: Bench, expected: Expected) -> None:
    """Of the row."""
    assert engine.rows() == [(expected.state, expected.attempts, expected.marked)]
    [(reason, kept)] = engine.rows(
        "reason, (SELECT sum(length(detail)) FROM attempt WHERE attempt.delivery = delivery.id) + length(receipt)"
    )
    assert str(reason).removeprefix("throttled: ").startswith(expected.detail), reason
    assert kept <= LONGEST_ANSWER


def check_wait(found: Destination, expected: Expected) -> None:
    """Of the destination."""
    assert found.paused == math.isinf(expected.wait)
    assert found.failures == (expected.outcome is TemporaryFailure)
    assert found.refusals == (expected.outcome is DestinationGone and not found.paused)
    if found.paused or not expected.wait:
        assert found.until is None
    else:
        assert found.until
        left = (found.until - kit.now()).total_seconds()
        assert expected.wait - MOST_DELAY < left <= expected.wait


def raising(code: int) -> Callable[..., Any]:
    """A name server's refusal, as the system reports it."""

    def look_up(*_: object, **__: object) -> Any:
        raise socket.gaierror(code, os.strerror(0))

    return look_up


def late(seconds: float) -> Callable[..., Any]:
    """A name server that takes its time."""

    def look_up(_: str, port: int, **__: object) -> Any:
        time.sleep(seconds)  # the name server's
        return socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)

    return look_up


@pytest.mark.parametrize(
    ("look_up", "expected"),
    [
        (raising(socket.EAI_NONAME), failed("the name desk.example cannot be resolved")),
        (raising(socket.EAI_AGAIN), failed("the name desk.example cannot be resolved")),
        (late(10 * SECOND), GOT),
        (late(14 * SECOND), NO_CONNECTION),
    ],
    ids=["NXDOMAIN", "SERVFAIL", "10 s slow", "14 s slow"],
)
async def test_name(look_up: Callable[..., Any], expected: Expected, tmp_path: Path) -> None:
    async with Sink(FAULTS["healthy"]) as sink, Sink(FAULTS["healthy"]) as healthy:
        named = sink.url.replace("127.0.0.1", "desk.example")
        async with bench(tmp_path, named, healthy.url, resolver=Resolver(look_up)) as engine:
            await check_attempt(engine, expected, healthy)
        assert len(sink.received) == (expected is GOT)


@pytest.mark.parametrize("status", REDIRECTS)
async def test_redirect_is_never_followed_and_the_third_pauses(status: int, tmp_path: Path) -> None:
    async with Sink(FAULTS["healthy"]) as elsewhere:
        redirect = answering(http(status, b"", f"Location: {elsewhere.url}{PATH}\r\n"))
        async with Sink(Fault(redirect)) as sink, bench(tmp_path, sink.url, ladder=(0.01,)) as engine:
            await engine.post("1", "faulty")
            await engine.attempts("faulty", 3)
            assert engine.rows() == [("ready", 0, 0)]
            assert (await engine.destination()).paused
        assert len(sink.received) == 3
        assert elsewhere.connections == 0


async def test_flapping_service_gets_everything_in_order_and_nothing_twice(tmp_path: Path) -> None:
    tickets = ["a", "b", "a", "c", "a"]
    async with Sink(FAULTS["flapping"]) as sink, bench(tmp_path, sink.url, ladder=(0.01,)) as engine:
        for ticket in tickets:
            await engine.post(ticket, "faulty")
        await engine.attempts("faulty", 2 * len(tickets))
        assert engine.rows() == [("delivered", 2, 0)] * len(tickets)
    taken = [json.loads(request.body)["text"] for request in sink.received[1::2]]  # each first one got a 500
    assert taken == tickets


@pytest.mark.parametrize(
    ("fault", "rows", "requests"),
    [
        ("slow 14 s", [("delivered", 1, 0)], 1),
        ("slow 16 s", [("ready", 1, 1)], 1),
        ("slow 16 s, once", [("delivered", 2, 1)], 2),  # the one double there is, and it is marked
    ],
)
async def test_slow_service(
    fault: str, rows: list[tuple[object, ...]], requests: int, tmp_path: Path
) -> None:
    second = max(SECOND, 0.1)  # what is a second early or late must show on a busy machine
    ladder = (0.01, 1000.0) if "once" in fault else LADDER
    async with (
        Sink(faults(second)[fault]) as sink,
        bench(tmp_path, sink.url, ladder=ladder, second=second) as engine,
    ):
        await engine.post("1", "faulty")
        await engine.attempts("faulty", requests)
        assert engine.rows() == rows
        assert len(sink.received) == requests


async def test_connection_that_was_closed_when_idle_costs_no_attempt(tmp_path: Path) -> None:
    async with Sink(FAULTS["closed when idle"]) as sink, bench(tmp_path, sink.url) as engine:
        for number in range(3):
            await engine.post(str(number), "faulty")
            await engine.attempts("faulty")
            await asyncio.sleep(0.05)  # the idling itself
        assert engine.rows() == [("delivered", 1, 0)] * 3
        assert (len(sink.received), sink.connections) == (3, 3)


@contextmanager
def playing(record: Path, *names: str) -> Iterator[dict[str, str]]:
    """These faults in a process of their own, which writes each request to ``record``; their URLs."""
    root = Path(__file__).resolve().parents[2]
    command = (sys.executable, "-m", "tests.faults.sinks", "--record", str(record), *names)
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


WEIGHING = """\
import asyncio, json, resource, sys
from ipaddress import ip_network
import uvloop
from deskbell.client import Client
from deskbell.egress import EgressPolicy
from deskbell.errors import SendError

async def ask(client, url):
    try:
        return len((await client.request("POST", url, b"{}", {})).body)
    except SendError as error:
        return str(error)

async def main():
    async with Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),)), timeout=2) as client:
        for name, url in json.loads(sys.argv[1]).items():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            answer = await ask(client, url)
            print(json.dumps([name, answer, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))

uvloop.run(main())
"""


def test_no_answer_takes_much_memory(tmp_path: Path) -> None:
    """Seen from outside, on the event loop that the program uses."""
    heavy = {
        "healthy": 2,  # first, so that what every request takes is not counted
        "100 MB": LONGEST_ANSWER,
        "gzip bomb": LONGEST_ANSWER,
        "chunks for ever": LONGEST_ANSWER,
        "10,000 headers": "the answer breaks the rules of HTTP",
        "header for ever": "the answer breaks the rules of HTTP",
        "100 for ever": "no complete answer within 2 s",
    }
    with playing(tmp_path / "record.jsonl", *heavy) as urls:
        weighed = subprocess.run(
            [sys.executable, "-c", WEIGHING, json.dumps(urls)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    found = [json.loads(line) for line in weighed.stdout.splitlines()]
    assert {name: answer for name, answer, _ in found} == heavy
    assert {name: kilobytes for name, _, kilobytes in found[1:] if kilobytes > MOST_GROWTH} == {}


NASTY = (
    "gzip bomb", "100 MB", "drip", "200 garbage", "reset after the request", "silence", "100 for ever",
    "10,000 headers",
)  # fmt: skip
HOOK = """\
  - name: {name}
    url: {url}{path}
    transport: slack
    action: "*"
    rate: none
    message: "%ticket%"
"""


def test_serve_bears_the_nastiest_at_once(
    serve: Serve, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    """The real process with the real times: the healthy sink notices nothing, memory stays, a stop ends it in time."""
    record, events = tmp_path / "record.jsonl", 75
    with playing(record, "healthy", *NASTY) as urls:
        hooks = (
            HOOK.format(name=re.sub(r"\W", "-", name), url=url, path=PATH + re.sub(r"\W", "", name))
            for name, url in urls.items()
        )
        config_file("webhooks:\n" + "".join(hooks))
        server = serve()
        posted = {str(number): accepted_at(server, number) for number in range(events)}
        wait_until(lambda: len(received(record)) == events)
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text("ascii"))
        began = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - began < LONGEST_STOP
    latencies = sorted(at - posted[ticket] for ticket, at in received(record))
    assert Counter(ticket for ticket, _ in received(record)) == Counter(posted.keys())
    assert latencies[events * 99 // 100] < MOST_DELAY
    assert peak
    assert int(peak[1]) < MOST_MEMORY
    assert CANARY not in server.log()


def accepted_at(server: Server, number: int) -> float:
    """Post an event of a ticket of its own; when."""
    time.sleep(1 / RATE)
    at = time.time()
    body = {"payload": {"action": "helpdesk_created", "ticketid": str(number), "subject": "hello"}}
    request = urllib.request.Request(server.events_url, json.dumps(body).encode(), method="POST")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 202
    return at


def received(record: Path) -> list[tuple[str, float]]:
    """The tickets that the healthy sink got, and when."""
    lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    return [
        (json.loads(line["body"])["text"], line["at"]) for line in lines if line["path"] == f"{PATH}healthy"
    ]


def wait_until(true: Callable[[], bool]) -> None:
    """What is watched is another process's: nobody tells when it changes."""
    limit = time.monotonic() + kit.PATIENCE
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.05)
