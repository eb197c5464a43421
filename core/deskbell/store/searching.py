"""Pages of deliveries and what else is looked for from the newest back: as far as a reader's patience goes.

Most rows are finished, and no index holds those: that keeps the store quick to write. So they are looked through in
slices, and what was not looked at is said.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from deskbell.delivery import State
from deskbell.outcome import Delivered

from . import Listed, rows
from .reading import NEWEST, Filter, look

PATIENCE = 0.05
"""Seconds of looking, unless told: a page of 1,000,000 deliveries is to be there within 0.1 s."""
SLICE, LARGEST_SLICE = 250, 16_000
"""Ids looked through at once, between two glances at the clock: to begin with and at least, and at most.

Where a slice takes less than ``_QUICK`` seconds the next is twice as large, where more than ``_SLOW`` half as large: an
index is quick, a text is not, and neither is a file that has yet to be read from the disk.
"""
_QUICK, _SLOW = 0.0003, 0.001

_PAGE = (
    f"SELECT {rows.DELIVERY}, e.received_at, a.started_at, a.detail, a.seconds"
    " FROM delivery d NOT INDEXED JOIN event e ON e.seq = d.event"  # the slice is what bounds it
    " LEFT JOIN attempt a ON a.id = (SELECT max(id) FROM attempt WHERE delivery = d.id)"
    " WHERE d.id BETWEEN :first AND :last{} ORDER BY d.id DESC LIMIT :room"
)
_NEWEST_ATTEMPT = "SELECT max(id) FROM attempt WHERE id < ?"
_NEWEST = "SELECT max(id) FROM delivery WHERE id < ?"
_NEWEST_IN = "SELECT max(id) FROM delivery INDEXED BY delivery_{0} WHERE state = '{0}' AND id < ?"
_NEWEST_OF = (
    "SELECT id FROM delivery INDEXED BY delivery_{0} WHERE state = '{0}' AND webhook = ? AND id < ?"
    " ORDER BY id DESC LIMIT 1"
)
_NEXT_WEBHOOK = (
    "SELECT min(webhook) FROM delivery INDEXED BY delivery_{0} WHERE state = '{0}' AND webhook > ?"
)
# The time beside max(id) is that row's: https://www.sqlite.org/lang_select.html#bareagg
_SUCCESSES = (
    "SELECT d.webhook, a.started_at, max(a.id) FROM attempt a CROSS JOIN delivery d ON d.id = a.delivery"
    f" WHERE a.id BETWEEN ? AND ? AND a.outcome = '{Delivered.__name__}' GROUP BY d.webhook"
)
_EVENTS = "SELECT source, received_at, action, ticket, max(seq) FROM event WHERE seq BETWEEN ? AND ? GROUP BY source"
_NEWEST_EVENT = "SELECT max(seq) FROM event WHERE seq < ?"
_STORED_AT = "SELECT received_at FROM event WHERE seq >= ? ORDER BY seq LIMIT 1"
_CAME_AT = "SELECT e.received_at FROM delivery d JOIN event e ON e.seq = d.event WHERE d.id >= ? ORDER BY d.id LIMIT 1"
_TRIED_AT = "SELECT started_at FROM attempt WHERE id >= ? ORDER BY id LIMIT 1"


@dataclass(frozen=True, slots=True)
class Found(Listed):
    """A delivery on a page, with how long its latest attempt took, in seconds; None where it was never tried."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """Deliveries, the newest first. ``more``: at least one older is wanted, too.

    Where patience ended before the oldest was looked at, ``searched_until`` is the lowest id that was, and
    ``searched_since`` when its event came; otherwise they are None.
    """

    found: tuple[Found, ...] = ()
    more: bool = False
    searched_until: int | None = None
    searched_since: datetime | None = None

    @property
    def before(self) -> int | None:
        """``Filter.before`` of the next page; None where this is the last."""
        return self.found[-1].delivery.id if self.more else self.searched_until


@dataclass(frozen=True, slots=True)
class Successes:
    """When each webhook last got a message through: the start of that attempt, by the webhook's name.

    For a webhook that is not there: not since ``searched_since``, as far back as was looked; where that is None, not
    in anything that is still stored.
    """

    at: Mapping[str, datetime] = field(default_factory=dict)
    searched_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as an owner remembers it."""

    at: datetime
    action: str
    ticket: str


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest event of each source, by its name; of one that is not there, none came since ``searched_since``, or
    none is stored any more where that is None."""

    events: Mapping[str, Heard] = field(default_factory=dict)
    searched_since: datetime | None = None


@dataclass(slots=True)
class Slices:
    """Ranges of ids, the newest first, until ``patience`` (seconds) ends. ``newest`` gives the highest id below one.

    ``until`` is then the lowest id that was reached, or None when there are no lower ones.
    """

    newest: Callable[[int], int | None]
    patience: float
    until: int | None = None

    def back_from(self, before: int) -> Iterator[tuple[int, int]]:
        """The first and the last of each; gaps are leapt over."""
        size, began = SLICE, perf_counter()
        end = began + self.patience
        while (last := self.newest(before)) is not None:
            if self.until is not None and began >= end:
                return
            yield last - size + 1, last
            self.until = before = last - size + 1
            size, began = _next_size(size, perf_counter() - began), perf_counter()
        self.until = None


def _next_size(size: int, took: float) -> int:
    if took < _QUICK:
        return min(size * 2, LARGEST_SLICE)
    return max(size // 2, SLICE) if took > _SLOW else size


def find_page(path: Path, wanted: Filter, *, patience: float = PATIENCE) -> Page:
    """The newest deliveries of the store at ``path`` that are ``wanted``, up to ``wanted.limit``.

    It looks for ``patience`` seconds, and at least through one slice; ``StoreError`` says what is wrong with the
    store. It reads on a connection of its own that can change nothing, beside the server that writes; but it takes
    its time, so on an event loop it goes to a thread::

        page = await asyncio.to_thread(find_page, config.store, Filter(webhook="new-tickets", text="refund"))
        older = await asyncio.to_thread(find_page, config.store, replace(wanted, before=page.before))
    """
    room = NEWEST if wanted.limit is None else wanted.limit
    found = list[Found]()
    with look(path) as connection:
        slices = Slices(_newest_by(connection, wanted), patience)
        query = _PAGE.format("".join(f" AND {each}" for each in wanted.conditions()))
        values = wanted.values()
        for first, last in slices.back_from(wanted.below):
            asked = values | {"first": first, "last": last, "room": min(room + 1 - len(found), NEWEST)}
            found += map(_found, connection.execute(query, asked))
            if len(found) > room:
                return Page(tuple(found[:room]), more=True)
        return Page(tuple(found), False, slices.until, _time(connection, _CAME_AT, slices.until))


def find_successes(path: Path, webhooks: Collection[str], *, patience: float = PATIENCE) -> Successes:
    """When each of ``webhooks`` last got a message through. Like ``find_page``, it goes to a thread."""
    at = dict[str, datetime]()
    with look(path) as connection:
        slices = Slices(lambda before: read_one(connection, _NEWEST_ATTEMPT, before), patience)
        for bounds in slices.back_from(NEWEST):
            for webhook, started_at, _ in connection.execute(_SUCCESSES, bounds):
                at.setdefault(webhook, datetime.fromtimestamp(started_at, UTC))
            if at.keys() >= set(webhooks):
                return Successes(at)
        return Successes(at, _time(connection, _TRIED_AT, slices.until))


def find_latest(path: Path, sources: Collection[str], *, patience: float = PATIENCE) -> Latest:
    """The newest event of each of ``sources``. Like ``find_page``, it goes to a thread."""
    events = dict[str, Heard]()
    with look(path) as connection:
        slices = Slices(lambda before: read_one(connection, _NEWEST_EVENT, before), patience)
        for bounds in slices.back_from(NEWEST):
            for source, received_at, action, ticket, _ in connection.execute(_EVENTS, bounds):
                events.setdefault(source, Heard(datetime.fromtimestamp(received_at, UTC), action, ticket))
            if events.keys() >= set(sources):
                return Latest(events)
        return Latest(events, _time(connection, _STORED_AT, slices.until))


def _newest_by(connection: sqlite3.Connection, wanted: Filter) -> Callable[[int], int | None]:
    """The highest id below one, of rows that may be ``wanted``: through an index where one holds the state."""
    if wanted.state is None or wanted.state == State.DELIVERED:
        return lambda before: read_one(connection, _NEWEST, before)
    state = State(wanted.state)  # it goes into the query: nothing else may
    if state in (State.SENDING, State.DEAD):
        return lambda before: read_one(connection, _NEWEST_IN.format(state), before)
    webhooks = list(_webhooks(connection, state)) if wanted.webhook is None else [wanted.webhook]
    query = _NEWEST_OF.format(state)
    return lambda before: max(
        (number for name in webhooks if (number := read_one(connection, query, name, before)) is not None),
        default=None,
    )


def _webhooks(connection: sqlite3.Connection, state: State) -> Iterator[str]:
    """Those with deliveries in ``state``, by leaps through its index."""
    name, query = "", _NEXT_WEBHOOK.format(state)
    while (name := read_one(connection, query, name)) is not None:
        yield name


def read_one(connection: sqlite3.Connection, query: str, *values: object) -> Any:
    """The first column of the first row; None where there is none."""
    row = connection.execute(query, values).fetchone()
    return row and row[0]


def _time(connection: sqlite3.Connection, query: str, number: int | None) -> datetime | None:
    return None if number is None else rows.moment(read_one(connection, query, number))


def _found(row: rows.Row) -> Found:
    received_at, attempted_at, detail, seconds = row[rows.DELIVERY_COLUMNS :]
    came_at = datetime.fromtimestamp(received_at, UTC)
    return Found(rows.delivery(row), came_at, rows.moment(attempted_at), detail or "", seconds)
