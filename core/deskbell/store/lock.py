"""The lock beside the store: one process at a time, and a word on how the last one left the store.

The word is what tells that a write-ahead log is missing: SQLite itself would open the file without it, and silently
be without the last accepted events. No moment of a crash may make the word lie:

- It becomes ``IN_USE`` after the log has its first page, and log and folder are flushed; before any event is accepted.
  A crash before that leaves the word of before; a log that is there is never an error.
- It becomes ``CLEAN`` when all of the log is in the file, and flushed; SQLite removes the log only after that.
  A crash in between leaves a log that is not needed any more.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Self

from deskbell.errors import StoreError

CLEAN = b""
IN_USE = b"in use\n"
SUSPECT = b"suspect\n"
"""The disk did not keep what was written, or the file is damaged: it is to be checked whole."""

_PRIVATE = 0o600
_MENDS = {errno.EROFS: "mount its disk for writing", errno.ENOSPC: "free some space on its disk"}


class StoreLock:
    """Held until it is closed, or the process dies, however it dies: SQLite itself would allow a second writer."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self._file = file

    @classmethod
    def take(cls, store: Path) -> Self:
        """``StoreError`` when another process has it, or it cannot be had."""
        path = _path(store)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        except FileNotFoundError:
            raise StoreError(f"{store}: the folder {path.parent} does not exist; make it first") from None
        except OSError as error:
            mend = _MENDS.get(error.errno or 0, "mend the permissions of its folder")
            raise StoreError(f"{path}: cannot be written ({error.strerror}); {mend}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            if isinstance(error, BlockingIOError):
                raise StoreError(
                    f"{store}: another deskbell uses this store; stop it first, or give this one its own"
                ) from None
            raise StoreError(f"{path}: cannot be locked ({error.strerror}); use a local disk") from None
        return cls(path, file)

    def word(self) -> bytes:
        """How the last process left the store."""
        return _understood(os.pread(self._file, len(SUSPECT), 0))

    @staticmethod
    def peek(store: Path) -> bytes:
        """The word, for one that only reads beside whoever has the lock; ``CLEAN`` where it may not be read."""
        try:
            return _understood(_path(store).read_bytes())
        except OSError:
            return CLEAN

    def write(self, word: bytes) -> None:
        """On the disk when this returns, and so is every name in the folder. ``OSError`` when it is not."""
        flush(self.path.parent)
        os.pwrite(self._file, word, 0)
        os.ftruncate(self._file, len(word))
        os.fsync(self._file)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)


def _path(store: Path) -> Path:
    """Through whatever link a store is reached, it is one store and has one lock."""
    target = store.resolve()
    return target.with_name(target.name + ".lock")


def _understood(found: bytes) -> bytes:
    """What is half written was going to be ``IN_USE``, or better is."""
    return found if found in (CLEAN, SUSPECT) else IN_USE


def flush(path: Path) -> None:
    """Wait until what was written to the file, or the names in the folder, are on the disk."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
