"""A plugin's code for one page, in a thread of its own: one that hangs holds up neither other pages nor the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import lru_cache
from typing import TypeVar

from deskbell.errors import PluginError
from deskbell.isolation import break_off

PATIENCE = 3.0
"""Seconds, with the wait for a place."""
MOST_AT_ONCE = 16
"""Threads, with those that hang for ever."""

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """What ``work`` returns, or raises; ``TimeoutError`` after ``PATIENCE``, and it is broken off.

    What is no ``Exception`` would end the process, and becomes a ``PluginError``. A daemon thread: unlike those of an
    executor, nobody waits for it when the process ends.
    """
    loop, answer = asyncio.get_running_loop(), Future[T]()
    places = _places(loop)

    def live() -> None:
        try:
            _answer(answer, work)
        finally:
            with suppress(RuntimeError):  # the service ended meanwhile
                loop.call_soon_threadsafe(places.release)

    async with asyncio.timeout(PATIENCE):
        await places.acquire()
        thread = threading.Thread(target=live, name="page", daemon=True)
        thread.start()
        try:
            return await asyncio.wrap_future(answer)
        except asyncio.CancelledError:
            break_off(thread)
            raise


@lru_cache(maxsize=1)
def _places(_loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    """Those of the one loop of the process."""
    return asyncio.Semaphore(MOST_AT_ONCE)


def _answer(answer: Future[T], work: Callable[[], T]) -> None:
    with suppress(InvalidStateError):  # nobody waits for it any more
        try:
            answer.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            answer.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - a plugin's sys.exit(), or that it was broken off
            answer.set_exception(PluginError(f"a plugin raised {type(error).__name__}"))
