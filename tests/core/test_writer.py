"""Group commit at the real thing: a real SQLite file, a real thread, its real transactions counted."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from tests.faults.disks import may_mount, small_disk

from deskbell import TicketEvent
from deskbell.delivery import Attempt, Delivery, State
from deskbell.errors import StoreBusyError, StoreError
from deskbell.event import NEVER
from deskbell.outcome import Delivered
from deskbell.store.fault import is_final
from deskbell.store.sqlite import MAX_WAITING, SqliteStore
from deskbell.store.writer import GroupWriter, Job

PATIENCE = 20.0
"""Seconds after which a test says that something hangs."""
LONG = 3 * PATIENCE
INTERVAL = 0.1
"""Seconds after which the writer tries a database in trouble."""


class Book:
    """A database with one table, the writer of it, and every statement that it ran."""

    def __init__(self, path: Path, *, linger: float) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA busy_timeout = 0")
        self.connection.execute("CREATE TABLE IF NOT EXISTS line (number INTEGER UNIQUE)")
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)
        self.writer = GroupWriter(self.connection, linger=linger, interval=INTERVAL)

    def count(self, statement: str) -> int:
        return sum(each.startswith(statement) for each in self.statements)

    def lines(self) -> list[int]:
        """What another connection sees: what is committed, in the order of its insertion."""
        with closing(sqlite3.connect(self.path)) as connection:
            return [number for (number,) in connection.execute("SELECT number FROM line ORDER BY rowid")]

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """The writer is inside a transaction all the while; what is submitted now waits for it."""
        entered, leave = threading.Event(), threading.Event()

        def job(_: sqlite3.Connection) -> None:
            entered.set()
            leave.wait()

        self.writer.submit(job)
        await wait_for(entered)
        try:
            yield
        finally:
            leave.set()


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    opened = Book(tmp_path / "book.db", linger=0.02)
    yield opened
    await opened.writer.close()
    opened.connection.close()


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[Book]:
    """Its writer lingers longer than any test runs: only company can make it commit."""
    opened = Book(tmp_path / "book.db", linger=LONG)
    yield opened
    await opened.writer.close()
    opened.connection.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if not may_mount():
        pytest.skip("a small file system cannot be mounted here: that takes root on Linux")
    with small_disk(tmp_path / "disk", 256 * 1024) as folder:
        yield folder


def write(number: int) -> Job[int]:
    def job(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO line VALUES (?)", (number,))
        return number

    return job


def fail(_: sqlite3.Connection) -> int:
    raise ValueError("a bad job")


async def outcomes(*futures: Awaitable[Any]) -> list[Any]:
    """What each gave or raised."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*futures, return_exceptions=True)


async def until_recovered(book: Book) -> None:
    async with asyncio.timeout(PATIENCE):
        while book.writer.trouble:  # noqa: ASYNC110 - the writer's thread tells nobody
            await asyncio.sleep(INTERVAL / 4)


async def wait_for(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE), "the writer does not come to it"


class TestGrouping:
    async def test_jobs_that_wait_while_a_commit_runs_share_the_next(self, book: Book) -> None:
        async with book.busy():
            futures = [book.writer.submit(write(number)) for number in range(100)]
            assert book.writer.waiting == 100
        assert await outcomes(*futures) == list(range(100))
        assert (book.count("BEGIN IMMEDIATE"), book.count("COMMIT")) == (2, 2)

    async def test_a_batch_is_bounded(self, book: Book) -> None:
        async with book.busy():
            futures = [book.writer.submit(write(number)) for number in range(1025)]
        await outcomes(*futures)
        assert book.count("COMMIT") == 1 + 3

    async def test_jobs_run_in_the_order_in_which_they_came(self, book: Book) -> None:
        """Urgent or not, over many batches, submitted while others run."""
        futures = []
        for number in range(3000):
            futures.append(book.writer.submit(write(number), urgent=number % 3 == 0))
            if number % 100 == 0:
                await asyncio.sleep(0)
        await outcomes(*futures)
        assert book.lines() == list(range(3000))

    async def test_a_result_is_on_disk_when_it_is_told(self, book: Book) -> None:
        for number in range(20):
            assert await book.writer.submit(write(number)) == number
            assert book.lines()[-1] == number

    async def test_the_event_loop_never_waits_for_the_disk(self, book: Book) -> None:
        """Were it blocked, the writer could never be let go."""
        async with book.busy():
            future = book.writer.submit(write(1))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not future.done()
        assert await outcomes(future) == [1]


class TestLinger:
    async def test_jobs_without_urgency_wait_for_an_urgent_one_and_ride_along(self, patient: Book) -> None:
        calm = [patient.writer.submit(write(number), urgent=False) for number in range(3)]
        done, _ = await asyncio.wait(calm, timeout=0.2)
        assert (done, patient.count("BEGIN")) == (set(), 0)
        assert await outcomes(*calm, patient.writer.submit(write(3))) == [0, 1, 2, 3]
        assert patient.count("COMMIT") == 1

    async def test_alone_it_waits_only_so_long(self, book: Book) -> None:
        assert await outcomes(book.writer.submit(write(1), urgent=False)) == [1]

    async def test_closing_ends_the_wait(self, patient: Book) -> None:
        calm = patient.writer.submit(write(1), urgent=False)
        async with asyncio.timeout(PATIENCE):
            await patient.writer.close()
        assert await outcomes(calm) == [1]


class TestBadJobs:
    @pytest.mark.parametrize("bad", [{0}, {511}, {7, 8, 300}], ids=str)
    async def test_a_bad_job_fails_alone(self, book: Book, bad: set[int]) -> None:
        """Found by halves: the others are tried a few times more, not one by one."""
        async with book.busy():
            jobs: list[Job[int]] = [fail if number in bad else write(number) for number in range(512)]
            futures = [book.writer.submit(job) for job in jobs]
        found = await outcomes(*futures)
        assert {number for number, each in enumerate(found) if isinstance(each, ValueError)} == bad
        assert [each for each in found if isinstance(each, int)] == book.lines()
        assert len(book.lines()) == 512 - len(bad)
        assert book.count("BEGIN") <= 1 + 19 * len(bad)

    async def test_nothing_of_a_bad_job_stays(self, book: Book) -> None:
        def half_done(connection: sqlite3.Connection) -> int:
            write(1)(connection)
            return fail(connection)

        async with book.busy():
            futures = [book.writer.submit(half_done), book.writer.submit(write(2))]
        found = await outcomes(*futures)
        assert isinstance(found[0], ValueError)
        assert book.lines() == [2]

    async def test_a_refused_row_is_its_own_jobs_fault(self, book: Book) -> None:
        await book.writer.submit(write(1))
        async with book.busy():
            futures = [book.writer.submit(write(number)) for number in (0, 1, 2)]
        first, second, third = await outcomes(*futures)
        assert (first, third) == (0, 2)
        assert isinstance(second, sqlite3.IntegrityError)


def _full(book: Book) -> Callable[[], object]:
    book.connection.execute("PRAGMA max_page_count = 1")
    return lambda: book.connection.execute("PRAGMA max_page_count = 1000000")


def _locked(book: Book) -> Callable[[], object]:
    other = sqlite3.connect(book.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other.close


def _read_only(book: Book) -> Callable[[], object]:
    book.connection.execute("PRAGMA query_only = ON")
    return lambda: book.connection.execute("PRAGMA query_only = OFF")


def _damaged(book: Book) -> Callable[[], object]:
    """The pages of the table overwritten behind SQLite's back; mended by putting them back."""
    book.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    book.connection.execute("PRAGMA cache_size = 0")
    whole = book.path.read_bytes()
    book.path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    return lambda: book.path.write_bytes(whole)


def big(number: int) -> Job[int]:
    """A row that needs a page of its own."""

    def job(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO line VALUES (?)", (number,))
        connection.execute("CREATE TABLE IF NOT EXISTS big (words TEXT)")
        connection.execute("INSERT INTO big VALUES (?)", ("x" * 10_000,))
        return number

    return job


def rewrite(connection: sqlite3.Connection) -> int:
    """The same pages again."""
    return connection.execute("UPDATE big SET words = hex(randomblob(5000))").rowcount


READ_ONLY = (
    "attempt to write a readonly database (SQLITE_READONLY); "
    "give the user that runs deskbell the right to write the file and its folder"
)


class TestTroubleOfTheDatabase:
    @pytest.mark.parametrize(
        ("trouble", "words"),
        [
            (_full, r"database or disk is full \(SQLITE_FULL\); the disk is full: free some space"),
            (_locked, r"database is locked \(SQLITE_BUSY\); another program writes to the file"),
            (_read_only, r"attempt to write a readonly database \(SQLITE_READONLY\); give the user"),
        ],
        ids=["full", "locked", "read-only"],
    )
    async def test_it_fails_the_whole_batch_and_the_writer_lives_on(
        self, patient: Book, trouble: Callable[[Book], Callable[[], object]], words: str
    ) -> None:
        """Nobody is told that anything was written, no job is tried alone, and later ones work."""
        end = trouble(patient)
        patient.statements.clear()
        futures = [patient.writer.submit(big(number), urgent=number == 63) for number in range(64)]
        failed = await outcomes(*futures)
        assert all(isinstance(each, StoreError) and re.search(words, str(each)) for each in failed)
        assert patient.count("BEGIN") == 1
        end()
        assert await outcomes(*(patient.writer.submit(big(number)) for number in (1, 2))) == [1, 2]
        assert patient.lines() == [1, 2]
        assert not patient.writer.failure.done()

    async def test_its_end_shows_without_any_job(self, book: Book) -> None:
        """The writer tries for itself, by a write that really reaches the log; it stops when the trouble is over."""
        end = _locked(book)
        await outcomes(book.writer.submit(write(1)))
        assert "locked" in book.writer.trouble
        log = book.path.with_name("book.db-wal")
        book.connection.execute("PRAGMA wal_checkpoint(RESTART)")
        before = log.read_bytes()
        end()
        await until_recovered(book)
        assert log.read_bytes() != before
        tries = book.count("BEGIN")
        await asyncio.sleep(3 * INTERVAL)
        assert book.count("BEGIN") == tries

    async def test_it_is_said_once_and_once_that_it_is_over(
        self, book: Book, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Under load there are hundreds of batches a second, and a disk that is nearly full takes some of them."""
        for number in range(5):
            end = _read_only(book)
            await outcomes(book.writer.submit(write(number)))
            end()
            assert await outcomes(book.writer.submit(write(number))) == [number]
        await until_recovered(book)
        for number in range(5, 10):
            await outcomes(book.writer.submit(write(number)))
        assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
            (logging.ERROR, f"{book.path}: the store cannot be written: {READ_ONLY}"),
            (logging.WARNING, f"{book.path}: the store can be written again"),
        ]

    async def test_its_end_shows_under_load(self, book: Book) -> None:
        """Where jobs follow so closely that the writer never tries for itself."""
        end = _read_only(book)
        await outcomes(book.writer.submit(write(0)))
        end()
        async with asyncio.timeout(PATIENCE):
            number = 0
            while book.writer.trouble:
                number += 1
                await book.writer.submit(write(number))
        assert number > 1

    async def test_a_disk_that_is_really_full(self, disk: Path) -> None:
        """What was told is there, what was refused is not, and room mends it."""
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 120_000)
        book = Book(disk / "book.db", linger=0.02)
        found = await outcomes(*(book.writer.submit(big(number)) for number in range(20)))
        for number in range(20, 40):
            found += await outcomes(book.writer.submit(big(number)))
        told = [each for each in found if isinstance(each, int)]
        assert any(isinstance(each, StoreError) and "full" in str(each) for each in found)
        assert book.lines() == told
        ballast.unlink()
        assert await outcomes(book.writer.submit(big(99))) == [99]
        assert book.lines() == [*told, 99]
        await book.writer.close()
        book.connection.close()

    async def test_a_log_that_fills_the_disk_is_folded(self, disk: Path) -> None:
        """Nobody makes room: what the log holds twice is enough."""
        book = Book(disk / "book.db", linger=0.02)
        await book.writer.submit(big(0))
        book.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        found: list[Any] = []
        while not any(isinstance(each, StoreError) for each in found):
            found = await outcomes(book.writer.submit(rewrite))
        await until_recovered(book)
        assert await outcomes(book.writer.submit(rewrite)) == [1]
        await book.writer.close()
        book.connection.close()


class TestFailure:
    async def test_a_damaged_file_ends_everything(
        self, patient: Book, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The batch, what waits, what comes later: nothing more is written, and the reason is told once."""
        mend = _damaged(patient)
        found = await outcomes(*(patient.writer.submit(write(number)) for number in range(1025)))
        reason = await asyncio.wait_for(patient.writer.failure, PATIENCE)
        assert re.search(r"cannot be trusted any more: .* malformed \(SQLITE_CORRUPT\).*last backup", reason)
        mend()
        patient.statements.clear()
        found += await outcomes(*(patient.writer.submit(write(number)) for number in range(64)))
        assert {(type(each), str(each)) for each in found} == {(StoreError, reason)}
        await asyncio.sleep(3 * INTERVAL)  # a database in mere trouble would have been tried by now
        assert (patient.statements, patient.writer.trouble) == ([], reason)
        assert [record.getMessage() for record in caplog.records] == [reason]

    def test_only_what_cannot_be_believed_any_more_is_final(self) -> None:
        """Every error code of SQLite that comes from the disk or the file."""
        found = set[str]()
        for name in (
            name
            for name in dir(sqlite3)
            if re.match("SQLITE_(IOERR|CORRUPT|NOTADB|FULL|BUSY|READONLY)", name)
        ):
            error = sqlite3.OperationalError()
            error.sqlite_errorname = name
            found |= {name} if is_final(error) else set()
        assert found == {
            "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_CORRUPT_INDEX",
            "SQLITE_CORRUPT_SEQUENCE", "SQLITE_CORRUPT_VTAB",
        }  # fmt: skip


class TestEnds:
    async def test_a_job_that_is_cancelled_before_its_turn_does_not_run(self, book: Book) -> None:
        async with book.busy():
            first, second, third = (book.writer.submit(write(number)) for number in (1, 2, 3))
            second.cancel()
        assert await outcomes(first, third) == [1, 3]
        assert book.lines() == [1, 3]

    async def test_a_job_that_is_cancelled_while_it_runs_harms_nobody(self, book: Book) -> None:
        entered, leave = threading.Event(), threading.Event()

        def job(_: sqlite3.Connection) -> None:
            entered.set()
            leave.wait()

        complaints: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        future = book.writer.submit(job)
        await wait_for(entered)
        future.cancel()
        leave.set()
        assert await outcomes(book.writer.submit(write(1))) == [1]
        assert complaints == []

    async def test_a_batch_of_nothing_but_cancelled_jobs_does_not_end_the_writer(self, book: Book) -> None:
        async with book.busy():
            book.writer.submit(write(1)).cancel()
        assert await outcomes(book.writer.submit(write(2))) == [2]

    async def test_closing_finishes_what_waits_and_takes_nothing_more(self, book: Book) -> None:
        async with book.busy():
            futures = [book.writer.submit(write(number), urgent=number % 2 == 0) for number in range(2000)]
            closing_it = asyncio.create_task(book.writer.close())
            await asyncio.sleep(0)
            with pytest.raises(StoreError, match="closed"):
                book.writer.submit(write(-1))
        await closing_it
        assert await outcomes(*futures) == list(range(2000))
        assert book.lines() == list(range(2000))
        await book.writer.close()  # once more does no harm

    def test_a_process_that_forgets_to_close_still_ends(self, tmp_path: Path) -> None:
        script = (
            "import asyncio, sys; from pathlib import Path; from deskbell.store import open_store\n"
            "async def main(): open_store(Path(sys.argv[1]))\n"
            "asyncio.run(main())"
        )
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "x.db")],
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert ended.returncode == 0


async def test_too_many_waiting_refuse_new_events_but_never_an_outcome(tmp_path: Path) -> None:
    """The disk stands still: 4,096 wait, the next sender is told to come again, a lane is not."""
    store = SqliteStore.open(tmp_path / "x.db")
    entered, leave = threading.Event(), threading.Event()

    def stand_still(_: sqlite3.Connection) -> None:
        entered.set()
        leave.wait()

    def add(number: int) -> asyncio.Task[Any]:
        event = TicketEvent(action="Reply", id=str(number), source="s")
        return asyncio.create_task(store.add(event, b"{}", webhooks=[]))

    blocked = store._writer.submit(stand_still)
    await wait_for(entered)
    waiting = [add(number) for number in range(MAX_WAITING)]
    await asyncio.sleep(0)
    (refused,) = await outcomes(add(-1))
    assert isinstance(refused, StoreBusyError)
    delivery = Delivery(
        id=1, event_id="e", webhook="w", transport="t", ticket="", action="", state=State.DEAD, due_from=NEVER
    )
    attempt = Attempt(
        delivery_id=1, event_id="e", webhook="w", transport="t", number=1, started_at=NEVER, seconds=0.0,
        outcome=Delivered(), payload="",
    )  # fmt: skip
    saving = store.save(delivery, attempt, {})
    leave.set()
    await blocked
    added = await outcomes(*waiting)
    assert [each.id for each in added] == [str(number) for number in range(MAX_WAITING)]
    assert await saving is False
    assert (await outcomes(add(-1)))[0].id == "-1"
    await store.close()
