"""A plugin's code for one page: it may do anything, and the page is answered."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from deskbell.web import aside as module
from deskbell.web.aside import aside


async def test_what_it_returns_or_raises_comes_back() -> None:
    assert await aside(lambda: threading.current_thread().daemon)
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 / 0)
    with pytest.raises(SystemExit):
        await aside(lambda: exit(3))


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


async def test_only_so_many_are_at_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_places", threading.BoundedSemaphore(1))
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return go_on.wait(10)

    first = asyncio.create_task(aside(wait))
    await asyncio.to_thread(begun.wait, 10)
    with pytest.raises(TimeoutError):
        await aside(lambda: None)
    go_on.set()
    assert await first
    assert await aside(lambda: True)
