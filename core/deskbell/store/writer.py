"""Group commit: one thread owns the one connection that writes, and jobs that wait together share a commit.

A commit to disk costs about the same whatever it carries, so the batch finds its own size: while one commit
runs, the next jobs gather. The event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from deskbell.errors import StoreError

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
"""Runs inside a transaction, perhaps twice: it changes nothing but the database."""

_LARGEST_BATCH = 512

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

    ``linger``: seconds that a job without urgency waits for company.
    """

    def __init__(self, connection: sqlite3.Connection, *, linger: float = 0.020) -> None:
        self._connection = connection
        self._linger = linger
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Submitted] = []  # by the loop alone, until this turn of it ends
        self._changed = threading.Condition()
        self._waiting: list[_Submitted] = []
        self._urgent = 0
        self._closing = False
        self.trouble = ""  # why the last commit failed
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
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        future: asyncio.Future[T] = self._loop.create_future()
        self._gathered.append(_Submitted(job, future, urgent))
        return future

    def _hand_over(self) -> None:
        """Once for all jobs of one turn of the loop: they share a commit, and the two threads meet less often."""
        gathered, self._gathered = self._gathered, []
        with self._changed:
            self._waiting += gathered
            self._urgent += sum(submitted.urgent for submitted in gathered)
            self._changed.notify()

    async def close(self) -> None:
        """Finish what is waiting, then end the thread. The connection stays open."""
        self._closing = True
        self._hand_over()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while batch := self._take():
            done = self._commit(batch)
            self._loop.call_soon_threadsafe(_resolve, done)

    def _take(self) -> list[_Submitted]:
        """The next batch, when there is one; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(lambda: self._urgent or self._closing, timeout=self._linger)
            batch = self._waiting[:_LARGEST_BATCH]
            del self._waiting[:_LARGEST_BATCH]
            self._urgent -= sum(submitted.urgent for submitted in batch)
            return batch

    def _commit(self, batch: list[_Submitted]) -> list[_Done]:
        try:
            done = self._transact(batch)
        except Exception as error:  # noqa: BLE001 - one bad job must not take the others with it
            if _is_the_databases(error):
                return self._fail(batch, error)
            if len(batch) == 1:
                return [_Done(batch[0].future, None, error)]
            middle = len(batch) // 2
            return self._commit(batch[:middle]) + self._commit(batch[middle:])
        self._report("")
        return done

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

    def _fail(self, batch: list[_Submitted], error: Exception) -> list[_Done]:
        trouble = f"the store cannot be written: {error}"
        self._report(trouble)
        return [_Done(submitted.future, None, StoreError(trouble)) for submitted in batch]

    def _report(self, trouble: str) -> None:
        """Say once what is wrong, and once that it is over: under load there are hundreds of batches a second."""
        if trouble == self.trouble:
            return
        self.trouble = trouble
        if trouble:
            _log.error("%s", trouble)
        else:
            _log.warning("the store can be written again")


def _is_the_databases(error: Exception) -> bool:
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
