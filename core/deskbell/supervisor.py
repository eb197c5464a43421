"""Tells whoever supervises the process how it stands: systemd, or a container's runtime, where one asks for it.

The protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

_LONGEST_TELLING = 1.0
"""Seconds that a supervisor with a full queue may hold up the event loop."""

_log = logging.getLogger(__name__)


class Supervisor:
    """The one that ``NOTIFY_SOCKET`` of ``environment`` names; where it names none, nobody is told anything."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        place = environment.get("NOTIFY_SOCKET", "")
        self._place = place.replace("@", "\0", 1) if place.startswith("@") else place
        self._patience = _patience(environment) if place else 0.0
        self._trouble = ""

    def ready(self, status: str) -> None:
        """Events are accepted; ``status`` is a line for people."""
        self._tell("READY=1", f"STATUS={_one_line(status)}")

    def say(self, status: str) -> None:
        """Change the line for people."""
        self._tell(f"STATUS={_one_line(status)}")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the config is loaded anew, and at the end, however it went, that events are accepted."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            self._tell("READY=1")

    def stopping(self, why: str) -> None:
        """The process is about to end."""
        self._tell("STOPPING=1", f"STATUS={_one_line(why)}")

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Give a sign of life as often as the supervisor wants one, as long as the event loop turns."""
        task = asyncio.create_task(self._give_signs()) if self._patience else None
        try:
            yield
        finally:
            if task:
                task.cancel()
                await asyncio.wait({task})

    async def _give_signs(self) -> None:
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._patience / 2)

    def _tell(self, *lines: str) -> None:
        if not self._place:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_LONGEST_TELLING)
                sender.sendto("\n".join(lines).encode(), self._place)
        except OSError as error:
            if str(error) != self._trouble:  # not at each sign of life
                _log.warning("the supervisor that NOTIFY_SOCKET names cannot be told anything: %s", error)
            self._trouble = str(error)


def _patience(environment: Mapping[str, str]) -> float:
    """Seconds after which the supervisor ends a process that gave no sign of life; 0 when it never does."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    wanted = environment.get("WATCHDOG_USEC", "")
    return int(wanted) / 1e6 if wanted.isascii() and wanted.isdigit() else 0.0


def _one_line(text: str) -> str:
    return " ".join(text.split())
