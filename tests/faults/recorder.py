"""Sinks that write down each request by themselves, with their own clock: the proof's other side.

One server in a thread of its own plays every service; a path is a destination. What a path answers is scripted by
its ``Manner`` and the seed.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.faults.evidence import TOKEN


@dataclass(frozen=True)
class Manner:
    """How a destination behaves. The shares are of its requests; what is left over is taken with ``200 ok``.

    After any other answer the next request is taken. ``latency``: seconds at most; most answers are much quicker
    (``skew``). ``failing``: 500, with the path in its words. ``resetting``: the connection is cut. ``throttling``:
    429, and ``retry_after``. ``refusing``: 400. ``always``: this status and body to everything, and for a redirect
    a ``Location`` that is nobody's path. ``hanging``: takes everything, answers nothing.
    """

    latency: float = 0.0
    skew: float = 4.0
    failing: float = 0.0
    throttling: float = 0.0
    retry_after: str = "1"
    refusing: float = 0.0
    resetting: float = 0.0
    always: tuple[int, str] | None = None
    hanging: bool = False


@dataclass(frozen=True)
class Answer:
    """``status`` 0 is a reset. ``taken``: the sink keeps the message, whatever its sender learns of it."""

    status: int = 200
    body: str = "ok"
    taken: bool = True
    location: str = ""
    retry_after: str = ""

    def bytes(self) -> bytes:
        """As it goes over the line."""
        fields = {"Location": self.location, "Retry-After": self.retry_after}
        extra = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
        return (
            f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(self.body)}\r\n{extra}\r\n{self.body}".encode()
        )


class Recorder(threading.Thread):
    """Listens on a loopback port from its creation to ``stop``; one line of JSON in ``record`` for each request."""

    def __init__(self, record: Path, manners: Mapping[str, Manner], *, seed: int = 1) -> None:
        super().__init__(name="recorder", daemon=True)
        self.manners = dict(manners)
        self.arrived = Counter[str]()
        self.port = 0
        self._record = record
        self._seed = seed
        self._script: dict[str, random.Random] = {}
        self._refused = set[str]()  # the last time
        self._loop = asyncio.new_event_loop()
        self._stopping, self._calmed = asyncio.Event(), asyncio.Event()
        self._listening = threading.Event()
        self.start()
        self._listening.wait()

    def run(self) -> None:
        """The thread."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    def stop(self) -> None:
        """Hang up on everybody."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self.join()

    def calm(self) -> None:
        """From now on every destination that hangs or is slow answers at once."""
        self.manners = {path: Manner(always=manner.always) for path, manner in self.manners.items()}
        self._loop.call_soon_threadsafe(self._calmed.set)

    async def _main(self) -> None:
        with self._record.open("a", encoding="utf-8") as record:

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with suppress(OSError, EOFError):
                    await self._serve(reader, writer, record)
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
            self.port = server.sockets[0].getsockname()[1]
            self._listening.set()
            await self._stopping.wait()
            server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: IO[str]
    ) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            request, _, fields = head.partition("\r\n")
            headers = {
                name.lower(): value
                for name, _, value in (line.partition(": ") for line in fields.split("\r\n"))
            }
            path = request.split(" ")[1]
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            answer = self._answer(path)
            self._note(record, path, headers, body, answer)
            manner = self.manners.get(path, Manner())
            if manner.hanging:
                await self._calmed.wait()
            elif manner.latency:
                await asyncio.sleep(manner.latency * self._chance(path).random() ** manner.skew)
            if not answer.status:
                writer.transport.abort()
                return
            writer.write(answer.bytes())

    def _note(
        self, record: IO[str], path: str, headers: Mapping[str, str], body: bytes, answer: Answer
    ) -> None:
        line = {
            "at": time.time(),
            "path": path,
            "tokens": [token.decode() for token in TOKEN.findall(body)],
            "taken": answer.taken,
            "status": answer.status,
            "retry_after": answer.retry_after,
            "headers": dict(headers),
            "body": body.decode("utf-8", "replace"),
        }
        record.write(json.dumps(line) + "\n")
        record.flush()
        self.arrived[path] += 1

    def _chance(self, path: str) -> random.Random:
        return self._script.setdefault(path, random.Random(f"{self._seed}{path}"))

    def _answer(self, path: str) -> Answer:
        manner = self.manners.get(path, Manner())
        if manner.always:
            return _constant(path, *manner.always)
        lot = self._chance(path).random()
        for share, answer in (
            (manner.failing, Answer(500, f"cannot serve {path}", taken=False)),
            (manner.resetting, Answer(0, taken=False)),
            (manner.throttling, Answer(429, taken=False, retry_after=manner.retry_after)),
            (manner.refusing, Answer(400, "invalid_payload", taken=False)),
        ):
            if 0 <= lot < share and path not in self._refused:
                self._refused.add(path)
                return answer
            lot -= share
        self._refused.discard(path)
        return Answer()


def _constant(path: str, status: int, body: str) -> Answer:
    return Answer(status, body, 200 <= status < 300, location=f"/trap{path}" if 300 <= status < 400 else "")
