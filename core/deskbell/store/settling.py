"""What becomes of deliveries: settled, given back, replayed, held, freed; and how their destinations fare."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from deskbell.delivery import (
    Attempt,
    Delivery,
    Destination,
    State,
    hold,
    may_replay,
    replay,
)

from . import SERVICE, Replayed, rows

_ACTIVE = Destination()
_UPDATE = (
    "UPDATE delivery SET state = ?, attempts = ?, setbacks = ?, reason = ?, receipt = ?, next_at = ?,"
    " maybe_duplicate = ?, replays = ?, due_from = ?, ended_at = ? WHERE id = ? AND state = ? AND attempts = ?"
)
_RENEW = "UPDATE delivery SET state = 'ready', due_from = ?, setbacks = 0, next_at = NULL"
_BY_ID = f"SELECT {rows.DELIVERY} FROM delivery d JOIN event e ON e.seq = d.event WHERE d.id = ?"
_IN = "IN (SELECT value FROM json_each(?))"


def settle(
    connection: sqlite3.Connection, delivery: Delivery, *, attempts: int, was: State = State.SENDING
) -> bool:
    """Write ``delivery`` over its row, if that still is as it ``was`` after so many attempts: not claimed since."""
    cursor = connection.execute(
        _UPDATE,
        (delivery.state, delivery.attempts, delivery.setbacks, rows.text(delivery.reason),
         rows.text(delivery.receipt), rows.seconds(delivery.next_at), delivery.maybe_duplicate, delivery.replays,
         rows.seconds(delivery.due_from), rows.seconds(delivery.ended_at), delivery.id, was, attempts),
    )  # fmt: skip
    return cursor.rowcount == 1


def keep(connection: sqlite3.Connection, attempt: Attempt) -> None:
    """Note an attempt."""
    connection.execute(
        "INSERT INTO attempt (delivery, number, started_at, seconds, outcome, detail, payload)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (attempt.delivery_id, attempt.number, attempt.started_at.timestamp(), attempt.seconds,
         type(attempt.outcome).__name__, rows.text(attempt.outcome.detail), rows.text(attempt.payload)),
    )  # fmt: skip


def remember(connection: sqlite3.Connection, identity: str, destination: Destination) -> None:
    """Note how a destination fares; that it is simply active needs no row."""
    if destination == _ACTIVE:
        connection.execute("DELETE FROM destination WHERE id = ?", (identity,))
        return
    connection.execute(
        "INSERT OR REPLACE INTO destination (id, until, reason, paused, failures, refusals, last_failed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (identity, rows.seconds(destination.until), rows.text(destination.reason), destination.paused,
         destination.failures, destination.refusals, destination.last_failed),
    )  # fmt: skip


def recover(connection: sqlite3.Connection, webhooks: Sequence[str] | None) -> int:
    """``delivery.recover`` on every row at once."""
    some = "" if webhooks is None else f" AND webhook {_IN}"
    return connection.execute(
        f"UPDATE delivery SET state = 'ready', maybe_duplicate = 1 WHERE state = 'sending'{some}",
        () if webhooks is None else (json.dumps(list(webhooks)),),
    ).rowcount


def adopt(connection: sqlite3.Connection, destinations: Mapping[str, str], now: datetime) -> int:
    """See ``Store.adopt``: ``delivery.hold`` and ``delivery.renew`` on many rows at once."""
    before = dict(connection.execute("SELECT name, destination FROM webhook").fetchall())
    moved = [name for name, place in destinations.items() if before.get(name, place) != place]
    names, places = json.dumps(list(destinations)), json.dumps(list(destinations.values()))
    at = now.timestamp()
    connection.execute(
        f"UPDATE delivery SET state = 'held' WHERE state = 'ready' AND webhook NOT {_IN}", (names,)
    )
    connection.execute(f"{_RENEW} WHERE state = 'held' AND webhook {_IN}", (at, names))
    connection.execute(f"{_RENEW} WHERE state = 'ready' AND webhook {_IN}", (at, json.dumps(moved)))
    connection.execute("DELETE FROM webhook")
    connection.executemany(
        "INSERT INTO webhook (name, destination) VALUES (?, ?)", list(destinations.items())
    )
    connection.execute(
        f"DELETE FROM destination WHERE id NOT LIKE '{SERVICE}%' AND id NOT {_IN}",
        (places,),
    )
    return int(connection.execute("SELECT count(*) FROM delivery WHERE state = 'held'").fetchone()[0])


def resume(connection: sqlite3.Connection, destination: str, webhooks: Sequence[str], now: datetime) -> None:
    """See ``Store.resume``: ``delivery.renew`` on many rows at once."""
    connection.execute("DELETE FROM destination WHERE id = ?", (destination,))
    connection.execute(
        f"{_RENEW} WHERE state = 'ready' AND webhook {_IN}", (now.timestamp(), json.dumps(list(webhooks)))
    )


def replay_all(
    connection: sqlite3.Connection, ids: Sequence[int], now: datetime, state: State | None
) -> Replayed:
    """See ``Store.replay``."""
    known = {name for (name,) in connection.execute("SELECT name FROM webhook")}
    again, webhooks, refused = list[int](), set[str](), dict[int, str]()
    for number in dict.fromkeys(ids):
        row = connection.execute(_BY_ID, (number,)).fetchone()
        if row is None:
            refused[number] = "there is no such delivery"
            continue
        delivery = rows.delivery(row)
        if not may_replay(delivery.state):
            refused[number] = f"it is {delivery.state}, and has not ended"
            continue
        if state not in (None, delivery.state):
            refused[number] = f"it is {delivery.state}, and not {state} any more"
            continue
        fresh = replay(delivery, now=now)
        settle(
            connection,
            fresh if delivery.webhook in known else hold(fresh),
            attempts=delivery.attempts,
            was=delivery.state,
        )
        again.append(number)
        webhooks.add(delivery.webhook)
    return Replayed(tuple(again), frozenset(webhooks), refused)
