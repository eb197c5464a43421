"""Strangers at the door: they are counted, slowed and bounded, and whoever has a token never notices."""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deskbell import Secret
from deskbell.event import TicketEvent
from deskbell.listener import Connections, listen
from deskbell.receiver import Receiver, not_found
from deskbell.refusals import MOST_FAILURES, Refusals
from deskbell.settings import SourceSettings
from deskbell.source import NativeSource
from deskbell.store import Added

if TYPE_CHECKING:
    from tests.conftest import Serve

TOKEN = "a-token-of-the-tests"
SIGNING_SECRET = f"whsec_{b64encode(b'n' * 32).decode()}"
EVENT = b'{"action": "Submit"}'
PATIENCE = 10.0
MOST, MOST_PER_ADDRESS = 6, 4
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def post(target: str, body: bytes = EVENT, *headers: str) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: desk", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


GOOD, BAD = post(f"/events/cms/{TOKEN}"), post("/events/cms/wrong")


@dataclass
class Doors:
    """A receiver that listens, with room for few; ``refused`` counts its metric.

    Its store takes an event as long as ``stored`` is set; ``asked`` has an item for each event that came to it.
    """

    port: int
    refused: Counter[str]
    stored: asyncio.Event
    asked: asyncio.Queue[None]
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, address: str = "127.0.0.1") -> Pair:
        """A connection that stays open until the test ends."""
        pair = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        self.writers.append(pair[1])
        return pair

    async def ask(self, sent: bytes, address: str = "127.0.0.1") -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        pair = await self.connect(address)
        with closing(pair[1]):
            return await answer(pair, sent)


async def answer(pair: Pair, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    pair[1].write(sent)
    return await read_answer(pair[0])


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode("latin-1")
    lines = [line.partition(": ") for line in head.split("\r\n")[1:-2]]
    headers = {name.lower(): value for name, _, value in lines}
    return int(head.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def is_dropped(pair: Pair) -> bool:
    """The other side ended it; waits for that."""
    try:
        return await asyncio.wait_for(pair[0].read(), PATIENCE) == b""
    except ConnectionError:
        return True


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    async with opened(grace=0) as doors:
        yield doors


@asynccontextmanager
async def opened(*, grace: float) -> AsyncIterator[Doors]:
    stored, asked = asyncio.Event(), asyncio.Queue[None]()
    stored.set()

    async def accept(event: TicketEvent, raw: bytes, *, source: str, key: str | None = None) -> Added:
        asked.put_nowait(None)
        await stored.wait()
        return Added(id=f"{source}{key or ''}{len(raw)}{event.action}", deliveries=0, replayed=False)

    cms = SourceSettings(name="cms", adapter=NativeSource(), tokens=(Secret(TOKEN),))
    signed = SourceSettings(name="signed", adapter=NativeSource(), signing_secrets=(Secret(SIGNING_SECRET),))
    refused = Counter[str]()
    async with AsyncExitStack() as stack:
        refusals = Refusals(lambda reason: refused.update([reason]))
        receiver = Receiver(
            {"cms": cms, "signed": signed},
            accept=accept,
            ready=dict,
            metrics=lambda: (b"", ""),
            refusals=refusals,
        )
        app = receiver.app()
        app.router.add_route("*", "/{path:.*}", not_found)
        connections = Connections(refusals, most=MOST, most_per_address=MOST_PER_ADDRESS, grace=grace)
        doors = Doors(await listen(app, "127.0.0.1", 0, stack, connections), refused, stored, asked)
        yield doors
        for writer in doors.writers:
            writer.close()


# -- who guesses


@pytest.mark.parametrize(
    "bad", [BAD, post("/events/signed"), post("/events/nobody"), post("/events/cms").replace(b"POST", b"GET")]
)
async def test_who_fails_too_often_is_told_to_wait(
    doors: Doors, bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    statuses = [(await doors.ask(bad))[0] for _ in range(MOST_FAILURES)]
    assert len(set(statuses)) == 1
    assert statuses[0] in (401, 404, 405)
    for _ in range(5):
        status, headers, body = await doors.ask(bad)
        assert (status, json.loads(body)["title"]) == (429, "Too Many Requests")
        assert 1 <= int(headers["retry-after"]) <= 60
    assert doors.refused["too_many_failures"] == 5
    assert sum(doors.refused.values()) == MOST_FAILURES + 5
    told = [record for record in caplog.records if record.name == "deskbell.receiver"]
    assert len(told) == MOST_FAILURES + 1, "the log is told that there are too many, and then no more"


async def test_who_has_a_token_is_never_touched_by_what_others_do_at_its_address(doors: Doors) -> None:
    for _ in range(MOST_FAILURES * 2):
        await doors.ask(BAD)
        assert (await doors.ask(GOOD))[0] == 202
    assert (await doors.ask(BAD))[0] == 429
    assert (await doors.ask(BAD, "127.0.0.2"))[0] == 401


async def test_a_good_senders_own_mistakes_are_no_failures_to_prove_anything(doors: Doors) -> None:
    for _ in range(MOST_FAILURES * 2):
        assert (await doors.ask(post(f"/events/cms/{TOKEN}", b"{}")))[0] == 422
    assert doors.refused == {"unprocessable": MOST_FAILURES * 2}


# -- who only takes room


async def test_where_an_address_has_too_many_the_oldest_stranger_makes_room(doors: Doors) -> None:
    silent = [await doors.connect() for _ in range(MOST_PER_ADDRESS)]
    assert (await doors.ask(GOOD))[0] == 202
    assert await is_dropped(silent[0])
    assert doors.refused == {"too_many_connections": 1}
    for pair in silent[1:]:
        assert (await answer(pair, GOOD))[0] == 202


async def test_where_there_are_too_many_in_all_the_oldest_stranger_makes_room(doors: Doors) -> None:
    silent = [await doors.connect(f"127.0.0.{2 + number}") for number in range(MOST)]
    assert (await doors.ask(GOOD))[0] == 202
    assert await is_dropped(silent[0])
    assert (await answer(silent[1], GOOD))[0] == 202


async def test_a_connection_that_proved_who_it_is_stays(doors: Doors) -> None:
    proven = await doors.connect()
    assert (await answer(proven, GOOD))[0] == 202
    silent = [await doors.connect() for _ in range(3 * MOST_PER_ADDRESS)]
    assert (await answer(proven, GOOD))[0] == 202
    assert [await is_dropped(pair) for pair in silent[:-MOST_PER_ADDRESS]] == [True] * 2 * MOST_PER_ADDRESS


async def test_where_all_have_proven_who_they_are_the_next_is_not_let_in(doors: Doors) -> None:
    """Also of one address, as behind a proxy: those do not count."""
    proven = []
    for _ in range(MOST):
        proven.append(await doors.connect())
        assert (await answer(proven[-1], GOOD))[0] == 202
    assert await is_dropped(await doors.connect())
    assert [(await answer(pair, GOOD))[0] for pair in proven] == [202] * MOST
    proven.pop()[1].close()
    while doors.refused["too_many_connections"] < 50:  # the server hears of it soon
        pair = await doors.connect()
        try:
            assert (await answer(pair, GOOD))[0] == 202
            break
        except (ConnectionError, asyncio.IncompleteReadError):
            continue
    else:
        pytest.fail("there is room, and nobody is let in")


async def test_who_has_proven_itself_stays_while_its_answer_is_still_to_come(doors: Doors) -> None:
    """A store that stalls lets good senders wait: none of them makes room for a stranger."""
    doors.stored.clear()
    waiting = [await doors.connect() for _ in range(MOST_PER_ADDRESS)]
    for _, writer in waiting:
        writer.write(GOOD)
        await asyncio.wait_for(doors.asked.get(), PATIENCE)
    for _ in range(2 * MOST):
        await doors.connect()
    doors.stored.set()
    assert [(await read_answer(reader))[0] for reader, _ in waiting] == [202] * MOST_PER_ADDRESS


async def test_a_burst_of_good_senders_behind_one_address_is_no_crowd_of_strangers() -> None:
    """Whoever has just come is given the time to say who it is."""
    async with opened(grace=PATIENCE) as doors:
        burst = [await doors.connect() for _ in range(MOST)]
        assert [(await answer(pair, GOOD))[0] for pair in burst] == [202] * MOST


async def test_a_body_that_drips_takes_the_room_of_a_stranger_only(doors: Doors) -> None:
    """A signature can only be checked when the body is there: until then nobody knows who it is."""
    dripping = [await doors.connect() for _ in range(MOST_PER_ADDRESS)]
    for _, writer in dripping:
        writer.write(post("/events/signed").removesuffix(EVENT[1:]))
        await writer.drain()
    assert (await doors.ask(GOOD))[0] == 202
    assert await is_dropped(dripping[0])


# -- what comes back, and what is logged

CANARY = "CANARY4711"
REPEATED = [
    post("/events/cms", EVENT, f"Authorization: Bearer {CANARY}\x01"),
    post("/events/cms", EVENT, f"{CANARY} no colon"),
    post("/events/cms", EVENT, f"Expect: {CANARY}"),
    post("/events/cms", EVENT, f"X: {CANARY}", "X-Long: " + CANARY * 1_000),
    post(f"/events/cms/{CANARY}\x00"),
    f"{CANARY} /events/cms HTTP/1.1\r\n\r\n".encode(),
    f"GET /events/cms/{CANARY} HTTP/9.9\r\n\r\n".encode(),
    post("/events/cms", EVENT, f"Content-Length: {CANARY}"),
    post("/events/cms", EVENT, f"Transfer-Encoding: {CANARY}"),
    post(f"/events/{CANARY}/{CANARY}"),
    post(f"/{CANARY}"),
    post(f"/events/cms/{CANARY}"),
    post(f"/events/cms/{TOKEN}", EVENT, f"Content-Encoding: {CANARY}"),
    post(f"/events/cms/{TOKEN}", EVENT, f"Content-Type: {CANARY}/{CANARY}"),
    post(f"/events/cms/{TOKEN}", EVENT, f"Idempotency-Key: {CANARY} é"),
]


@pytest.mark.parametrize("sent", REPEATED)
async def test_what_was_sent_comes_back_in_no_answer_and_no_log(
    doors: Doors, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        status, headers, body = await doors.ask(sent)
    assert 400 <= status < 500
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == status
    assert CANARY not in f"{headers} {body!r}"
    assert CANARY not in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_scanner_is_told_of_without_its_words_and_not_for_ever(
    doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2 * MOST_FAILURES):
        assert (await doors.ask(b"\x16\x03\x01\x02\x00\x01\x00\x01"))[0] == 400
    messages = {record.getMessage() for record in caplog.records}
    assert messages == {"from 127.0.0.1: what came is no HTTP: BadHttpMethod"}
    assert len(caplog.records) == MOST_FAILURES + 1
    assert doors.refused == {"not_http": 2 * MOST_FAILURES}


@pytest.fixture
def at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """Before the doors open: without it there is no access log, and it costs nothing."""
    caplog.set_level(logging.DEBUG, "deskbell.access")


@pytest.mark.usefixtures("at_debug")
async def test_the_access_log_has_words_of_our_own_only(
    doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    agent = "User-Agent: \xc2\x9b31m\xe2\x80\xa8\xe2\x80\xae"
    for target in (f"/events/cms/{TOKEN}?q={CANARY}", f"/events/cms/{CANARY}", f"/{CANARY}"):
        await doors.ask(post(target, EVENT, agent))
    lines = [record.getMessage() for record in caplog.records if record.name == "deskbell.access"]
    assert [line.rpartition(" in ")[0] for line in lines] == [
        "POST /events/{source}/{token} from 127.0.0.1 as cms: 202",
        "POST /events/{source}/{token} from 127.0.0.1 as -: 401",
        "POST /{path} from 127.0.0.1 as -: 404",
    ]


@pytest.mark.parametrize(("without", "warned"), [("", False), ("1", True)])
def test_a_parser_that_takes_malformed_requests_is_told_of(
    serve: Serve, config_file: Callable[[str], Path], without: str, warned: bool
) -> None:
    config_file("webhooks: []\n")
    server = serve(environment={"AIOHTTP_NO_EXTENSIONS": without})
    assert server.end() == 0
    assert ("without its compiled parser" in server.log()) == warned
