"""A steady load for minutes: nothing may grow that need not."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.crash import Run
from tests.faults.evidence import Told, gather
from tests.faults.oracle import Judgement
from tests.faults.rig import Hook, Rig

RATE = 200.0
"""Events per second, each for three destinations."""
EVERY = 1.0
"""Seconds between two looks at the process."""
WARM = 2.0
"""Minutes: in a shorter run memory still grows for good reasons."""
MORE_MEMORY, MORE_DESCRIPTORS, MORE_THREADS = 1.05, 5, 2
MOST_LOG = 64.0
"""MiB of the write-ahead log."""
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Look:
    """What the process holds: memory and write-ahead log in MiB."""

    memory: float
    log: float
    descriptors: int
    threads: int


def soak_run(folder: Path, *, minutes: float, seed: int) -> Run:
    """Load for ``minutes``, then the judgement, with what grew in it; and how long everything took."""
    hooks = {name: Hook() for name in ("first", "second", "third")}
    with Rig(folder, hooks, seed=seed) as rig:
        served = rig.serve()
        load = rig.post(rate=RATE, tickets=32)
        looks, until = list[Look](), time.monotonic() + minutes * 60
        while time.monotonic() < until:
            time.sleep(EVERY)  # so often it is looked at
            looks.append(_look(served.process.pid, rig.db))
        load.stop()
        rig.drain()
        served.end()
        judgement = rig.verdict()
        times = _times(rig.told, rig)
    grown = _grown(looks) if minutes >= WARM else []
    figures = {
        **times,
        "MiB at first": _median([look.memory for look in _fifth(looks, 1)]),
        "MiB at last": _median([look.memory for look in _fifth(looks, 4)]),
        "MiB of write-ahead log, most": max(look.log for look in looks),
        "descriptors at last": looks[-1].descriptors,
        "threads at last": looks[-1].threads,
    }
    return Run(Judgement([*judgement.violations, *grown], judgement.figures), rig.starts, figures=figures)


def _look(pid: int, db: Path) -> Look:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines())
    log = db.with_name(f"{db.name}-wal").stat().st_size / MEBIBYTE
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Look(int(status["VmRSS"].split()[0]) / 1024, log, descriptors, int(status["Threads"]))


def _fifth(looks: Sequence[Look], number: int) -> Sequence[Look]:
    return looks[len(looks) * number // 5 : max(1, len(looks) * (number + 1) // 5)] or looks


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _grown(looks: Sequence[Look]) -> list[str]:
    early, late = _fifth(looks, 1), _fifth(looks, 4)
    memory = _median([look.memory for look in late]) / _median([look.memory for look in early])
    descriptors = _median([look.descriptors for look in late]) - _median([look.descriptors for look in early])
    threads = _median([look.threads for look in late]) - _median([look.threads for look in early])
    return [
        *([f"L1 memory grew by {memory - 1:.0%}"] if memory > MORE_MEMORY else []),
        *([f"L1 {descriptors:g} more files are open"] if descriptors > MORE_DESCRIPTORS else []),
        *([f"L1 {threads:g} more threads run"] if threads > MORE_THREADS else []),
        *([f"L1 the write-ahead log has {look.log:.0f} MiB" for look in late if look.log > MOST_LOG][:1]),
    ]


def _times(told: Told, rig: Rig) -> Mapping[str, float]:
    """Milliseconds from the request to its 202, and to the sink."""
    found = gather(told, [rig.acks], [rig.seen], rig.db, [])
    accepted = [sent for sent in found.sent.values() if sent.fate == "accepted"]
    answers = [sent.at - sent.sent_at for sent in accepted]
    arrivals = [
        requests[0].at - found.sent[token].sent_at for (_, token), requests in found.seen.items() if requests
    ]
    return {
        "202 p50 ms": _percentile(answers, 50),
        "202 p99 ms": _percentile(answers, 99),
        "to the sink p50 ms": _percentile(arrivals, 50),
        "to the sink p99 ms": _percentile(arrivals, 99),
    }


def _percentile(seconds: Sequence[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100)[percent - 1] * 1000
