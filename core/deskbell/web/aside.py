"""A plugin's code for one page, in a thread of its own: one that hangs holds up neither other pages nor the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

from deskbell.isolation import break_off

PATIENCE = 3.0
"""Seconds."""
MOST_AT_ONCE = 16
"""Threads, with those that hang for ever: whoever comes then is told at once that it takes too long."""

T = TypeVar("T")
_places = threading.BoundedSemaphore(MOST_AT_ONCE)


async def aside(work: Callable[[], T]) -> T:
    """What ``work`` returns, or raises; ``TimeoutError`` after ``PATIENCE``, and it is broken off, or without a place.

    A daemon thread: unlike those of an executor, nobody waits for it when the process ends.
    """
    if not _places.acquire(blocking=False):
        raise TimeoutError
    answer: Future[T] = Future()

    def live() -> None:
        try:
            with suppress(InvalidStateError):  # nobody waits for it any more
                try:
                    answer.set_result(work())
                except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                    answer.set_exception(error)
        finally:
            _places.release()

    thread = threading.Thread(target=live, name="page", daemon=True)
    thread.start()
    try:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.wrap_future(answer)
    except TimeoutError:
        break_off(thread)
        raise
