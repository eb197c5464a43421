"""What a store goes through: kills at every system call, power cuts, a full disk, a disk that answers with errors.

Each run is judged from outside (``oracle.py``) and gives its figures. It takes Linux, root and strace: see
``disks.may_mount`` and ``disks.may_trace``.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from tests.faults.crash import Run, hooks
from tests.faults.disks import MIB, Disk, fullness, injected, is_dead, small_disk
from tests.faults.load import Load
from tests.faults.oracle import Judgement
from tests.faults.recorder import Manner
from tests.faults.rig import SERVE, Rig

from deskbell.errors import StoreError
from deskbell.store.database import Database, connect_to_read

CALLS = ("fdatasync", "pwrite64", "write")
"""Those by which a serving process makes things true: on the disk, and at senders and sinks (uvloop writes sockets)."""
OPENING_CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "rename", "unlink")
RECOVERY = 10.0
"""Seconds in which a store recovers by itself once its disk does."""
SMALL, LARGE = 24 * MIB, 1500 * MIB
_ROOMY = 512 * MIB
KEPT = 64 * MIB
"""Bytes of a large disk that are kept for outcomes."""
_QUICK = Manner(latency=0.02)
_ROUNDS = 3
"""How often the events are sent until the call is met."""


def syscall_kills(folder: Path, *, events: int = 20, of_each: int | None = None, seed: int) -> Run:
    """Kill -9 at the k-th call of each kind that ``events`` events take, for ``of_each`` or all k; then the rest.

    ``of_each`` is a number and no share: how many calls there are depends on how many deliveries share a commit.
    """
    with Rig(folder, hooks(2, _QUICK), seed=seed) as rig:
        rig.serve()
        counts = _count_calls(rig, events)
        chosen = _choose(counts, of_each, random.Random(seed))
        met = sum(_kill_at(rig, call, number, events) for call, number in chosen)
        judgement = _finish(rig)
    return Run(
        judgement,
        rig.starts,
        figures={"places": sum(counts.values()), "kills": len(chosen), "met": met, **counts},
    )


def _choose(
    counts: Mapping[str, int], of_each: int | None, chance: random.Random
) -> Sequence[tuple[str, int]]:
    """So many of each kind, for each makes something else true; all of a kind of which there are fewer."""
    return [
        (call, number)
        for call, count in counts.items()
        for number in sorted(
            chance.sample(range(1, count + 1), count if of_each is None else min(of_each, count))
        )
    ]


def _count_calls(rig: Rig, events: int) -> Mapping[str, int]:
    """The most that one thread makes of each: strace counts by thread."""
    assert rig.served
    log = rig.folder / "calls.txt"
    with injected(rig.served.process.pid, f"trace={','.join(CALLS)}", log=log):
        _send(rig, events).join()
        rig.drain()
    found = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text("utf-8", "replace"), re.MULTILINE))
    return {call: max(count for (_, name), count in found.items() if name == call) for call in CALLS}


def _send(rig: Rig, events: int) -> Load:
    """Each has a department that some webhook asks for, so that two webhooks get it, whatever the seed."""
    asked = [hook.department for hook in rig.hooks.values() if hook.department]
    return rig.post(rate=None, tickets=2, each=events // 2, departments=asked)


def _kill_at(rig: Rig, call: str, number: int, events: int) -> bool:
    """True when the process came to that call. It may take more events than were counted: commits are shared."""
    assert rig.served
    process = rig.served.process.pid
    with injected(process, f"trace={call}", f"inject={call}:signal=KILL:when={number}"):
        met = any(_dies_of(rig, process, events) for _ in range(_ROUNDS))
    rig.kill()
    rig.serve()
    rig.wait_until(lambda: rig.load and not rig.load.is_alive())
    return met


def _dies_of(rig: Rig, process: int, events: int) -> bool:
    """Whether it is dead before they are all settled: most calls come after the last answer."""
    load = _send(rig, events)
    rig.wait_until(lambda: is_dead(process) or (not load.is_alive() and rig.is_drained()))
    return is_dead(process)


def _finish(rig: Rig) -> Judgement:
    """No more load, sinks that answer at once; then everything must end."""
    assert rig.load
    rig.recorder.calm()
    rig.load.stop()
    rig.drain(60)
    assert rig.served
    code = rig.served.end()
    judgement = rig.verdict()
    return Judgement(
        [*([f"the stop ended with {code}"] if code else []), *judgement.violations], judgement.figures
    )


def power_cuts(folder: Path, *, cuts: int = 100, seed: int, command: Sequence[str] = SERVE) -> Run:
    """Cut the power at random instants under load; the store starts from what was on the disk."""
    chance = random.Random(seed)
    broken = []
    folder.mkdir(exist_ok=True)
    with (
        Disk(folder / "disk", _ROOMY) as disk,
        Rig(folder, hooks(2, _QUICK), seed=seed, command=command) as rig,
    ):
        rig.db.symlink_to(disk.folder / "deskbell.db")
        served = rig.serve()
        rig.post(rate=200)
        for number in range(cuts):
            time.sleep(0.2 + chance.random())  # the instant is the point
            served.process.send_signal(signal.SIGSTOP)
            copy = disk.snap()
            served.end(signal.SIGKILL)
            disk.restore(copy)
            if (found := rig.ask("PRAGMA integrity_check")) != [("ok",)]:
                broken.append(f"K3 cut {number}: {found}")
            rig.kill()
            served = rig.serve()
        judgement = _finish(rig)
    return _run(rig, judgement, broken, {"cuts": cuts})


def fill_disk(folder: Path, *, seed: int) -> Run:
    """Under load nothing is left on the disk; then there is room again, and nobody does anything."""
    folder.mkdir(exist_ok=True)
    with small_disk(folder / "disk", SMALL) as disk:
        return _fill(folder, disk, free=0, seed=seed)


def reach_reserve(folder: Path, *, seed: int) -> Run:
    """Under load less is left on a large disk than is kept for outcomes: those that wait are all delivered."""
    folder.mkdir(exist_ok=True)
    with Disk(folder / "disk", LARGE) as disk:
        return _fill(folder, disk.folder, free=KEPT * 3 // 4, seed=seed)


def _fill(folder: Path, disk: Path, *, free: int, seed: int) -> Run:
    with Rig(folder, hooks(2, _QUICK), seed=seed) as rig:
        rig.db.symlink_to(disk / "deskbell.db")
        served = rig.serve()
        load = rig.post(rate=300)
        rig.wait_until(lambda: load.fates["accepted"] > 100)
        with fullness(disk, free=free):
            rig.wait_until(lambda: load.fates["refused"] > 20)
            load.stop()
            red = _readiness(rig)
            if free:
                rig.drain()
        took = _seconds_until_ready(rig)
        alive = served.process.poll() is None
        rig.post(rate=None, tickets=2, each=10).join()
        judgement = _finish(rig)
    wrong = [
        *([] if red[0] == 503 else [f"K4 /readyz is {red} on a full disk"]),
        *([] if alive else ["K4 the process ended"]),
    ]
    return _run(rig, judgement, wrong, {"recovery s": took, **load.fates})


def _seconds_until_ready(rig: Rig) -> float:
    began = time.monotonic()
    rig.wait_until(lambda: _readiness(rig)[0] == 200, RECOVERY)
    return round(time.monotonic() - began, 2)


def _run(rig: Rig, judgement: Judgement, wrong: Sequence[str], figures: Mapping[str, float]) -> Run:
    """With what only this run looked at."""
    return Run(Judgement([*wrong, *judgement.violations], judgement.figures), rig.starts, figures=figures)


def _readiness(rig: Rig) -> tuple[int, str]:
    """The status of ``/readyz``, and what it says of the store."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{rig.port}/readyz", timeout=5) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read()
    return status, str(json.loads(body)["detail"].get("store", ""))


def fail_writes(folder: Path, *, forever: bool, seed: int) -> Run:
    """The disk takes no write to the log, once or until it is mended: nothing is accepted, and the process goes on."""
    with Rig(folder, hooks(2, _QUICK), seed=seed) as rig:
        served = rig.serve()
        load = rig.post(rate=200)
        rig.wait_until(lambda: load.fates["accepted"] > 50)
        rule = f"inject=pwrite64:error=EIO:when=1{'+' if forever else ''}"
        with injected(served.process.pid, "trace=pwrite64", rule, only=_log_of(rig)):
            # Once, it may meet a commit that holds no event: then nobody is refused, and only the log tells.
            met = "the store cannot be written"
            rig.wait_until(lambda: load.fates["refused"] > 20 if forever else met in _log_text(rig))
            red = _readiness(rig)
        took = _seconds_until_ready(rig)
        accepted = load.fates["accepted"]
        rig.wait_until(lambda: load.fates["accepted"] > accepted)
        judgement = _finish(rig)
    wrong = [f"K5 /readyz is {red} while nothing can be written"] if forever and red[0] != 503 else []
    return _run(rig, judgement, wrong, {"recovery s": took, **load.fates})


def fail_sync(folder: Path, *, forever: bool, seed: int) -> Run:
    """The disk does not keep what it took: nothing more is accepted, the process ends, the next one has everything."""
    log = folder / "calls.txt"
    with Rig(folder, hooks(2, _QUICK), seed=seed) as rig:
        served = rig.serve()
        load = rig.post(rate=200)
        rig.wait_until(lambda: load.fates["accepted"] > 50)
        rule = f"inject=fdatasync:error=EIO:when=1{'+' if forever else ''}"
        with injected(
            served.process.pid, "trace=pwrite64,fdatasync,unlink", rule, only=_log_of(rig), log=log
        ):
            began = time.monotonic()
            rig.wait_until(lambda: is_dead(served.process.pid), RECOVERY)
            took = round(time.monotonic() - began, 2)
        code = served.wait(RECOVERY)
        rig.kill()
        rig.serve()
        accepted = load.fates["accepted"]
        rig.wait_until(lambda: load.fates["accepted"] > accepted)
        judgement = _finish(rig)
    after = log.read_text("utf-8").partition("(INJECTED)")[2]
    wrong = [
        *([] if code == 1 else [f"K5 the process ended with {code}"]),
        *([f"K5 the log was touched after it failed: {after}"] if re.search(r"\w\(", after) else []),
    ]
    return _run(rig, judgement, wrong, {"end s": took, **load.fates})


def _log_text(rig: Rig) -> str:
    return (rig.folder / "stderr.txt").read_text("utf-8")


def _log_of(rig: Rig) -> Path:
    return rig.db.with_name(f"{rig.db.name}-wal").resolve()


OPENING = """
import os, sys
from pathlib import Path
from deskbell.store.database import Database
database = Database.open(Path(sys.argv[1]))
for number in range(3):
    database.connection.execute("INSERT INTO ticket VALUES ('s', ?, '{}', 0)", (f"{os.getpid()} {number}",))
    os.write(1, b"accepted\\n")
database.close()
"""
COUNT = "SELECT count(*) FROM ticket"


def opening_kills(folder: Path, *, share: float = 1.0, seed: int) -> Run:
    """Kill -9 at each call from opening to closing: a new store, a cleanly closed one, one after a crash.

    The next opening must find all that was accepted, and must not miss a log that is not missing. And where somebody
    deletes the log before it, it must be refused, unless nothing was in there.
    """
    chance, wrong, places, killed = random.Random(seed), [], 0, 0
    for state in ("new", "closed", "crashed"):
        base = folder / state
        base.mkdir(parents=True)
        known = _prepare(base, state)
        calls = _calls_of(base)
        places += len(calls)
        for call, number in calls:
            if chance.random() < share:
                killed += 1
                wrong += [
                    f"{state}, {call} {number}: {what}" for what in _open_after(base, known, call, number)
                ]
    return Run(Judgement(wrong), figures={"places": places, "kills": killed})


def _prepare(base: Path, state: str) -> int:
    """How many rows are in the store."""
    if state == "new":
        return 0
    database = Database.open(base / "deskbell.db")
    database.connection.execute("INSERT INTO ticket VALUES ('s', 'old', '{}', 0)")
    database.close()
    if state == "closed":
        return 1
    return 1 + _traced(base, "inject=fdatasync:signal=KILL:when=4", "trace=fdatasync")


def _calls_of(base: Path) -> Sequence[tuple[str, int]]:
    """Those that concern the store, each with its number among all of the same name."""
    copy = base.with_name(f"{base.name} calls")
    shutil.copytree(base, copy)
    log = copy / "calls.txt"
    _traced(copy, f"trace={','.join(OPENING_CALLS)}", log=log)
    found, seen = [], Counter[str]()
    for line in log.read_text("utf-8", "replace").splitlines():
        if call := re.match(r"\d+ +(\w+)\(", line):
            seen[call[1]] += 1
            if "deskbell.db" in line or f"<{copy}>" in line:
                found.append((call[1], seen[call[1]]))
    return found


def _traced(base: Path, *rules: str, log: Path | None = None) -> int:
    """Run the process; how many rows it says are safe."""
    options = [part for rule in rules for part in ("-e", rule)]
    # Not with --seccomp-bpf, which is quicker, but injects no signal.
    command = ["strace", "-f", "-y", *options, "-o", str(log or os.devnull)]
    ran = subprocess.run(
        [*command, sys.executable, "-c", OPENING, str(base / "deskbell.db")],
        capture_output=True,
        check=False,
    )
    assert ran.returncode == (0 if log else -signal.SIGKILL), ran.stderr
    return ran.stdout.count(b"accepted")


def _open_after(base: Path, known: int, call: str, number: int) -> Sequence[str]:
    crashed, without = base.with_name("crashed now"), base.with_name("without its log")
    for each in (crashed, without):
        shutil.rmtree(each, ignore_errors=True)
    shutil.copytree(base, crashed)
    safe = known + _traced(crashed, f"trace={call}", f"inject={call}:signal=KILL:when={number}")
    shutil.copytree(crashed, without)
    found = [f"{what}, with its log" for what in _reopen(crashed, safe)]
    log = without / "deskbell.db-wal"
    if log.exists():
        log.unlink()
        found += [f"{what}, without its log" for what in _reopen(without, safe, may_refuse=True)]
    return found


def _reopen(folder: Path, safe: int, *, may_refuse: bool = False) -> Sequence[str]:
    path = folder / "deskbell.db"
    try:
        Database.open(path).close()
    except StoreError as error:
        return [] if may_refuse and "deskbell.db-wal is gone" in str(error) else [f"refused: {error}"]
    with closing(connect_to_read(path)) as connection:
        (rows,) = connection.execute(COUNT).fetchone()
    return [] if rows >= safe else [f"{rows} rows, and {safe} were accepted"]
