"""The SQLite file: lock, settings, schema. Every refusal names the file and what to do."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from functools import cache
from importlib import resources
from pathlib import Path
from typing import IO

from deskbell.errors import StoreError

_APPLICATION_ID = 0x6465736B  # "desk"
_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
_PRIVATE = 0o600
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


def lock(path: Path) -> IO[bytes]:
    """Take the store for this process until the file is closed: SQLite itself would allow a second writer."""
    store = path.resolve()  # through whatever link it is reached, it is one store and has one lock
    lock_path = store.with_name(store.name + ".lock")
    try:
        lock_path.touch(_PRIVATE)
        file = lock_path.open("ab")
    except FileNotFoundError:
        raise StoreError(f"{path}: the folder {store.parent} does not exist; make it first") from None
    except OSError as error:
        raise StoreError(
            f"{lock_path}: cannot be written ({error.strerror}); mend the folder's permissions"
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreError(
            f"{path}: another deskbell uses this store; stop it first, or give this one its own"
        ) from None
    except OSError as error:
        file.close()
        raise StoreError(f"{lock_path}: cannot be locked ({error.strerror}); use a local disk") from None
    return file


def connect(path: Path) -> sqlite3.Connection:
    """The one connection that writes. It may be handed to one other thread."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: deskbell needs 3.37 or newer")
    try:
        if not path.exists():
            path.touch(_PRIVATE)  # it holds customers' words: nobody else on the machine reads it
        # Judged through a connection that cannot write: closing any other would fold a log into a foreign file.
        with closing(_open_to_read(path)) as connection:
            fresh = not _has_schema(connection, path)
        return _open_to_write(path, fresh=fresh)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: the store cannot be used: {error}; it is left as it is") from None


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot change anything, safe beside a running server."""
    absent = StoreError(f"{path}: there is no store yet; `deskbell serve` makes it")
    if not path.is_file():
        raise absent
    try:
        connection = _open_to_read(path)
        try:
            if not _has_schema(connection, path):
                raise absent
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreError(f"{path}: the store cannot be read: {error}") from None
    return connection


def _open_to_read(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{_how_to_read(path)}", uri=True, isolation_level=None
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def _how_to_read(path: Path) -> str:
    """SQLite wants to make the files of its write-ahead log even to read.

    Where it may not, and nothing is in a log, no server runs, and the file can be read as it lies there.
    """
    store = path.resolve()
    logged = store.with_name(store.name + "-wal").exists()
    return "mode=ro" if logged or os.access(store.parent, os.W_OK) else "mode=ro&immutable=1"


def _open_to_write(path: Path, *, fresh: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        if fresh:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"{path}: this file system allows no write-ahead log (journal mode is {mode}); use a local disk"
            )
        for setting in _WRITER_SETTINGS:
            connection.execute(setting)
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_schema(connection: sqlite3.Connection, path: Path) -> bool:
    """False when nothing was ever stored; ``StoreError`` when the file is not for this deskbell."""
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
        return False
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != _APPLICATION_ID:
        raise StoreError(f"{path}: this SQLite file is not deskbell's; choose another path under store:")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_migrations()):
        raise StoreError(f"{path}: a newer deskbell made this store (schema {version}); update this one")
    return True


@cache
def _migrations() -> tuple[str, ...]:
    folder = resources.files(__package__) / "migrations"
    scripts = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    return tuple(script.read_text("utf-8") for script in scripts)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date in one transaction. With nothing to do it still shows that writing works."""
    migrations = _migrations()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.executescript(
        f"BEGIN IMMEDIATE; {''.join(migrations[version:])}\n"
        f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {len(migrations)}; COMMIT;"
    )
