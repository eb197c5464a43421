"""A load client and a sink that cost far less than what they measure: prebuilt requests on raw protocols."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import urlsplit

MARK = "bench-"
DEAD = b"/services/dead"


def ticket_event(number: int, department: str = "Technical Support") -> bytes:
    """About 600 bytes, as ClientXCMS writes them: every value a string."""
    return json.dumps(
        {
            "payload": {
                "action": "helpdesk_created",
                "__url": f"https://billing.example.test/admin/helpdesk/tickets/{number}",
                "ticketid": str(number),
                "customer_url": "https://billing.example.test/admin/customers/1",
                "subject": f"{MARK}{number} Server unreachable since this morning",
                "customername": "Léa O'Brien",
                "customeremail": "lea.obrien@example.org",
                "message": "Hello,\nmy VPS does not answer since 07:30. Can you check the node?\nThanks",
                "department": department,
                "priority": "High",
                "appname": "DemoHost",
                "appurl": "https://billing.example.test",
            }
        }
    ).encode()


def requests_to(url: str, departments: int = 0) -> Iterator[bytes]:
    """Endless different requests; with ``departments``, each to the next of so many: ``d0``, ``d1``, …"""
    place = urlsplit(url)
    for number in count():
        body = ticket_event(number, f"d{number % departments}") if departments else ticket_event(number)
        yield (
            f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last is answered, until ``stop_at``."""

    def __init__(self, requests: Iterator[bytes], stop_at: float) -> None:
        self.requests = requests
        self.stop_at = stop_at
        self.answers: list[float] = []
        self.refused = 0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.answers.append(now - self.sent_at)
        self.refused += not data.startswith(b"HTTP/1.1 202")
        if now < self.stop_at:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set_result(None)

    def _send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(next(self.requests))


async def saturate(url: str, *, connections: int, seconds: float) -> dict[str, float]:
    """Requests per second, and how long the answers took (milliseconds)."""
    place = urlsplit(url)
    requests, stop_at = requests_to(url), time.perf_counter() + seconds
    started = time.perf_counter()
    pairs = await asyncio.gather(
        *(
            asyncio.get_running_loop().create_connection(
                lambda: _Connection(requests, stop_at), place.hostname, place.port
            )
            for _ in range(connections)
        )
    )
    open_connections = [protocol for _, protocol in pairs]
    await asyncio.gather(*(connection.ended for connection in open_connections))
    took = time.perf_counter() - started
    answers = sorted(answer for connection in open_connections for answer in connection.answers)
    refused = sum(connection.refused for connection in open_connections)
    taken = len(answers) - refused
    return {"rate": taken / took, "taken": taken, "refused": refused, **percentiles(answers)}


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    if len(seconds) < 2:
        return {"p50": float("nan"), "p99": float("nan")}
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000}


class Sink:
    """Answers every POST like Slack, and notes when each event arrived. What comes to ``DEAD`` is never answered."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.arrived: dict[int, float] = {}
        self.count = 0
        self.all_here = asyncio.Event()
        self.expected = 0

    def expect(self, number: int) -> None:
        self.arrived.clear()
        self.count, self.expected = 0, number
        self.all_here.clear()

    async def listen(self) -> int:
        server = await asyncio.get_running_loop().create_server(lambda: _SinkConnection(self), "127.0.0.1", 0)
        self.server = server
        return int(server.sockets[0].getsockname()[1])

    def answer(self, transport: Any) -> None:
        """``ok``, after the seconds that this service takes."""
        if self.seconds:
            asyncio.get_running_loop().call_later(self.seconds, transport.write, self.ANSWER)
        else:
            transport.write(self.ANSWER)

    def note(self, body: bytes) -> None:
        start = body.find(MARK.encode()) + len(MARK)
        digits = body[start : start + 12].split(b" ", 1)[0]
        self.arrived.setdefault(int(digits), time.perf_counter())
        self.count += 1
        if self.count == self.expected:
            self.all_here.set()


class _SinkConnection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (head_end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:head_end].lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            end = head_end + 4 + length
            if len(self.buffer) < end:
                return
            body, self.buffer = self.buffer[head_end + 4 : end], self.buffer[end:]
            if DEAD not in head.split(b" ", 2)[1]:
                self.sink.note(body)
                self.sink.answer(self.transport)
