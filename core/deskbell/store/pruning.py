"""Forgetting what ended long ago, a little at a time. What has not ended is never touched."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from . import Horizon

AT_ONCE = 1000
"""Rows in one transaction: other lanes and new events wait no longer."""
_PAGES_AT_ONCE = 1000

_OLD = "(state = 'delivered' AND ended_at < ?2 OR state = 'dead' AND ended_at < ?3)"
_IN = "IN (SELECT value FROM json_each(?1))"


@dataclass(frozen=True, slots=True)
class Old:
    """What may be forgotten: ids of deliveries, numbers of events, (source, ticket) of tickets."""

    deliveries: list[int]
    events: list[int]
    tickets: list[tuple[str, str]]


def find_old(connection: sqlite3.Connection, horizon: Horizon) -> Old:
    """At most ``AT_ONCE`` of each kind that may be forgotten.

    For a connection that reads, as it may take a while. Nothing ends before it came, so the deliveries of events
    after the latest horizon need no look.
    """
    latest = max(horizon.delivered, horizon.dead, horizon.events).timestamp()
    end = _first_since(connection, latest)
    deliveries = connection.execute(
        f"SELECT id FROM delivery WHERE event < ?1 AND {_OLD} ORDER BY event LIMIT {AT_ONCE}",
        (end, horizon.delivered.timestamp(), horizon.dead.timestamp()),
    )
    events = connection.execute(
        "SELECT seq FROM event e WHERE seq < ?1 AND received_at < ?2"
        f" AND NOT EXISTS (SELECT 1 FROM delivery WHERE event = e.seq) ORDER BY seq LIMIT {AT_ONCE}",
        (end, horizon.events.timestamp()),
    )
    tickets = connection.execute(
        f"SELECT source, ticket FROM ticket WHERE told_at < ? LIMIT {AT_ONCE}", (horizon.tickets.timestamp(),)
    )
    return Old([number for (number,) in deliveries], [number for (number,) in events], tickets.fetchall())


def _first_since(connection: sqlite3.Connection, at: float) -> int:
    """The number of the first event that came at ``at`` or later, found by halving: their times have no index."""
    low, high = connection.execute(
        "SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) + 1 FROM event"
    ).fetchone()
    while low < high:
        middle = (low + high) // 2
        found = connection.execute(
            "SELECT seq, received_at FROM event WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
        ).fetchone()
        if found is None or found[1] >= at:
            high = middle
        else:
            low = found[0] + 1
    return int(low)


def forget(connection: sqlite3.Connection, old: Old, horizon: Horizon) -> int:
    """Take it out, and give its pages back; how many rows. What came to life again since it was found stays."""
    still = connection.execute(
        f"SELECT id FROM delivery WHERE id {_IN} AND {_OLD}",
        (json.dumps(old.deliveries), horizon.delivered.timestamp(), horizon.dead.timestamp()),
    )
    ended = json.dumps([number for (number,) in still])
    connection.execute(f"DELETE FROM attempt WHERE delivery {_IN}", (ended,))
    deliveries = connection.execute(f"DELETE FROM delivery WHERE id {_IN}", (ended,)).rowcount
    events = connection.execute(f"DELETE FROM event WHERE seq {_IN}", (json.dumps(old.events),)).rowcount
    tickets = connection.executemany(
        "DELETE FROM ticket WHERE source = ? AND ticket = ? AND told_at < ?",
        [(*ticket, horizon.tickets.timestamp()) for ticket in old.tickets],
    ).rowcount
    _give_back_pages(connection)
    return deliveries + events + max(tickets, 0)


def _give_back_pages(connection: sqlite3.Connection) -> None:
    """Page by page: of a pragma that takes many steps, Python 3.11 takes only the first."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    for _ in range(min(free, _PAGES_AT_ONCE)):
        connection.execute("PRAGMA incremental_vacuum(1)").fetchall()
