"""A plugin's code for one page: it may do anything, and the page is answered."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from deskbell.errors import PluginError
from deskbell.web import aside as module
from deskbell.web.aside import aside


async def test_what_it_returns_or_raises_comes_back() -> None:
    assert await aside(lambda: threading.current_thread().daemon)
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 / 0)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
async def test_it_cannot_end_the_process(error: type[BaseException]) -> None:
    def end() -> None:
        raise error

    with pytest.raises(PluginError, match=error.__name__):
        await aside(end)


async def test_what_hangs_is_given_up_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    ended = threading.Event()

    def hang() -> None:
        try:
            while True:
                time.sleep(0.001)
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        await aside(hang)
    assert ended.wait(10), "it would compute until the process ends"


async def test_whoever_comes_while_all_places_are_taken_waits_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 1)
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return go_on.wait(10)

    first = asyncio.create_task(aside(wait))
    await asyncio.to_thread(begun.wait, 10)
    second = asyncio.create_task(aside(lambda: first.done()))
    await asyncio.wait({second}, timeout=0.05)
    go_on.set()
    assert await second, "it was at work beside the first"


async def test_nobody_waits_for_a_place_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 1)
    begun, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        go_on.wait(10)

    hanging = asyncio.create_task(aside(hang))
    await asyncio.to_thread(begun.wait, 10)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with pytest.raises(TimeoutError):
        await aside(lambda: None)
    go_on.set()
    await hanging
