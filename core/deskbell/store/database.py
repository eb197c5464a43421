"""The SQLite file: made whole, checked, migrated, opened. Every refusal names the file and what to do."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from contextlib import closing, suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Self

from deskbell.errors import StoreError

from .fault import damage, explain
from .lock import CLEAN, IN_USE, SUSPECT, StoreLock, flush

_APPLICATION_ID = 0x6465736B  # "desk"
_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
_PRIVATE = 0o600
LARGEST_CHECKED = 256 * 1024 * 1024
"""Bytes that are checked at each start (0.1 s for 100,000 waiting events, 0.8 s at most; 1 GB would take 3 s).

In a larger file SQLite finds the damage when it comes to it: the process ends, and the next start checks the whole.
"""
_NEW_SETTINGS = (
    "PRAGMA journal_mode = MEMORY",  # no second file beside one that is not there yet
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    "PRAGMA auto_vacuum = INCREMENTAL",
)
_WRITER_SETTINGS = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA synchronous = FULL",  # with WAL, NORMAL loses the last commits when the power goes
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA mmap_size = 0",
    "PRAGMA cache_size = -8192",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA fullfsync = ON",  # macOS: fsync alone does not reach the platter there
    "PRAGMA checkpoint_fullfsync = ON",
)
_READER_SETTINGS = (
    "PRAGMA query_only = ON",
    "PRAGMA busy_timeout = 5000",
    # Two connections that fold the log at once can corrupt the file in SQLite before 3.51.3: only the writer does it.
    # That `mode=ro` cannot, not even when it closes last, is SQLite's own doing; this is for who changes the mode.
    "PRAGMA wal_autocheckpoint = 0",
)

_log = logging.getLogger(__name__)


class Database:
    """The store's file, locked, and open on the one connection that writes. It may be handed to one other thread."""

    def __init__(self, path: Path, lock: StoreLock, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection
        self._lock = lock

    @classmethod
    def open(cls, path: Path, *, check_up_to: int = LARGEST_CHECKED) -> Self:
        """Open (or make) the store; migrate it. ``StoreError`` says what is wrong with it, and leaves it as it is.

        A larger file than ``check_up_to`` bytes is checked only where the last process met a failure.
        """
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: deskbell needs 3.37 or newer")
        lock = StoreLock.take(path)
        try:
            return cls(path, lock, _open(path, lock, check_up_to))
        except sqlite3.Error as error:
            lock.close()
            raise StoreError(
                f"{path}: the store cannot be used: {explain(error)}; it is left as it is"
            ) from None
        except OSError as error:
            lock.close()
            raise StoreError(
                f"{path}: the store cannot be used: {error.strerror}; it is left as it is"
            ) from None
        except BaseException:
            lock.close()
            raise

    def close(self, *, failed: bool = False) -> None:
        """Fold the log into the file, and let go of it. Not after the disk ``failed``: the next start sees to it."""
        try:
            if failed:
                _abandon(self.connection)
                self._lock.write(SUSPECT)
            else:
                _close(self.connection, self._lock, self.path)
        except (sqlite3.Error, OSError) as error:
            _abandon(self.connection)
            _log.error("%s: could not be closed in order; the next start sees to it: %s", self.path, error)
        finally:
            self._lock.close()


def connect_to_read(path: Path, *, older: bool = False) -> sqlite3.Connection:
    """A connection that cannot change anything, safe beside a running server.

    ``older``: also to a store that an older deskbell made, whose tables may differ from today's.
    """
    try:
        if not _is_there(path):
            raise StoreError(f"{path}: there is no store yet; `deskbell serve` makes it")
        connection = _connect_to_read(path)
        try:
            version = _version(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreError(f"{path}: the store cannot be read: {explain(error)}") from None
    except OSError as error:
        raise StoreError(f"{path}: the store cannot be read: {error.strerror}") from None
    if version < len(_migrations()) and not older:
        connection.close()
        raise StoreError(
            f"{path}: an older deskbell made this store; start `deskbell serve`, which migrates it"
        )
    return connection


def _open(path: Path, lock: StoreLock, check_up_to: int) -> sqlite3.Connection:
    suspect = lock.word() == SUSPECT
    if not _is_there(path, lock):
        _make(path.resolve())
    # Judged through a connection that cannot write: closing any other would fold a log into a foreign file.
    with closing(_connect_to_read(path)) as reader:
        _version(reader, path)
        if suspect or _bytes(reader) <= check_up_to:
            _check_pages(reader, path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _set_up(connection, path)
        lock.write(IN_USE)
    except BaseException:
        with suppress(sqlite3.Error, OSError):  # the first error tells more
            _close(connection, lock, path)
        raise
    return connection


def _is_there(path: Path, lock: StoreLock | None = None) -> bool:
    """Whether there is a store. Judged without SQLite, which deletes the log of an empty file, even only to read."""
    store = path.resolve()
    log = _log_of(store)
    in_use = lock and lock.word() != CLEAN and lock.path
    if store.is_dir():
        raise StoreError(f"{path}: is a folder; name a file in it under store:")
    if not store.exists():
        left = log if log.exists() else in_use
        if left:
            raise StoreError(
                f"{path}: is gone, but {left.name} shows that it was in use: put it back, or the last backup; "
                f"to begin with an empty store, delete {left}"
            )
        return False
    if store.stat().st_size == 0:
        raise StoreError(
            f"{path}: is empty (0 bytes), which no store ever is: put it back, or the last backup; "
            "to begin with an empty store, delete it"
        )
    if _lacks_log(log) and (in_use or (not lock and _is_in_use_without(log, store))):
        raise StoreError(
            f"{path}: {log.name} is gone, and with it the events and outcomes that came last, for deskbell did not "
            "end in order: put it back. If it cannot be found, if another program (such as sqlite3) has folded it "
            "into the file, or if you have just put a backup here, go on without it: "
            f"delete {store.with_name(store.name + '.lock')}"
        )
    return True


def _lacks_log(log: Path) -> bool:
    return not log.exists() or log.stat().st_size == 0


def _is_in_use_without(log: Path, store: Path) -> bool:
    """For one that only reads. The log is looked at once more after the word: a ``serve`` may just have started."""
    return StoreLock.peek(store) != CLEAN and _lacks_log(log)


def _log_of(store: Path) -> Path:
    return store.with_name(store.name + "-wal")


def _make(store: Path) -> None:
    """Make a store that appears whole or not at all: no half-made file is ever taken for one, or for nothing."""
    new = store.with_name(store.name + ".new")
    new.unlink(missing_ok=True)  # a crash left it: whoever makes another holds the lock
    new.touch(_PRIVATE)  # it will hold customers' words: nobody else on the machine reads it
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        for setting in _NEW_SETTINGS:
            connection.execute(setting)
        _migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
    flush(new)
    new.rename(store)
    flush(store.parent)


def _connect_to_read(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{_how_to_read(path)}", uri=True, isolation_level=None
    )
    for setting in _READER_SETTINGS:
        connection.execute(setting)
    return connection


def _how_to_read(path: Path) -> str:
    """SQLite wants to make the files of its write-ahead log even to read.

    Where it may not, and nothing is in a log, no server runs, and the file can be read as it lies there.
    """
    store = path.resolve()
    return "mode=ro" if _log_of(store).exists() or os.access(store.parent, os.W_OK) else "mode=ro&immutable=1"


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the schema. ``StoreError`` when the file is not for this deskbell."""
    connection.execute(
        "SELECT count(*) FROM sqlite_schema"
    ).fetchone()  # no PRAGMA here would notice its damage
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise StoreError(f"{path}: this SQLite file is not deskbell's; choose another path under store:")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(_migrations()):
        raise StoreError(f"{path}: a newer deskbell made this store (schema {version}); update this one")
    return version


def _bytes(connection: sqlite3.Connection) -> int:
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages * size)


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(f"{path}: the store cannot be used: {damage(found)}; it is left as it is")


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"{path}: this file system allows no write-ahead log (journal mode is {mode}); use a local disk"
        )
    for setting in _WRITER_SETTINGS:
        connection.execute(setting)
    _migrate(connection)


@cache
def _migrations() -> tuple[str, ...]:
    folder = resources.files(__package__) / "migrations"
    scripts = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    return tuple(script.read_text("utf-8") for script in scripts)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date in one transaction. With nothing to do it still writes, which shows that it can."""
    migrations = _migrations()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; {''.join(migrations[version:])}\n"
            f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {len(migrations)}; COMMIT;"
        )
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _close(connection: sqlite3.Connection, lock: StoreLock, path: Path) -> None:
    """In an order in which the lock's word is true at every moment."""
    if lock.word() == CLEAN:  # the opening failed
        connection.close()
        return
    busy, logged, folded = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if not busy and logged == folded:
        lock.write(CLEAN)
    connection.close()
    # A reader may have kept the log from being folded, and then ended first: SQLite has done it now.
    if lock.word() != CLEAN and not _log_of(path.resolve()).exists():
        lock.write(CLEAN)


def _abandon(connection: sqlite3.Connection) -> None:
    """Keep it open until the process is gone, in a thread that never ends.

    Python closes what it forgets, and SQLite folds the log on closing: from pages that may not be on the disk.
    """
    threading.Thread(target=lambda _: threading.Event().wait(), args=(connection,), daemon=True).start()
