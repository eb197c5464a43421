"""Watches that the event loop turns: while one call holds it up, nothing is accepted and nothing is sent.

A thread looks on. What it sees it says once while it lasts, with the stack, and once when it is over. A plugin's call
that lasts too long is broken off by the kernel's timer: even a thread can do nothing while code in C lets none run.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import time
import traceback
from types import FrameType, TracebackType
from typing import Self

from .breakoff import BLOCKED, LONGEST_BLOCK, BrokenOff, may_break

BEAT = 0.4
"""Seconds between two signs of life of the loop: so much later, at most, it is noticed. Each costs a wake-up."""
_LATE = 0.1
"""Seconds by which the watching thread itself wakes too late when something is wrong with all threads."""
_LOOK = 0.02
"""Seconds between two looks while something is wrong."""
_INSIST = 1.0
"""Seconds until a plugin that caught its breaking off is broken off again."""
_FRAMES = 20

_OURS = frozenset({"deskbell", "aiohttp", "asyncio", "uvloop", "pluggy"})
_START = frozenset({"asyncio.runners", "asyncio.base_events", "asyncio.events"})
"""What runs the loop: whatever called that is of no interest."""

_log = logging.getLogger(__name__)


class Watchdog:
    """A context manager for use inside the loop that it watches.

    ``blocks`` counts what was reported, ``blocked_seconds`` how long that took. Where the process as a whole stood
    still (stopped, suspended, starved of the processor), nothing is reported: nobody's code was in the way.
    """

    def __init__(
        self, *, blocked: float = BLOCKED, longest_block: float = LONGEST_BLOCK, beat: float = BEAT
    ) -> None:
        self.blocks = 0
        self.blocked_seconds = 0.0
        self._limit = blocked
        self._longest = longest_block
        self._interval = beat
        self._beaten_at = 0.0
        self._noticed = 0.0  # the last beat before the last block that the thread saw in time
        self._caught = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._breaks_off = threading.current_thread() is threading.main_thread()  # no other gets signals
        if self._breaks_off:
            self._replaced = signal.signal(signal.SIGALRM, self._break_off)
        self._beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._timer.cancel()
        if self._breaks_off:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._replaced)

    def _beat(self) -> None:
        self._beaten_at, self._used = time.monotonic(), time.thread_time()
        self._timer = self._loop.call_later(self._interval, self._beat)
        if self._breaks_off:
            signal.setitimer(signal.ITIMER_REAL, self._interval + self._longest, _INSIST)

    def _break_off(self, _: int, frame: FrameType | None) -> None:
        if may_break(frame):
            computed = time.thread_time() - self._used > self._longest / 2
            exclusive = computed and self._noticed != self._beaten_at
            if exclusive:
                self._caught = _told(_inside(frame))  # the thread comes too late to see it
            raise BrokenOff(exclusive=exclusive)

    # -- in the thread

    def _watch(self) -> None:
        """Sleep until the next beat would be overdue: once or twice a second, when all is well."""
        patience = self._interval + self._limit
        since = self._beaten_at
        while True:
            wake_at, used = max(since + patience, time.monotonic()), time.process_time()
            if self._over.wait(wake_at - time.monotonic()):
                return
            now, used = time.monotonic(), time.process_time() - used
            late = now - wake_at
            since = max(since, self._beaten_at)
            if late > _LATE and used < late / 2:
                since = now  # the whole process stood still
            elif now - since >= patience:
                self._look_closer(late)

    def _look_closer(self, late: float) -> None:
        """When this thread is late and nothing stood still, code in C kept the interpreter to itself."""
        beaten_at = self._beaten_at
        if late < self._longest / 2:
            self._noticed = beaten_at
        told = _told(_inside(sys._current_frames().get(self._watched)))  # noqa: SLF001 - documented all the same
        looked_at, ended = time.monotonic(), self._over.wait(_LOOK)
        late = max(late, time.monotonic() - looked_at - _LOOK)
        if late > _LATE or (self._beaten_at == beaten_at and not ended):
            _log.error(
                "the event loop is held up for %.1f s now, and everything waits%s",
                time.monotonic() - beaten_at - self._interval, self._caught or told,
            )  # fmt: skip
            self._caught = ""
            self._see_through(beaten_at)

    def _see_through(self, beaten_at: float) -> None:
        while self._beaten_at == beaten_at and not self._over.wait(_LOOK):
            pass
        ended_at = time.monotonic() if self._over.is_set() else self._beaten_at
        seconds = ended_at - beaten_at - self._interval
        self.blocks += 1
        self.blocked_seconds += seconds
        _log.warning("the event loop goes on; it was held up for %.1f s", seconds)


def _inside(frame: FrameType | None) -> list[FrameType]:
    """The stack of ``frame`` as far as it is inside the loop, innermost first."""
    frames = list[FrameType]()
    while frame is not None and _module(frame) not in _START:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _told(stack: list[FrameType]) -> str:
    """As in a traceback. Lines of source only: what stands in variables may be secret."""
    lines = ((frame, frame.f_lineno) for frame in stack)
    shown = reversed(traceback.StackSummary.extract(lines, limit=_FRAMES).format())
    return "".join([_blame(stack), "\n", *shown])


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _blame(stack: list[FrameType]) -> str:
    """The plugin that is at it: the outermost of the strangers that called each other in a row."""
    found = ""
    for module in map(_module, stack):
        package = module.partition(".")[0]
        if package in _OURS and found:
            break
        if package not in _OURS and package not in sys.stdlib_module_names:
            found = module
    return f", by the plugin module {found}" if found else ""
