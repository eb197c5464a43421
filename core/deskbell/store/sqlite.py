"""The store on SQLite: one file, one writer, every change in a group commit."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Self

from deskbell.delivery import Attempt, Delivery, Destination
from deskbell.errors import StoreBusyError
from deskbell.event import TicketEvent
from deskbell.settings import Webhook

from . import Added, Claimed, KeyReusedError, TicketFacts, rows
from .claiming import BURIED_AT_ONCE, claim_next
from .database import connect, lock
from .writer import GroupWriter

MAX_WAITING = 4096
"""Jobs that may wait for a commit before new events are refused."""

_ACTIVE = Destination()
_SETTLE = (
    "UPDATE delivery SET state = ?, attempts = ?, setbacks = ?, reason = ?, receipt = ?, next_at = ?"
    " WHERE id = ? AND state = 'sending'"
)

_log = logging.getLogger(__name__)


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

        def job(connection: sqlite3.Connection) -> Added | KeyReusedError:
            if key is not None and (known := _known(connection, event.source, key, digest)):
                return known
            sequence = _insert_event(connection, event, raw, key=key, digest=digest, deliveries=len(webhooks))
            _insert_deliveries(connection, event, sequence, webhooks)
            if facts is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO ticket (source, ticket, facts) VALUES (?, ?, ?)",
                    (event.source, rows.text(event.ticket), rows.facts(facts)),
                )
            return Added(event.id, len(webhooks))

        added = await self._writer.submit(job)
        if isinstance(added, KeyReusedError):
            raise added
        return added

    async def recall(self, source: str, ticket: str) -> TicketFacts:
        """See ``Store.recall``."""

        def job(connection: sqlite3.Connection) -> TicketFacts:
            row = connection.execute(
                "SELECT facts FROM ticket WHERE source = ? AND ticket = ?", (source, rows.text(ticket))
            ).fetchone()
            return TicketFacts(**json.loads(row[0])) if row else TicketFacts()

        return await self._writer.submit(job)

    async def claim(
        self, webhooks: Sequence[str], *, oldest: datetime, avoid: int | None = None
    ) -> Claimed | None:
        """See ``Store.claim``."""

        while True:
            claimed, buried = await self._writer.submit(
                lambda connection: claim_next(connection, webhooks, oldest=oldest.timestamp(), avoid=avoid)
            )
            if buried:
                _log.error("%d deliveries to %s are dead: too old", buried, ", ".join(webhooks))
            if buried < BURIED_AT_ONCE:
                return claimed

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
                 type(attempt.outcome).__name__, rows.text(attempt.outcome.detail), rows.text(attempt.payload)),
            )  # fmt: skip
            if destination is not None:
                _remember(connection, *destination)
            return True

        return self._writer.submit(job, urgent=False)

    async def release(self, delivery: Delivery) -> None:
        """See ``Store.release``."""
        # Shielded: a lane that is cancelled here must not leave the row `sending`.
        await asyncio.shield(self._writer.submit(lambda connection: _settle(connection, delivery)))

    async def recover(self) -> int:
        """See ``Store.recover``: ``delivery.recover`` on every row at once."""

        def job(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "UPDATE delivery SET state = 'ready', maybe_duplicate = 1 WHERE state = 'sending'"
            ).rowcount

        return await self._writer.submit(job)

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
                "UPDATE delivery SET due_from = ?, setbacks = 0, next_at = NULL"
                " WHERE webhook = ? AND state = 'ready'",
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

    @property
    def trouble(self) -> str:
        """See ``Store.trouble``."""
        return self._writer.trouble

    async def close(self) -> None:
        """See ``Store.close``. The write-ahead log is folded into the file."""
        await self._writer.close()
        await asyncio.to_thread(self._connection.close)
        self._lock_file.close()


def _known(
    connection: sqlite3.Connection, source: str, key: str, digest: bytes | None
) -> Added | KeyReusedError | None:
    row = connection.execute(
        "SELECT id, deliveries, body_sha256 FROM event WHERE source = ? AND idempotency_key = ?",
        (source, rows.text(key)),
    ).fetchone()
    if row is None:
        return None
    return Added(row[0], row[1], replayed=True) if row[2] == digest else KeyReusedError()


def _insert_event(
    connection: sqlite3.Connection,
    event: TicketEvent,
    raw: bytes,
    *,
    key: str | None,
    digest: bytes | None,
    deliveries: int,
) -> int | None:
    return connection.execute(
        "INSERT INTO event (id, source, idempotency_key, body_sha256, raw, action, ticket, variables,"
        " received_at, deliveries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (event.id, event.source, key and rows.text(key), digest, raw, rows.text(event.action),
         rows.text(event.ticket), json.dumps(dict(event.variables)), rows.seconds(event.received_at), deliveries),
    ).lastrowid  # fmt: skip


def _insert_deliveries(
    connection: sqlite3.Connection, event: TicketEvent, sequence: int | None, webhooks: Sequence[Webhook]
) -> None:
    order_key = rows.text(f"{event.source}\n{event.ticket}") if event.ticket else event.id
    due_from = rows.seconds(event.received_at)
    connection.executemany(
        "INSERT INTO delivery (event, webhook, transport, order_key, state, due_from)"
        " VALUES (?, ?, ?, ?, 'ready', ?)",
        [(sequence, webhook.name, webhook.transport.name, order_key, due_from) for webhook in webhooks],
    )


def _settle(connection: sqlite3.Connection, delivery: Delivery) -> bool:
    cursor = connection.execute(
        _SETTLE,
        (delivery.state, delivery.attempts, delivery.setbacks, rows.text(delivery.reason),
         rows.text(delivery.receipt), rows.seconds(delivery.next_at), delivery.id),
    )  # fmt: skip
    return cursor.rowcount == 1


def _remember(connection: sqlite3.Connection, identity: str, destination: Destination) -> None:
    if destination == _ACTIVE:
        connection.execute("DELETE FROM destination WHERE id = ?", (identity,))
        return
    connection.execute(
        "INSERT OR REPLACE INTO destination (id, until, reason, paused, failures, refusals, last_failed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (identity, rows.seconds(destination.until), rows.text(destination.reason), destination.paused,
         destination.failures, destination.refusals, destination.last_failed),
    )  # fmt: skip
