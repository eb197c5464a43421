"""Look-ups for people, on a connection that cannot write: safe beside a running server."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deskbell.delivery import Destination, State
from deskbell.errors import StoreError

from . import Backlog, Listed, rows
from .database import connect_to_read

_QUERY = (
    f"SELECT {rows.DELIVERY}, e.received_at, a.started_at, a.detail"
    " FROM delivery d JOIN event e ON e.seq = d.event"
    " LEFT JOIN attempt a ON a.id = (SELECT max(id) FROM attempt WHERE delivery = d.id)"
)
NEWEST = 2**63 - 1
"""No id is higher: https://www.sqlite.org/rowidtable.html."""
LONGEST_TEXT = 1000
"""Characters of a text that is looked for: SQLite takes no pattern over 50,000 bytes, and one may become twelve."""
# The key tells most rows apart without a look at the event, whose ticket lies behind the request's whole body.
_HAS_TICKET = "substr(d.order_key, instr(d.order_key, char(10)) + 1) = :ticket AND e.ticket = :ticket"
# The variables are ASCII in JSON. Whether they have the text at all is soon said; then, whether in the right ones.
_SAYS = (
    "(e.ticket LIKE :text ESCAPE '\\' OR e.variables LIKE :told ESCAPE '\\' AND ("
    + " OR ".join(
        f"json_extract(e.variables, '$.{name}') LIKE :text ESCAPE '\\'"
        for name in ("subject", "username", "content")
    )
    + "))"
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deliveries to list; what is None asks for nothing. ``since``: those whose events came since then.

    ``action`` in any case; ``text`` is a part of ticket, subject, username or content, where SQLite takes an ASCII
    letter in any case (https://www.sqlite.org/lang_expr.html#like), and of which the first ``LONGEST_TEXT``
    characters count. ``before``: those with a lower id, for the next page.
    """

    state: State | None = None
    webhook: str | None = None
    ticket: str | None = None
    since: datetime | None = None
    ids: Sequence[int] | None = None
    limit: int | None = 50
    action: str | None = None
    text: str | None = None
    before: int | None = None

    @property
    def below(self) -> int:
        """What every id is lower than."""
        return NEWEST if self.before is None else min(max(self.before, 0), NEWEST)

    def conditions(self) -> Iterator[str]:
        """Each as SQL, whose ``:names`` are in ``values``."""
        if self.state is not None:
            yield f"d.state = '{State(self.state)}'"  # spelled out, as only then a partial index is used
        if self.webhook is not None:
            yield "d.webhook = :webhook"
        if self.before is not None:
            yield "d.id < :before"
        if self.ids is not None:
            yield "d.id IN (SELECT value FROM json_each(:ids))"
        if self.ticket is not None:
            yield _HAS_TICKET if self.ticket else "e.ticket = ''"
        if self.since is not None:
            yield "e.received_at >= :since"
        if self.action is not None:
            yield "e.action = :action COLLATE NOCASE"
        if self.text:
            yield _SAYS

    def values(self) -> dict[str, object]:
        """What the ``:names`` of ``conditions`` stand for."""
        text = rows.text(self.text or "")[:LONGEST_TEXT]
        return {
            "webhook": rows.text(self.webhook or ""),
            "before": self.below,
            "ids": json.dumps(list(self.ids or ())),
            "ticket": rows.text(self.ticket or ""),
            "since": rows.seconds(self.since),
            "action": rows.text(self.action or ""),
            "text": _pattern(text),
            "told": _pattern(json.dumps(text)[1:-1]),
        }


def _pattern(part: str) -> str:
    """For ``LIKE … ESCAPE '\\'``: whatever has ``part`` in it."""
    literal = re.sub(r"[%_\\]", r"\\\g<0>", part)
    return f"%{literal}%"


@contextmanager
def look(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for which time stands still. ``StoreError`` says what is wrong with the store."""
    with closing(connect_to_read(path)) as connection:
        try:
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as error:
            raise StoreError(f"{path}: the store cannot be read: {error}") from None


def list_deliveries(path: Path, wanted: Filter) -> list[Listed]:
    """The newest deliveries of the store at ``path`` first."""
    asked = " AND ".join(wanted.conditions())
    where = f" WHERE {asked}" if asked else ""
    limit = -1 if wanted.limit is None else wanted.limit
    with look(path) as connection:
        found = connection.execute(
            f"{_QUERY}{where} ORDER BY d.id DESC LIMIT :limit", {**wanted.values(), "limit": limit}
        ).fetchall()
    return [_listed(row) for row in found]


def find_ids(path: Path, wanted: Filter) -> list[int]:
    """Every delivery that is ``wanted``, whatever its limit says, the oldest first."""
    asked = " AND ".join(wanted.conditions())
    where = f" WHERE {asked}" if asked else ""
    query = f"SELECT d.id FROM delivery d JOIN event e ON e.seq = d.event{where} ORDER BY d.id"
    with look(path) as connection:
        return [number for (number,) in connection.execute(query, wanted.values())]


def _listed(row: rows.Row) -> Listed:
    received_at, attempted_at, detail = row[rows.DELIVERY_COLUMNS : rows.DELIVERY_COLUMNS + 3]
    return Listed(
        rows.delivery(row), datetime.fromtimestamp(received_at, UTC), rows.moment(attempted_at), detail or ""
    )


def list_troubles(path: Path) -> dict[str, Destination]:
    """How each destination fares that is not simply active, by its id."""
    with look(path) as connection:
        return read_destinations(connection)


def read_destinations(connection: sqlite3.Connection) -> dict[str, Destination]:
    """See ``Store.destinations``."""
    found = connection.execute(
        "SELECT id, until, reason, paused, failures, refusals, last_failed FROM destination"
    )
    return {row[0]: rows.destination(row[1:]) for row in found}


_COUNT = "SELECT webhook, count(*), min(id) FROM delivery WHERE state = '{}' GROUP BY webhook"


def count_backlog(path: Path) -> Mapping[str, Backlog]:
    """See ``Store.backlog``. Only the partial indexes are read: finished rows cost it nothing."""
    counts = defaultdict[str, dict[str, int]](dict)
    oldest = dict[str, int]()
    with look(path) as connection:
        for state in (State.READY, State.SENDING, State.HELD, State.DEAD):
            for webhook, count, first in connection.execute(_COUNT.format(state)):
                counts[webhook][state] = count
                if state is not State.DEAD:
                    oldest[webhook] = min(first, oldest.get(webhook, first))
        came = {webhook: _received_at(connection, number) for webhook, number in oldest.items()}
    return {webhook: Backlog(**count, oldest_at=came.get(webhook)) for webhook, count in counts.items()}


def _received_at(connection: sqlite3.Connection, number: int) -> datetime | None:
    row = connection.execute(
        "SELECT e.received_at FROM delivery d JOIN event e ON e.seq = d.event WHERE d.id = ?", (number,)
    ).fetchone()
    return rows.moment(row[0]) if row else None


def back_up(path: Path, target: Path) -> None:
    """Write a consistent copy of the store at ``path`` to ``target``, which must not exist yet.

    It appears there whole or not at all, and it is private.
    """
    part = target.with_name(f"{target.name}.part")
    with closing(connect_to_read(path, older=True)) as connection:
        try:
            if target.exists():
                raise StoreError(f"{target}: exists already; name a new file")
            part.unlink(missing_ok=True)
            part.touch(0o600)
            # It forbids to write the copy, too; the store stays read-only.
            connection.execute("PRAGMA query_only = OFF")
            connection.execute("VACUUM INTO ?", (str(part),))
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(target)
        except (OSError, sqlite3.Error) as error:
            with suppress(OSError):
                part.unlink()
            raise StoreError(f"{target}: the copy cannot be written: {error}") from None
