"""A transport that blocked the loop runs away from it: where, how long, and what becomes of what it leaves behind."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC
from typing import Any

import pytest
from aiohttp import web
from tests.kit import NOW, answer, event, loopback_client, now, serving, webhook

import deskbell
from deskbell.client import Client
from deskbell.delivery import Attempt, Delivery, State
from deskbell.isolation import THREADS
from deskbell.sender import LAST_WORDS, Sender
from deskbell.store import Claimed
from deskbell.watchdog import Watchdog

TIMEOUT = 1.0
"""Seconds for an attempt."""
BLOCK = 0.6
"""Seconds that hold the loop up for too long."""


class Mole(deskbell.Transport):
    """Does what the event says, in the method that it names: ``format.doze``."""

    name = "mole"
    max_length = 100

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.freed = threading.Event()
        self.acts: dict[str, Callable[[Any], Awaitable[object]]] = {}

    def format(self, notice: deskbell.Notice, _: deskbell.Options) -> deskbell.Payload:
        text = notice.text(escape=deskbell.plain, limit=self.max_length)
        self.threads.append(threading.current_thread())
        if text == "format.doze":
            time.sleep(BLOCK)
        elif text == "format.wait":
            assert self.freed.wait(20)
        elif text == "format.count":
            while True:
                pass
        elif text == "format.search":  # the engine of `re` lets no other thread run
            re.match("(a+)+b", "a" * 60)
        return {"text": text}

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[deskbell.Options]
    ) -> deskbell.Outcome:
        text: str = payload["text"]
        if text == "send.doze":
            await asyncio.sleep(0)
            time.sleep(BLOCK)  # noqa: ASYNC251 - what the test is about
        elif text == "send.wait":
            assert self.freed.wait(20)
        elif text == "send.hang":
            await asyncio.Event().wait()
        elif text in self.acts:
            await self.acts[text](context)
        return await super().send(payload, context)


class Burrow:
    """A sender, a service, and a transport that may be driven away from the loop."""

    def __init__(self, client: Client, url: str) -> None:
        self.mole = Mole()
        self._hook = webhook("w", url, self.mole)
        self._sender = Sender(client.request, timezone=UTC, date_format="%H:%M", clock=now, timeout=TIMEOUT)

    async def attempt(self, text: str = "hello") -> Attempt:
        sent = event(text=text)
        delivery = Delivery(
            id=1, event_id=sent.id, webhook="w", transport="mole", ticket="1", action="Reply",
            state=State.SENDING, due_from=NOW, attempts=1,
        )  # fmt: skip
        return await self._sender.attempt(Claimed(delivery, sent), self._hook, self._hook.url)

    async def away(self) -> Burrow:
        """Once the transport has blocked the loop."""
        assert isinstance((await self.attempt("format.doze")).outcome, deskbell.Delivered)
        self.mole.threads.clear()
        return self


@pytest.fixture
async def burrow() -> AsyncIterator[Burrow]:
    """Its service says ``ok``; whatever is stuck in the transport is freed at the end."""

    async def ok(_: web.Request) -> web.Response:
        return answer(200, "ok")

    async with loopback_client() as client, serving(ok) as url:
        burrow = Burrow(client, url)
        yield burrow
        burrow.mole.freed.set()
        await none_left(burrow.mole)


@pytest.fixture(autouse=True)
def _own_switch_interval() -> Iterator[None]:
    """It is the process's."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


async def none_left(mole: Mole) -> None:
    """Wait until the threads of the transport have ended, which nobody tells."""
    async with asyncio.timeout(10):
        while f"transport {mole.name}" in [each.name for each in threading.enumerate()]:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("method", ["format", "send"])
async def test_a_transport_that_blocked_the_loop_runs_in_threads_from_then_on(
    burrow: Burrow, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance((await burrow.attempt()).outcome, deskbell.Delivered)
    assert (await burrow.attempt(f"{method}.doze")).outcome == deskbell.Delivered(detail="200 ok")
    assert set(burrow.mole.threads) == {threading.current_thread()}
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"plugin of transport mole ({__name__}): {method} blocked the event loop for 0.")
    for _ in range(2):
        assert (await burrow.attempt()).outcome == deskbell.Delivered(detail="200 ok")
    assert threading.current_thread() not in burrow.mole.threads[2:]
    assert len(caplog.records) == 1, "it is said once"


async def test_a_transport_that_says_that_it_blocks_is_never_on_the_loop(
    burrow: Burrow, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mole, "blocking", True)
    for method in ("format", "send"):
        assert isinstance((await burrow.attempt(f"{method}.doze")).outcome, deskbell.Delivered)
    assert threading.current_thread() not in burrow.mole.threads
    assert caplog.records == []


async def test_there_it_holds_up_nobody(burrow: Burrow) -> None:
    await burrow.away()
    attempts = [asyncio.create_task(burrow.attempt(f"{method}.doze")) for method in ("format", "send")]
    slowest = 0.0
    while not all(attempt.done() for attempt in attempts):
        began = time.monotonic()
        await asyncio.sleep(0.01)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < BLOCK / 2
    assert [type((await attempt).outcome) for attempt in attempts] == [deskbell.Delivered] * 2


async def test_a_step_that_takes_long_only_because_it_waits_drives_nobody_away(
    burrow: Burrow, caplog: pytest.LogCaptureFixture
) -> None:
    async def patient(_: object) -> None:
        for _ in range(3):
            await asyncio.sleep(0.25)

    burrow.mole.acts["patient"] = patient
    assert isinstance((await burrow.attempt("patient")).outcome, deskbell.Delivered)
    assert caplog.records == []


@pytest.mark.parametrize("way", ["wait", "hang"])
async def test_a_send_that_never_returns_may_have_been_received(burrow: Burrow, way: str) -> None:
    await burrow.away()
    attempt = await burrow.attempt(f"send.{way}")
    assert isinstance(attempt.outcome, deskbell.TemporaryFailure)
    assert attempt.outcome.maybe_received
    assert ("send goes on" if way == "wait" else "no complete answer") in attempt.outcome.detail
    assert TIMEOUT <= attempt.seconds < 2 * TIMEOUT


async def test_a_message_whose_format_never_returns_is_dead_and_one_that_waits_for_its_thread_is_not(
    burrow: Burrow,
) -> None:
    await burrow.away()
    stuck = [await burrow.attempt("format.wait")]
    assert isinstance((await burrow.attempt()).outcome, deskbell.Delivered), "there are other threads"
    stuck += await asyncio.gather(*(burrow.attempt("format.wait") for _ in range(THREADS - 1)))
    mine = f"plugin of transport mole ({__name__})"
    assert {attempt.outcome for attempt in stuck} == {
        deskbell.PermanentFailure(f"{mine}: format did not return within {TIMEOUT:g} s")
    }
    assert all(TIMEOUT <= attempt.seconds < 2 * TIMEOUT for attempt in stuck)

    waits = await burrow.attempt()
    assert waits.outcome == deskbell.TemporaryFailure(f"{mine}: all its {THREADS} threads are busy, or stuck")
    assert waits.seconds < TIMEOUT
    assert [each.name for each in threading.enumerate()].count("transport mole") == THREADS

    burrow.mole.freed.set()
    assert isinstance((await burrow.attempt()).outcome, deskbell.Delivered)


async def test_more_attempts_than_threads_wait_their_turn(burrow: Burrow) -> None:
    await burrow.away()
    attempts = await asyncio.gather(*(burrow.attempt() for _ in range(3 * THREADS)))
    assert {type(attempt.outcome) for attempt in attempts} == {deskbell.Delivered}


async def test_a_thread_that_computes_for_ever_is_made_to_end(burrow: Burrow) -> None:
    await burrow.away()
    assert isinstance((await burrow.attempt("format.count")).outcome, deskbell.PermanentFailure)
    await none_left(burrow.mole)


async def test_what_it_leaves_behind_does_not_keep_its_thread(burrow: Burrow) -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    async def leave(_: object) -> None:
        left.append(asyncio.create_task(stubborn()))
        await asyncio.sleep(0)

    left: list[asyncio.Task[None]] = []
    burrow.mole.acts["leave"] = leave
    await burrow.away()
    for _ in range(THREADS):
        assert isinstance((await burrow.attempt("leave")).outcome, deskbell.Delivered)
    await none_left(burrow.mole)


async def test_what_it_left_behind_may_even_end_its_loop(burrow: Burrow) -> None:
    async def explode() -> None:
        raise SystemExit

    async def leave(_: object) -> None:
        exploding = asyncio.create_task(explode())
        await asyncio.sleep(10)
        del exploding

    burrow.mole.acts["leave"] = leave
    await burrow.away()
    attempt = await burrow.attempt("leave")
    assert attempt.outcome == deskbell.TemporaryFailure(
        f"plugin of transport mole ({__name__}): send ended its loop: SystemExit", maybe_received=True
    )


async def test_a_stop_gives_up_what_runs_there(burrow: Burrow) -> None:
    cancelled = threading.Event()

    async def hang(_: object) -> None:
        burrow.mole.freed.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    burrow.mole.acts["hang"] = hang
    await burrow.away()
    attempt = asyncio.create_task(burrow.attempt("hang"))
    await asyncio.to_thread(burrow.mole.freed.wait)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert await asyncio.to_thread(cancelled.wait, 5)


@pytest.mark.parametrize(
    ("text", "first", "words"),
    [
        ("format.count", deskbell.TemporaryFailure, "format was broken off"),
        ("send.wait", deskbell.TemporaryFailure, "send was broken off"),
        ("format.search", deskbell.PermanentFailure, "format was broken off"),
    ],
)
async def test_a_call_that_blocks_the_loop_for_ever_is_broken_off(
    burrow: Burrow, text: str, first: type[deskbell.Outcome], words: str
) -> None:
    """A thread helps against the first two. The third would stop every thread from there, and stays where it ends."""
    with Watchdog(blocked=0.1, longest_block=0.8, beat=0.1):
        began = time.monotonic()
        attempt = await burrow.attempt(text)
        assert time.monotonic() - began < 8
        assert isinstance(attempt.outcome, first)
        assert words in attempt.outcome.detail
        assert getattr(attempt.outcome, "maybe_received", False) == text.startswith("send")
        assert isinstance((await burrow.attempt()).outcome, deskbell.Delivered)
    ran_away = burrow.mole.threads[-1] is not threading.current_thread()
    assert ran_away == (text != "format.search")


async def test_errors_of_the_network_come_through(burrow: Burrow, unused_tcp_port: int) -> None:
    async def ask_nobody(context: deskbell.SendContext[deskbell.Options]) -> None:
        await context.get(url=f"http://127.0.0.1:{unused_tcp_port}/")

    burrow.mole.acts["ask"] = ask_nobody
    await burrow.away()
    attempt = await burrow.attempt("ask")
    assert isinstance(attempt.outcome, deskbell.TemporaryFailure)
    assert "cannot connect" in attempt.outcome.detail
    assert not attempt.outcome.maybe_received
    assert attempt.seconds < TIMEOUT + LAST_WORDS
