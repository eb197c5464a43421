"""Group commit: one thread owns the one connection that writes, and jobs that wait together share a commit.

A commit to disk costs about the same whatever it carries, so the batch finds its own size: while one commit
runs, the next jobs gather. The event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard, TypeVar

from deskbell.errors import StoreError

from .fault import explain, is_final

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
"""Runs inside a transaction, perhaps twice: it changes nothing but the database."""

_LARGEST_BATCH = 512
LAST_COMMIT = 5.0
"""Seconds that a disk has at the end: one that hangs must not keep the process."""

_log = logging.getLogger(__name__)


class _Submitted(NamedTuple):
    job: Job[Any]
    future: asyncio.Future[Any]
    urgent: bool


class _Done(NamedTuple):
    future: asyncio.Future[Any]
    value: Any
    error: Exception | None = None


class GroupWriter:
    """Runs jobs in the order in which they were submitted. Create it on the loop that awaits the results.

    ``linger``: seconds that a job without urgency waits for company. ``interval``: seconds after which a database in
    trouble is tried again, when no job tries it.

    ``trouble`` is why a commit failed; empty when none did for ``interval`` (a disk that is nearly full takes some and
    refuses others). ``failure`` resolves, with the reason, when no commit can be believed any more: every later job
    fails at once.
    """

    def __init__(
        self, connection: sqlite3.Connection, *, linger: float = 0.020, interval: float = 1.0
    ) -> None:
        self._connection = connection
        self._linger = linger
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Submitted] = []  # by the loop alone, until this turn of it ends
        self._changed = threading.Condition()
        self._waiting: list[_Submitted] = []
        self._urgent = 0
        self._closing = False
        self._file = connection.execute("PRAGMA database_list").fetchone()[2]
        self.trouble = ""
        self._failed_at = 0.0  # by the monotonic clock
        self.failure: asyncio.Future[str] = self._loop.create_future()
        self._final = ""  # what ``failure`` will say
        # A daemon: a disk that hangs must not keep the process from ending. Nothing unfinished was acknowledged.
        self._thread = threading.Thread(target=self._run, name="deskbell-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that no transaction has taken yet."""
        return len(self._gathered) + len(self._waiting)

    def submit(self, job: Job[T], *, urgent: bool = True) -> asyncio.Future[T]:
        """The future resolves after the commit that covers ``job``, with its result.

        A job that is not ``urgent`` may linger; it rides along with any urgent one. A job whose future is
        cancelled before its turn does not run. ``StoreError`` when the database fails; what else the job
        raises is its own.
        """
        if self._closing:
            raise StoreError("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        if self._final:
            future.set_exception(StoreError(self._final))
            return future
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Submitted(job, future, urgent))
        return future

    def _hand_over(self) -> None:
        """Once for all jobs of one turn of the loop: they share a commit, and the two threads meet less often."""
        gathered, self._gathered = self._gathered, []
        with self._changed:
            self._waiting += gathered
            self._urgent += sum(submitted.urgent for submitted in gathered)
            self._changed.notify()

    async def close(self, patience: float = LAST_COMMIT) -> bool:
        """Finish what is waiting, then end the thread. The connection stays open.

        False when the disk hangs for longer than ``patience`` seconds: then nobody else may use the connection.
        """
        self._closing = True
        self._hand_over()
        await asyncio.to_thread(self._thread.join, patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            if batch:
                done = self._commit(batch)
                self._loop.call_soon_threadsafe(_resolve, done)
            else:
                self._try()

    def _take(self) -> list[_Submitted] | None:
        """The next batch, when there is one; empty when the database is to be tried again; None at the end."""
        with self._changed:
            patience = self._interval if self.trouble and not self._final else None
            if not self._changed.wait_for(lambda: self._waiting or self._closing, timeout=patience):
                return []
            self._changed.wait_for(lambda: self._urgent or self._closing, timeout=self._linger)
            batch = self._waiting[:_LARGEST_BATCH]
            del self._waiting[:_LARGEST_BATCH]
            self._urgent -= sum(submitted.urgent for submitted in batch)
            return batch or None

    def _commit(self, batch: list[_Submitted]) -> list[_Done]:
        if self._final:
            return _failed(batch, self._final)
        try:
            done = self._transact(batch)
        except Exception as error:  # noqa: BLE001 - one bad job must not take the others with it
            if _is_the_databases(error):
                return _failed(batch, self._judge(error))
            if len(batch) == 1:
                return [_Done(batch[0].future, None, error)]
            middle = len(batch) // 2
            return self._commit(batch[:middle]) + self._commit(batch[middle:])
        if self.trouble:
            self._recover()
        return done

    def _try(self) -> None:
        """Write as little as can be, and flush it: what ends the trouble need not wait for an event to show.

        Before that the log is folded into the file: on a full disk its room can then be used again.
        """
        try:
            if self._connection.in_transaction:  # not even that could be taken back
                self._connection.execute("ROLLBACK")
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            self._connection.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version = {version}; COMMIT")
        except sqlite3.Error as error:
            self._judge(error)
        else:
            self._recover()

    def _transact(self, batch: list[_Submitted]) -> list[_Done]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            done = [
                _Done(submitted.future, submitted.job(self._connection))
                for submitted in batch
                if not submitted.future.cancelled()
            ]
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return done

    def _judge(self, error: sqlite3.Error) -> str:
        """Say once what the trouble is, and end everything when it is final."""
        if is_final(error):
            self._final = f"{self._file}: the store cannot be trusted any more: {explain(error)}"
            self._loop.call_soon_threadsafe(self.failure.set_result, self._final)
        self._failed_at = time.monotonic()
        trouble = self._final or f"{self._file}: the store cannot be written: {explain(error)}"
        if trouble != self.trouble:  # under load there are hundreds of batches a second
            _log.error("%s", trouble)
            self.trouble = trouble
        return trouble

    def _recover(self) -> None:
        if time.monotonic() - self._failed_at >= self._interval:
            _log.warning("%s: the store can be written again", self._file)
            self.trouble = ""


def _failed(batch: list[_Submitted], reason: str) -> list[_Done]:
    return [_Done(submitted.future, None, StoreError(reason)) for submitted in batch]


def _is_the_databases(error: Exception) -> TypeGuard[sqlite3.Error]:
    """True when no job can be to blame, so that each alone would fail, too.

    The disk is full, read-only, locked or broken (``OperationalError``), or the file is damaged, for which
    sqlite3 has no class of its own.
    """
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def _resolve(done: list[_Done]) -> None:
    for each in done:
        if each.future.cancelled():
            continue
        if each.error is None:
            each.future.set_result(each.value)
        else:
            each.future.set_exception(each.error)
