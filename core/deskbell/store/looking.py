"""One delivery, with all that is stored of it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deskbell.delivery import Delivery, State
from deskbell.event import TicketEvent

from . import rows
from .reading import NEWEST, look
from .searching import Slices, read_one

PATIENCE = 0.02
"""Seconds in which its neighbours are looked for, either way: no index holds the deliveries of a ticket."""
NEIGHBOURS = 5
"""At most, either way."""

_ONE = (
    f"SELECT {rows.DELIVERY}, {rows.EVENT}, e.raw, d.order_key"
    " FROM delivery d JOIN event e ON e.seq = d.event WHERE d.id = ?"
)
_TRIES = (
    "SELECT number, started_at, seconds, outcome, detail, payload FROM attempt WHERE delivery = ? ORDER BY id"
)
_NEIGHBOURS = (
    "SELECT id, state FROM delivery NOT INDEXED WHERE id BETWEEN ? AND ? AND webhook = ? AND order_key = ?"
    " ORDER BY id {} LIMIT ?"
)
_EARLIER = "SELECT max(id) FROM delivery WHERE id < ?"
_LATER = "SELECT -min(id) FROM delivery WHERE id > -?"


@dataclass(frozen=True, slots=True)
class Try:
    """An attempt as it is kept. ``outcome`` is the name of its class, ``detail`` the service's words.

    ``payload`` is what was sent, as JSON; empty where it did not come to that.
    """

    number: int
    started_at: datetime
    seconds: float
    outcome: str
    detail: str
    payload: str


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another delivery of the same ticket to the same webhook."""

    id: int
    state: State


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Those on one side of a delivery, the nearest first. ``further``: there are, or may be, more."""

    found: tuple[Neighbour, ...] = ()
    further: bool = False


@dataclass(frozen=True, slots=True)
class Detail:
    """A delivery with its event, the request's ``body`` as text, and its attempts, the first one first.

    ``body`` has a replacement character where the request was no UTF-8. ``earlier`` and ``later`` are its nearest
    neighbours, the nearest first, and none where it has no ticket.
    """

    delivery: Delivery
    event: TicketEvent
    body: str
    tries: tuple[Try, ...]
    earlier: Neighbours
    later: Neighbours


def find_delivery(path: Path, number: int, *, patience: float = PATIENCE) -> Detail | None:
    """The delivery with the id ``number`` in the store at ``path``; None when there is none (any more).

    ``StoreError`` says what is wrong with the store. It reads on a connection of its own that can change nothing,
    beside the server that writes. On an event loop it goes to a thread::

        detail = await asyncio.to_thread(find_delivery, config.store, 4711)
    """
    with look(path) as connection:
        row = connection.execute(_ONE, (number,)).fetchone() if 0 < number < NEWEST else None
        return _detail(connection, row, patience) if row else None


def _detail(connection: sqlite3.Connection, row: rows.Row, patience: float) -> Detail:
    delivery = rows.delivery(row)
    raw, order_key = row[-2:]
    earlier = later = Neighbours()
    if delivery.ticket:
        earlier, later = (_look_around(connection, delivery, order_key, sign, patience) for sign in (1, -1))
    return Detail(
        delivery,
        rows.event(row, delivery),
        raw.decode("utf-8", "replace"),
        tuple(_try(kept) for kept in connection.execute(_TRIES, (delivery.id,))),
        earlier,
        later,
    )


def _try(row: rows.Row) -> Try:
    number, started_at, *rest = row
    return Try(number, datetime.fromtimestamp(started_at, UTC), *rest)


def _look_around(
    connection: sqlite3.Connection, of: Delivery, order_key: str, sign: int, patience: float
) -> Neighbours:
    """Back from it; or, with ``sign`` -1, forward: that is back among the negatives of the ids."""
    nearest, order = (_EARLIER, "DESC") if sign == 1 else (_LATER, "ASC")
    slices = Slices(lambda below: read_one(connection, nearest, below), patience)
    query, found = _NEIGHBOURS.format(order), list[Neighbour]()
    for ends in slices.back_from(sign * of.id):
        first, last = sorted(sign * end for end in ends)
        values = (first, last, of.webhook, order_key, NEIGHBOURS + 1 - len(found))
        found += (Neighbour(number, State(state)) for number, state in connection.execute(query, values))
        if len(found) > NEIGHBOURS:
            return Neighbours(tuple(found[:NEIGHBOURS]), further=True)
    return Neighbours(tuple(found), further=slices.until is not None)
