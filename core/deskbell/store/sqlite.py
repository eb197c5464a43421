"""The store on SQLite: one file, one writer, every change in a group commit."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Self

from deskbell.delivery import Attempt, Delivery, Destination, State
from deskbell.delivery import claim as claimed
from deskbell.delivery import expire as expired
from deskbell.errors import StoreBusyError
from deskbell.event import TicketEvent
from deskbell.settings import Webhook

from . import Added, Claimed, KeyReusedError, TicketFacts, rows
from .database import connect, lock
from .writer import GroupWriter

MAX_WAITING = 4096
"""Jobs that may wait for a commit before new events are refused."""

_ACTIVE = Destination()
_SETTLE = (
    "UPDATE delivery SET state = ?, attempts = ?, setbacks = ?, reason = ?, receipt = ?, next_at = ?"
    " WHERE id = ? AND state = 'sending'"
)
_OLDEST_READY = (
    f"SELECT {rows.DELIVERY}, {rows.EVENT}"  # noqa: S608 - constants of rows.py, no input
    " FROM delivery d JOIN event e ON e.seq = d.event WHERE d.id ="
    " (SELECT min(id) FROM delivery WHERE webhook = ? AND state = 'ready')"
)
_OLDEST_READY_ELSEWHERE = (
    f"SELECT {rows.DELIVERY}, {rows.EVENT}"  # noqa: S608 - likewise
    " FROM delivery d JOIN event e ON e.seq = d.event"
    " WHERE d.webhook = ? AND d.state = 'ready'"
    " AND d.order_key <> coalesce((SELECT order_key FROM delivery WHERE id = ?), '')"
    " ORDER BY d.id LIMIT 1"
)


class SqliteStore:
    """``Store`` on one SQLite file."""

    def __init__(self, connection: sqlite3.Connection, lock_file: IO[bytes]) -> None:
        self._connection = connection
        self._lock_file = lock_file
        self._writer = GroupWriter(connection)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Lock and open (or create) the file; migrate it. ``StoreError`` says what is wrong with it."""
        lock_file = lock(path)
        try:
            return cls(connect(path), lock_file)
        except BaseException:
            lock_file.close()
            raise

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
        if self._writer.waiting >= MAX_WAITING:
            raise StoreBusyError("too many events are waiting for the disk")
        digest = hashlib.sha256(raw).digest() if key is not None else None
        variables = json.dumps(dict(event.variables))

        def job(connection: sqlite3.Connection) -> Added | KeyReusedError:
            if key is not None and (known := _known(connection, event.source, key, digest)):
                return known
            received_at = event.received_at.timestamp()
            sequence = connection.execute(
                "INSERT INTO event (id, source, idempotency_key, body_sha256, raw, action, ticket, variables,"
                " received_at, deliveries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (event.id, event.source, key, digest, raw, event.action, event.ticket, variables,
                 received_at, len(webhooks)),
            ).lastrowid  # fmt: skip
            order_key = f"{event.source}\n{event.ticket}" if event.ticket else event.id
            connection.executemany(
                "INSERT INTO delivery (event, webhook, transport, order_key, state, due_from)"
                " VALUES (?, ?, ?, ?, 'ready', ?)",
                [(sequence, hook.name, hook.transport.name, order_key, received_at) for hook in webhooks],
            )
            if facts is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO ticket (source, ticket, priority, department, subject)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (event.source, event.ticket, facts.priority, facts.department, facts.subject),
                )
            return Added(event.id, len(webhooks))

        # Shielded: a sender that hangs up must not undo what the thread may already have committed.
        added = await asyncio.shield(self._writer.submit(job))
        if isinstance(added, KeyReusedError):
            raise added
        return added

    async def recall(self, source: str, ticket: str) -> TicketFacts:
        """See ``Store.recall``."""

        def job(connection: sqlite3.Connection) -> TicketFacts:
            row = connection.execute(
                "SELECT priority, department, subject FROM ticket WHERE source = ? AND ticket = ?",
                (source, ticket),
            ).fetchone()
            return TicketFacts(*row) if row else TicketFacts()

        return await self._writer.submit(job)

    async def claim(
        self, webhooks: Sequence[str], *, oldest: datetime, avoid: int | None = None
    ) -> Claimed | None:
        """See ``Store.claim``."""

        def job(connection: sqlite3.Connection) -> Claimed | None:
            while (found := _next_ready(connection, webhooks, avoid)) is not None:
                if found.delivery.due_from >= oldest:
                    return _take(connection, found)
                _bury(connection, expired(found.delivery))
            return None

        return await self._writer.submit(job)

    def save(
        self, delivery: Delivery, attempt: Attempt, destination: tuple[str, Destination] | None
    ) -> asyncio.Future[bool]:
        """See ``Store.save``."""

        def job(connection: sqlite3.Connection) -> bool:
            if not _settle(connection, delivery):
                return False
            connection.execute(
                "INSERT INTO attempt (delivery, number, started_at, seconds, outcome, detail, payload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (delivery.id, attempt.number, attempt.started_at.timestamp(), attempt.seconds,
                 type(attempt.outcome).__name__, attempt.outcome.detail, attempt.payload),
            )  # fmt: skip
            if destination is not None:
                _remember(connection, *destination)
            return True

        return self._writer.submit(job, urgent=False)

    async def release(self, delivery: Delivery) -> None:
        """See ``Store.release``."""
        await self._writer.submit(lambda connection: _settle(connection, delivery))

    async def recover(self) -> int:
        """See ``Store.recover``: ``delivery.recover`` on every row at once."""
        return await self._writer.submit(
            lambda connection: (
                connection.execute(
                    "UPDATE delivery SET state = 'ready', maybe_duplicate = 1 WHERE state = 'sending'"
                ).rowcount
            )
        )

    async def hold_all_but(self, webhooks: Sequence[str]) -> int:
        """See ``Store.hold_all_but``."""
        known = json.dumps(list(webhooks))

        def job(connection: sqlite3.Connection) -> int:
            connection.execute(
                "UPDATE delivery SET state = 'held' WHERE state = 'ready'"
                " AND webhook NOT IN (SELECT value FROM json_each(?))",
                (known,),
            )
            connection.execute(
                "UPDATE delivery SET state = 'ready' WHERE state = 'held'"
                " AND webhook IN (SELECT value FROM json_each(?))",
                (known,),
            )
            return int(connection.execute("SELECT count(*) FROM delivery WHERE state = 'held'").fetchone()[0])

        return await self._writer.submit(job)

    async def resume(self, destination: str, webhooks: Sequence[str], *, now: datetime) -> None:
        """See ``Store.resume``."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM destination WHERE id = ?", (destination,))
            connection.executemany(
                "UPDATE delivery SET due_from = ?, next_at = NULL WHERE webhook = ? AND state = 'ready'",
                [(now.timestamp(), webhook) for webhook in webhooks],
            )

        await self._writer.submit(job)

    async def destinations(self) -> Mapping[str, Destination]:
        """See ``Store.destinations``."""

        def job(connection: sqlite3.Connection) -> dict[str, Destination]:
            found = connection.execute(
                "SELECT id, until, reason, paused, failures, refusals, last_failed FROM destination"
            )
            return {row[0]: rows.destination(row[1:]) for row in found}

        return await self._writer.submit(job)

    async def waiting(self, webhooks: Sequence[str]) -> Mapping[str, int]:
        """See ``Store.waiting``."""

        def job(connection: sqlite3.Connection) -> dict[str, int]:
            found = connection.execute(
                "SELECT webhook, count(*) FROM delivery WHERE state = 'ready' GROUP BY webhook"
            )
            counts = dict(found.fetchall())
            return {webhook: counts.get(webhook, 0) for webhook in webhooks}

        return await self._writer.submit(job)

    async def close(self) -> None:
        """See ``Store.close``. The write-ahead log is folded into the file."""
        await self._writer.close()
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
        self._lock_file.close()


def _known(
    connection: sqlite3.Connection, source: str, key: str, digest: bytes | None
) -> Added | KeyReusedError | None:
    row = connection.execute(
        "SELECT id, deliveries, body_sha256 FROM event WHERE source = ? AND idempotency_key = ?",
        (source, key),
    ).fetchone()
    if row is None:
        return None
    return Added(row[0], row[1], replayed=True) if row[2] == digest else KeyReusedError()


def _next_ready(connection: sqlite3.Connection, webhooks: Sequence[str], avoid: int | None) -> Claimed | None:
    """The oldest ready row of ``webhooks``; of another ticket than ``avoid``'s where there is one."""
    found = None
    if avoid is not None:
        found = _oldest(
            connection.execute(_OLDEST_READY_ELSEWHERE, (name, avoid)).fetchone() for name in webhooks
        )
    if found is None:
        found = _oldest(connection.execute(_OLDEST_READY, (name,)).fetchone() for name in webhooks)
    if found is None:
        return None
    delivery = rows.delivery(found)
    return Claimed(delivery, rows.event(found, delivery))


def _oldest(candidates: Iterable[rows.Row | None]) -> rows.Row | None:
    return min((row for row in candidates if row is not None), key=lambda row: int(row[0]), default=None)


def _take(connection: sqlite3.Connection, found: Claimed) -> Claimed:
    taken = claimed(found.delivery)
    connection.execute(
        "UPDATE delivery SET state = 'sending', attempts = ? WHERE id = ?", (taken.attempts, taken.id)
    )
    return Claimed(taken, found.event)


def _bury(connection: sqlite3.Connection, delivery: Delivery) -> None:
    connection.execute(
        "UPDATE delivery SET state = ?, reason = ?, next_at = NULL WHERE id = ?",
        (State.DEAD, delivery.reason, delivery.id),
    )


def _settle(connection: sqlite3.Connection, delivery: Delivery) -> bool:
    cursor = connection.execute(
        _SETTLE,
        (delivery.state, delivery.attempts, delivery.setbacks, delivery.reason, delivery.receipt,
         rows.seconds(delivery.next_at), delivery.id),
    )  # fmt: skip
    return cursor.rowcount == 1


def _remember(connection: sqlite3.Connection, identity: str, destination: Destination) -> None:
    if destination == _ACTIVE:
        connection.execute("DELETE FROM destination WHERE id = ?", (identity,))
        return
    connection.execute(
        "INSERT OR REPLACE INTO destination (id, until, reason, paused, failures, refusals, last_failed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (identity, rows.seconds(destination.until), destination.reason, destination.paused,
         destination.failures, destination.refusals, destination.last_failed),
    )  # fmt: skip
