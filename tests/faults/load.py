"""A load client that writes down, outside the system, each event whose fate it knows: the proof's one side.

It runs in a thread of its own and speaks HTTP on raw sockets, so that it knows exactly what was sent and what was
answered. The events of one ticket are sent one after the other; a new one only when the last one's fate is written.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

SMALLEST_BODY, LARGEST_BODY = 500, 20_000
RECONNECT = 0.05
"""Seconds until a server that is not there is asked again."""
PATIENCE = 30.0
"""Seconds that an answer may take."""
LAST_WORDS = 8.0
"""Seconds that a stop waits for answers; then their fate is unknown."""


class NotSentError(Exception):
    """Nobody listened: the event was certainly not taken."""


@dataclass
class Event:
    """What is posted, and what became of it: one line of the file."""

    token: str
    source: str
    ticket: str
    seq: int
    route: str
    body: bytes
    key: str | None
    sent_at: float = field(default_factory=time.time)

    def line(self, fate: str, answer: Mapping[str, object]) -> str:
        """The fate is ``accepted`` (202), ``refused`` (any other answer) or ``unknown`` (no answer)."""
        told = {name: value for name, value in vars(self).items() if name != "body"}
        digest = hashlib.sha256(self.body).hexdigest()
        return json.dumps({"fate": fate, **told, "sha256": digest, "at": time.time(), **answer}) + "\n"


@dataclass(frozen=True)
class Plan:
    """What to send. ``routes``: a name each, and the fields that an event of this route carries.

    ``rate``: events per second in all; None is as fast as the answers come. ``keyed``: the share with a key.
    ``loose``: the share without a ticket. ``each``: after so many events a ticket ends; 0 is never.
    ``within``: each ticket begins at some instant of the first so many seconds.
    """

    sources: Mapping[str, str]
    routes: Mapping[str, Mapping[str, str]]
    rate: float | None = 50.0
    tickets: int = 8
    keyed: float = 0.6
    loose: float = 0.05
    each: int = 0
    within: float = 0.0
    seed: int = 1


class Load(threading.Thread):
    """Posts events to ``host:port`` from ``start`` to ``stop``, through every death of the server."""

    def __init__(self, plan: Plan, *, port: int, record: Path, host: str = "127.0.0.1") -> None:
        super().__init__(name="load", daemon=True)
        self.plan = plan
        self.place = (host, port)
        self.fates = Counter[str]()
        self.posted = 0
        self.slowest = 0.0  # seconds, of an answer
        self._record = record
        self._loop = asyncio.new_event_loop()
        self._errors = list[BaseException]()
        self._stopping = asyncio.Event()
        self._started = threading.Event()

    def run(self) -> None:
        """The thread: one task a ticket."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    def stop(self) -> None:
        """Send nothing more, and write down the fate of what is on its way."""
        self._started.wait()
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        self.finish()

    def finish(self) -> None:
        """Wait until every ticket has ended; raise what went wrong in the client itself."""
        self.join()
        for error in self._errors:
            raise error

    async def _main(self) -> None:
        self._started.set()
        with self._record.open("a", encoding="utf-8") as record:
            run = f"{self.plan.seed}x{record.tell()}"
            numbers = range(self.plan.tickets)
            tasks = [
                asyncio.create_task(_Ticket(self, f"{run}x{number}", number, record).run())
                for number in numbers
            ]
            stopped = asyncio.create_task(self._cut_off(tasks))
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            self._errors += [end for end in ends if end is not None]
            stopped.cancel()

    async def _cut_off(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        await self._stopping.wait()
        await asyncio.sleep(LAST_WORDS)
        for task in tasks:
            task.cancel()

    async def pause(self, seconds: float) -> bool:
        """Wait, but not through a stop; true while it goes on."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
        return not self._stopping.is_set()


class _Ticket:
    """One ticket's sender, with a connection of its own."""

    def __init__(self, load: Load, name: str, number: int, record: IO[str]) -> None:
        self._load = load
        self._name = name
        self._record = record
        self._random = random.Random(name)
        self._source = sorted(load.plan.sources)[number % len(load.plan.sources)]
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        plan, seq = self._load.plan, 0
        # By a chance of its own: a draw more would make other events of every seed.
        await self._load.pause(random.Random(f"{self._name} begins").uniform(0, plan.within))
        while await self._load.pause(
            self._random.expovariate(plan.rate / plan.tickets) if plan.rate else 0
        ) and (not plan.each or seq < plan.each):
            seq += 1
            await self._settle(self._event(seq))
        self._hang_up()

    def _event(self, seq: int) -> Event:
        plan, chance = self._load.plan, self._random
        route = chance.choice(sorted(plan.routes))
        token = f"tok{self._name}x{seq}end"
        ticket = "" if chance.random() < plan.loose else self._name
        size = SMALLEST_BODY + int((LARGEST_BODY - SMALLEST_BODY) * chance.random() ** 6)
        fields = {"ticket": ticket, "subject": token, **plan.routes[route]}
        fields["content"] = "lorem ipsum " * ((size - len(json.dumps(fields))) // 12)
        key = f"key-{token}" if chance.random() < plan.keyed else None
        return Event(token, self._source, ticket, seq, route, json.dumps(fields).encode(), key)

    async def _settle(self, event: Event) -> None:
        """Post until the fate is known: again and again with a key, once without."""
        try:
            fate, answer = await self._post_until_answered(event)
        except asyncio.CancelledError:  # the run is over, and the server dead or silent
            fate, answer = "unknown", {}
        self._load.fates[fate] += 1
        self._record.write(event.line(fate, answer))
        self._record.flush()

    async def _post_until_answered(self, event: Event) -> tuple[str, dict[str, object]]:
        while True:
            try:
                started = time.monotonic()
                async with asyncio.timeout(PATIENCE):
                    status, headers, body = await self._post(event)
                self._load.slowest = max(self._load.slowest, time.monotonic() - started)
                answer: dict[str, object] = {
                    "status": status,
                    "retry_after": headers.get("retry-after"),
                    "id": None,
                }
                if status != 202:
                    return "refused", answer
                return "accepted", answer | {"id": json.loads(body)["id"]}
            except NotSentError:
                await asyncio.sleep(RECONNECT)
            except (OSError, EOFError, TimeoutError):
                self._hang_up()
                if event.key is None:
                    return "unknown", {}

    async def _post(self, event: Event) -> tuple[int, dict[str, str], bytes]:
        if self._streams is None or self._streams[0].at_eof():
            self._hang_up()
            try:
                self._streams = await asyncio.open_connection(*self._load.place)
            except OSError as error:
                raise NotSentError from error
        reader, writer = self._streams
        event.sent_at = time.time()
        writer.write(self._request(event))
        self._load.posted += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self._hang_up()
        return int(head[0].split()[1]), headers, body

    def _request(self, event: Event) -> bytes:
        lines = [
            f"POST /events/{event.source} HTTP/1.1",
            f"Host: {self._load.place[0]}",
            f"Authorization: Bearer {self._load.plan.sources[event.source]}",
            "Content-Type: application/json",
            f"Content-Length: {len(event.body)}",
            *([f"Idempotency-Key: {event.key}"] if event.key else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + event.body

    def _hang_up(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None
