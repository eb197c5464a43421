"""Which delivery comes next: the oldest; after a failure, that of another ticket; never one that is too old."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from deskbell.delivery import claim, expire

from . import Claimed, rows

BURIED_AT_ONCE = 500
"""Rows that die of age in one transaction: other lanes and new events wait no longer."""

_READY = "SELECT id, order_key, ? - due_from, webhook FROM delivery WHERE webhook = ? AND state = 'ready' ORDER BY id"
_GAP = (
    "SELECT EXISTS (SELECT 1 FROM delivery WHERE webhook = ? AND order_key = ? AND state = 'dead' AND id < ?)"
)
_CLAIMED = (
    f"SELECT {rows.DELIVERY}, {rows.EVENT} FROM delivery d JOIN event e ON e.seq = d.event WHERE d.id = ?"
)


def claim_next(
    connection: sqlite3.Connection, max_ages: Mapping[str, float], *, now: datetime, avoid: int | None
) -> tuple[Claimed | None, int]:
    """See ``Store.claim``; and how many rows died of age. When ``BURIED_AT_ONCE`` did, ask again."""
    number, old = _choose(connection, max_ages, now=now.timestamp(), avoid=avoid)
    _bury(connection, old, now)
    return None if number is None else _take(connection, number), len(old)


def _choose(
    connection: sqlite3.Connection, max_ages: Mapping[str, float], *, now: float, avoid: int | None
) -> tuple[int | None, list[int]]:
    """The row to take; and those, met on the way, that are too old.

    It is the oldest row of its ticket, even as a probe: the order within a ticket holds.
    """
    avoided = _order_key(connection, avoid) if avoid is not None else ""
    old = list[int]()
    passed = dict[str, int]()
    for number, ticket, age, webhook in _ready(connection, max_ages, now):
        if age > max_ages[webhook]:
            old.append(number)
            if len(old) == BURIED_AT_ONCE:
                return None, old
        elif avoid is None:
            return number, old
        elif ticket not in passed:
            if number > avoid and ticket != avoided:
                return number, old
            passed[ticket] = number
    others = [number for ticket, number in passed.items() if ticket != avoided]
    return next(iter(others or passed.values()), None), old


def _ready(
    connection: sqlite3.Connection, webhooks: Iterable[str], now: float
) -> Iterator[tuple[int, str, float, str]]:
    """Id, ticket, age and webhook of the ready rows, oldest first. It reads no further than it is asked."""
    return heapq.merge(*(connection.execute(_READY, (now, webhook)) for webhook in webhooks))


def _order_key(connection: sqlite3.Connection, number: int) -> str:
    row = connection.execute("SELECT order_key FROM delivery WHERE id = ?", (number,)).fetchone()
    return str(row[0]) if row else ""


def _bury(connection: sqlite3.Connection, old: Iterable[int], now: datetime) -> None:
    for number in old:
        dead = expire(_claimed(connection, number).delivery, now=now)
        connection.execute(
            "UPDATE delivery SET state = ?, reason = ?, next_at = NULL, ended_at = ? WHERE id = ?",
            (dead.state, dead.reason, rows.seconds(dead.ended_at), number),
        )


def _take(connection: sqlite3.Connection, number: int) -> Claimed:
    found = _claimed(connection, number)
    place = (found.delivery.webhook, rows.order_key(found.event), number)
    taken = claim(found.delivery, gap=bool(connection.execute(_GAP, place).fetchone()[0]))
    connection.execute(
        "UPDATE delivery SET state = ?, attempts = ?, gap = ? WHERE id = ?",
        (taken.state, taken.attempts, taken.gap, number),
    )
    return Claimed(taken, found.event)


def _claimed(connection: sqlite3.Connection, number: int) -> Claimed:
    row = connection.execute(_CLAIMED, (number,)).fetchone()
    delivery = rows.delivery(row)
    return Claimed(delivery, rows.event(row, delivery))
