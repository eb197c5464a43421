"""Short runs, each rough in its own way, that a right server passes and each mutant fails."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.faults.crash import kill_run
from tests.faults.oracle import Judgement
from tests.faults.recorder import Manner
from tests.faults.rig import SERVE, Hook, Rig

RETRY = '    retry: "0.3s, 1s, 5s"\n'
FIRST_WAIT = 0.24
"""Seconds: the first of these waits, less the jitter."""
QUEUE, BATCH = 4096, 512
"""Jobs that may wait for a commit, and those that a commit may carry."""
CROWD, RUSH = 6000, 2.0
"""Events, and in how many seconds they come: they crowd, but do not all come in one turn of the event loop."""
STALL = 2.0
"""Seconds that the crowd waits at most once it is there; the store itself waits 5 s for a lock."""
ROUGH: Mapping[str, Hook] = {
    "slow": Hook(Manner(latency=0.04, skew=1.0)),
    "flaky": Hook(Manner(failing=0.2, resetting=0.1), department="d0", more=RETRY),
    "busy": Hook(Manner(throttling=0.1), department="d1"),
    "picky": Hook(Manner(refusing=0.3), department="d2", may_die=True),
    "gone": Hook(Manner(always=(404, "no_service")), department="d3", may_wait=True),
    "moved": Hook(Manner(always=(302, "")), department="d4", may_wait=True),
}


def rough(folder: Path, command: Sequence[str] = SERVE, *, seed: int = 1) -> Judgement:
    """Sinks that are slow, fail, hang up, throttle, refuse, are gone, and send elsewhere."""
    with Rig(folder, ROUGH, seed=seed, command=command) as rig:
        served = rig.serve()
        load = rig.post(rate=120)
        time.sleep(1.5)  # so long the load lasts
        load.stop()
        rig.drain()
        served.end()
        return rig.verdict(first_wait=FIRST_WAIT, caught=None)  # who hangs up may have taken it


def killed(folder: Path, command: Sequence[str] = SERVE, *, seed: int = 1) -> Judgement:
    """A few kills under much load."""
    return kill_run(folder, kills=3, seed=seed, rate=400, command=command).judgement


def traced(folder: Path, command: Sequence[str] = SERVE, *, seed: int = 1) -> Judgement:
    """A few events, one after the other, with a recording of the system calls."""
    with Rig(folder, {"all": Hook()}, seed=seed, command=command, tracing=True) as rig:
        served = rig.serve()
        rig.post(rate=None, tickets=1, each=20).finish()
        rig.drain()
        served.end()
        return rig.verdict()


def full(folder: Path, command: Sequence[str] = SERVE, *, seed: int = 1) -> Judgement:
    """The disk is full for a while."""
    with Rig(folder, {"all": Hook()}, seed=seed, command=command) as rig:
        served = rig.serve()
        load = rig.post(rate=60)
        rig.wait_until(lambda: load.fates["accepted"])
        with rig.full_disk():
            time.sleep(1.5)  # so long it is full
        accepted = load.fates["accepted"]
        rig.wait_until(lambda: load.fates["accepted"] > accepted)
        load.stop()
        rig.drain()
        served.end()
        return rig.verdict()


def pressed(folder: Path, command: Sequence[str] = SERVE, *, seed: int = 1, **fields: str) -> Judgement:
    """A crowd comes at once while the disk stands still; ``fields`` are added to its events."""
    with Rig(folder, {"d0": Hook(department="d0")}, seed=seed, command=command) as rig:
        served = rig.serve()
        with _lock(rig.db):
            load = rig.post(rate=None, tickets=CROWD, each=1, within=RUSH, departments=["other"], **fields)
            rig.wait_until(lambda: load.posted >= CROWD)
            limit = time.monotonic() + STALL
            rig.wait_until(lambda: load.fates.total() >= CROWD - QUEUE - BATCH or time.monotonic() > limit)
            stalled_at = time.time()
        load.finish()
        served.end()
        return rig.verdict(most_waiting=QUEUE + BATCH, stalled_at=stalled_at)


@contextmanager
def _lock(db: Path) -> Iterator[None]:
    """Another process's transaction, as it would be."""
    with closing(sqlite3.connect(db, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


SCENARIOS: Mapping[str, Callable[..., Judgement]] = {
    scenario.__name__: scenario for scenario in (rough, killed, traced, full, pressed)
}
