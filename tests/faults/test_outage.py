"""A service that is down, for long or for good: nobody else is delayed, nothing is lost, and the rest comes in order."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import aiohttp
import pytest
from tests.faults.places import (
    PATIENCE,
    QUICK,
    Place,
    Run,
    discord,
    fates,
    hook,
    numbers,
    places,
    rows,
    running,
    slack,
    tick,
)  # fmt: skip
from tests.kit import engine, event, loopback_client, now

from deskbell import Trouble
from deskbell.delivery import Attempt, Delivery, Destination, RetryPolicy, State, claim, settle
from deskbell.event import TicketEvent
from deskbell.lane import Lane, Service
from deskbell.outcome import TemporaryFailure
from deskbell.pace import Pace
from deskbell.settings import Webhook
from deskbell.store import open_store

if TYPE_CHECKING:
    from tests.conftest import Run as Command
    from tests.conftest import Serve

T = TypeVar("T")

LADDER = (0.02, 0.05, 0.1, 0.2)
OUTAGE = 4 * 3600.0
QUARTER = 900.0

_log = logging.getLogger(__name__)


async def slowest_but_one(run: Run, place: Place, desk: Webhook, name: str) -> float:
    """Seconds from an event until the service has it: the p99 of 100 events in a second."""
    posted, arrived = dict[str, float](), dict[str, float]()
    for number in range(100):
        posted[text := f"{name}{number}"] = tick()
        await run.post([text], desk)
        await asyncio.sleep(max(0.0, posted[f"{name}0"] + number * 0.01 - tick()))  # a steady load
    while not posted.keys() <= arrived.keys():
        await run.attempts(1)
        arrived = {request.text: request.at for request in place.seen}
    return sorted(arrived[text] - at for text, at in posted.items())[-2]


@pytest.mark.parametrize("waiting", [5, 500])
async def test_a_dead_service_costs_one_probe_for_each_step_and_delays_nobody(
    tmp_path: Path, waiting: int
) -> None:
    """However many deliveries wait for it."""
    async with places(discord(), slack()) as (well, ill):
        ill.broken = lambda: True
        good, bad = hook("good", well), hook("bad", ill, retry=replace(QUICK, ladder=LADDER))
        async with running(tmp_path / "x.db", good, bad) as run:
            before = await slowest_but_one(run, well, good, "before")
            began = tick()
            await run.post(numbers(waiting), bad)
            during = await slowest_but_one(run, well, good, "during")
            seconds = tick() - began
    _log.info("%d wait: p99 of the other %.1f ms, before %.1f ms", waiting, during * 1e3, before * 1e3)
    gaps = ill.gaps()
    steps = [*LADDER, *[LADDER[-1]] * len(gaps)]
    assert all(gap >= step for gap, step in zip(gaps, steps, strict=False))
    assert len(LADDER) < len(ill.seen) <= 1 + len(LADDER) + seconds / LADDER[-1]
    waiting_rows = [row for row in rows(tmp_path / "x.db") if row.webhook == "bad"]
    assert {row.state for row in waiting_rows} == {State.READY}
    assert sum(row.attempts for row in waiting_rows) == len(ill.seen)
    assert during <= 2 * before + 0.1


@pytest.mark.parametrize("timeout", [0.0, 15.0])
def test_after_four_hours_the_backlog_flows_within_a_quarter_of_an_hour(timeout: float) -> None:
    """Whatever the noise, and whichever row is the probe. Where the service is silent instead of refusing, an attempt
    that had just begun has to end first."""
    policy, began, lags = RetryPolicy(), now(), list[float]()
    backlog = [ready(number, began) for number in range(2000)]
    for seed in range(200):
        chance, health, at, waiting = random.Random(seed), Destination(), began, backlog.copy()
        while (at - began).total_seconds() < OUTAGE:
            probe = claim(chance.choice(waiting))
            at += timedelta(seconds=timeout)
            settled = settle(
                probe, health, TemporaryFailure("503"), now=at, policy=policy, noise=chance.uniform(-1, 1)
            )
            waiting[probe.id], health = settled.delivery, settled.destination
            at = health.until or at
        lags.append((at - began).total_seconds() - OUTAGE)
        assert {row.state for row in waiting} == {State.READY}
        assert sum(row.setbacks for row in waiting) == 1, "the first failure may be the message's, no other"
        assert sum(row.attempts for row in waiting) <= len(policy.ladder) + OUTAGE / (QUARTER * 0.8)
    _log.info("the backlog flows after %.0f s at most, mostly %.0f s", max(lags), sorted(lags)[100])
    assert max(lags) <= QUARTER + timeout


def ready(number: int, at: datetime) -> Delivery:
    return Delivery(
        id=number, event_id=f"{number}", webhook="desk", transport="slack", ticket=f"{number}", action="Reply",
        state=State.READY, due_from=at,
    )  # fmt: skip


class Hours:
    """A clock that jumps over each wait; then the events that came meanwhile are told to ``arrive``."""

    def __init__(self, events: list[TicketEvent], began: datetime) -> None:
        self.events, self.began, self.now = events, began, began
        self.arrive: Callable[[Sequence[TicketEvent]], Awaitable[object]]

    def __call__(self) -> datetime:
        return self.now

    @property
    def late(self) -> float:
        """Seconds since the service is back."""
        return (self.now - self.began).total_seconds() - OUTAGE

    async def skip(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        due = [each for each in self.events if each.received_at <= self.now]
        del self.events[: len(due)]
        await self.arrive(due)


class Skipping(Lane):
    """Waits by ``clock``, which takes no time."""

    clock: Hours

    async def _sleep(self, seconds: float) -> None:
        await self.clock.skip(seconds)


async def test_through_an_outage_of_four_hours_2000_events_arrive_in_order(tmp_path: Path) -> None:
    count, chance, began = 2000, random.Random(4), now()
    moments = [began + timedelta(seconds=number * OUTAGE / count) for number in range(count)]
    events = [event(f"{chance.randrange(40)}", f"n{n}", received_at=at) for n, at in enumerate(moments)]
    by_text = {each.variables["content"]: each for each in events}
    store, saved, clock = open_store(tmp_path / "x.db"), asyncio.Queue[Attempt](), Hours(events, began)
    async with places(slack()) as (place,), loopback_client() as client:
        place.broken = lambda: clock.late < 0
        desk = hook("desk", place, retry=RetryPolicy())
        clock.arrive = lambda due: asyncio.gather(*(store.add(each, b"{}", webhooks=[desk]) for each in due))
        works = engine(
            store, client, clock=clock, noise=lambda: chance.uniform(-1, 1),
            settled=lambda _, attempt: saved.put_nowait(attempt),
        )  # fmt: skip
        service = Service("", pace=Pace(()), refusals=Pace(()), health=Destination())
        lane = Skipping(
            desk.destination, {"desk": desk}, url=desk.url, pace=Pace(()), service=service, health=Destination(),
            engine=works,
        )  # fmt: skip
        lane.clock = clock
        await clock.skip(0.0)
        lane.wake()
        async with asyncio.timeout(PATIENCE):
            while len(place.taken) < count:
                await saved.get()
                late = clock.late
        await lane.stop(5.0)
        await store.close()
    probes = len(place.seen) - count
    _log.info("%d probes in four hours; the backlog flows after %.0f s", probes, late)
    assert 0 <= late <= QUARTER, "from the first success on there is no wait: it is the time of all of them"
    assert len(set(place.taken)) == count
    found = rows(tmp_path / "x.db")
    assert {row.state for row in found} == {State.DELIVERED}
    assert sum(row.attempts for row in found) == count + probes
    per_ticket = defaultdict[str, list[datetime]](list)
    for text in place.taken:
        per_ticket[by_text[text].ticket].append(by_text[text].received_at)
    assert all(received == sorted(received) for received in per_ticket.values())


GONE = """\
webhooks:
  - {{name: discord, url: "{discord}", transport: discord, action: "*", rate: none, message: "%content%"}}
  - {{name: slack, url: "{slack}", transport: slack, action: "*", rate: none, message: "%content%"}}
"""
WORDS = {
    "discord": "404 Unknown Webhook (10015)",
    "slack": "404 no_service: Slack does not know this webhook any more; make a new one",
}


async def test_a_deleted_webhook_is_asked_once_and_500_deliveries_wait_for_its_return(
    tmp_path: Path, serve: Serve, run: Command, config_file: Callable[[str], Path]
) -> None:
    """The real program, over a restart."""
    store = tmp_path / "deskbell.db"
    async with places(discord(), slack()) as both, aiohttp.ClientSession() as http:
        config_file(GONE.format(discord=both[0].url, slack=both[1].url))
        for place in both:
            place.fake.trouble = Trouble.DELETED
            place.gate.clear()
        server = serve()
        await asyncio.gather(*(reply(http, server.events_url, f"t{number}", 50) for number in range(10)))
        for place in both:
            place.gate.set()
        paused = {f"webhook {name}": f"paused: {words}" for name, words in WORDS.items()}
        assert await until(lambda: detail(http, server.address), lambda found: len(found) == 2) == paused

        await reply(http, server.events_url, "before", 1)
        server.end()
        server = serve()
        await reply(http, server.events_url, "after", 1)
        assert await detail(http, server.address) == paused
        assert [len(place.seen) for place in both] == [1, 1]
        assert fates(store) == {("ready", 0, False): 2 * 502}
        for name, words in WORDS.items():
            assert f"webhook {name} is PAUSED, its deliveries wait: {words}" in server.log()
            assert f"webhook {name} is still PAUSED: {words}" in server.log()
            assert f"`deskbell resume {name}`" in server.log()

        for place in both:
            place.fake.trouble = None
        for name in WORDS:
            resumed = await asyncio.to_thread(run, "resume", name)
            assert resumed.stdout == f"webhook {name} goes on\n"
        await until(
            lambda: asyncio.to_thread(fates, store), lambda found: found.keys() == {("delivered", 1, False)}
        )
        assert await detail(http, server.address) == {}
        server.end()
    for place in both:
        per_ticket = defaultdict[str, list[int]](list)
        for ticket, number in (text.split() for text in place.taken):
            per_ticket[ticket].append(int(number))
        assert per_ticket == {**{f"t{n}": list(range(50)) for n in range(10)}, "before": [0], "after": [0]}
    assert both[0].taken == both[1].taken, "the order of the tickets among one another, too"
    assert fates(store) == {("delivered", 1, False): 2 * 502}


async def reply(http: aiohttp.ClientSession, url: str, ticket: str, count: int) -> None:
    for number in range(count):
        payload = {"action": "helpdesk_reply", "ticketid": ticket, "content": f"{ticket} {number}"}
        async with http.post(url, json={"payload": payload}) as answer:
            assert answer.status == 202


async def detail(http: aiohttp.ClientSession, address: str) -> dict[str, str]:
    async with http.get(f"{address}/readyz") as answer:
        assert answer.status == 200
        told: dict[str, str] = (await answer.json())["detail"]
        return told


async def until(ask: Callable[[], Awaitable[T]], true: Callable[[T], bool]) -> T:
    async with asyncio.timeout(PATIENCE):
        while not true(found := await ask()):  # noqa: ASYNC110 - what another process does, nobody tells
            await asyncio.sleep(0.05)
        return found
