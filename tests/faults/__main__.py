"""The long tier of the proof, in one command: ``python -m tests.faults --seed 1 --kills 1000 --minutes 60``.

It prints a section for docs/reliability.md, and with ``--write FILE`` puts it there. Exit code 1: something was violated.
Needs Linux; ``strace`` and root for some parts, which say so when they cannot run.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.crash import Run, backlog_run, kill_run, stop_run
from tests.faults.disks import may_mount, may_trace
from tests.faults.mutants import MUTANTS
from tests.faults.rig import ROOT
from tests.faults.scenarios import SCENARIOS
from tests.faults.soak import soak_run

HEADING = "## The last run of the long tier"
KILLS_IN_ONE_STORE = 100
STOPS = 50
DISKS = 8
BACKLOG = 100_000
SHOWN = 20
"""Violations of a part that the page shows."""


@dataclass
class Result:
    """What a part came to."""

    said: str
    violations: Sequence[str] = ()
    seconds: float = field(default=0.0)


Part = Callable[[argparse.Namespace, Path], Result]


def kills(asked: argparse.Namespace, folder: Path) -> Result:
    """Kill -9 at random instants, a new store every hundred kills."""
    runs = []
    for number, count in enumerate(_portions(asked.kills, KILLS_IN_ONE_STORE)):
        runs.append(kill_run(folder / str(number), kills=count, seed=asked.seed + number, rate=120))
        if not runs[-1].judgement.violations:
            shutil.rmtree(folder / str(number))  # a thousand kills would fill the disk
        _tell(f"{count} kills of seed {asked.seed + number}: {len(runs[-1].judgement.violations)} violations")
    starts = sorted(start for run in runs for start in run.starts)
    in_flight = [count for run in runs for count in run.in_flight]
    said = (
        f"{len(in_flight)} kills, {sum(in_flight)} deliveries in flight at them; {_sums(runs)}; start to accepting"
        f" median {starts[len(starts) // 2]:.2f} s, longest {starts[-1]:.2f} s"
    )
    return Result(said, _violations(runs))


def stops(asked: argparse.Namespace, folder: Path) -> Result:
    """SIGTERM under load: once, twice, and with a sink that never answers."""
    chance, runs = random.Random(asked.seed), []
    for number in range(STOPS):
        kind = chance.choice(("once", "once", "twice", "twice", "hung"))
        runs.append(
            stop_run(
                folder / str(number), seed=asked.seed + number, twice=kind == "twice", hung=kind == "hung"
            )
        )
    slowest = max(run.figures["stop s"] for run in runs)
    return Result(f"{STOPS} stops; {_sums(runs)}; the longest took {slowest:.1f} s", _violations(runs))


def backlog(_: argparse.Namespace, folder: Path) -> Result:
    """A start with much waiting."""
    run = backlog_run(folder, rows=BACKLOG)
    return Result(f"{BACKLOG:,} deliveries waiting: {_named(run.figures)}", run.judgement.violations)


def soak(asked: argparse.Namespace, folder: Path) -> Result:
    """A steady load."""
    run = soak_run(folder, minutes=asked.minutes, seed=asked.seed)
    return Result(f"{asked.minutes:g} min; {_sums([run])}; {_named(run.figures)}", run.judgement.violations)


def mutants(asked: argparse.Namespace, folder: Path) -> Result:
    """The judge itself: every seeded defect must be found."""
    missed = []
    for name, mutant in MUTANTS.items():
        command = ("-m", "tests.faults.mutants", name)
        found = SCENARIOS[mutant.scenario](folder / name, command, seed=asked.seed).violations
        if not {line.split()[0] for line in found} & set(mutant.caught_by):
            missed.append(f"the mutant {name} was not found")
    return Result(f"{len(MUTANTS) - len(missed)} of {len(MUTANTS)} seeded defects found", missed)


def syscalls(asked: argparse.Namespace, folder: Path) -> Result:
    """Kill -9 at exact system calls."""
    from tests.faults.storage import opening_kills, syscall_kills

    if not may_trace():
        return Result("skipped: it takes Linux, strace, and the right to trace")
    run = syscall_kills(folder / "serving", seed=asked.seed)
    opened = opening_kills(folder / "opening", share=1.0, seed=asked.seed)
    said = f"{_sums([run])}; {_named(run.figures)}; {_named(opened.figures)} while opening"
    return Result(said, [*run.judgement.violations, *opened.judgement.violations])


def power(asked: argparse.Namespace, folder: Path) -> Result:
    """Power cuts, by copies of a file system's image."""
    from tests.faults.storage import power_cuts

    if not may_mount():
        return Result("skipped: it takes Linux and root, to mount an image")
    run = power_cuts(folder, cuts=asked.cuts, seed=asked.seed)
    return Result(f"{asked.cuts} cuts; {_sums([run])}", run.judgement.violations)


def disks(asked: argparse.Namespace, folder: Path) -> Result:
    """A full disk, and one that answers with errors, once and for good."""
    from tests.faults.storage import fail_sync, fail_writes, fill_disk, reach_reserve

    if not (may_mount() and may_trace()):
        return Result("skipped: it takes Linux, root and strace")
    runs = []
    for number in range(DISKS):
        place, seed = folder / str(number), asked.seed + number
        place.mkdir()
        runs.append(fill_disk(place / "full", seed=seed))
        runs.append(reach_reserve(place / "reserve", seed=seed))
        for forever in (False, True):
            runs.append(fail_writes(place / f"writes {forever}", forever=forever, seed=seed))
            runs.append(fail_sync(place / f"sync {forever}", forever=forever, seed=seed))
    slowest = max(run.figures.get("recovery s", 0) for run in runs)
    return Result(
        f"{len(runs)} faults; {_sums(runs)}; the slowest recovery took {slowest:g} s", _violations(runs)
    )


def sinks(_: argparse.Namespace, folder: Path) -> Result:
    """The table of sink faults in its long form."""
    test = "tests/faults/test_sink_table.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}", test]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "DESKBELL_TIER": "R"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ran.stdout.strip().splitlines() or ["no answer"]
    return Result(
        lines[-1], [line for line in lines if line.startswith(("FAILED", "ERROR"))] if ran.returncode else []
    )


PARTS: Mapping[str, Part] = {
    part.__name__: part for part in (kills, stops, syscalls, power, disks, backlog, sinks, soak, mutants)
}


def _portions(total: int, most: int) -> Iterator[int]:
    while total > 0:
        yield min(total, most)
        total -= most


def _sums(runs: Sequence[Run]) -> str:
    """Of all runs together."""
    total = sum((Counter(run.judgement.figures) for run in runs), Counter[str]())
    return ", ".join(
        f"{total[name]:,} {name}" for name in ("accepted", "delivered", "doubled", "marked", "unknown")
    )


def _violations(runs: Sequence[Run]) -> list[str]:
    return [line for run in runs for line in run.judgement.violations]


def _named(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _run(name: str, asked: argparse.Namespace) -> Result:
    """Run a part; its files stay where something is wrong."""
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix=f"deskbell-{name}-"))
    try:
        result = PARTS[name](asked, folder)
    except Exception as error:  # noqa: BLE001 - the other parts still have something to tell
        result = Result("broke off", [f"{type(error).__name__}: {error}"])
    result.seconds = time.monotonic() - began
    _tell(f"{name}: {result.said}; {len(result.violations)} violations")
    if result.violations:
        _tell(f"{name}: the evidence is in {folder}")
    else:
        shutil.rmtree(folder)
    return result


def section(asked: argparse.Namespace, results: Mapping[str, Result]) -> str:
    """The results as Markdown."""
    machine = (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release().partition('-')[0]},"
        f" Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    rows = [
        f"| {name} | {result.said} | {len(result.violations)} | {result.seconds:.0f} s |"
        for name, result in results.items()
    ]
    faults = [f"- {name}: {line}" for name, result in results.items() for line in result.violations[:SHOWN]]
    return "\n".join(
        [
            HEADING,
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, seed {asked.seed}, {machine}:",
            f"`python -m tests.faults {' '.join(asked.words)}`.",
            "",
            "| part | figures | violations | took |",
            "|---|---|---|---|",
            *rows,
            *(["", *faults] if faults else []),
            "",
        ]
    )


def write(page: Path, text: str) -> None:
    """Put ``text`` in the place of the page's last such section, or at its end."""
    before = page.read_text("utf-8") if page.exists() else "# Nothing is ever lost: the proof\n"
    head, _, rest = before.partition(f"{HEADING}\n")
    following = re.search(r"^## ", rest, re.MULTILINE)
    page.write_text(f"{head.rstrip()}\n\n{text}{rest[following.start() :] if following else ''}", "utf-8")


def main(words: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=100, help="of the power")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the soak")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="put the section there: docs/reliability.md"
    )
    asked = parser.parse_args(words, argparse.Namespace(words=words))
    results = dict[str, Result]()
    for name in asked.only:
        results[name] = _run(name, asked)
    text = section(asked, results)
    sys.stdout.write(text)
    if asked.write:
        write(asked.write, text)
    return 1 if any(result.violations for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
