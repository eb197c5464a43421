"""Which delivery comes next: the oldest; after a failure, that of another ticket; never one that is too old."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from deskbell.delivery import claim, expire

from . import Claimed, rows

BURIED_AT_ONCE = 500
"""Rows that die of age in one transaction: other lanes and new events wait no longer."""

_READY = "SELECT id, order_key, due_from FROM delivery WHERE webhook = ? AND state = 'ready' ORDER BY id"
_CLAIMED = (
    f"SELECT {rows.DELIVERY}, {rows.EVENT}"  # noqa: S608 - constants of rows.py, no input
    " FROM delivery d JOIN event e ON e.seq = d.event WHERE d.id = ?"
)


def claim_next(
    connection: sqlite3.Connection, webhooks: Sequence[str], *, oldest: float, avoid: int | None
) -> tuple[Claimed | None, int]:
    """See ``Store.claim``; and how many rows died of age. When ``BURIED_AT_ONCE`` did, ask again."""
    number, old = _choose(connection, webhooks, oldest=oldest, avoid=avoid)
    _bury(connection, old)
    return None if number is None else _take(connection, number), len(old)


def _choose(
    connection: sqlite3.Connection, webhooks: Sequence[str], *, oldest: float, avoid: int | None
) -> tuple[int | None, list[int]]:
    """The row to take; and those, met on the way, that are due from before ``oldest``.

    It is the oldest row of its ticket, even as a probe: the order within a ticket holds.
    """
    avoided = _order_key(connection, avoid) if avoid is not None else ""
    old = list[int]()
    passed = dict[str, int]()
    for number, ticket, due_from in _ready(connection, webhooks):
        if due_from < oldest:
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


def _ready(connection: sqlite3.Connection, webhooks: Sequence[str]) -> Iterator[tuple[int, str, float]]:
    """Id, ticket and ``due_from`` of the ready rows, oldest first. It reads no further than it is asked."""
    return heapq.merge(*(connection.execute(_READY, (webhook,)) for webhook in webhooks))


def _order_key(connection: sqlite3.Connection, number: int) -> str:
    row = connection.execute("SELECT order_key FROM delivery WHERE id = ?", (number,)).fetchone()
    return str(row[0]) if row else ""


def _bury(connection: sqlite3.Connection, old: Iterable[int]) -> None:
    for number in old:
        dead = expire(_claimed(connection, number).delivery)
        connection.execute(
            "UPDATE delivery SET state = ?, reason = ?, next_at = ? WHERE id = ?",
            (dead.state, dead.reason, rows.seconds(dead.next_at), number),
        )


def _take(connection: sqlite3.Connection, number: int) -> Claimed:
    found = _claimed(connection, number)
    taken = claim(found.delivery)
    connection.execute(
        "UPDATE delivery SET state = ?, attempts = ? WHERE id = ?", (taken.state, taken.attempts, number)
    )
    return Claimed(taken, found.event)


def _claimed(connection: sqlite3.Connection, number: int) -> Claimed:
    row = connection.execute(_CLAIMED, (number,)).fetchone()
    delivery = rows.delivery(row)
    return Claimed(delivery, rows.event(row, delivery))
