"""Put a new config in the place of the old one: whole or not at all, and never over somebody else's change."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import ChangedError, EditError

BACKUP = ".bak"
"""What is added to the name of the file for the one that was replaced."""
_FOR_ME = 0o600


def replace(path: Path, old: bytes, new: bytes) -> None:
    """Write ``new`` where ``old`` is; ``old`` stays beside it as ``….bak``. A link stays, its target is replaced.

    Both files get the mode and the owner of the one that was there. ``EditError`` when that holds other bytes now,
    or when the folder does not take a file: then the config is as it was.
    """
    with _told(path):
        target = path.resolve(strict=True)
        with target.open("rb") as file:
            with suppress(OSError):  # not every network's file system locks
                fcntl.flock(file, fcntl.LOCK_EX)  # two who save at once: the second finds other bytes
            like = os.fstat(file.fileno())
            with _beside(target, new, like) as fresh, _beside(target, old, like) as backup:
                if target.read_bytes() != old:
                    raise changed(path)
                backup.replace(target.with_name(target.name + BACKUP))
                fresh.replace(target)
        _sync_folder(target.parent)


def changed(path: Path) -> ChangedError:
    """Somebody else was faster."""
    return ChangedError(
        f"{path} was changed since it was read, so nothing was written", "read it again, then repeat the edit"
    )


@contextmanager
def _beside(path: Path, content: bytes, like: os.stat_result) -> Iterator[Path]:
    """A file with this content in the folder of ``path``, gone at the end unless it was renamed.

    Only those may read it who may read what it is ``like``. ``OSError`` as for any file.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    number = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FOR_ME)
    try:
        with os.fdopen(number, "wb") as file:
            _make_alike(file.fileno(), like)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the machine says, as what the owner can do."""
    try:
        yield
    except FileNotFoundError:
        raise EditError(
            f"{path} is gone, so nothing was written", "put it back, then read it again"
        ) from None
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise EditError(f"{path} cannot be written: {reason}", _advice(error.errno, path)) from None


def _advice(number: int | None, path: Path) -> str:
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        folder = path.absolute().parent
        return f"let deskbell's user own the file and write into {folder}, or edit it by hand"
    if number == errno.EBUSY:
        return "mount the folder into the container, not the file alone"
    return (
        "make room or mend the disk, then repeat" if number in (errno.ENOSPC, errno.EDQUOT, errno.EIO) else ""
    )


def _make_alike(number: int, like: os.stat_result) -> None:
    own = os.fstat(number)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(number, like.st_uid, like.st_gid)
    os.fchmod(number, like.st_mode & 0o7777)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some file systems cannot; the file itself is on the disk
            os.fsync(number)
    finally:
        os.close(number)
