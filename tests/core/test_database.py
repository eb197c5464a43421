"""The file itself: who may have it, what is refused and left as it is, and what its settings really are."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

import pytest

from deskbell.errors import StoreError
from deskbell.store.database import Database, connect_to_read
from deskbell.store.lock import CLEAN, IN_USE, SUSPECT, StoreLock
from deskbell.store.sqlite import SqliteStore

PATIENCE = 20.0
NOBODY = 65534
PAGE = 4096
HEADER = 100
"""Bytes at the head of every SQLite file (https://www.sqlite.org/fileformat.html#the_database_header)."""
INSERT = "INSERT INTO ticket VALUES ('s', ?, '{}', 0)"
LATE = "INSERT INTO ticket VALUES ('s', 'late', '{}', 0)"
COUNT = "SELECT count(*) FROM ticket"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deskbell.db"


@pytest.fixture
def garbage(path: Path) -> Path:
    path.write_bytes(b"not a database, but somebody's letters\n" * 500)
    return path


@pytest.fixture
def public_path() -> Iterator[Path]:
    """In a folder that a user without rights can reach: pytest's own folders are private."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "deskbell.db"


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user whom the modes of files stop: root is stopped by none, and becomes nobody for the while."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The writer's connection, closed in order at the end."""
    database = Database.open(path)
    try:
        yield database.connection
    finally:
        database.close()


def make(path: Path, rows: int = 0) -> None:
    """A store that was used and stopped."""
    with opened(path) as connection:
        connection.executemany(INSERT, [(str(number),) for number in range(rows)])


CRASH = """
import os, signal, sqlite3, sys
from pathlib import Path
from deskbell.store.database import Database
path, statement, program = sys.argv[1:]
if program == "deskbell":
    connection = Database.open(Path(path)).connection
else:
    connection = sqlite3.connect(path, isolation_level=None)
connection.execute(statement)
os.kill(os.getpid(), signal.SIGKILL)
"""


def crash(path: Path, statement: str = LATE, program: str = "deskbell") -> None:
    """Run ``statement`` in a process that dies with its write-ahead log unfolded."""
    died = subprocess.run([sys.executable, "-c", CRASH, str(path), statement, program], check=False)
    assert died.returncode == -signal.SIGKILL
    assert wal_of(path).stat().st_size > 0


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def files(folder: Path) -> dict[str, bytes]:
    """Everything in the folder but the locks and the shared memory, which hold nothing."""
    return {
        each.name: each.read_bytes() for each in folder.iterdir() if not each.name.endswith(("lock", "-shm"))
    }


def setting(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


class TestWriter:
    def test_every_commit_waits_for_the_disk(self, path: Path) -> None:
        """Settings of one connection count, not those of the file: this is the one that writes."""
        with opened(path) as connection:
            found = {
                name: setting(connection, name) for name in ("journal_mode", "synchronous", "foreign_keys")
            }
            assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
            assert setting(connection, "auto_vacuum") == 2
            assert setting(connection, "mmap_size") == 0

    def test_a_new_store_is_private_whatever_the_umask(self, path: Path) -> None:
        """All its files: they hold customers' words."""
        before = os.umask(0)
        try:
            with opened(path) as connection:
                connection.execute(INSERT, ("1",))
                modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        finally:
            os.umask(before)
        names = {path.name + suffix for suffix in ("", "-wal", "-shm", ".lock")}
        assert modes == dict.fromkeys(names, 0o600)

    def test_migrating_again_changes_nothing(self, path: Path) -> None:
        """The schema has its number, and what is stored stays."""
        make(path, rows=3)
        with opened(path) as connection:
            schema = connection.execute("SELECT sql FROM sqlite_schema").fetchall()
            version = setting(connection, "user_version")
        for _ in range(3):
            make(path)
        with opened(path) as connection:
            assert connection.execute("SELECT sql FROM sqlite_schema").fetchall() == schema
            assert setting(connection, "user_version") == version != 0
            assert connection.execute(COUNT).fetchone() == (3,)
            assert setting(connection, "integrity_check") == "ok"

    def test_what_a_crash_left_in_the_log_is_there(self, path: Path) -> None:
        make(path, rows=1)
        crash(path)
        with opened(path) as connection:
            assert connection.execute(COUNT).fetchone() == (2,)


class TestLock:
    def test_one_store_has_one_process(self, path: Path) -> None:
        """The second is told whose it is; the first goes on; when it ends, the lock ends with it, even by kill -9."""
        script = (
            "import sys, time; from pathlib import Path; from deskbell.store.lock import StoreLock\n"
            "kept = StoreLock.take(Path(sys.argv[1])); print('locked', flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"locked\n"
            with pytest.raises(StoreError, match="another deskbell uses this store"):
                StoreLock.take(path)
            other.kill()
        StoreLock.take(path).close()

    async def test_a_second_opening_is_refused_and_a_later_one_is_not(self, path: Path) -> None:
        first = SqliteStore.open(path)
        with pytest.raises(StoreError, match=re.escape(str(path))):
            SqliteStore.open(path)
        assert await first.recover() == 0
        await first.close()
        await SqliteStore.open(path).close()

    async def test_a_link_is_no_second_store(self, path: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        link = tmp_path / "elsewhere" / "link.db"
        link.symlink_to(path)
        store = SqliteStore.open(path)
        with pytest.raises(StoreError, match="another deskbell"):
            SqliteStore.open(link)
        await store.close()
        await SqliteStore.open(link).close()

    async def test_a_store_that_cannot_be_opened_is_not_kept_locked(self, garbage: Path) -> None:
        with pytest.raises(StoreError, match="not a database"):
            SqliteStore.open(garbage)
        StoreLock.take(garbage).close()

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing"
        with pytest.raises(StoreError, match=f"the folder {re.escape(str(missing))} does not exist"):
            StoreLock.take(missing / "deskbell.db")
        assert not missing.exists()

    def test_a_folder_without_permission_is_named(self, public_path: Path) -> None:
        public_path.parent.chmod(0o555)
        with (
            without_rights(),
            pytest.raises(StoreError, match=r"Permission denied.*mend the permissions of its folder"),
        ):
            StoreLock.take(public_path)

    @pytest.mark.parametrize("before", [CLEAN, IN_USE, SUSPECT])
    @pytest.mark.parametrize("word", [CLEAN, IN_USE, SUSPECT])
    def test_it_keeps_the_word_over_the_process(self, path: Path, before: bytes, word: bytes) -> None:
        for each in (before, word):
            with closing(StoreLock.take(path)) as held:
                held.write(each)
        with closing(StoreLock.take(path)) as held:
            assert held.word() == word

    def test_half_a_word_is_taken_for_use(self, path: Path) -> None:
        with closing(StoreLock.take(path)) as held:
            held.path.write_bytes(IN_USE[:3])
            assert held.word() == IN_USE


def _truncated(path: Path) -> None:
    make(path)
    path.write_bytes(path.read_bytes()[: PAGE // 2])


def _damaged(path: Path) -> None:
    """The first page, which holds the schema, overwritten but for the header."""
    make(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:HEADER] + b"\xa5" * (PAGE - HEADER) + whole[PAGE:])


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def _foreign_with_a_log(path: Path) -> None:
    _foreign(path)
    crash(path, "INSERT INTO bookmarks VALUES ('https://example.com/')", program="another")


def _newer(path: Path) -> None:
    make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 999")


def _newer_with_a_log(path: Path) -> None:
    _newer(path)
    crash(path, program="another")


def _flipped(path: Path) -> None:
    """A page of a table overwritten; the schema is whole."""
    make(path, rows=1000)
    whole = path.read_bytes()
    path.write_bytes(whole[:-PAGE] + b"\xa5" * PAGE)


def _emptied(path: Path) -> None:
    make(path)
    os.truncate(path, 0)


def _emptied_beside_its_log(path: Path) -> None:
    crash(path)
    os.truncate(path, 0)


def _gone_beside_its_log(path: Path) -> None:
    crash(path)
    path.unlink()


def _no_table(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


REFUSED = [
    pytest.param(_truncated, r"malformed.*put your last backup in its place", id="truncated"),
    pytest.param(_damaged, r"malformed.*put your last backup in its place", id="damaged"),
    pytest.param(_foreign, "not deskbell's; choose another path", id="foreign"),
    pytest.param(_foreign_with_a_log, "not deskbell's; choose another path", id="foreign-with-a-log"),
    pytest.param(_no_table, "not deskbell's; choose another path", id="no-table"),
    pytest.param(_newer, r"a newer deskbell made this store \(schema 999\)", id="newer"),
    pytest.param(_newer_with_a_log, r"newer deskbell .* update this one", id="newer-with-a-log"),
    pytest.param(_emptied, r"is empty \(0 bytes\).*put it back, or the last backup", id="emptied"),
    pytest.param(_emptied_beside_its_log, r"is empty \(0 bytes\)", id="emptied-beside-its-log"),
    pytest.param(_gone_beside_its_log, r"is gone, but deskbell.db-wal shows", id="gone-beside-its-log"),
]


@pytest.mark.parametrize("connecting", [Database.open, connect_to_read])
@pytest.mark.parametrize(("spoil", "words"), REFUSED)
def test_a_file_that_cannot_be_used_is_refused_and_left_as_it_is(
    path: Path, spoil: Callable[[Path], None], words: str, connecting: Callable[[Path], object]
) -> None:
    """Byte for byte, its write-ahead log too: somebody may mend it, or it is somebody else's."""
    spoil(path)
    before = files(path.parent)
    with pytest.raises(StoreError, match=words) as refusal:
        connecting(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    after = files(path.parent)
    assert after | before == after
    assert not any(after[name] for name in after.keys() - before.keys()), (
        "an empty log may come, nothing else"
    )


@pytest.mark.parametrize("connecting", [Database.open, connect_to_read])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    garbage: Path, connecting: Callable[[Path], object]
) -> None:
    before = files(garbage.parent)
    with pytest.raises(StoreError, match=r"file is not a database.*choose another path"):
        connecting(garbage)
    assert files(garbage.parent) == before


def test_a_file_that_may_not_be_written_is_refused_at_the_start(public_path: Path) -> None:
    """SQLite itself would open it, and fail at the first event."""
    make(public_path, rows=1)
    public_path.chmod(0o444)
    public_path.with_name(public_path.name + ".lock").chmod(0o666)
    public_path.parent.chmod(0o777)
    with (
        without_rights(),
        pytest.raises(StoreError, match=r"readonly database .*the right to write the file"),
    ):
        Database.open(public_path)


def test_a_file_that_may_not_be_read_is_refused(public_path: Path) -> None:
    make(public_path)
    public_path.chmod(0)
    public_path.with_name(public_path.name + ".lock").chmod(0o666)
    for connecting in (Database.open, connect_to_read):
        with (
            without_rights(),
            pytest.raises(StoreError, match=r"unable to open .*the right to open the file"),
        ):
            connecting(public_path)


@pytest.mark.parametrize("connecting", [Database.open, connect_to_read])
def test_a_folder_is_no_store(path: Path, connecting: Callable[[Path], object]) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match=re.escape(f"{path}: is a folder; name a file in it")):
        connecting(path)


class TestNewStore:
    def test_it_is_whole_before_it_has_its_name(self, path: Path) -> None:
        """What a killed process left beside it is thrown away, and nothing else stays."""
        path.with_name(path.name + ".new").write_bytes(b"half of it")
        database = Database.open(path)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as without_log:
            assert without_log.execute(COUNT).fetchone() == (0,)
            assert setting(without_log, "integrity_check") == "ok"
        database.close()
        assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.lock"]

    def test_a_link_to_nowhere_is_made_true(self, path: Path, tmp_path: Path) -> None:
        path.symlink_to(tmp_path / "real.db")
        make(path, rows=1)
        assert path.is_symlink()
        assert (tmp_path / "real.db").read_bytes().startswith(b"SQLite format 3")

    def test_an_older_store_is_brought_up_to_date_and_keeps_what_it_has(self, path: Path) -> None:
        """Until then those who only read are told so, but for a backup."""
        first = (resources.files("deskbell.store") / "migrations" / "0001_initial.sql").read_text("utf-8")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript(first)
            connection.execute("INSERT INTO ticket VALUES ('s', '1', '{}')")
            connection.executescript("PRAGMA application_id = 0x6465736B; PRAGMA user_version = 1")
        with pytest.raises(StoreError, match="an older deskbell made this store; start `deskbell serve`"):
            connect_to_read(path)
        connect_to_read(path, older=True).close()
        with opened(path) as connection:
            assert connection.execute(COUNT).fetchone() == (1,)
            assert connection.execute("SELECT count(*) FROM webhook").fetchone() == (0,)


class TestMissingLog:
    """After a crash the last accepted events are in the log alone; SQLite would open the file without it."""

    @pytest.mark.parametrize("lose", [Path.unlink, lambda log: os.truncate(log, 0)], ids=["gone", "emptied"])
    def test_it_is_refused_until_somebody_decides(self, path: Path, lose: Callable[[Path], None]) -> None:
        make(path, rows=1)
        crash(path)
        lose(wal_of(path))
        for _ in range(2):
            with pytest.raises(
                StoreError, match=r"deskbell.db-wal is gone.*put it back.*delete (\S+)$"
            ) as refusal:
                Database.open(path)
        Path(str(refusal.value).rpartition(" ")[2]).unlink()
        with opened(path) as connection:
            assert connection.execute(COUNT).fetchone() == (1,)

    def test_a_store_of_which_only_the_lock_is_left_is_not_made_anew(self, path: Path) -> None:
        crash(path)
        path.unlink()
        wal_of(path).unlink()
        with pytest.raises(StoreError, match=r"is gone, but deskbell.db.lock shows that it was in use"):
            Database.open(path)

    def test_it_is_no_error_after_a_clean_stop(self, path: Path) -> None:
        make(path, rows=1)
        assert not wal_of(path).exists()
        make(path, rows=0)
        path.unlink()
        make(path, rows=0)  # its owner wanted it away

    def test_a_failed_opening_after_a_crash_does_not_raise_it_later(self, path: Path) -> None:
        """It closes what it opened, and SQLite folds the log: here the migration meets a table of its own name."""
        crash(path)
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None)
        ) as connection:
            reader = connect_to_read(path)  # so that closing leaves the log
            connection.execute("PRAGMA user_version = 1")
        reader.close()
        with pytest.raises(StoreError, match=r"duplicate column name"):
            Database.open(path)
        assert not wal_of(path).exists()
        with pytest.raises(StoreError, match=r"duplicate column name"):
            Database.open(path)

    @pytest.mark.parametrize("outlives", [True, False])
    def test_a_reader_at_the_stop_does_not_raise_it(self, path: Path, *, outlives: bool) -> None:
        """It keeps the log from being folded, and itself never folds it."""
        make(path, rows=1)
        database = Database.open(path)
        reader = connect_to_read(path)
        reader.execute("BEGIN")
        assert reader.execute(COUNT).fetchone() == (1,)
        database.connection.execute(INSERT, ("2",))
        if outlives:
            database.close()
            reader.close()
            assert wal_of(path).stat().st_size > 0
        else:
            reader.close()
            database.close()
            assert not wal_of(path).exists()
        with opened(path) as connection:
            assert connection.execute(COUNT).fetchone() == (2,)


class TestCheck:
    def test_a_flipped_page_is_found_at_the_start(self, path: Path) -> None:
        _flipped(path)
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"is damaged: .*age.*; put your last backup in its place"):
            Database.open(path)
        assert path.read_bytes() == before

    def test_in_a_large_store_it_is_found_once_something_was_wrong(self, path: Path) -> None:
        """The check of a large one takes too long for every start: SQLite meets the damage first, or the disk fails."""
        _flipped(path)
        database = Database.open(path, check_up_to=PAGE)
        database.close(failed=True)
        with pytest.raises(StoreError, match="is damaged"):
            Database.open(path, check_up_to=PAGE)

    def test_after_a_failure_nothing_is_folded_and_nothing_is_lost(self, path: Path) -> None:
        """Not even by Python, which closes every connection at its end."""
        script = (
            "import sys; from pathlib import Path; from deskbell.store.database import Database\n"
            "database = Database.open(Path(sys.argv[1])); database.connection.execute(sys.argv[2])\n"
            "database.close(failed=True); del database"
        )
        subprocess.run([sys.executable, "-c", script, str(path), LATE], check=True)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as without_log:
            assert without_log.execute(COUNT).fetchone() == (0,)
        for _ in range(2):
            with opened(path) as connection:
                assert connection.execute(COUNT).fetchone() == (1,)


class TestReader:
    def test_where_nothing_was_stored_it_says_so(self, path: Path) -> None:
        with pytest.raises(StoreError, match="there is no store yet; `deskbell serve` makes it"):
            connect_to_read(path)
        assert list(path.parent.iterdir()) == []

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO ticket VALUES ('s', 'x', '{}', 0)",
            "DROP TABLE ticket",
            "PRAGMA user_version = 7",
            "CREATE TEMP TABLE t (x)",
            "VACUUM",
        ],
    )
    def test_it_cannot_write(self, path: Path, statement: str) -> None:
        make(path)
        with (
            closing(connect_to_read(path)) as connection,
            pytest.raises(sqlite3.OperationalError, match="readonly"),
        ):
            connection.execute(statement)

    @pytest.mark.parametrize("name", ["a b.db", "100%41.db", "what?mode=rwc.db", "a#b.db", "é.db"])
    def test_it_reads_the_very_file_whatever_its_name(self, tmp_path: Path, name: str) -> None:
        make(tmp_path / name, rows=1)
        with closing(connect_to_read(tmp_path / name)) as connection:
            assert connection.execute(COUNT).fetchone() == (1,)

    def test_beside_a_writer_it_sees_each_commit_and_stops_none(self, path: Path) -> None:
        with opened(path) as writer, closing(connect_to_read(path)) as reader:
            for number in range(1, 4):
                writer.execute(INSERT, (str(number),))
                assert reader.execute(COUNT).fetchone() == (number,)
            unread = reader.execute("SELECT ticket FROM ticket")
            assert unread.fetchone() == ("1",)
            writer.execute("DELETE FROM ticket")
            assert unread.fetchall() == [("2",), ("3",)]

    def test_it_never_folds_the_log_into_the_file(self, path: Path) -> None:
        """Only the one writer may: two that do it at once can corrupt the file in SQLite before 3.51.3."""
        with opened(path) as writer:
            writer.executemany(INSERT, [(str(number),) for number in range(1000)])
            before = files(path.parent)
            for _ in range(3):
                with closing(connect_to_read(path)) as reader:
                    assert reader.execute(COUNT).fetchone() == (1000,)
                    with pytest.raises(sqlite3.OperationalError):
                        reader.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert files(path.parent) == before

    def test_it_changes_nothing_of_what_a_crash_left(self, path: Path) -> None:
        make(path, rows=1)
        crash(path)
        before = files(path.parent)
        with closing(connect_to_read(path)) as connection:
            assert connection.execute(COUNT).fetchone() == (2,)
        assert files(path.parent) == before

    def test_after_a_clean_stop_it_reads_where_no_log_is(self, path: Path) -> None:
        make(path, rows=1)
        assert list(files(path.parent)) == [path.name]
        before = path.read_bytes()
        with closing(connect_to_read(path)) as connection:
            assert connection.execute(COUNT).fetchone() == (1,)
        assert path.read_bytes() == before

    def test_it_reads_where_it_may_write_nothing_at_all(self, public_path: Path) -> None:
        """A backup on a read-only disk, or another user's store: SQLite alone would want to make a log there."""
        make(public_path, rows=1)
        public_path.chmod(0o444)
        public_path.parent.chmod(0o555)
        before = files(public_path.parent)
        with without_rights(), closing(connect_to_read(public_path)) as connection:
            assert connection.execute(COUNT).fetchone() == (1,)
        assert files(public_path.parent) == before

    def test_it_sees_another_users_running_server(self, public_path: Path) -> None:
        with opened(public_path) as writer:
            writer.execute(INSERT, ("1",))
            for each in public_path.parent.iterdir():
                each.chmod(0o444)
            with without_rights(), closing(connect_to_read(public_path)) as reader:
                assert reader.execute(COUNT).fetchone() == (1,)


ACKNOWLEDGING = """
import asyncio, os, sys
from pathlib import Path
from deskbell import TicketEvent
from deskbell.store import open_store

async def main():
    store = open_store(Path(sys.argv[1]))
    for number in range(20):
        os.write(1, b"sending")
        await store.add(TicketEvent(action="Reply", id=str(number), source="s"), b"{}", webhooks=[])
        os.write(1, b"acknowledged")
    await store.close()

asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_each_event_is_on_the_disk_before_its_sender_hears_of_it(path: Path, tmp_path: Path) -> None:
    """Seen from outside, by system calls: written to the log, flushed, and only then acknowledged."""
    log = tmp_path / "strace.txt"
    command = ["strace", "-f", "-y", "-e", "trace=pwrite64,fdatasync,fsync,write", "-o", str(log)]
    ran = subprocess.run(
        [*command, sys.executable, "-c", ACKNOWLEDGING, str(path)],
        capture_output=True,
        check=False,
        text=True,
    )
    if "PTRACE" in ran.stderr:
        pytest.skip("processes may not be traced here")
    assert ran.returncode == 0, ran.stderr
    assert _log_at_each_acknowledgement(log.read_text().splitlines(), wal_of(path).name) == ["flushed"] * 20


def _log_at_each_acknowledgement(calls: Sequence[str], wal: str) -> list[str]:
    """What became of the log since the event was sent: ``flushed``, or only ``written``, or ``untouched``."""
    found, state = [], ""
    for call in calls:
        if '"sending"' in call:
            state = "untouched"
        elif "pwrite64(" in call and wal in call:
            state = "written"
        elif re.search(rf"sync\(.*{wal}>\) += 0|sync resumed>.* = 0", call) and state == "written":
            state = "flushed"
        elif '"acknowledged"' in call:
            found.append(state)
    return found
