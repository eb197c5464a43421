"""The store on SQLite: one file, one writer, every change in a group commit."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from deskbell.delivery import Attempt, Delivery, Destination, State
from deskbell.errors import StoreBusyError, StoreError
from deskbell.event import TicketEvent
from deskbell.settings import Webhook

from . import Added, Backlog, Claimed, Horizon, KeyReusedError, Replayed, TicketFacts, pruning, rows, settling
from .accepting import Addition
from .claiming import BURIED_AT_ONCE, claim_next
from .database import Database
from .reading import count_backlog, look, read_destinations
from .space import Space
from .writer import GroupWriter

MAX_WAITING = 4096
"""Jobs that may wait for a commit before new events are refused."""

_log = logging.getLogger(__name__)


class SqliteStore:
    """``Store`` on one SQLite file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._space = Space(database.path)
        self._writer = GroupWriter(database.connection)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Lock and open (or make) the file; migrate it. ``StoreError`` says what is wrong with it."""
        return cls(Database.open(path))

    async def add(
        self,
        event: TicketEvent,
        raw: bytes,
        *,
        webhooks: Sequence[Webhook],
        key: str | None = None,
        facts: TicketFacts | None = None,
    ) -> Added:
        """See ``Store.add``."""
        self._admit()
        added = await self._writer.submit(Addition(event, raw, webhooks, key, facts))
        if isinstance(added, KeyReusedError):
            raise added
        return added

    def _admit(self) -> None:
        """What an event asks of the store is bounded: no more of it may wait than a disk soon catches up with."""
        if self._writer.waiting >= MAX_WAITING:
            raise StoreBusyError("too many events are waiting for the disk")
        if short := self._space.short():
            raise StoreError(short)

    async def recall(self, source: str, ticket: str) -> TicketFacts:
        """See ``Store.recall``."""
        self._admit()

        def job(connection: sqlite3.Connection) -> TicketFacts:
            row = connection.execute(
                "SELECT facts FROM ticket WHERE source = ? AND ticket = ?", (source, rows.text(ticket))
            ).fetchone()
            return TicketFacts(**json.loads(row[0])) if row else TicketFacts()

        return await self._writer.submit(job)

    async def claim(
        self, max_ages: Mapping[str, float], *, now: datetime, avoid: int | None = None
    ) -> Claimed | None:
        """See ``Store.claim``."""

        while True:
            claimed, buried = await self._writer.submit(
                lambda connection: claim_next(connection, max_ages, now=now, avoid=avoid)
            )
            if buried:
                _log.error("%d deliveries to %s are dead: too old", buried, ", ".join(max_ages))
            if buried < BURIED_AT_ONCE:
                return claimed

    def save(
        self, delivery: Delivery, attempt: Attempt, destinations: Mapping[str, Destination]
    ) -> asyncio.Future[bool]:
        """See ``Store.save``."""

        def job(connection: sqlite3.Connection) -> bool:
            if not settling.settle(connection, delivery, attempts=attempt.number):
                return False
            settling.keep(connection, attempt)
            for identity, destination in destinations.items():
                settling.remember(connection, identity, destination)
            return True

        return self._writer.submit(job, urgent=False)

    async def release(self, delivery: Delivery) -> None:
        """See ``Store.release``."""
        # Shielded: a lane that is cancelled here must not leave the row `sending`.
        claimed = delivery.attempts + 1
        await asyncio.shield(
            self._writer.submit(lambda connection: settling.settle(connection, delivery, attempts=claimed))
        )

    async def recover(self, webhooks: Sequence[str] | None = None) -> int:
        """See ``Store.recover``."""
        return await self._writer.submit(lambda connection: settling.recover(connection, webhooks))

    async def adopt(self, destinations: Mapping[str, str], *, now: datetime) -> int:
        """See ``Store.adopt``."""
        return await self._writer.submit(lambda connection: settling.adopt(connection, destinations, now))

    async def resume(self, destination: str, webhooks: Sequence[str], *, now: datetime) -> None:
        """See ``Store.resume``."""
        await self._writer.submit(lambda connection: settling.resume(connection, destination, webhooks, now))

    async def replay(self, ids: Sequence[int], *, now: datetime, state: State | None = None) -> Replayed:
        """See ``Store.replay``."""
        return await self._writer.submit(lambda connection: settling.replay_all(connection, ids, now, state))

    async def destinations(self) -> Mapping[str, Destination]:
        """See ``Store.destinations``."""
        return await self._writer.submit(read_destinations)

    async def backlog(self) -> Mapping[str, Backlog]:
        """See ``Store.backlog``. On a connection of its own, beside the writer."""
        return await asyncio.to_thread(count_backlog, self._database.path)

    async def prune(self, horizon: Horizon) -> int:
        """See ``Store.prune``. What is old is looked up beside the writer; taking it out is short."""
        old = await asyncio.to_thread(self._find_old, horizon)
        return await self._writer.submit(
            lambda connection: pruning.forget(connection, old, horizon), urgent=False
        )

    def _find_old(self, horizon: Horizon) -> pruning.Old:
        with look(self._database.path) as connection:
            return pruning.find_old(connection, horizon)

    @property
    def trouble(self) -> str:
        """See ``Store.trouble``."""
        return self._writer.trouble or self._space.short()

    @property
    def failure(self) -> asyncio.Future[str]:
        """See ``Store.failure``."""
        return self._writer.failure

    async def close(self) -> None:
        """See ``Store.close``. The write-ahead log is folded into the file."""
        if await self._writer.close():
            await asyncio.to_thread(self._database.close, failed=self.failure.done())
        else:
            _log.error(
                "the disk hangs: what it did not take was not acknowledged, and the next start recovers"
            )
