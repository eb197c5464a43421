"""What the judge looks at: the files of the client and of the sinks, and the database, read as they lie there."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOKEN = re.compile(rb"tok\w+?end")


@dataclass(frozen=True)
class Told:
    """What only the caller knows.

    ``webhooks``: the path at the sinks of each. ``routes``: the webhooks that an event of each route is meant for.
    ``faults``: how often the process died or an answer got lost; ``in_flight``: what was in flight then, in all;
    ``caught``: the ids of those rows, as often as it happened to each, where they are known.
    ``may_die``: webhooks whose sink refuses messages; ``may_wait``: whose rows may stay. ``drained``: everything
    else has ended. ``first_wait``: seconds that a failed sink is left alone. ``most_waiting``: events that may have
    waited for their answer at ``stalled_at``, when nothing could be stored for a while.
    """

    webhooks: Mapping[str, str]
    routes: Mapping[str, Sequence[str]]
    faults: int = 0
    in_flight: int = 0
    caught: Sequence[int] | None = None
    may_die: Sequence[str] = ()
    may_wait: Sequence[str] = ()
    drained: bool = True
    canaries: Sequence[str] = ()
    first_wait: float = 0.0
    most_waiting: int = 0
    stalled_at: float = 0.0


@dataclass(slots=True)
class Sent:
    """A line of the client."""

    fate: str
    token: str
    source: str
    ticket: str
    seq: int
    route: str
    key: str | None
    sha256: str
    sent_at: float
    at: float
    id: str | None = None
    status: int = 0
    retry_after: str | None = None


@dataclass(slots=True)
class Request:
    """A line of a sink; ``order`` counts the lines."""

    order: int
    at: float
    path: str
    tokens: Sequence[str]
    taken: bool
    status: int
    retry_after: float | None


@dataclass(slots=True)
class Row:
    """A delivery, and the outcomes of its attempts."""

    id: int
    token: str
    webhook: str
    state: str
    attempts: int
    reason: str
    marked: bool
    replays: int
    gap: bool
    ended: bool
    tries: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return f"delivery {self.id} ({self.state}) of {self.token} to {self.webhook}"


@dataclass(slots=True)
class Stored:
    """An event in the database."""

    id: str
    token: str
    source: str
    key: str | None
    sha256: str
    rows: dict[str, list[Row]] = field(default_factory=dict)


@dataclass
class Evidence:
    """Everything, by what it is looked up by."""

    sent: dict[str, Sent]
    requests: list[Request]
    events: dict[str, Stored]
    log: str = ""
    leaks: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.rows = [row for event in self.events.values() for rows in event.rows.values() for row in rows]
        self.seen = defaultdict[tuple[str, str], list[Request]](list)
        for request in self.requests:
            for token in request.tokens:
                self.seen[request.path, token].append(request)

    def taken(self, path: str, token: str) -> list[Request]:
        """The requests with ``token`` that the sink kept."""
        return [request for request in self.seen.get((path, token), ()) if request.taken]


def _leaks(told: Told, db: Path, texts: Mapping[str, bytes]) -> Iterator[str]:
    files = {path.name: path.read_bytes() for path in db.parent.glob(f"{db.name}*") if path.is_file()}
    for name, content in {**files, **texts}.items():
        for canary in told.canaries:
            if (place := content.find(canary.encode())) >= 0:
                yield f"I7 secret: {canary} is in {name}, at byte {place}"


def gather(
    told: Told, acks: Sequence[Path], sinks: Sequence[Path], db: Path, logs: Sequence[Path]
) -> Evidence:
    sent = [_sent(line) for line in _lines(acks)]
    lines = list(_lines(sinks))
    received = "\n".join(f"{line.get('headers')} {line.get('body')}" for line in lines)
    log = "\n".join(path.read_text("utf-8") for path in logs)
    with closing(open_db(db)) as connection:
        events = _stored(connection)
    return Evidence(
        sent={each.token: each for each in sent},
        requests=[_request(order, line) for order, line in enumerate(lines)],
        events=events,
        log=log,
        leaks=list(_leaks(told, db, {"the log": log.encode(), "what the sinks got": received.encode()})),
    )


def _lines(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _sent(line: Mapping[str, Any]) -> Sent:
    return Sent(**{name: line[name] for name in Sent.__slots__ if name in line})


def _request(order: int, line: Mapping[str, Any]) -> Request:
    status = int(line.get("status", 200))
    taken = bool(line.get("taken", 200 <= status < 300))
    wait = line.get("retry_after")
    return Request(
        order, line["at"], line["path"], line["tokens"], taken, status, float(wait) if wait else None
    )


def open_db(db: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{db.absolute().as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def _stored(connection: sqlite3.Connection) -> dict[str, Stored]:
    by_seq = {}
    for event in connection.execute("SELECT seq, id, source, idempotency_key, raw FROM event"):
        token = TOKEN.search(event["raw"])
        digest = hashlib.sha256(event["raw"]).hexdigest()
        by_seq[event["seq"]] = Stored(
            event["id"], token[0].decode() if token else "", event["source"], event["idempotency_key"], digest
        )
    by_id = {}
    for row in connection.execute("SELECT * FROM delivery ORDER BY id"):
        if event := by_seq.get(row["event"]):  # else its reference is broken, which is found elsewhere
            by_id[row["id"]] = delivery = _row(row, event.token)
            event.rows.setdefault(row["webhook"], []).append(delivery)
    for number, outcome in connection.execute("SELECT delivery, outcome FROM attempt"):
        if number in by_id:
            by_id[number].tries[outcome] += 1
    return {event.id: event for event in by_seq.values()}


def _row(row: sqlite3.Row, token: str) -> Row:
    return Row(
        id=row["id"],
        token=token,
        webhook=row["webhook"],
        state=row["state"],
        attempts=row["attempts"],
        reason=row["reason"],
        marked=bool(row["maybe_duplicate"]),
        replays=row["replays"],
        gap=bool(row["gap"]),
        ended=row["ended_at"] is not None,
    )
