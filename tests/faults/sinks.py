"""A fault server: what a chat service may come up with, each fault by its name, on a port of its own.

In a test: ``async with Sink(faults()["drip"]) as sink`` and then ``sink.url`` and ``sink.received``. As a process:
``python -m tests.faults.sinks --record FILE healthy drip …`` prints one JSON object (the URL of each fault) and plays
until it is ended; each request that arrived whole is a line ``{"at", "path", "body"}`` of FILE, written before a byte
of the answer. Raw streams, no HTTP library: it must be able to misbehave, and shares no code with what it tests.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gzip
import json
import socket
import ssl
import struct
import sys
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Self

import trustme

LOOPBACK = "127.0.0.1"
HUGE = 100_000_000
"""Bytes of the long answer."""
BOMB = 300_000_000
"""Bytes that the compressed answer of about 300 kB inflates to."""
_PIECE = 65_536
_CLOCK = "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"


@dataclass(frozen=True, slots=True)
class Received:
    """One request that arrived whole, and when (seconds since 1970, by this program's own clock)."""

    at: float
    path: str
    body: str


@dataclass
class Call:
    """One connection from outside."""

    sink: Sink
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> list[str]:
        """The lines of the next request's head."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")

    async def request(self) -> int:
        """Read and record one request; how many this sink has seen with it."""
        first, *headers = await self.head()
        lengths = [int(line.split(":")[1]) for line in headers if line.lower().startswith("content-length:")]
        body = await self.reader.readexactly(lengths[0] if lengths else 0)
        self.sink.note(Received(time.time(), first.split(" ")[1], body.decode("utf-8", "replace")))
        return len(self.sink.received)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_hung_up(self) -> None:
        """Stay silent until the other side gives up."""
        await self.reader.read()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        linger_none = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
        self.writer.transport.abort()


Script = Callable[[Call], Awaitable[None]]


async def _never_called(_: Call) -> None:
    raise AssertionError("nothing can connect here")


@dataclass(frozen=True)
class Fault:
    """What is played to each connection. ``occupy`` instead takes a port at which nothing answers."""

    script: Script = _never_called
    scheme: str = "http"
    tls: Callable[[], ssl.SSLContext] | None = None
    occupy: Callable[[], list[socket.socket]] | None = None


class Sink:
    """Plays one fault on loopback while the context is open; keeps each request, and tells ``record`` of it."""

    def __init__(self, fault: Fault, record: Callable[[Received], None] = lambda _: None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self._fault = fault
        self._record = record
        self._port = 0
        self._calls = set[asyncio.Task[None]]()
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"{self._fault.scheme}://{LOOPBACK}:{self._port}"

    def note(self, received: Received) -> None:
        self._record(received)
        self.received.append(received)

    async def __aenter__(self) -> Self:
        if self._fault.occupy:
            taken = [self._stack.enter_context(each) for each in self._fault.occupy()]
            self._port = taken[0].getsockname()[1]
            return self
        tls = self._fault.tls() if self._fault.tls else None
        server = await asyncio.start_server(self._converse, LOOPBACK, 0, ssl=tls, backlog=512)
        self._port = server.sockets[0].getsockname()[1]
        self._stack.callback(server.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        call = asyncio.create_task(self._play(Call(self, reader, writer)))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _play(self, call: Call) -> None:
        try:
            with suppress(OSError, EOFError):  # the other side went away, which most faults are about
                await self._fault.script(call)
        finally:
            call.writer.close()


def answering(answer: bytes, *, delay: float = 0.0, close: bool = False) -> Script:
    """The same answer to each request; the connection stays open between them unless ``close``."""

    async def script(call: Call) -> None:
        while True:
            await call.request()
            await asyncio.sleep(delay)
            await call.send(answer)
            if close:
                return

    return script


def alternating(*answers: bytes) -> Script:
    async def script(call: Call) -> None:
        while True:
            await call.send(answers[(await call.request() - 1) % len(answers)])

    return script


def slow_once(seconds: float) -> Script:
    """The first answer takes ``seconds``, the others none."""

    async def script(call: Call) -> None:
        while True:
            await asyncio.sleep(seconds if await call.request() == 1 else 0)
            await call.send(http(200, b"ok"))

    return script


def dripping(seconds: float) -> Script:
    """One byte of the body in each ``seconds``."""

    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await call.send(b"x")
            await asyncio.sleep(seconds)

    return script


def silent_after(beginning: bytes) -> Script:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(beginning)
        await call.until_hung_up()

    return script


def repeating(beginning: bytes, piece: bytes, times: int = sys.maxsize) -> Script:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(beginning)
        for _ in range(times):
            await call.send(piece)
            await asyncio.sleep(0)  # `drain` alone may never let the loop go on

    return script


def hanging_up(beginning: bytes, *, reset: bool = False) -> Script:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(beginning)
        if reset:
            call.reset()

    return script


async def reset_at_accept(call: Call) -> None:
    call.reset()


async def reset_before_body(call: Call) -> None:
    await call.head()
    call.reset()


def blurting(words: bytes) -> Script:
    """To whatever comes first, without having read it as a request."""

    async def script(call: Call) -> None:
        await call.reader.read(_PIECE)
        await call.send(words)
        await call.until_hung_up()

    return script


async def echoing(call: Call) -> None:
    """Refuses, and repeats the path: who shows this shows a secret."""
    await call.request()
    await call.send(http(400, f"cannot post to {call.sink.received[-1].path}".encode()))


async def deaf(call: Call) -> None:
    """No TLS handshake, no word."""
    await call.until_hung_up()


def http(status: int, body: bytes = b"", headers: str = "") -> bytes:
    """A whole answer with a true Content-Length; ``headers`` are lines with their ends."""
    length = "" if status == 204 else f"Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {status} As Told\r\n{length}{headers}\r\n".encode() + body


def closed_port() -> list[socket.socket]:
    """Bound, so that nobody else gets it; not listening, so that a connection is refused."""
    taken = socket.socket()
    taken.bind((LOOPBACK, 0))
    return [taken]


def blackhole() -> list[socket.socket]:
    """A listener whose queue is full: the kernel drops each further SYN, as a firewall would."""
    listener = socket.socket()
    listener.bind((LOOPBACK, 0))
    listener.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
    return [listener, *fillers]


@cache
def authority() -> trustme.CA:
    """Whom a client trusts that is to believe these sinks."""
    return trustme.CA()


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


def tls_good() -> ssl.SSLContext:
    context = _context()
    authority().issue_cert(LOOPBACK).configure_cert(context)
    return context


def tls_expired() -> ssl.SSLContext:
    context = _context()
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    authority().issue_cert(
        LOOPBACK, not_before=yesterday - datetime.timedelta(days=90), not_after=yesterday
    ).configure_cert(context)
    return context


def tls_wrong_host() -> ssl.SSLContext:
    context = _context()
    authority().issue_cert("elsewhere.example").configure_cert(context)
    return context


def tls_self_signed() -> ssl.SSLContext:
    context, itself = _context(), trustme.CA()
    with itself.private_key_pem.tempfile() as key, itself.cert_pem.tempfile() as certificate:
        context.load_cert_chain(certificate, key)
    return context


PLAIN_400 = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nThe plain HTTP request was sent to HTTPS port"
)
"""As web servers answer TLS on a port that has none."""
TLS_1_0 = bytes.fromhex("160301002a 020000260301") + bytes(32) + bytes.fromhex("00 002f 00")
"""A server's hello that settles on TLS 1.0 (RFC 2246 §7.4.1.3), from one that never heard of anything newer."""
TLS_1_1_ONLY = bytes.fromhex("1503010002 0246")
"""The alert ``protocol_version`` (RFC 4346 §7.2): what is offered is too new."""


@cache
def gzip_bomb() -> bytes:
    """About 300 kB that inflate to ``BOMB`` zeros: one deflated piece again and again, under one checksum."""
    zeros = bytes(1_000_000)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it
    checksum, times = 0, BOMB // len(zeros)
    for _ in range(times):
        checksum = zlib.crc32(zeros, checksum)
    return gzip.compress(b"")[:10] + piece * times + deflate.flush() + struct.pack("<II", checksum, BOMB)


RETRY_AFTER = {
    "2 s": "2", "2.5 s": "2.5", "date": "Sun, 22 Nov 2026 12:00:30 GMT", "past date": "Sun, 22 Nov 2026 11:00:00 GMT",
    "negative": "-5", "nan": "nan", "1e9": "1e9", "1000000000": "1000000000",
}  # fmt: skip
"""Every form of Retry-After; the dates are seen from the sink's own ``Date``."""
STATUSES = (
    200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 410, 411, 413, 414, 415, 422, 425, 429, 500, 502, 503, 504
)  # fmt: skip
REDIRECTS = (301, 302, 307, 308)


def _answers() -> Iterator[tuple[str, bytes]]:
    for status in STATUSES:
        yield str(status), http(status, b"" if status == 204 else b"as told")
    for name, value in RETRY_AFTER.items():
        yield f"429 {name}", http(429, b"slower", f"{_CLOCK}Retry-After: {value}\r\n")
    yield "503 2 s", http(503, b"later", "Retry-After: 2\r\n")
    yield "503 120 s", http(503, b"later", "Retry-After: 120\r\n")
    for status in REDIRECTS:
        yield f"{status} itself", http(status, b"", "Location: /\r\n")
    yield "302 file", http(302, b"", "Location: file:///etc/passwd\r\n")
    yield "302 metadata", http(302, b"", "Location: http://169.254.169.254/latest/\r\n")
    as_json = "Content-Type: application/json\r\n"
    throttled = b'{"message": "You are being rate limited.", "retry_after": 1336.57, "global": false}'
    yield "429 discord", http(429, throttled, as_json + "Retry-After: 1337\r\nVia: 1.1 google\r\n")
    throttled = throttled.replace(b"false", b"true")
    yield (
        "429 discord, global",
        http(429, throttled, as_json + "X-RateLimit-Global: true\r\nVia: 1.1 google\r\n"),
    )
    last = "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset-After: 1.5\r\n"
    yield "200 discord, last of the window", http(200, b'{"id": "1234567890"}', as_json + last)
    yield "404 discord, unknown webhook", http(404, b'{"message": "Unknown Webhook", "code": 10015}', as_json)
    yield "401 discord, bad token", http(401, b'{"message": "Invalid Webhook Token", "code": 50027}', as_json)
    yield "404 slack, no_service", http(404, b"no_service")
    yield "200 garbage", http(200, b"\xff\xfe\0<html>\x1b[2J", "Content-Type: application/json\r\n")
    yield "gzip bomb", http(200, gzip_bomb(), "Content-Encoding: gzip\r\n")
    many = "".join(f"X-Header-{number}: x\r\n" for number in range(10_000))
    yield "10,000 headers", http(200, b"ok", many)
    yield "length too short", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and much more than it said"
    yield "length negative", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"
    yield "lengths differ", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"
    yield "no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"


def faults(second: float = 1.0) -> dict[str, Fault]:
    """All faults by name; ``second`` shortens those that take time, in proportion."""
    ok = answering(http(200, b"ok"))
    found = {name: Fault(answering(answer)) for name, answer in _answers()}
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"
    big = f"HTTP/1.1 200 OK\r\nContent-Length: {HUGE}\r\n\r\n".encode()
    scripts: dict[str, Script] = {
        "healthy": ok,
        "echo": echoing,
        "silence": silent_after(b""),
        "silence in the head": silent_after(b"HTTP/1.1 200 OK\r\nX-Half: "),
        "silence after the head": silent_after(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        "drip": dripping(second),
        "reset at accept": reset_at_accept,
        "reset before the body": reset_before_body,
        "reset after the request": hanging_up(b"", reset=True),
        "reset in the answer": hanging_up(half, reset=True),
        "hung up without an answer": hanging_up(b""),
        "length too long": hanging_up(half),
        "length too long, held open": silent_after(half),
        "100 MB": repeating(big, bytes(_PIECE), HUGE // _PIECE + 1),
        "100 for ever": repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
        "101": silent_after(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx"
        ),
        "chunks for ever": repeating(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100
        ),
        "header for ever": repeating(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 1000),
        "flapping": alternating(http(500), http(200, b"ok")),
        "slow 14 s": answering(http(200, b"ok"), delay=14 * second),
        "slow 16 s": answering(http(200, b"ok"), delay=16 * second),
        "slow 16 s, once": slow_once(16 * second),
        "closed when idle": answering(http(200, b"ok"), close=True),
    }
    found |= {name: Fault(script) for name, script in scripts.items()}
    found["refused"] = Fault(occupy=closed_port)
    found["blackhole"] = Fault(occupy=blackhole)
    found["TLS silence"] = Fault(deaf, "https")
    for name, words in {"none": PLAIN_400, "1.0": TLS_1_0, "1.1": TLS_1_1_ONLY}.items():
        found[f"TLS {name}"] = Fault(blurting(words), "https")
    for name, tls in {
        "healthy": tls_good, "expired": tls_expired, "wrong host": tls_wrong_host, "self-signed": tls_self_signed,
    }.items():  # fmt: skip
        found[f"TLS {name}"] = Fault(ok, "https", tls)
    return found


async def _serve(names: list[str], record: Path, second: float) -> None:
    known = faults(second)
    async with AsyncExitStack() as stack:
        file = stack.enter_context(record.open("a", buffering=1))

        def note(received: Received) -> None:
            file.write(json.dumps(asdict(received)) + "\n")

        urls = {name: (await stack.enter_async_context(Sink(known[name], note))).url for name in names}
        print(json.dumps(urls), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Play chat services that misbehave.")
    parser.add_argument(
        "--record", type=Path, required=True, help="where each request is written, a line each"
    )
    parser.add_argument("--second", type=float, default=1.0, help="how long a second takes")
    parser.add_argument("fault", nargs="+", choices=sorted(faults()))
    given = parser.parse_args()
    asyncio.run(_serve(given.fault, given.record, given.second))
