"""Nothing is lost: the real server under faults, judged from outside. The long forms: ``python -m tests.faults``."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from tests.faults.__main__ import HEADING, main
from tests.faults.crash import backlog_run, kill_run, stop_run
from tests.faults.disks import may_trace
from tests.faults.recorder import Manner
from tests.faults.rig import Hook, Rig
from tests.faults.scenarios import SCENARIOS, pressed

READY_WITHIN = 4
"""Times a start on an empty store: until it accepts, and until the first delivery, whatever waits. For seconds there is
``bench/engine.py restart``."""


def test_kill_9_at_any_instant_loses_nothing_and_doubles_only_what_was_in_flight(tmp_path: Path) -> None:
    kills = 25
    run = kill_run(tmp_path, kills=kills, seed=20, rate=120)
    assert run.judgement.violations == []
    assert sum(run.in_flight) >= kills, "the kills met an idle server"
    assert run.judgement.figures["accepted"] >= kills
    empty, *others = run.starts
    assert statistics.median(others) <= READY_WITHIN * empty  # other work may slow one of them


@pytest.mark.parametrize("kind", ["once", "twice", "hung"])
def test_a_stop_under_load_ends_in_time_and_loses_nothing(kind: str, tmp_path: Path) -> None:
    run = stop_run(tmp_path, seed=7, twice=kind == "twice", hung=kind == "hung")
    assert run.judgement.violations == []
    assert run.judgement.figures["doubled"] == (kind == "hung")


def test_without_a_fault_there_is_not_one_double(tmp_path: Path) -> None:
    with Rig(
        tmp_path, {"all": Hook(), "some": Hook(department="d0"), "slow": Hook(Manner(latency=0.05))}
    ) as rig:
        served = rig.serve()
        rig.post(rate=None, tickets=16, each=25).finish()
        rig.drain()
        assert served.end() == 0
        judgement = rig.verdict()
    assert judgement.violations == []
    figures = judgement.figures
    assert (figures["accepted"], figures["doubled"], figures["marked"]) == (400, 0, 0)
    assert figures["requests"] == figures["delivered"] > 800


@pytest.mark.parametrize("name", ["rough", "traced", "full"])
def test_the_server_passes_what_its_mutants_fail(name: str, tmp_path: Path) -> None:
    if name == "traced" and not may_trace():
        pytest.skip("system calls cannot be traced here")
    assert SCENARIOS[name](tmp_path).violations == []


@pytest.mark.parametrize("priority", ["", "High"], ids=["to be completed", "complete"])
def test_a_crowd_that_cannot_be_taken_is_told_so_at_once(priority: str, tmp_path: Path) -> None:
    judgement = pressed(tmp_path, priority=priority)
    assert judgement.violations == []
    assert judgement.figures["refused"] > 0


def test_a_start_with_100_000_waiting_deliveries_is_quick(tmp_path: Path) -> None:
    run = backlog_run(tmp_path, rows=100_000)
    assert run.figures["start s"] <= READY_WITHIN * run.starts[0]
    assert run.figures["first delivery s"] <= READY_WITHIN * run.starts[0]
    assert run.judgement.figures["accepted"] == 80


def test_the_long_tier_replaces_its_section_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text(f"# Proof\n\n{HEADING}\n\nlong ago\n\n## More\n", "utf-8")
    words = [
        "--only",
        "kills",
        "soak",
        "--kills",
        "2",
        "--minutes",
        "0.05",
        "--seed",
        "9",
        "--write",
        str(page),
    ]
    assert main(words) == 0
    text = page.read_text("utf-8")
    assert "long ago" not in text
    assert text.startswith(f"# Proof\n\n{HEADING}\n")
    assert text.endswith("\n## More\n")
    assert "| kills | 2 kills," in text
