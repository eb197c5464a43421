"""Whether the disk still has room: the last of it is for outcomes, not for new events. And what the store takes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MEBIBYTE = 1024 * 1024
_LARGEST_RESERVE = 64 * _MEBIBYTE
_SHARE = 0.05
"""Of the whole file system: on a small one less than ``_LARGEST_RESERVE`` is kept."""
_INTERVAL = 1.0
"""Seconds for which a look at the disk is believed."""
_FILES = ("", "-wal", "-shm")
"""What SQLite adds to a database's name: https://www.sqlite.org/tempfiles.html."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a disk: those that are free, and the last of them, which are for outcomes."""

    free: float
    reserve: float


def room_for(path: Path) -> Room | None:
    """On the disk of ``path``; None where it cannot be asked."""
    try:
        disk = os.statvfs(path.resolve().parent)
    except OSError:
        return None
    reserve = min(_LARGEST_RESERVE, _SHARE * disk.f_blocks * disk.f_frsize)
    return Room(disk.f_bavail * disk.f_frsize, reserve)


def size_of(path: Path) -> int:
    """Bytes of the store at ``path``, with what is not yet in its main file."""
    size = 0
    for ending in _FILES:
        with suppress(OSError):  # the others come and go
            size += path.with_name(path.name + ending).stat().st_size
    return size


class Space:
    """The disk on which ``path`` lies. It is looked at when it is asked for, at most once a second."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path.resolve()
        self._clock = clock
        self._look_at = clock()
        self._short = ""

    def short(self) -> str:
        """Why no new event should be stored now: less than the reserve is free. Empty when there is room."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + _INTERVAL
            self._short = self._look()
        return self._short

    def _look(self) -> str:
        room = room_for(self._path)
        if (
            room is None or room.free >= room.reserve
        ):  # where nobody knows, writing tells, better than a guess
            return ""
        return (
            f"the disk of {self._path.parent} is nearly full: {room.free / _MEBIBYTE:.1f} MiB are free, and the last "
            f"{room.reserve / _MEBIBYTE:.1f} MiB are kept for outcomes; free some space"
        )
