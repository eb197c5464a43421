"""The SQLite file: lock, settings, schema. Every refusal names the file and what to do."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import IO

from deskbell.errors import StoreError

_APPLICATION_ID = 0x6465736B  # "desk"
_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
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
    lock_path = path.with_name(path.name + ".lock")
    try:
        file = lock_path.open("ab")
        lock_path.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"{lock_path}: cannot be written ({error.strerror}); mend the folder's permissions"
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StoreError(
            f"{path}: another deskbell uses this store; stop it first, or give this one its own"
        ) from None
    return file


def connect(path: Path) -> sqlite3.Connection:
    """The one connection that writes. It may be handed to one other thread."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: deskbell needs 3.37 or newer")
    try:
        _create_private(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: the store cannot be opened: {error}") from None
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{path}: the store cannot be used: {error}; it is left as it is") from None
    except StoreError:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot change anything, safe beside a running server."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no store yet; `deskbell serve` makes it")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA busy_timeout = 5000")
        _check_schema(connection, path)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: the store cannot be read: {error}") from None
    return connection


def _create_private(path: Path) -> None:
    """The file holds customers' words: nobody else on the machine reads it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.close(descriptor)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    fresh = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if fresh:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    else:
        _check_schema(connection, path)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"{path}: this file system allows no write-ahead log (journal mode is {mode}); use a local disk"
        )
    for setting in _WRITER_SETTINGS:
        connection.execute(setting)
    _migrate(connection)


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != _APPLICATION_ID:
        raise StoreError(f"{path}: this SQLite file is not deskbell's; choose another path under store:")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_migrations()):
        raise StoreError(f"{path}: a newer deskbell made this store (schema {version}); update this one")


def _migrations() -> list[str]:
    folder = resources.files(__package__) / "migrations"
    scripts = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    return [script.read_text("utf-8") for script in scripts]


def _migrate(connection: sqlite3.Connection) -> None:
    migrations = _migrations()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(migrations[version:], start=version + 1):
        with closing(connection.cursor()) as cursor:
            cursor.executescript(
                f"BEGIN IMMEDIATE; {script}\n"
                f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {number}; COMMIT;"
            )
