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
from pathlib import Path

import pytest

from deskbell.errors import StoreError
from deskbell.store.database import connect, connect_to_read, lock
from deskbell.store.sqlite import SqliteStore

PATIENCE = 20.0
NOBODY = 65534
PAGE = 4096
HEADER = 100
"""Bytes at the head of every SQLite file (https://www.sqlite.org/fileformat.html#the_database_header)."""
INSERT = "INSERT INTO ticket VALUES ('s', ?, '{}')"
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


def make(path: Path, rows: int = 0) -> None:
    """A store that was used and stopped."""
    with closing(connect(path)) as connection:
        connection.executemany(INSERT, [(str(number),) for number in range(rows)])


def crash(path: Path, statement: str) -> None:
    """Run ``statement`` in a process that dies with its write-ahead log unfolded."""
    script = (
        "import os, signal, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute(sys.argv[2])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", script, str(path), statement], check=False)
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


class TestWriterConnection:
    def test_every_commit_waits_for_the_disk(self, path: Path) -> None:
        """Settings of one connection count, not those of the file: this is the one that writes."""
        with closing(connect(path)) as connection:
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
            with closing(lock(path)), closing(connect(path)) as connection:
                connection.execute(INSERT, ("1",))
                modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        finally:
            os.umask(before)
        names = {path.name + suffix for suffix in ("", "-wal", "-shm", ".lock")}
        assert modes == dict.fromkeys(names, 0o600)

    def test_migrating_again_changes_nothing(self, path: Path) -> None:
        """The schema has its number, and what is stored stays."""
        make(path, rows=3)
        with closing(connect(path)) as connection:
            schema = connection.execute("SELECT sql FROM sqlite_schema").fetchall()
            version = setting(connection, "user_version")
        for _ in range(3):
            make(path)
        with closing(connect(path)) as connection:
            assert connection.execute("SELECT sql FROM sqlite_schema").fetchall() == schema
            assert setting(connection, "user_version") == version != 0
            assert connection.execute(COUNT).fetchone() == (3,)
            assert setting(connection, "integrity_check") == "ok"

    @pytest.mark.parametrize("got_to_wal_mode", [False, True])
    def test_a_creation_that_was_cut_short_is_finished(self, path: Path, *, got_to_wal_mode: bool) -> None:
        path.touch()
        if got_to_wal_mode:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        make(path, rows=1)
        with closing(connect_to_read(path)) as connection:
            assert connection.execute(COUNT).fetchone() == (1,)

    def test_what_a_crash_left_in_the_log_is_there(self, path: Path) -> None:
        make(path, rows=1)
        crash(path, "INSERT INTO ticket VALUES ('s', 'late', '{}')")
        with closing(connect(path)) as connection:
            assert connection.execute(COUNT).fetchone() == (2,)


class TestLock:
    def test_one_store_has_one_process(self, path: Path) -> None:
        """The second is told whose it is; the first goes on; when it ends, the lock ends with it, even by kill -9."""
        script = (
            "import sys, time; from pathlib import Path; from deskbell.store.database import lock\n"
            "kept = lock(Path(sys.argv[1])); print('locked', flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"locked\n"
            with pytest.raises(StoreError, match="another deskbell uses this store"):
                lock(path)
            other.kill()
        lock(path).close()

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
        lock(garbage).close()

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing"
        with pytest.raises(StoreError, match=f"the folder {re.escape(str(missing))} does not exist"):
            lock(missing / "deskbell.db")
        assert not missing.exists()

    def test_a_folder_without_permission_is_named(self, public_path: Path) -> None:
        public_path.parent.chmod(0o555)
        with (
            without_rights(),
            pytest.raises(StoreError, match=r"Permission denied.*mend the folder's permissions"),
        ):
            lock(public_path)


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
    crash(path, "INSERT INTO bookmarks VALUES ('https://example.com/')")


def _newer(path: Path) -> None:
    make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 999")


def _newer_with_a_log(path: Path) -> None:
    _newer(path)
    crash(path, "INSERT INTO ticket VALUES ('s', 'late', '{}')")


REFUSED = [
    pytest.param(_truncated, "malformed", id="truncated"),
    pytest.param(_damaged, "malformed", id="damaged"),
    pytest.param(_foreign, "not deskbell's; choose another path", id="foreign"),
    pytest.param(_foreign_with_a_log, "not deskbell's; choose another path", id="foreign-with-a-log"),
    pytest.param(_newer, r"a newer deskbell made this store \(schema 999\)", id="newer"),
    pytest.param(_newer_with_a_log, r"newer deskbell .* update this one", id="newer-with-a-log"),
]


@pytest.mark.parametrize("connecting", [connect, connect_to_read])
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
    after = files(path.parent)
    assert after | before == after
    assert not any(after[name] for name in after.keys() - before.keys()), (
        "an empty log may come, nothing else"
    )


@pytest.mark.parametrize("connecting", [connect, connect_to_read])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    garbage: Path, connecting: Callable[[Path], object]
) -> None:
    before = files(garbage.parent)
    with pytest.raises(StoreError, match="file is not a database"):
        connecting(garbage)
    assert files(garbage.parent) == before


def test_a_file_that_may_not_be_written_is_refused_at_the_start(public_path: Path) -> None:
    """SQLite itself would open it, and fail at the first event."""
    make(public_path, rows=1)
    public_path.chmod(0o444)
    public_path.parent.chmod(0o777)
    with without_rights(), pytest.raises(StoreError, match=r"readonly database; it is left as it is"):
        connect(public_path)


def test_a_file_that_may_not_be_read_is_refused(public_path: Path) -> None:
    make(public_path)
    public_path.chmod(0)
    for connecting in (connect, connect_to_read):
        with without_rights(), pytest.raises(StoreError, match="unable to open database file"):
            connecting(public_path)


def test_a_folder_is_no_store(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be used"):
        connect(path)


class TestReader:
    @pytest.mark.parametrize("content", [None, b""], ids=["no file", "empty file"])
    def test_where_nothing_was_stored_it_says_so(self, path: Path, content: bytes | None) -> None:
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(StoreError, match="there is no store yet; `deskbell serve` makes it"):
            connect_to_read(path)

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO ticket VALUES ('s', 'x', '{}')",
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
        with closing(connect(path)) as writer, closing(connect_to_read(path)) as reader:
            for number in range(1, 4):
                writer.execute(INSERT, (str(number),))
                assert reader.execute(COUNT).fetchone() == (number,)
            unread = reader.execute("SELECT ticket FROM ticket")
            assert unread.fetchone() == ("1",)
            writer.execute("DELETE FROM ticket")
            assert unread.fetchall() == [("2",), ("3",)]

    def test_it_never_folds_the_log_into_the_file(self, path: Path) -> None:
        """Only the one writer may: two that do it at once can corrupt the file in SQLite before 3.51.3."""
        with closing(connect(path)) as writer:
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
        crash(path, "INSERT INTO ticket VALUES ('s', 'late', '{}')")
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
        with closing(connect(public_path)) as writer:
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
