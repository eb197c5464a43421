"""The judge: it knows what the client and the sinks wrote down, and the database, and nothing of deskbell.

    python -m tests.faults.oracle --acks acks.jsonl --sinks sinks.jsonl --db deskbell.db --told told.json
        [--faults N --in-flight M] [--log stderr.txt] [--trace strace.txt]

It prints one line for each violation, which names the row, and exits with 1 when there is one.

I1  what was accepted is in the database for every webhook it was meant for, and ended there or waits; what is
    delivered was really seen at the sink
I2  nothing is at a sink, or in the database, that the client did not send; nothing where it was not meant to be
I3  doubles: at most one a fault, in all at most what was in flight at faults; each is marked
I4  each webhook sees the events of a ticket in order; one is missing only if dead, and those behind it tell of the gap
I5  the attempts in the database are the requests at the sink; states are legal; nothing is ``sending`` after a stop
I6  the database is sound, and of a version known here
I7  no secret is in the database, in the log or in what a sink got
I8  the log tells of no defect
I9  who refuses, fails or asks to wait is left alone
I10 what cannot be taken is refused in the right words; what waits for its answer is bounded
I11 between a request and its 202 the disk confirms (``durability.py``)
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from tests.faults.durability import unsynced
from tests.faults.evidence import Evidence, Request, Row, Sent, Told, gather, open_db

SCHEMA = 2
"""The ``user_version`` that this program can judge."""
GONE = {*range(300, 400), 401, 403, 404, 410}
MOST_REFUSALS = 3
CLOCKS = 0.05
"""Seconds by which times of two processes may differ."""
DEFECTS = re.compile(
    "Traceback|Task was destroyed|never awaited|ResourceWarning|blocked|loop is held up|settled by somebody else"
)
COUNTED = ("Delivered", "TemporaryFailure", "PermanentFailure")
"""Outcomes whose attempt counts; the others give it back."""


@dataclass(frozen=True)
class Judgement:
    """Every violation, a line each; and how many events and deliveries there were of each kind."""

    violations: Sequence[str]
    figures: Mapping[str, int] = field(default_factory=dict)


def judge(
    told: Told,
    *,
    acks: Sequence[Path],
    sinks: Sequence[Path],
    db: Path,
    logs: Sequence[Path] = (),
    trace: Path | None = None,
) -> Judgement:
    """Hold the three sides of the story against each other."""
    try:
        unsound = list(_unsound(db))
        found = gather(told, acks, sinks, db, logs)
    except sqlite3.Error as error:
        return Judgement([f"I6 {db.name}: cannot be read: {error}"])
    checks = (
        _lost,
        _strange_requests,
        _strange_events,
        _doubled,
        _disordered,
        _miscounted,
        _pressing,
        _careless,
    )
    judged = [line for check in checks for line in check(found, told)]
    late = [f"I11 {line}" for line in unsynced(trace)] if trace else []
    return Judgement([*judged, *unsound, *found.leaks, *_defects(found), *late], _figures(found, told))


def _figures(found: Evidence, told: Told) -> dict[str, int]:
    fates = Counter(sent.fate for sent in found.sent.values())
    states = Counter(row.state for row in found.rows)
    doubles = (len(found.taken(told.webhooks.get(row.webhook, ""), row.token)) - 1 for row in found.rows)
    return {
        **{fate: fates[fate] for fate in ("accepted", "refused", "unknown")},
        **{state: states[state] for state in ("delivered", "dead", "ready")},
        "requests": len(found.requests),
        "doubled": sum(max(0, count) for count in doubles),
        "marked": sum(row.marked for row in found.rows),
    }


def _lost(found: Evidence, told: Told) -> Iterator[str]:
    for sent in found.sent.values():
        if sent.fate != "accepted":
            continue
        event = found.events.get(sent.id or "")
        if event is None:
            yield f"I1 lost: event {sent.id} ({sent.token}, accepted at {sent.at:.3f}) is not in the database"
        elif (event.sha256, event.token) != (sent.sha256, sent.token):
            yield f"I1 changed: event {sent.id} ({sent.token}) is stored with another body"
        else:
            for webhook in told.routes[sent.route]:
                if (count := len(event.rows.get(webhook, ()))) != 1:
                    yield f"I1 lost: event {sent.id} ({sent.token}) has {count} rows for {webhook}"
    for row in found.rows:
        yield from _unended(row, found, told)


def _unended(row: Row, found: Evidence, told: Told) -> Iterator[str]:
    taken = found.taken(told.webhooks.get(row.webhook, ""), row.token)
    match row.state:
        case "delivered" if not taken:
            yield f"I1 false: {row} was never taken by the sink"
        case "dead" if row.webhook not in told.may_die:
            yield f"I1 dead: {row}: {row.reason}"
        case "dead" if not row.reason:
            yield f"I1 silent: {row} has no reason"
        case "ready" | "held" if told.drained and row.webhook not in told.may_wait:
            yield f"I1 stuck: {row} did not end: {row.reason}"


def _strange_requests(found: Evidence, told: Told) -> Iterator[str]:
    meant = {(told.webhooks[name], route) for route, names in told.routes.items() for name in names}
    for request in found.requests:
        for token in request.tokens or [""]:
            sent = found.sent.get(token)
            if sent is None:
                yield f"I2 invented: {request.path} got {token or 'a request without an event'}, which nobody sent"
            elif (request.path, sent.route) not in meant:
                yield f"I2 astray: {request.path} got {token}, which was not meant for it"
            elif sent.fate == "refused" and not told.faults:
                yield f"I2 refused: {request.path} got {token}, which was answered with {sent.status}"


def _strange_events(found: Evidence, told: Told) -> Iterator[str]:
    times = Counter((event.source, event.token) for event in found.events.values())
    for event in found.events.values():
        sent = found.sent.get(event.token)
        if sent is None:
            yield f"I2 invented: event {event.id} ({event.token}) was never sent"
        elif times[event.source, event.token] > 1 or event.key != sent.key:
            count = times[event.source, event.token]
            yield f"I2 doubled: event {event.id} ({event.token}) of key {event.key} stands {count} times"
        elif sent.fate == "refused" and not told.faults:
            yield f"I2 refused: event {event.id} ({event.token}) is stored, and was answered with {sent.status}"
        elif extra := event.rows.keys() - set(told.routes[sent.route]):
            yield f"I2 astray: event {event.id} ({event.token}) has rows for {', '.join(sorted(extra))}"


def _doubled(found: Evidence, told: Told) -> Iterator[str]:
    total, caught = 0, Counter(told.caught)
    for row in found.rows:
        if told.caught is not None and row.marked and not caught[row.id]:
            yield f"I3 marked: {row} says that it may be double, and was never in flight at a fault"
        doubles = len(found.taken(told.webhooks.get(row.webhook, ""), row.token)) - 1
        if doubles < 1 or row.replays:
            continue
        total += doubles
        if doubles > (allowed := told.faults if told.caught is None else caught[row.id]):
            yield f"I3 doubled: {row} was taken {doubles + 1} times, with {allowed} faults"
        elif not row.marked:
            yield f"I3 unmarked: {row} was taken {doubles + 1} times and does not say so"
    if total > told.in_flight:
        yield f"I3 doubled: {total} doubles, and only {told.in_flight} were in flight at the {told.faults} faults"


def _disordered(found: Evidence, told: Told) -> Iterator[str]:
    rows = {(row.webhook, row.token): row for row in found.rows}
    tickets = defaultdict[tuple[str, str], list[Sent]](list)
    for sent in found.sent.values():
        if sent.ticket:
            tickets[sent.source, sent.ticket].append(sent)
    for sequence in tickets.values():
        sequence.sort(key=lambda sent: sent.seq)
        for webhook, path in told.webhooks.items():
            mine = [row for sent in sequence if (row := rows.get((webhook, sent.token)))]
            yield from _out_of_order(mine, found, path)


def _out_of_order(rows: Sequence[Row], found: Evidence, path: str) -> Iterator[str]:
    """``rows`` are one ticket's, in the order of their acceptance."""
    dead, replayed, waiting, last = None, False, None, -1
    for row in rows:
        taken = found.taken(path, row.token)
        if taken and not row.replays:
            if taken[0].order < last:
                yield f"I4 overtaken: {row} arrived before an earlier event of its ticket"
            if waiting:
                yield f"I4 overtaken: {row} arrived, and {waiting} still waits"
            last = max(last, taken[0].order)
        if dead and not row.gap and row.state == "delivered":
            yield f"I4 no gap: {row} does not tell that {dead} is missing"
        if row.gap and not dead and not replayed:
            yield f"I4 false gap: {row} tells of a gap, and no earlier event of its ticket is dead"
        dead = row if row.state == "dead" else dead
        replayed = replayed or bool(row.replays)
        waiting = row if row.state in ("ready", "held") and not row.replays else waiting


def _miscounted(found: Evidence, told: Told) -> Iterator[str]:
    unsaved = uncounted = 0
    for row in found.rows:
        requests = len(found.seen.get((told.webhooks.get(row.webhook, ""), row.token), ()))
        saved, lost = row.tries.total(), row.attempts - sum(row.tries[name] for name in COUNTED)
        if requests < saved - row.tries["TemporaryFailure"]:
            yield f"I5 attempts: {row} claims {saved} attempts, and the sink saw {requests}"
        if lost < 0 or (lost and not row.marked):
            yield f"I5 attempts: {row} counts {row.attempts} and has {dict(row.tries)}, marked: {row.marked}"
        if row.tries["Delivered"] > 1 + row.replays or (
            row.state == "delivered" and not row.tries["Delivered"]
        ):
            yield f"I5 outcome: {row} has {row.tries['Delivered']} attempts that delivered it"
        if row.state == "sending":
            yield f"I5 state: {row} is not in flight: the process has ended"
        if row.ended != (row.state in ("delivered", "dead")):
            yield f"I5 state: {row} has {'an' if row.ended else 'no'} end"
        unsaved += max(0, requests - saved)
        uncounted += max(0, lost)
    if max(unsaved, uncounted) > told.in_flight:
        yield (
            f"I5 attempts: {unsaved} requests at the sinks are not in the database, and {uncounted} attempts have no"
            f" outcome; {told.in_flight} were in flight at faults"
        )


def _pressing(found: Evidence, told: Told) -> Iterator[str]:
    """A sink that is gone is asked a few times; one that failed, or asked to wait, not before its time."""
    by_path = defaultdict[str, list[Request]](list)
    for request in found.requests:
        by_path[request.path].append(request)
    for path, requests in by_path.items():
        refusals = 0
        for request in requests:
            refusals = refusals + 1 if not request.taken and request.status in GONE else 0
            if refusals == MOST_REFUSALS + told.faults + 1:
                yield f"I9 hammered: {path} refused {refusals} times in a row, the last time {request.tokens}"
        early = [
            later
            for before, later in pairwise(requests)
            if not before.taken and later.at - before.at < _wait_after(before, told) - CLOCKS
        ]
        if len(early) > told.in_flight:
            yield f"I9 impatient: {path} was asked too soon {len(early)} times, first with {early[0].tokens}"


def _wait_after(request: Request, told: Told) -> float:
    failed = request.status >= 500 or not request.status
    return request.retry_after or (told.first_wait if failed else 0.0)


def _careless(found: Evidence, told: Told) -> Iterator[str]:
    for sent in found.sent.values():
        if sent.fate == "refused" and not (sent.status in (429, 503) and sent.retry_after):
            yield f"I10 refused: {sent.token} was answered with {sent.status}, Retry-After: {sent.retry_after}"
    waiting = sum(sent.sent_at < told.stalled_at < sent.at for sent in found.sent.values())
    if waiting > told.most_waiting:
        yield f"I10 unbounded: {waiting} events waited for an answer when nothing could be stored"


def _unsound(db: Path) -> Iterator[str]:
    with closing(open_db(db)) as connection:
        for (line,) in connection.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield f"I6 {db.name}: {line}"
        for table, row, *_ in connection.execute("PRAGMA foreign_key_check"):
            yield f"I6 {db.name}: row {row} of {table} points to nothing"
        if (version := connection.execute("PRAGMA user_version").fetchone()[0]) != SCHEMA:
            yield f"I6 {db.name}: is of version {version}"


def _defects(found: Evidence) -> Iterator[str]:
    for line in found.log.splitlines():
        if DEFECTS.search(line):
            yield f"I8 log: {line}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.oracle", description=__doc__.partition("\n")[0]
    )
    for name in ("--acks", "--sinks", "--log"):
        parser.add_argument(name, type=Path, action="append", default=[])
    for name in ("--db", "--told", "--trace"):
        parser.add_argument(name, type=Path, required=name != "--trace")
    for name in ("--faults", "--in-flight"):
        parser.add_argument(name, type=int)
    asked = parser.parse_args(arguments)
    told = Told(**json.loads(asked.told.read_text("utf-8")))
    counts = {"faults": asked.faults, "in_flight": asked.in_flight}
    told = replace(told, **{name: count for name, count in counts.items() if count is not None})
    found = judge(told, acks=asked.acks, sinks=asked.sinks, db=asked.db, logs=asked.log, trace=asked.trace)
    sys.stdout.writelines(f"{line}\n" for line in found.violations)
    sys.stderr.write(", ".join(f"{name} {count}" for name, count in found.figures.items()) + "\n")
    return 1 if found.violations else 0


if __name__ == "__main__":
    sys.exit(main())
