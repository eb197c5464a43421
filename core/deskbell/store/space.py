"""Whether the disk still has room: the last of it is for outcomes, not for new events."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_MEBIBYTE = 1024 * 1024
_LARGEST_RESERVE = 64 * _MEBIBYTE
_SHARE = 0.05
"""Of the whole file system: on a small one less than ``_LARGEST_RESERVE`` is kept."""
_INTERVAL = 1.0
"""Seconds for which a look at the disk is believed."""


class Space:
    """The disk on which ``path`` lies. It is looked at when it is asked for, at most once a second."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = path.resolve().parent
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
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return ""  # then writing tells, better than a guess
        free = disk.f_bavail * disk.f_frsize
        reserve = min(_LARGEST_RESERVE, _SHARE * disk.f_blocks * disk.f_frsize)
        if free >= reserve:
            return ""
        return (
            f"the disk of {self._folder} is nearly full: {free / _MEBIBYTE:.1f} MiB are free, and the last "
            f"{reserve / _MEBIBYTE:.1f} MiB are kept for outcomes; free some space"
        )
