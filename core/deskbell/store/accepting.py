"""How an event comes into the store, with one delivery for each of its webhooks."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from deskbell.event import TicketEvent
from deskbell.settings import Webhook

from . import Added, KeyReusedError, TicketFacts, rows


@dataclass(frozen=True, slots=True)
class Addition:
    """All that ``Store.add`` is given."""

    event: TicketEvent
    raw: bytes
    webhooks: Sequence[Webhook]
    key: str | None
    facts: TicketFacts | None

    def __call__(self, connection: sqlite3.Connection) -> Added | KeyReusedError:
        """A job for the writer. It returns the sender's error: raised, it would undo the whole batch."""
        digest = hashlib.sha256(self.raw).digest() if self.key is not None else None
        if self.key is not None and (known := _known(connection, self.event.source, self.key, digest)):
            return known
        self._insert(connection, digest)
        return Added(self.event.id, len(self.webhooks))

    def _insert(self, connection: sqlite3.Connection, digest: bytes | None) -> None:
        event = self.event
        received_at = rows.seconds(event.received_at)
        ticket = rows.text(event.ticket)
        sequence = connection.execute(
            "INSERT INTO event (id, source, idempotency_key, body_sha256, raw, action, ticket, variables,"
            " received_at, deliveries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (event.id, event.source, self.key and rows.text(self.key), digest, self.raw, rows.text(event.action),
             ticket, json.dumps(dict(event.variables)), received_at, len(self.webhooks)),
        ).lastrowid  # fmt: skip
        order_key = rows.order_key(event)
        connection.executemany(
            "INSERT INTO delivery (event, webhook, transport, order_key, state, due_from)"
            " VALUES (?, ?, ?, ?, 'ready', ?)",
            [(sequence, hook.name, hook.transport.name, order_key, received_at) for hook in self.webhooks],
        )
        if self.facts is not None:
            connection.execute(
                "INSERT OR REPLACE INTO ticket (source, ticket, facts, told_at) VALUES (?, ?, ?, ?)",
                (event.source, ticket, rows.facts(self.facts), received_at),
            )


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
