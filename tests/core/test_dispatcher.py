"""Many destinations: what they share, what they do not, and what is left of them after a stop or a crash."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.kit import (
    PATIENCE,
    QUICK,
    Bell,
    ShakyStore,
    answer,
    engine,
    event,
    loopback_client,
    now,
    serving,
    webhook,
    within,
)

import deskbell
from deskbell.delivery import Attempt, Delivery, Destination, State
from deskbell.dispatcher import Dispatcher
from deskbell.pace import parse_rates
from deskbell.settings import Webhook
from deskbell.store import SERVICE
from deskbell.store.reading import Filter, list_deliveries

SHORT = 0.2
LONG = 600.0
LOST = 599
"""A service accepts the message, but its answer does not come through."""
STUBBORN = replace(QUICK, setbacks_to_die=10**6)


class Horn(Bell):
    name = "horn"


class Paced(Bell):
    name = "paced"
    service_rate = f"3/{SHORT}s"


class Rationed(Bell):
    name = "rationed"
    service_rate = "1/1h"


class Touchy(Bell):
    name = "touchy"
    most_refusals = f"4/{LONG}s"


class Puzzled(Bell):
    name = "puzzled"

    @classmethod
    def recognises(cls, url: str) -> bool:
        raise ValueError(url)


@dataclass
class Chat:
    """Services on one port. A path answers what stands in ``answers``, then as ``judge`` says, while not ``shut``."""

    url: str = ""
    arrivals: list[tuple[str, str, float]] = field(default_factory=list)
    accepted: list[tuple[str, str]] = field(default_factory=list)
    answers: defaultdict[str, deque[web.Response]] = field(default_factory=lambda: defaultdict(deque))
    judge: Callable[[], int] = lambda: 200
    shut: dict[str, asyncio.Event] = field(default_factory=dict)
    arrived: asyncio.Queue[tuple[str, str]] = field(default_factory=asyncio.Queue)

    async def handle(self, request: web.Request) -> web.Response:
        path, text = request.path, (await request.json())["text"]
        self.arrivals.append((path, text, asyncio.get_running_loop().time()))
        self.arrived.put_nowait((path, text))
        if gate := self.shut.get(path):
            await gate.wait()
        answered = self.answers[path].popleft() if self.answers[path] else answer(self.judge())
        if answered.status == 200:
            self.accepted.append((path, text))
        if answered.status == LOST:
            self.accepted.append((path, text))
            assert request.transport
            request.transport.abort()
        return answered

    def close(self, path: str) -> asyncio.Event:
        """Let no request of ``path`` be answered until the event is set."""
        return self.shut.setdefault(path, asyncio.Event())

    def texts(self, path: str) -> list[str]:
        return [text for at, text, _ in self.arrivals if at == path]

    def times(self, *paths: str) -> list[float]:
        return [time for at, _, time in self.arrivals if at in paths]


@dataclass
class Run:
    """One life of deskbell."""

    store: ShakyStore
    dispatcher: Dispatcher
    saved: asyncio.Queue[tuple[Delivery, Attempt]]

    async def post(self, text: str, *webhooks: Webhook, ticket: str = "1") -> None:
        """Each text once in a test: it is the event's id, too."""
        await self.store.add(event(ticket, text, id=f"e{text}", received_at=now()), b"{}", webhooks=webhooks)
        self.dispatcher.wake(webhook.name for webhook in webhooks)

    async def outcomes(self, count: int) -> Counter[str]:
        """The next saved attempts: how often which webhook had which outcome."""
        found = [(await within(self.saved.get()))[1] for _ in range(count)]
        return Counter(f"{attempt.webhook} {type(attempt.outcome).__name__}" for attempt in found)


@dataclass
class World:
    """What outlives deskbell: its store's file, and the services."""

    path: Path
    chat: Chat

    def webhook(
        self, name: str, path: str = "", transport: deskbell.Transport[Any] | None = None, rates: str = ""
    ) -> Webhook:
        url = self.chat.url + (path or f"/{name}")
        return webhook(name, url, transport, rates=parse_rates(rates), retry=STUBBORN)

    @asynccontextmanager
    async def running(
        self,
        *webhooks: Webhook,
        grace: float = PATIENCE,
        observe: Callable[[Delivery, Attempt], None] = lambda *_: None,
        **start: Any,
    ) -> AsyncIterator[Run]:
        """One run with these webhooks in its config. A stop without ``grace`` leaves the store as a crash does."""
        store = ShakyStore.open(self.path)
        async with loopback_client() as client:
            dispatcher = Dispatcher(
                webhooks, engine(store, client, settled=observe), locate=lambda webhook: webhook.url
            )
            saved: asyncio.Queue[tuple[Delivery, Attempt]] = asyncio.Queue()
            dispatcher.watch(lambda delivery, attempt: saved.put_nowait((delivery, attempt)))
            await dispatcher.start(**start)
            yield Run(store, dispatcher, saved)
            await dispatcher.stop(grace)
        await store.close()

    def rows(self) -> list[Delivery]:
        """Every delivery, the oldest first."""
        return [listed.delivery for listed in reversed(list_deliveries(self.path, Filter(limit=None)))]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    chat = Chat()
    async with serving(chat.handle) as chat.url:
        yield World(tmp_path / "deskbell.db", chat)
        for gate in chat.shut.values():
            gate.set()


def throttled(seconds: float, *, everywhere: bool) -> web.Response:
    return answer(429, Retry_After=str(seconds), **({"X_Global": "true"} if everywhere else {}))


def smallest_span(times: list[float], count: int) -> float:
    """The shortest time in which ``count`` more came."""
    ordered = sorted(times)
    return min(later - sooner for sooner, later in zip(ordered, ordered[count:], strict=False))


async def test_a_slow_destination_delays_no_other(world: World) -> None:
    slow, quick = world.webhook("slow"), world.webhook("quick")
    async with world.running(slow, quick) as run:
        gate = world.chat.close("/slow")
        for text in "abc":
            await run.post(text, slow, quick)
        assert await run.outcomes(3) == {"quick Delivered": 3}
        assert world.chat.texts("/slow") == ["a"]
        gate.set()
        assert await run.outcomes(3) == {"slow Delivered": 3}


async def test_webhooks_of_one_url_share_a_lane_and_every_limit(world: World) -> None:
    paced, unpaced = world.webhook("paced", "/x", rates=f"3/{SHORT}s"), world.webhook("unpaced", "/x")
    async with world.running(paced, unpaced) as run:
        for text in "abcd":
            await run.post(text, unpaced, paced)
        await run.outcomes(8)
    assert world.chat.texts("/x") == [*"aabbccdd"]
    assert smallest_span(world.chat.times("/x"), 3) >= SHORT


async def test_equal_urls_of_two_transports_are_two_destinations(world: World) -> None:
    bell, horn = world.webhook("bell", "/x"), world.webhook("horn", "/x", Horn())
    async with world.running(bell, horn) as run:
        world.chat.answers["/x"].append(answer(410))
        await run.post("a", bell)
        assert await run.outcomes(1) == {"bell DestinationGone": 1}
        await run.post("b", horn)
        assert await run.outcomes(1) == {"horn Delivered": 1}
        assert run.dispatcher.paused() == {"bell": "410"}


async def test_a_throttled_service_stops_its_own_hosts_and_nobody_else(world: World) -> None:
    pause = 5 * SHORT
    one, two = world.webhook("one", "/own/1"), world.webhook("two", "/own/2")
    others = world.webhook("proxy", "/proxy"), world.webhook("horn", "/own/3", Horn())
    async with world.running(one, two, *others) as run:
        world.chat.answers["/own/1"].append(throttled(pause, everywhere=True))
        await run.post("a", one)
        assert await run.outcomes(1) == {"one Throttled": 1}
        assert run.dispatcher.troubles().keys() == {"one", "two"}
        await run.post("b", one, two, *others)
        assert await run.outcomes(2) == {"proxy Delivered": 1, "horn Delivered": 1}
        assert await run.outcomes(3) == {"one Delivered": 2, "two Delivered": 1}
    began, *rest = world.chat.times("/own/1")
    assert min(rest + world.chat.times("/own/2")) - began >= pause


@pytest.mark.parametrize(("path", "everywhere"), [("/own/1", False), ("/proxy", True)])
async def test_one_destinations_limit_is_no_others(world: World, path: str, *, everywhere: bool) -> None:
    """Neither the limit of a single webhook, nor what a proxy or a fake says in the name of the service."""
    one, two = world.webhook("one", path), world.webhook("two", "/own/2")
    async with world.running(one, two) as run:
        world.chat.answers[path].append(throttled(LONG, everywhere=everywhere))
        await run.post("a", one)
        assert await run.outcomes(1) == {"one Throttled": 1}
        await run.post("b", one, two)
        assert await run.outcomes(1) == {"two Delivered": 1}
        assert world.chat.texts(path) == ["a"]


async def test_a_later_shorter_wait_does_not_open_a_throttled_service(world: World) -> None:
    one, two, three = (world.webhook(f"w{number}", f"/own/{number}") for number in (1, 2, 3))
    async with world.running(one, two, three) as run:
        gate = world.chat.close("/own/2")
        world.chat.answers["/own/1"].append(throttled(2 * SHORT, everywhere=True))
        world.chat.answers["/own/2"].append(throttled(0.01, everywhere=True))
        await run.post("a", two)
        await within(world.chat.arrived.get())
        await run.post("b", one)
        assert await run.outcomes(1) == {"w1 Throttled": 1}
        gate.set()
        assert await run.outcomes(1) == {"w2 Throttled": 1}
        await run.post("c", three)
        await run.outcomes(3)
    assert world.chat.times("/own/3")[0] - world.chat.times("/own/1")[0] >= 2 * SHORT


def told_of_services(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if "all others of its service" in message]


async def test_too_many_refusals_of_all_its_webhooks_close_a_service_before_it_bans_us(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused one after the other or at the same time: it is said once. Whoever has a server of its own goes on."""
    own = [world.webhook(f"w{number}", f"/own/{number}", Touchy()) for number in range(7)]
    proxy, horn = world.webhook("proxy", transport=Touchy()), world.webhook("horn", "/own/9", Horn())
    world.chat.judge = lambda: 410
    world.chat.answers["/proxy"].append(answer(200))
    world.chat.answers["/own/9"].append(answer(200))
    async with world.running(*own, proxy, horn) as run:
        gates = [world.chat.close(f"/own/{number}") for number in range(6)]
        await run.post("a", *own[:6])
        for _ in gates:
            await within(world.chat.arrived.get())
        for gate in gates[:3]:
            gate.set()
        await run.outcomes(3)
        assert run.dispatcher.services() == {}
        for gate in gates[3:]:
            gate.set()
        await run.outcomes(3)
        (closed,) = run.dispatcher.services().values()
        assert LONG - PATIENCE < closed.wait(now()) <= LONG
        await run.post("b", own[6], proxy, horn)
        assert await run.outcomes(2) == {"proxy Delivered": 1, "horn Delivered": 1}
        assert not run.dispatcher.health("w6").reason, "it is not its own wait"
    assert world.chat.texts("/own/6") == []
    assert len(told_of_services(caplog)) == 1
    assert "too many refused requests: 410" in told_of_services(caplog)[0]


@pytest.mark.parametrize("everywhere", [True, False], ids=["a-global-limit", "too-many-refusals"])
async def test_a_closed_service_stays_closed_over_a_restart(world: World, *, everywhere: bool) -> None:
    """It would count what a fresh process sends, too."""
    one, two = (world.webhook(f"w{number}", f"/own/{number}", Touchy()) for number in (1, 2))
    horn = world.webhook("horn", "/own/9", Horn())
    refusals = 1 if everywhere else 4
    world.chat.answers["/own/1"].extend(
        throttled(LONG if everywhere else 0.01, everywhere=everywhere) for _ in range(refusals)
    )
    async with world.running(one, two) as run:
        await run.post("a", one)
        assert await run.outcomes(refusals) == {"w1 Throttled": refusals}
        assert f"{SERVICE}touchy" in await run.store.destinations()
    async with world.running(one, two, horn) as run:
        (closed,) = run.dispatcher.services().values()
        assert LONG - PATIENCE < closed.wait(now()) <= LONG
        await run.post("b", two, horn)
        assert await run.outcomes(1) == {"horn Delivered": 1}
        assert world.chat.texts("/own/2") == []
        assert run.dispatcher.paused() == {}


async def test_the_rate_of_a_service_is_shared_by_all_its_lanes(world: World) -> None:
    own = [world.webhook(f"w{number}", f"/own/{number}", Paced()) for number in range(5)]
    async with world.running(*own) as run:
        for text in "ab":
            await run.post(text, *own, ticket=text)
        await run.outcomes(10)
    times = world.chat.times(*(f"/own/{number}" for number in range(5)))
    assert len(times) == 10
    # Lanes count a send when it begins: until it arrives, some milliseconds more or less go by.
    assert smallest_span(times, 3) > SHORT / 2


async def test_what_goes_to_a_proxy_or_a_fake_is_not_counted_with_its_service(world: World) -> None:
    own, proxy = world.webhook("own", "/own/1", Rationed()), world.webhook("proxy", transport=Rationed())
    async with world.running(own, proxy) as run:
        for text in "abc":
            await run.post(text, own, proxy)
        assert await run.outcomes(4) == {"own Delivered": 1, "proxy Delivered": 3}


@pytest.mark.parametrize("grace", [PATIENCE, 0.0], ids=["stop", "crash"])
async def test_what_waits_for_its_services_turn_counts_as_not_sent(world: World, grace: float) -> None:
    own = [world.webhook(f"w{number}", f"/own/{number}", Paced()) for number in range(8)]
    async with world.running(*own) as run:
        await run.post("a", *own)
        await run.outcomes(3)
        await run.dispatcher.stop(grace)
    rows = Counter((row.state, row.attempts) for row in world.rows())
    assert rows == {(State.DELIVERED, 1): 3, (State.READY, 0): 5}


async def test_a_plugin_that_cannot_tell_its_urls_harms_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    puzzled, bell = world.webhook("puzzled", transport=Puzzled()), world.webhook("bell")
    async with world.running(puzzled, bell) as run:
        await run.post("a", puzzled, bell)
        assert await run.outcomes(2) == {"puzzled Delivered": 1, "bell Delivered": 1}
    assert "transport puzzled: recognises failed: ValueError" in caplog.messages
    assert world.chat.url not in caplog.text


async def test_a_start_goes_on_where_the_last_run_stopped_with_the_lanes_it_is_told(world: World) -> None:
    """``deskbell send`` without a server does not send what waits for other destinations."""
    one, two = world.webhook("one"), world.webhook("two")
    async with world.running(one, two) as run:
        await run.dispatcher.stop()
        await run.post("a", one, two)
    async with world.running(one, two, wake=lambda webhook: webhook.name == "two") as run:
        assert await run.outcomes(1) == {"two Delivered": 1}
    assert world.chat.texts("/one") == []
    async with world.running(one, two) as run:
        assert await run.outcomes(1) == {"one Delivered": 1}


async def test_what_was_in_flight_at_a_crash_is_sent_again_and_marked(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    hook = world.webhook("one")
    world.chat.close("/one")
    async with world.running(hook, grace=0.0) as run:
        await run.post("a", hook)
        await run.post("b", hook)
        await within(world.chat.arrived.get())
    assert [(row.state, row.attempts) for row in world.rows()] == [(State.SENDING, 1), (State.READY, 0)]

    world.chat.shut.pop("/one").set()
    async with world.running(hook) as run:
        await run.outcomes(2)
    assert world.chat.texts("/one") == ["a", "a", "b"]
    assert [(row.attempts, row.maybe_duplicate) for row in world.rows()] == [(2, True), (1, False)]
    assert "1 deliveries were in flight when deskbell died: they are sent again" in caplog.messages


async def test_a_stop_takes_one_grace_for_all_lanes(world: World) -> None:
    hooks = [world.webhook(f"w{number}") for number in range(5)]
    for hook in hooks:
        world.chat.close(f"/{hook.name}")
    async with world.running(*hooks) as run:
        await run.post("a", *hooks)
        for _ in hooks:
            await within(world.chat.arrived.get())
        began = asyncio.get_running_loop().time()
        await run.dispatcher.stop(SHORT)
        assert asyncio.get_running_loop().time() - began < SHORT * len(hooks)


async def test_deliveries_of_a_webhook_that_left_the_config_are_held(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stays, leaves = world.webhook("stays"), world.webhook("leaves")
    async with world.running(stays, leaves) as run:
        await run.dispatcher.stop()
        await run.post("a", stays, leaves)
    async with world.running(stays) as run:
        assert await run.outcomes(1) == {"stays Delivered": 1}
    assert [str(row.state) for row in world.rows()] == ["delivered", "held"]
    assert "1 deliveries are held: their webhooks are not in the config, or disabled" in caplog.messages
    async with world.running(leaves) as run:
        assert await run.outcomes(1) == {"leaves Delivered": 1}


async def test_a_pause_is_shown_survives_a_restart_and_ends_with_resume(world: World) -> None:
    gone, fine = world.webhook("gone"), world.webhook("fine")
    world.chat.answers["/gone"].append(answer(410, "Unknown Webhook"))
    async with world.running(gone, fine) as run:
        await run.post("a", gone, fine)
        await run.outcomes(2)
        assert run.dispatcher.paused() == {"gone": "410 Unknown Webhook"}
    async with world.running(gone, fine) as run:
        assert run.dispatcher.paused() == {"gone": "410 Unknown Webhook"}
        await run.post("b", gone, fine)
        assert await run.outcomes(1) == {"fine Delivered": 1}
        assert world.chat.texts("/gone") == ["a"]
        assert await run.dispatcher.resume("fine") == Destination()
        held_up_by = Destination(paused=True, reason="410 Unknown Webhook")
        assert run.dispatcher.troubles() == {"gone": held_up_by}
        assert await run.dispatcher.resume("gone") == held_up_by
        assert await run.outcomes(2) == {"gone Delivered": 2}
        assert run.dispatcher.paused() == {}
    async with world.running(gone, fine) as run:
        assert run.dispatcher.health("gone") == Destination()


async def test_a_start_tells_what_is_still_paused(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The log of the day on which it was paused may be gone."""
    gone, twin, fine = world.webhook("gone"), world.webhook("twin", "/gone"), world.webhook("fine")
    world.chat.answers["/gone"].append(answer(410, "Unknown Webhook"))
    async with world.running(gone, twin, fine) as run:
        await run.post("a", gone)
        await run.outcomes(1)
    caplog.clear()
    async with world.running(gone, twin, fine):
        told = [message for message in caplog.messages if "PAUSED" in message]
    assert told == [
        f"webhook {name} is still PAUSED: 410 Unknown Webhook. Its deliveries wait; `deskbell resume {name}`"
        for name in ("gone", "twin")
    ]


async def test_what_is_replayed_goes_again_at_once_and_in_its_old_place(world: World) -> None:
    one, two = world.webhook("one"), world.webhook("two")
    async with world.running(one, two) as run:
        world.chat.answers["/one"].append(answer(400))
        await run.post("a", one, two)
        await run.post("b", one, two)
        assert await run.outcomes(4) == {"one PermanentFailure": 1, "one Delivered": 1, "two Delivered": 2}
        first, second = (row.id for row in world.rows() if row.webhook == "one")
        replayed = await run.dispatcher.replay([second, 999, first])
        assert replayed.ids == (second, first)
        assert set(replayed.refused) == {999}
        assert await run.outcomes(2) == {"one Delivered": 2}
    assert world.chat.texts("/one") == ["a", "b", "a", "b"]
    assert world.chat.texts("/two") == ["a", "b"]
    assert [(row.replays, row.attempts) for row in world.rows() if row.webhook == "one"] == [(1, 2), (1, 2)]


async def test_what_is_replayed_of_a_webhook_that_left_the_config_waits_for_it(world: World) -> None:
    stays, leaves = world.webhook("stays"), world.webhook("leaves")
    async with world.running(stays, leaves) as run:
        await run.post("a", leaves)
        await run.outcomes(1)
    (row,) = world.rows()
    async with world.running(stays) as run:
        assert (await run.dispatcher.replay([row.id])).ids == (row.id,)
    assert [(row.state, row.replays) for row in world.rows()] == [(State.HELD, 1)]
    async with world.running(stays, leaves) as run:
        assert await run.outcomes(1) == {"leaves Delivered": 1}


async def test_a_new_url_of_a_paused_webhook_gets_what_waits(world: World) -> None:
    world.chat.answers["/old"].append(answer(410))
    hook = world.webhook("one", "/old")
    async with world.running(hook) as run:
        await run.post("a", hook)
        await run.post("b", hook)
        await run.outcomes(1)
    async with world.running(world.webhook("one", "/new")) as run:
        assert run.dispatcher.paused() == {}
        await run.outcomes(2)
    assert world.chat.texts("/new") == ["a", "b"]


async def test_an_observer_that_raises_changes_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(*_: object) -> None:
        raise RuntimeError("an observer's bug")

    hook = world.webhook("one")
    async with world.running(hook, observe=raises) as run:
        forget = run.dispatcher.watch(raises)
        await run.post("a", hook)
        assert await run.outcomes(1) == {"one Delivered": 1}
        forget()
        await run.post("b", hook)
        assert await run.outcomes(1) == {"one Delivered": 1}
    assert [str(row.state) for row in world.rows()] == ["delivered"] * 2
    assert caplog.messages == ["an observer of attempts failed"] * 3


@pytest.mark.parametrize("seed", range(3))
async def test_through_outages_crashes_and_a_failing_disk_the_promise_holds(world: World, seed: int) -> None:
    """Everything arrives, per ticket in order; and twice only what is marked: its answer, or the process, was lost."""
    dice = random.Random(seed)
    hooks = [world.webhook(f"w{number}") for number in range(3)]
    world.chat.judge = lambda: dice.choices([200, 500, 503, 403, LOST], [80, 8, 4, 4, 4])[0]
    sent = 0
    for _ in range(4):
        async with world.running(*hooks, grace=0.0) as run:
            run.store.shakes = lambda _: dice.random() < 0.1
            for _ in range(20):
                await run.post(f"{sent}", *hooks, ticket=str(sent % 4))
                sent += 1
            await run.outcomes(15)
    world.chat.judge = lambda: 200
    async with world.running(*hooks) as run:
        waiting = sum(row.state != State.DELIVERED for row in world.rows())
        await run.outcomes(waiting)

    times_accepted = Counter(world.chat.accepted)
    marked = {(f"/{row.webhook}", row.event_id[1:]) for row in world.rows() if row.maybe_duplicate}
    assert {str(row.state) for row in world.rows()} == {"delivered"}
    assert set(times_accepted) == {(f"/{hook.name}", str(n)) for hook in hooks for n in range(sent)}
    twice = {message for message, times in times_accepted.items() if times > 1}
    assert twice <= marked
    for hook, ticket in itertools.product(hooks, range(4)):
        first = list(
            dict.fromkeys(int(text) for path, text in world.chat.accepted if path == f"/{hook.name}")
        )
        of_ticket = [number for number in first if number % 4 == ticket]
        assert of_ticket == sorted(of_ticket)
