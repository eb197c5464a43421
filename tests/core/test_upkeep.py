"""What is done now and then: the backlog is measured and bounds what is taken, and what ended long ago goes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.kit import NOW, ShakyStore, conclude, event, take, webhook, within

from deskbell.outcome import Delivered, PermanentFailure
from deskbell.settings import Retention
from deskbell.store import Backlog, TicketFacts
from deskbell.store.reading import Filter, list_deliveries
from deskbell.upkeep import Upkeep

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUICK: dict[str, Any] = {"measure_every": 0.005, "prune_every": 0.005}
LIMIT = 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deskbell.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[ShakyStore]:
    opened = ShakyStore.open(path)
    yield opened
    await opened.close()


def upkeep(store: ShakyStore, at: datetime = NOW, **changes: Any) -> Upkeep:
    retention = Retention(delivered=HOUR.total_seconds(), dead=DAY.total_seconds())
    return Upkeep(store, retention=retention, clock=lambda: at, largest_backlog=LIMIT, **changes)


async def fill(store: ShakyStore, count: int) -> None:
    for number in range(count):
        await store.add(event(str(number)), b"{}", webhooks=[webhook("w")])


@asynccontextmanager
async def running(upkeep: Upkeep) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(upkeep.run())
    yield task
    task.cancel()
    await asyncio.wait({task})


def watched(store: ShakyStore) -> asyncio.Queue[str]:
    """Tells of each thing that is asked of the store."""
    asked: asyncio.Queue[str] = asyncio.Queue()

    def tell(method: str) -> bool:
        asked.put_nowait(method)
        return False

    store.shakes = tell
    return asked


async def until_each_was_asked(asked: asyncio.Queue[str], times: int) -> None:
    counts = Counter[str]()
    while min(counts["backlog"], counts["prune"]) < times:
        counts[await within(asked.get())] += 1


# -- the backlog


async def test_too_many_ready_deliveries_keep_new_events_out_until_some_are_gone(store: ShakyStore) -> None:
    """As many as are allowed may wait. What is in flight, or dead, waits for nobody."""
    keeping = upkeep(store)
    assert keeping.refusal() == "", "before the first look"
    await fill(store, LIMIT - 1)
    await keeping.measure()
    assert keeping.refusal() == ""
    await fill(store, 1)
    assert keeping.refusal() == "", "not before the next look"
    await keeping.measure()
    assert keeping.refusal() == "3 deliveries wait already: their services are down, or too slow for them"
    await conclude(store, await take(store), PermanentFailure("400"))
    await take(store)
    await keeping.measure()
    assert keeping.refusal() == ""


async def test_all_webhooks_count_together(store: ShakyStore) -> None:
    await store.add(event(), b"{}", webhooks=[webhook(name) for name in ("u", "v", "w")])
    keeping = upkeep(store)
    await keeping.measure()
    assert keeping.backlog == {name: Backlog(ready=1, oldest_at=NOW) for name in ("u", "v", "w")}
    assert keeping.refusal()


async def test_while_the_store_cannot_tell_the_last_look_counts_and_it_is_said_once(
    store: ShakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(store, LIMIT)
    keeping = upkeep(store)
    await keeping.measure()
    seen = keeping.backlog
    for _ in range(2):
        store.shakes = lambda _: True
        for _ in range(3):
            await keeping.measure()
        assert keeping.backlog == seen
        assert keeping.refusal()
        store.shakes = lambda _: False
        await keeping.measure()
    assert caplog.messages == ["the backlog cannot be measured: database or disk is full"] * 2


# -- forgetting


async def test_each_kind_is_forgotten_after_its_time(store: ShakyStore, path: Path) -> None:
    """Deliveries as the owner wishes; keys after 30 days, and what tickets said after 400."""
    ages = [HOUR / 2, 2 * HOUR, 2 * DAY]
    for age in ages:
        for outcome in (Delivered(), PermanentFailure("400")):
            await store.add(event(str(age), received_at=NOW - age), b"{}", webhooks=[webhook("w")])
            await conclude(store, await take(store), outcome, at=NOW - age)
    for days in (29, 31, 399, 401):
        told = event(f"{days}", received_at=NOW - days * DAY)
        await store.add(told, b"{}", webhooks=[], key=f"{days}", facts=TicketFacts(subject=f"{days}"))
    assert await upkeep(store).prune() == 2 + 1 + 3 + 1
    left = [(str(each.delivery.state), NOW - each.received_at) for each in list_deliveries(path, Filter())]
    assert sorted(left) == sorted([("delivered", HOUR / 2), ("dead", HOUR / 2), ("dead", 2 * HOUR)])
    again = [await store.add(event(), b"{}", webhooks=[], key=f"{days}") for days in (29, 31)]
    assert [added.replayed for added in again] == [True, False]
    assert [(await store.recall("s", f"{days}")).subject for days in (399, 401)] == ["399", ""]


async def test_what_has_not_ended_is_never_forgotten(store: ShakyStore) -> None:
    await fill(store, 2)
    await take(store)
    assert await upkeep(store, at=NOW + 10_000 * DAY).prune() == 0
    assert await store.backlog() == {"w": Backlog(ready=1, sending=1, oldest_at=NOW)}


# -- as a task


async def test_it_measures_and_forgets_again_and_again(
    store: ShakyStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await fill(store, 1)
    await conclude(store, await take(store), Delivered())
    await fill(store, LIMIT)
    keeping, asked = upkeep(store, at=NOW + 2 * HOUR, **QUICK), watched(store)
    async with running(keeping):
        await until_each_was_asked(asked, 5)
    assert keeping.backlog["w"].ready == LIMIT
    assert len(list_deliveries(path, Filter())) == LIMIT
    assert caplog.messages == ["forgot 1 rows of what ended long ago"]


async def test_its_end_leaves_nothing_running(store: ShakyStore) -> None:
    before, asked = asyncio.all_tasks(), watched(store)
    async with running(upkeep(store, **QUICK)) as task:
        await until_each_was_asked(asked, 1)
    assert task.cancelled()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("method", ["backlog", "prune"])
async def test_a_store_that_fails_is_asked_again(
    store: ShakyStore, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    asked = watched(store)
    tell = store.shakes
    store.shakes = lambda each: tell(each) or each == method
    async with running(upkeep(store, **QUICK)):
        await until_each_was_asked(asked, 3)
    assert "database or disk is full" in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("method", ["backlog", "prune"])
async def test_a_bug_of_ours_ends_neither_the_one_nor_the_other(
    store: ShakyStore, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """A backlog that is never measured again might keep events out for ever."""
    asked = watched(store)
    tell = store.shakes

    def bug(each: str) -> bool:
        tell(each)
        if each == method:
            raise RuntimeError("a bug")
        return False

    store.shakes = bug
    async with running(upkeep(store, **QUICK)) as task:
        await until_each_was_asked(asked, 3)
        assert not task.done()
    assert "RuntimeError: a bug" in caplog.text
