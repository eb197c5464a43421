"""Kill it, stop it, start it with a full store: each run gives its judgement and its figures."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.oracle import Judgement
from tests.faults.recorder import Manner
from tests.faults.rig import SERVE, Hook, Rig

LONGEST_LIFE = 1.0
"""Seconds, at most, between a start and its kill."""
KILLED_AT_START = 0.1
"""The share of kills that come before it listens."""
SHORTEST_START = 0.6
STOP = 25.0
"""Seconds that a stop may take."""
SLOW = Manner(latency=0.3)
FRESH = {"state": "'ready'", "attempts": "0", "receipt": "''", "ended_at": "NULL", "due_from": "unixepoch()"}
"""Columns of a delivery that was just accepted, in SQL."""


def hooks(departments: int = 6, manner: Manner = SLOW) -> dict[str, Hook]:
    """One that gets everything, and one for each department."""
    names = [f"d{number}" for number in range(departments)]
    return {"all": Hook(manner), **{name: Hook(manner, department=name) for name in names}}


@dataclass(frozen=True)
class Run:
    """What a run came to. ``starts``: seconds until each start accepted; ``in_flight``: at each kill."""

    judgement: Judgement
    starts: Sequence[float] = ()
    in_flight: Sequence[int] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


def kill_run(
    folder: Path, *, kills: int, seed: int, rate: float | None = 60.0, command: Sequence[str] = SERVE
) -> Run:
    """Kill -9 at random instants under load, restart, and at the end let it drain."""
    chance = random.Random(seed)
    in_flight = []
    with Rig(folder, hooks(), seed=seed, command=command) as rig:
        rig.serve()
        rig.post(rate=rate, tickets=12)
        for _ in range(kills):
            time.sleep(chance.random() * LONGEST_LIFE)  # the instant is the point
            in_flight.append(rig.kill())
            if chance.random() < KILLED_AT_START:
                rig.spawn()
                time.sleep(chance.random() * SHORTEST_START)  # likewise
                rig.kill()
            rig.serve()
        judgement = _finish(rig)
    lanes = len(rig.hooks)
    crowded = [
        f"I5 lanes: {count} deliveries were in flight, {lanes} lanes have one each"
        for count in in_flight
        if count > lanes
    ]
    return Run(Judgement([*judgement.violations, *crowded], judgement.figures), rig.starts, in_flight)


def stop_run(folder: Path, *, seed: int, twice: bool = False, hung: bool = False) -> Run:
    """SIGTERM at a random instant under load, perhaps twice, perhaps with a sink that never answers; then the rest."""
    chance = random.Random(seed)
    sinks = hooks(4) | ({"hung": Hook(Manner(hanging=True))} if hung else {})
    with Rig(folder, sinks, seed=seed) as rig:
        served = rig.serve()
        rig.post(rate=100)
        time.sleep(0.3 + chance.random())  # the instant is the point
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        if twice:
            time.sleep(chance.random() / 10)  # likewise
            served.process.send_signal(signal.SIGTERM)
        code, took = served.wait(STOP + 5), time.monotonic() - began
        left = rig.ask("SELECT id FROM delivery WHERE state = 'sending'")
        if hung:  # what was in flight there may come twice
            rig.lost_answers = 1
        rig.serve()
        judgement = _finish(rig)
    wrong = [
        *([f"K7 the stop took {took:.1f} s"] if took > STOP else []),
        *([f"K7 the stop ended with {code}"] if code else []),
        *([f"K7 after the stop {left} are in flight"] if left else []),
    ]
    return Run(
        Judgement([*wrong, *judgement.violations], judgement.figures), rig.starts, figures={"stop s": took}
    )


def _finish(rig: Rig) -> Judgement:
    """No more load, sinks that answer at once; then everything must end."""
    assert rig.load
    rig.recorder.calm()
    rig.load.stop()
    rig.drain(120)
    assert rig.served
    code = rig.served.end()
    judgement = rig.verdict()
    return Judgement(
        [*([f"the last stop ended with {code}"] if code else []), *judgement.violations], judgement.figures
    )


def backlog_run(folder: Path, *, rows: int) -> Run:
    """A start with ``rows`` deliveries waiting: the seconds until it accepts, and until it delivers."""
    with Rig(folder, {"all": Hook()}) as rig:
        rig.serve()
        rig.post(tickets=1, each=1).finish()
        rig.drain()
        assert rig.served
        rig.served.end()
        fill(rig.db, rows)
        seen = rig.recorder.arrived.total()
        began = time.monotonic()
        rig.serve()
        rig.wait_until(lambda: rig.recorder.arrived.total() > seen)
        first = time.monotonic() - began
        load = rig.post(rate=50, tickets=4, each=20)
        load.finish()
        rig.kill()
        figures = {"start s": rig.starts[-1], "first delivery s": first, "slowest 202 s": load.slowest}
    return Run(Judgement([], load.fates), rig.starts, figures=figures)


def fill(db: Path, rows: int) -> None:
    """Copy the one event of the store, and its delivery, ``rows`` times, over 1,000 tickets, as if just accepted."""
    with closing(sqlite3.connect(db, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("CREATE TEMP TABLE number AS WITH RECURSIVE count(n) AS"
            " (SELECT 2 UNION ALL SELECT n + 1 FROM count WHERE n <= ?) SELECT n FROM count", (rows,))  # fmt: skip
        for table, key, changed in (
            (
                "event",
                "seq",
                {"seq": "n", "id": "printf('%032x', n)", "idempotency_key": "NULL", "ticket": "n % 1000"},
            ),
            (
                "delivery",
                "id",
                {"id": "n", "event": "n", "order_key": "'shop' || char(10) || n % 1000", **FRESH},
            ),
        ):
            columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(name, name) for name in columns)
            copying = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM number, {table}"  # noqa: S608 - our own words
            database.execute(f"{copying} WHERE {key} = 1")
        database.execute("COMMIT")
