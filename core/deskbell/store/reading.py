"""Look-ups for people, on a connection that cannot write: safe beside a running server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deskbell.delivery import State
from deskbell.errors import StoreError

from . import Listed, rows
from .database import connect_to_read

_QUERY = (
    f"SELECT {rows.DELIVERY}, e.received_at, a.started_at, a.detail"  # noqa: S608 - constants of rows.py
    " FROM delivery d JOIN event e ON e.seq = d.event"
    " LEFT JOIN attempt a ON a.id = (SELECT max(id) FROM attempt WHERE delivery = d.id)"
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deliveries to list; what is None asks for nothing."""

    state: State | None = None
    webhook: str | None = None
    ticket: str | None = None
    limit: int = 50


def list_deliveries(path: Path, wanted: Filter) -> list[Listed]:
    """The newest deliveries of the store at ``path`` first."""
    conditions = {"d.state": wanted.state, "d.webhook": wanted.webhook, "e.ticket": wanted.ticket}
    asked = {column: value for column, value in conditions.items() if value is not None}
    where = f" WHERE {' AND '.join(f'{column} = ?' for column in asked)}" if asked else ""
    with closing(connect_to_read(path)) as connection:
        try:
            found = connection.execute(
                f"{_QUERY}{where} ORDER BY d.id DESC LIMIT ?",
                (*asked.values(), wanted.limit),
            ).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{path}: the store cannot be read: {error}") from None
    return [_listed(row) for row in found]


def _listed(row: rows.Row) -> Listed:
    received_at, attempted_at, detail = row[15:18]
    return Listed(
        rows.delivery(row), datetime.fromtimestamp(received_at, UTC), rows.moment(attempted_at), detail or ""
    )
