"""Bytes that no decent client sends: never a 5xx, nothing stored, and the next sender is served."""

from __future__ import annotations

import asyncio
import gzip
import logging
import random
import re
import socket
import sqlite3
import struct
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deskbell import Secret, listener
from deskbell.intake import Intake
from deskbell.receiver import Receiver, not_found
from deskbell.refusals import Refusals
from deskbell.settings import SourceSettings
from deskbell.source import NativeSource
from deskbell.store import open_store

TOKEN = b"a-token-of-the-tests"
EVENT = b'{"action": "Submit"}'
AUTHORIZATION = b"Authorization: Bearer " + TOKEN
PATIENCE = 10.0
SLOWEST_BODY = 0.5
MUTANTS = 400
BOMB = gzip.compress(bytes(64 * 1024**2))
"""64 kB that would be 64 MB."""
STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})")


def request(
    *headers: bytes,
    target: bytes = b"/events/cms",
    method: bytes = b"POST",
    body: bytes = EVENT,
    authorization: bytes = AUTHORIZATION,
    length: bytes | None = None,
) -> bytes:
    framing = b"Content-Length: " + (str(len(body)).encode() if length is None else length)
    lines = [
        method + b" " + target + b" HTTP/1.1",
        b"Host: desk",
        authorization,
        *headers,
        framing,
        b"",
        body,
    ]
    return b"\r\n".join(line for line in lines if line or line is not authorization)


def chunks(body: bytes, coding: bytes = b"Transfer-Encoding: chunked") -> bytes:
    head, _, _ = request(coding, body=b"").partition(b"\r\nContent-Length")
    return head + b"\r\n\r\n" + body


@dataclass
class Door:
    port: int
    path: Path

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def answers(self, sent: bytes, count: int = 1) -> list[int]:
        """The statuses of the first ``count`` answers to these bytes."""
        reader, writer = await self.connect()
        with closing(writer):
            writer.write(sent)
            return [await self.answer(reader) for _ in range(count)]

    async def answer(self, reader: asyncio.StreamReader) -> int:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        status, length = STATUS.match(head), re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
        assert status, head
        assert length, head
        body = await reader.readexactly(int(length[1]))
        assert b"Traceback" not in body
        return int(status[1])

    def stored(self) -> list[bytes]:
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            return [row[0] for row in connection.execute("SELECT raw FROM event ORDER BY seq")]

    async def still_serves(self) -> None:
        """Only the event that is posted here is in the store afterwards."""
        assert await self.answers(request()) == [202]
        assert self.stored() == [EVENT]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with AsyncExitStack() as stack:
        path = tmp_path / "desk.db"
        store = open_store(path)
        stack.push_async_callback(store.close)
        intake = Intake(
            store,
            webhooks=[],
            priorities={},
            wake=lambda _: None,
            accepted=lambda _, __: None,
            clock=lambda: datetime.now(UTC),
        )
        cms = SourceSettings(name="cms", adapter=NativeSource(), tokens=(Secret(TOKEN.decode()),))
        receiver = Receiver(
            {"cms": cms},
            accept=intake.accept,
            ready=dict,
            metrics=lambda: (b"", ""),
            refusals=Refusals(),
            slowest_body=SLOWEST_BODY,
        )
        app = receiver.app()
        app.router.add_route("*", "/{path:.*}", not_found)
        yield Door(await listener.listen(app, "127.0.0.1", 0, stack), path)


def basic(credentials: bytes) -> bytes:
    return b"Authorization: Basic " + b64encode(credentials)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        # the frame
        (request(b"X-Long: " + b"x" * 9_000), 400),
        (request(*[b"X-Many: 1"] * 300), 400),
        (request(b"X-Folded: a\r\n b"), 400),
        (request(b"X-Nul: a\0b"), 400),
        (request(b"No colon"), 400),
        (request(b"Content-Length: 3"), 400),
        (request(b"Transfer-Encoding: chunked"), 400),
        (request(b"Host: another"), 400),
        (request(b"Content-Encoding: gzip"), 415),
        (request(b"Content-Encoding: br"), 415),
        (request(b"Expect: cookies"), 417),
        *((request(length=length), 400) for length in (b"-1", b"+20", b"0x14", b"20, 20", b"2 0", b"9" * 30)),
        (request(length=b"999999999999"), 413),
        *((chunks(body), 400) for body in (b"XY\r\n", b"-1\r\n", b"14;x=\x00\r\n", b"14\n", b"f" * 17 + b"\r\n")),
        *((chunks(b"14\r\n" + EVENT + b"\r\n0\r\n\r\n", b"Transfer-Encoding" + coding), 400) for coding in (
            b": xchunked", b": chunked, chunked", b": chunked, identity", b" : chunked", b":\x0bchunked",
            b": identity\r\nTransfer-Encoding: chunked")),
        (chunks(BOMB, b"Transfer-Encoding: gzip, chunked"), 400),
        (request(b"Content-Encoding: gzip", body=BOMB), 415),
        (request().replace(b"\r\n", b"\n"), 400),
        (request().replace(b"Host: desk\r\n", b"Host: desk\n"), 400),
        (request().replace(b"Host: desk\r\n", b""), 400),
        (chunks(b"5\r\n" + EVENT + b"\r\n0\r\n\r\n"), 400),
        # the first line
        (request(method=b"post"), 400),
        (request(method=b"GET "), 405),
        (request(method=b"BREW"), 400),
        (request(method=b"TRACE"), 405),
        (request().replace(b"HTTP/1.1", b"HTTP/9.9", 1), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32, 400),  # TLS on a plain port
        (request(target=b"/events/\0"), 400),
        (request(target=b"/events/cms\x0a"), 400),
        (request(target=b"/events/" + b"x" * 1_000), 404),
        (request(target=b"/events/" + b"x" * 9_000), 400),
        (request(target=b"/events/cms/" + b"x" * 1_000), 401),
        (request(target=b"/events/%00"), 404),
        (request(target=b"/events/%ff%fe"), 404),
        (request(target=b"/events/\xff\xfe"), 400),
        (request(target=b"/events/%2563ms"), 404),  # decoded once
        (request(target=b"/events/x%2f..%2fcms"), 404),
        (request(target=b"/events/../events/CMS"), 404),
        (request(target=b"/events/%"), 404),
        (request(target=b"*", method=b"OPTIONS"), 404),
        # who it is
        *((request(authorization=b"Authorization: " + value), 401) for value in (
            b"", b"Bearer", b"Bearer \xc3\xa9\xff", b"Bearer \xed\xa0\x80", b"Basic", b"Basic ====", b"Basic \xff",
            b"Basic " + b"A" * 5_000, b"Bearer " + TOKEN[:-1], b"Bearer " + TOKEN + b"\xff", b"\xff" * 100)),
        *((request(authorization=basic(words)), 401) for words in (
            b"", b":", b"x", b"x:\xff", b"x:\xed\xa0\x80", TOKEN, b"x:" + TOKEN + b"\0", b"x:y:" + TOKEN)),
        # the key
        *((request(b"Idempotency-Key: " + key), 400) for key in (
            b"a\rSet-Cookie: x=1", b"a\0b", b"a\r\n b", b"a b", b"a\x7f", b"a\xff", b"\xe2\x80\xa8", b"k" * 256)),
        # the body
        (request(body=b""), 400),
        (request(body=b"\0" * 1_000), 400),
        (request(body=b'{"action": "Submit"}\0'), 400),
        (request(body=b"[" * 100_000), 400),
        (request(body=b'{"a":' * 40_000), 400),
        (request(body=b"9" * 200_000), 422),
        (request(body=b"\xff\xfe" + EVENT.decode().encode("utf-16-le")), 400),
    ],
)  # fmt: skip
async def test_it_is_refused(door: Door, sent: bytes, status: int, caplog: pytest.LogCaptureFixture) -> None:
    assert await door.answers(sent) == [status]
    assert [
        record
        for record in caplog.records
        if record.name.startswith("deskbell") and record.levelno > logging.WARNING
    ] == []
    assert TOKEN.decode() not in caplog.text
    await door.still_serves()


@pytest.mark.parametrize("sent", [
    request(target=b"/events/%63%6d%73"),
    request(target=b"http://elsewhere.example/events/cms"),
    request(b"Idempotency-Key: %0d%0aSet-Cookie:x=1"),
    request(b"Idempotency-Key: k\r\nSet-Cookie: x=1"),  # is another header, not a longer key
    request(b"Expect: 100-continue").replace(EVENT, b""),
    b"\r\n" + request() + b"\r\n",
    chunks(b"14\r\n" + EVENT + b"\r\n0\r\n\r\n"),
    chunks(b"".join(b"1\r\n%c\r\n" % byte for byte in EVENT) + b"0\r\nTrailer: x\r\n\r\n"),
])  # fmt: skip
async def test_it_is_odd_but_allowed(door: Door, sent: bytes) -> None:
    reader, writer = await door.connect()
    with closing(writer):
        writer.write(sent)
        if b"100-continue" in sent:
            assert (
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
                == b"HTTP/1.1 100 Continue\r\n\r\n"
            )
            writer.write(EVENT)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    assert head.startswith(b"HTTP/1.1 202 ")
    assert b"set-cookie" not in head.lower()
    assert door.stored() == [EVENT]


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("kept", [10, 60, 110, -1], ids=["first line", "headers", "no body", "body"])
async def test_a_sender_that_hangs_up_stores_nothing_and_is_no_error(
    door: Door, reset: bool, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await door.connect()
    writer.write(request()[:kept])
    await writer.drain()
    if reset:
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.write_eof()
        assert STATUS.match(await asyncio.wait_for(reader.read(), PATIENCE)) is None
        writer.close()
    await door.still_serves()
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_a_chunk_that_goes_wrong_after_the_handler_began(door: Door) -> None:
    reader, writer = await door.connect()
    with closing(writer):
        writer.write(
            request(b"Expect: 100-continue", length=b"0")
            .replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            .removesuffix(EVENT)
        )
        assert b" 100 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        writer.write(b"5\r\n{'a':\r\nnonsense\r\n")
        # aiohttp lets the request in progress wait on; at least it does not wait for ever.
        assert await door.answer(reader) == 408
    await door.still_serves()


async def test_a_length_that_is_too_short_takes_nothing_of_the_body(door: Door) -> None:
    assert await door.answers(request(length=b"20", body=EVENT + b"; DROP TABLE event")) == [400]
    await door.still_serves()


async def test_requests_sent_without_waiting_are_answered_in_their_order(door: Door) -> None:
    good = [b'{"action": "Submit", "n": %d}' % n for n in range(20)]
    sent = b"".join(request(body=body) + request(body=b"{}") for body in good)
    assert await door.answers(sent, 40) == [202, 422] * 20
    assert door.stored() == good


async def test_connections_that_say_nothing_hold_nobody_up(door: Door) -> None:
    silent = [await door.connect() for _ in range(200)]
    await door.still_serves()
    for _, writer in silent:
        writer.close()


@pytest.mark.parametrize(
    "before",
    [b"", b"POST /events/cms HTTP/1.1\r\n", b"POST", request()],
    ids=["nothing", "a first line", "half a word", "a request that was answered"],
)
@pytest.mark.parametrize("drip", [b"", b"X: y\r\n"], ids=["silent", "dripping"])
async def test_who_does_not_get_on_with_a_request_is_cut_off(
    door: Door, before: bytes, drip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SLOWEST_HEAD", 0.3)
    reader, writer = await door.connect()
    with closing(writer):
        writer.write(before)
        if before == request():
            assert await door.answer(reader) == 202
            before = b"POST /events/cms HTTP/1.1\r\n"
            writer.write(before)
        ended = asyncio.create_task(reader.read())
        async with asyncio.timeout(PATIENCE):
            while not (await asyncio.wait({ended}, timeout=0.02))[0]:
                writer.write(drip if before.endswith(b"\n") else drip[:1])
        assert STATUS.findall(ended.result()) in ([], [b"400"])


async def test_no_mutant_of_a_good_request_is_a_server_error(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(20261122)
    answers = await asyncio.gather(*(exchange(door, mutant(chance)) for _ in range(MUTANTS)))
    statuses = [int(status) for answer in answers for status in STATUS.findall(answer)]
    assert set(statuses) <= {100, 202, *range(400, 500)}
    assert len(set(statuses)) >= 5  # the mutants reach different places
    assert [
        record
        for record in caplog.records
        if record.name.startswith("deskbell") and record.levelno > logging.WARNING
    ] == []
    assert await door.answers(request()) == [202]


async def exchange(door: Door, sent: bytes) -> bytes:
    """What comes back until the server hangs up, or waits for more."""
    reader, writer = await door.connect()
    with closing(writer):
        writer.write(sent)
        received = b""
        try:
            async with asyncio.timeout(0.5):
                while piece := await reader.read(65_536):
                    received += piece
        except (TimeoutError, ConnectionError):
            pass
        return received


def mutant(chance: random.Random) -> bytes:
    sent = bytearray(request(b"Content-Type: application/json", b"webhook-id: k", b"Accept: */*"))
    for _ in range(chance.randint(1, 4)):
        start, size = chance.randrange(len(sent)), chance.randint(0, 8)
        piece = chance.choice(
            [b"", b"\0", b"\r\n", b"\n", b"\xff", b"%", b":", b" ", bytes(sent[start : start + size]) * 2]
        )
        sent[start : start + size] = piece
    return bytes(sent)
