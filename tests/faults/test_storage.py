"""The store on disks that fail, in the real program: nothing accepted is lost, and what is refused says why.

The long forms of the first half: ``python -m tests.faults --only syscalls power``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.faults.crash import Run as Ran
from tests.faults.disks import MIB, may_mount, may_trace, small_disk
from tests.faults.storage import (
    RECOVERY,
    fail_sync,
    fail_writes,
    fill_disk,
    opening_kills,
    power_cuts,
    reach_reserve,
    syscall_kills,
)

if TYPE_CHECKING:
    from tests.conftest import Run, Serve

CANNOT_START = 78
"""``EX_CONFIG`` of sysexits.h."""
NOBODY = 65534
PAGE = 4096
LATE = "INSERT INTO ticket (source, ticket, facts) VALUES ('s', 'late', '{}')"
WEBHOOKS = """\
webhooks:
  - {name: desk, url: "http://127.0.0.1:9/services/T/B/x", transport: slack, action: "*", message: "%subject%"}
"""

needs_strace = pytest.mark.skipif(
    not may_trace(), reason="strace is not here, or may not trace other processes"
)
needs_mounts = pytest.mark.skipif(
    not may_mount(), reason="file systems cannot be mounted here: that takes root"
)
needs_root = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("setpriv"),
    reason="another user can only be played by root, with setpriv",
)


@needs_strace
def test_killed_at_any_call_it_loses_nothing_and_halves_nothing(tmp_path: Path) -> None:
    """Some calls of each kind by which a few events become safe and are answered, sent, and settled."""
    run = syscall_kills(tmp_path, events=4, of_each=3, seed=3)
    assert run.judgement.violations == []
    assert run.figures["met"] == run.figures["kills"] == 9, "some kills met nothing"


@needs_strace
def test_killed_while_it_opens_or_closes_it_opens_again_and_misses_no_log_in_vain(tmp_path: Path) -> None:
    """A new store, an old one, one after a crash; and whoever loses the log after that is told so."""
    run = opening_kills(tmp_path, share=0.08, seed=3)
    assert run.judgement.violations == []
    assert run.figures["kills"] >= 5


@needs_mounts
def test_a_power_cut_takes_nothing_that_was_accepted(tmp_path: Path) -> None:
    run = power_cuts(tmp_path, cuts=3, seed=3)
    assert run.judgement.violations == []
    assert run.judgement.figures["accepted"] > 100


@needs_mounts
@pytest.mark.parametrize("meet", [fill_disk, reach_reserve])
def test_a_full_disk_refuses_events_and_recovers_by_itself(meet: Callable[..., Ran], tmp_path: Path) -> None:
    """Each answer is 202 or 503 with Retry-After, ``/readyz`` is red, and what was accepted before is delivered.

    The last of a large disk is for outcomes: there everything is delivered while no event is taken.
    """
    run = meet(tmp_path, seed=3)
    assert run.judgement.violations == []
    assert run.judgement.figures["doubled"] == 0
    assert run.figures["recovery s"] <= RECOVERY


@needs_strace
@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
def test_a_disk_that_takes_no_write_refuses_events_until_it_does(tmp_path: Path, *, forever: bool) -> None:
    run = fail_writes(tmp_path, forever=forever, seed=3)
    assert run.judgement.violations == []
    assert run.judgement.figures["doubled"] == 0
    assert run.figures["recovery s"] <= RECOVERY


@needs_strace
@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
def test_a_disk_that_does_not_keep_what_it_took_ends_the_process(tmp_path: Path, *, forever: bool) -> None:
    """Exit code 1, the log left as it is; the next process finds everything that was accepted."""
    run = fail_sync(tmp_path, forever=forever, seed=3)
    assert run.judgement.violations == []
    assert run.figures["end s"] <= RECOVERY


@pytest.fixture
def store(serve: Serve, config_file: Callable[[str], Path]) -> Path:
    """A store that a server made and closed."""
    config = config_file(WEBHOOKS)
    assert serve().end() == 0
    return config.with_name("deskbell.db")


def refusal(ran: subprocess.CompletedProcess[str]) -> str:
    """The one line by which it says why it does not start."""
    assert ran.returncode == CANNOT_START, ran.stderr
    (line,) = (line for line in ran.stderr.splitlines() if line.startswith("deskbell: "))
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""
    return line


def write(store: Path, statement: str) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute(statement)


def _garbage(store: Path) -> None:
    store.write_bytes(b"not a database, but somebody's letters\n" * 500)


def _flipped(store: Path) -> None:
    whole = store.read_bytes()
    store.write_bytes(whole[:-PAGE] + b"\xa5" * PAGE)


def _newer(store: Path) -> None:
    write(store, "PRAGMA user_version = 999")


def _foreign(store: Path) -> None:
    write(store, "PRAGMA application_id = 1")


def _folder(store: Path) -> None:
    store.unlink()
    store.mkdir()


SPOILT = [
    (_garbage, r"file is not a database \(SQLITE_NOTADB\); .*choose another path under store:"),
    (_flipped, r"is damaged: .*; put your last backup in its place \(`deskbell backup` makes one\)"),
    (_newer, r"a newer deskbell made this store \(schema 999\); update this one"),
    (_foreign, r"is not deskbell's; choose another path under store:"),
    (
        lambda store: os.truncate(store, 0),
        r"is empty \(0 bytes\).*: put it back, or the last backup; .*delete it",
    ),
    (lambda store: os.truncate(store, PAGE // 2), r"malformed.*put your last backup in its place"),
    (_folder, r"is a folder; name a file in it under store:"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILT, ids=[
    "garbage", "flipped page", "newer", "foreign", "empty", "truncated", "folder",
])  # fmt: skip
def test_a_spoilt_store_is_refused_in_one_line_and_left_as_it_is(
    store: Path, run: Run, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(store)
    before = store.is_file() and store.read_bytes()
    line = refusal(run("serve"))
    assert line.startswith(f"deskbell: {store}: ")
    assert re.search(words, line), line
    assert (store.is_file() and store.read_bytes()) == before


def crash(serve: Serve) -> None:
    serve().end(signal.SIGKILL)


@pytest.mark.parametrize(
    ("lose", "words"),
    [
        (
            [".db-wal"],
            r"deskbell.db-wal is gone, and with it the events .* that came last.*delete (/\S+\.lock)",
        ),
        ([".db"], r"is gone, but deskbell.db-wal shows that it was in use: put it back"),
        (
            [".db", ".db-wal", ".db-shm"],
            r"is gone, but deskbell.db.lock shows that it was in use: put it back",
        ),
    ],
    ids=["log", "file", "both"],
)
def test_what_is_missing_after_a_crash_is_never_made_anew(
    store: Path, serve: Serve, run: Run, lose: list[str], words: str
) -> None:
    crash(serve)
    for suffix in lose:
        store.with_suffix(suffix).unlink(missing_ok=True)
    before = sorted(store.parent.glob("deskbell.db*"))
    line = refusal(run("serve"))
    assert line.startswith(f"deskbell: {store}: ")
    assert re.search(words, line), line
    assert sorted(store.parent.glob("deskbell.db*")) == before


def test_without_its_log_it_starts_once_somebody_says_so(store: Path, serve: Serve, run: Run) -> None:
    """By the very command that the refusal names."""
    crash(serve)
    store.with_suffix(".db-wal").unlink()
    named = refusal(run("serve")).rpartition("delete ")[2]
    Path(named).unlink()
    assert serve().end() == 0


def test_a_second_server_is_refused_and_the_first_goes_on(store: Path, serve: Serve, run: Run) -> None:
    first = serve()
    assert refusal(run("serve")) == (
        f"deskbell: {store}: another deskbell uses this store; stop it first, or give this one its own"
    )
    assert first.end() == 0


def test_a_folder_that_is_not_there_is_named_and_not_made(
    config_file: Callable[[str], Path], run: Run
) -> None:
    config = config_file(f"store: sqlite:///missing/deskbell.db\n{WEBHOOKS}")
    missing = config.with_name("missing")
    assert refusal(run("serve")).endswith(f": the folder {missing} does not exist; make it first")
    assert not missing.exists()


def test_a_store_of_an_older_deskbell_is_migrated(store: Path, serve: Serve) -> None:
    store.unlink()
    first = (resources.files("deskbell.store") / "migrations" / "0001_initial.sql").read_text("utf-8")
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.executescript(f"{first}; PRAGMA application_id = 0x6465736B; PRAGMA user_version = 1;")
        connection.execute(LATE)
    assert serve().end() == 0
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] > 1
        assert connection.execute("SELECT ticket, told_at > 0 FROM ticket").fetchall() == [("late", 1)]


@pytest.fixture
def run_as_nobody(tmp_path: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """``serve`` by a user who may read everything (the interpreter may lie in root's home), and write as modes say."""
    user = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    may_read = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")

    def ran() -> subprocess.CompletedProcess[str]:
        os.chown(tmp_path / "config.yaml", NOBODY, NOBODY)  # click asks without that privilege
        command = ["setpriv", *user, *may_read, sys.executable, "-m", "deskbell", "serve"]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=clean()
        )

    return ran


def clean() -> dict[str, str]:
    """Nothing of what a developer's own shell says about deskbell, and no byte code beside the sources."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DESKBELL_")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}


@needs_root
def test_a_file_that_may_not_be_written_is_refused(
    store: Path, run_as_nobody: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    """SQLite itself would open it, and fail at the first event."""
    store.chmod(0o444)
    store.with_suffix(".db.lock").chmod(0o666)
    store.parent.chmod(0o777)
    line = refusal(run_as_nobody())
    assert line.startswith(f"deskbell: {store}: ")
    assert (
        "(SQLITE_READONLY); give the user that runs deskbell the right to write the file and its folder"
        in line
    )


@needs_root
def test_a_folder_that_may_not_be_written_is_refused(
    config_file: Callable[[str], Path], run_as_nobody: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    folder = config_file(WEBHOOKS).parent
    folder.chmod(0o555)
    line = refusal(run_as_nobody())
    lock = folder / "deskbell.db.lock"
    assert (
        line == f"deskbell: {lock}: cannot be written (Permission denied); mend the permissions of its folder"
    )
    assert list(folder.glob("deskbell.db*")) == []


@needs_mounts
def test_a_read_only_disk_is_refused(
    tmp_path: Path, config_file: Callable[[str], Path], serve: Serve, run: Run
) -> None:
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        config_file(f"store: sqlite:///disk/deskbell.db\n{WEBHOOKS}")
        assert serve().end() == 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        line = refusal(run("serve"))
        lock = disk / "deskbell.db.lock"
        assert (
            line == f"deskbell: {lock}: cannot be written (Read-only file system); mount its disk for writing"
        )
