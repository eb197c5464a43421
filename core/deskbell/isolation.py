"""Where a transport's code runs: on the event loop, until it blocks it; from then on in threads of its own."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, TypeAlias

from .breakoff import BLOCKED, BrokenOff
from .errand import Errand
from .errors import PluginError, SendError
from .outcome import Outcome
from .transport import Response

THREADS = 2
"""For one destination at once: it has one attempt in flight, and one more thread while another is stuck."""
_SWITCH_INTERVAL = 0.0002
"""Seconds that such a thread may compute before the loop gets its turn: the 5 ms of Python add up over an event."""
_LAST_WORDS = 0.5
"""Seconds that tasks have to end which a plugin left behind."""

Request: TypeAlias = Callable[[str, str, bytes | None, Mapping[str, str]], Awaitable[Response]]

_log = logging.getLogger(__name__)


class Isolation:
    """Starts errands. Which transports block the loop, it learns from them as they run.

    ``patience``: seconds that an errand waits for a thread when its transport's are busy.
    """

    def __init__(self, *, patience: float) -> None:
        self._patience = patience
        self._sent_away = set[str]()
        self._places = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(THREADS))

    async def start(self, errand: Errand) -> asyncio.Future[Outcome]:
        """Run ``errand``; to cancel the future is to give it up.

        ``PluginError``: its transport blocks the loop, and all the threads of its destination are busy.
        """
        if errand.blocking:
            self._keep_away(errand)
        if errand.transport not in self._sent_away:
            return asyncio.create_task(self._on_the_loop(errand))
        places = self._places[errand.destination]
        try:
            async with asyncio.timeout(self._patience):
                await places.acquire()
        except TimeoutError:
            raise PluginError(f"{errand.plugin}: all its {THREADS} threads are busy, or stuck") from None
        return _in_a_thread(errand, places.release)

    async def _on_the_loop(self, errand: Errand) -> Outcome:
        return await _Steps(errand.run(), lambda seconds: self._send_away(errand, seconds))

    def _send_away(self, errand: Errand, seconds: float) -> None:
        """A thread would not help against an exclusive one, and there it could not even be broken off."""
        if errand.transport in self._sent_away or errand.exclusive:
            return
        self._keep_away(errand)
        _log.error(
            "%s: %s blocked the event loop for %.1f s, and all destinations with it: "
            "from now on this transport runs in threads of its own",
            errand.plugin, errand.method, seconds,
        )  # fmt: skip

    def _keep_away(self, errand: Errand) -> None:
        self._sent_away.add(errand.transport)
        sys.setswitchinterval(_SWITCH_INTERVAL)


class _Steps:
    """Awaits a coroutine and times each of its steps, from one suspension to the next.

    The loop itself measures its callbacks only in debug mode, and never says whose they were. This costs two looks
    at the clock for each step, and is exact: what one step takes, the loop stands still.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Outcome], blocked: Callable[[float], None]) -> None:
        self._coroutine = coroutine
        self._blocked = blocked

    def __await__(self) -> Generator[Any, None, Outcome]:
        thrown: BaseException | None = None
        while True:
            began = time.monotonic()
            try:
                awaited = self._coroutine.send(None) if thrown is None else self._coroutine.throw(thrown)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            finally:
                if (seconds := time.monotonic() - began) > BLOCKED:
                    self._blocked(seconds)
            try:
                thrown = None
                yield awaited
            except BaseException as error:  # noqa: BLE001 - whatever the loop throws in is the coroutine's
                thrown = error


def from_any_loop(request: Request) -> Request:
    """``request`` for code that may run in another loop than this one, whose connections it uses."""
    home = asyncio.get_running_loop()

    async def ask(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Response:
        async def at_home() -> Response:
            return await request(method, url, body, headers)

        asked = at_home()
        if asyncio.get_running_loop() is home:
            return await asked
        try:
            answering = asyncio.run_coroutine_threadsafe(asked, home)
        except RuntimeError:  # that loop is closed
            asked.close()
            raise SendError("deskbell ended", maybe_received=False) from None
        return await asyncio.wrap_future(answering)

    return ask


def _in_a_thread(errand: Errand, ended: Callable[[], None]) -> asyncio.Future[Outcome]:
    """Run ``errand`` in a loop of its own in a thread; ``ended`` is called when that is over, however late.

    A thread for each: one that is stuck holds up no other errand. A daemon: unlike those of an executor, nobody
    waits for it when the process ends.
    """
    home = asyncio.get_running_loop()
    answer: Future[Outcome] = Future()

    def live() -> None:
        try:
            _run(errand, answer)
        except BaseException as error:  # noqa: BLE001 - a task that the plugin left behind may end the whole loop
            _resolve(answer, errand.lost(error))
        finally:
            with suppress(RuntimeError):  # the service ended meanwhile
                home.call_soon_threadsafe(ended)

    thread = threading.Thread(target=live, name=f"transport {errand.transport}", daemon=True)
    thread.start()
    waiting = asyncio.wrap_future(answer)
    waiting.add_done_callback(lambda _: home.call_later(2 * _LAST_WORDS, break_off, thread))
    return waiting


def _run(errand: Errand, answer: Future[Outcome]) -> None:
    """Like ``asyncio.run``, which would wait without end for what the plugin left behind."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_answer(errand, answer))
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS))
    finally:
        loop.close()


async def _answer(errand: Errand, answer: Future[Outcome]) -> None:
    running, loop = asyncio.create_task(errand.run()), asyncio.get_running_loop()
    answer.add_done_callback(lambda _: loop.call_soon_threadsafe(running.cancel))  # it is given up
    with suppress(asyncio.CancelledError):
        _resolve(answer, await running)


def break_off(thread: threading.Thread) -> None:
    """What computes for ever would slow everything down until the process ends. What waits in C ends when it wakes."""
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(BrokenOff)
        )


def _resolve(answer: Future[Outcome], outcome: Outcome) -> None:
    with suppress(InvalidStateError):  # nobody waits for it any more
        answer.set_result(outcome)
