"""Many destinations: what they share, what they do not, and what is left of them after a stop or a crash."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import deskbell
from deskbell.client import Client
from deskbell.delivery import Attempt, Delivery, Destination, RetryPolicy, State
from deskbell.dispatcher import Dispatcher
from deskbell.egress import EgressPolicy
from deskbell.errors import StoreError
from deskbell.lane import Engine
from deskbell.pace import parse_rates
from deskbell.sender import Sender
from deskbell.settings import Webhook, When
from deskbell.store import Claimed
from deskbell.store.reading import Filter, list_deliveries
from deskbell.store.sqlite import SqliteStore
from deskbell.template import Template

PATIENCE = 10.0
SHORT = 0.2
LONG = 600.0
LOST = 599
"""A service accepts the message, but its answer does not come through."""
QUICK = RetryPolicy(ladder=(0.002,), jitter=0.0, shortest_throttle=0.01, setbacks_to_die=10**6)


class Bell(deskbell.Transport):
    """Of a service whose own hosts have ``/own/`` in their URLs."""

    name = "bell"
    max_length = 1000

    def format(self, notice: deskbell.Notice, _: deskbell.Options) -> deskbell.Payload:
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[deskbell.Options]
    ) -> deskbell.Outcome:
        response = await context.post(payload)
        outcome = deskbell.classify_response(response)
        if isinstance(outcome, deskbell.Throttled) and "x-global" in response.headers:
            return replace(outcome, scope="service")
        return outcome

    @classmethod
    def recognises(cls, url: str) -> bool:
        return "/own/" in url


class Horn(Bell):
    name = "horn"


class Paced(Bell):
    name = "paced"
    service_rate = f"3/{SHORT}s"


class Rationed(Bell):
    name = "rationed"
    service_rate = "1/1h"


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
    lost: set[tuple[str, str]] = field(default_factory=set)
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
        answer = self.answers[path].popleft() if self.answers[path] else web.Response(status=self.judge())
        if answer.status == 200:
            self.accepted.append((path, text))
        if answer.status == LOST:
            self.accepted.append((path, text))
            self.lost.add((path, text))
            assert request.transport
            request.transport.abort()
        return answer

    def close(self, path: str) -> asyncio.Event:
        """Let no request of ``path`` be answered until the event is set."""
        return self.shut.setdefault(path, asyncio.Event())

    def texts(self, path: str) -> list[str]:
        return [text for at, text, _ in self.arrivals if at == path]

    def times(self, *paths: str) -> list[float]:
        return [time for at, _, time in self.arrivals if at in paths]


class ShakyStore(SqliteStore):
    """The real store, but a claim or a save fails when ``shakes`` says so."""

    shakes: Callable[[], bool] = staticmethod(lambda: False)

    async def claim(
        self, webhooks: Sequence[str], *, oldest: datetime, avoid: int | None = None
    ) -> Claimed | None:
        if self.shakes():
            raise StoreError("disk full")
        return await super().claim(webhooks, oldest=oldest, avoid=avoid)

    def save(
        self, delivery: Delivery, attempt: Attempt, destination: tuple[str, Destination] | None
    ) -> asyncio.Future[bool]:
        if not self.shakes():
            return super().save(delivery, attempt, destination)
        failed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        failed.set_exception(StoreError("disk full"))
        return failed


@dataclass
class Run:
    """One life of deskbell."""

    store: ShakyStore
    dispatcher: Dispatcher
    saved: asyncio.Queue[tuple[Delivery, Attempt]]
    numbers: Iterator[int]

    async def post(self, text: str, *webhooks: Webhook, ticket: str = "1") -> None:
        event = deskbell.TicketEvent(
            id=f"e{next(self.numbers)}", source="cms", action="Reply", ticket=ticket,
            variables={"content": text}, received_at=now(),
        )  # fmt: skip
        await self.store.add(event, b"{}", webhooks=webhooks)
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
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def webhook(
        self, name: str, path: str = "", transport: deskbell.Transport[Any] | None = None, rates: str = ""
    ) -> Webhook:
        return Webhook(
            name=name, enabled=True, url=deskbell.Secret(self.chat.url + (path or f"/{name}")),
            transport=transport or Bell(), options=deskbell.Options(), actions=None, when=When(),
            template=Template.parse("%content%", deskbell.VARIABLES), rates=parse_rates(rates),
        )  # fmt: skip

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
        async with Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))) as client:
            sender = Sender(client.request, timezone=UTC, date_format="%H:%M", clock=now, timeout=5)
            engine = Engine(
                store=store, sender=sender, policy=QUICK, clock=now, noise=lambda: 0.0, settled=observe,
                store_retry=0.005,
            )  # fmt: skip
            dispatcher = Dispatcher(webhooks, engine, locate=lambda webhook: webhook.url)
            saved: asyncio.Queue[tuple[Delivery, Attempt]] = asyncio.Queue()
            dispatcher.watch(lambda delivery, attempt: saved.put_nowait((delivery, attempt)))
            await dispatcher.start(**start)
            yield Run(store, dispatcher, saved, self.numbers)
            await dispatcher.stop(grace)
        await store.close()

    def rows(self) -> list[Delivery]:
        """Every delivery, the oldest first."""
        return [listed.delivery for listed in reversed(list_deliveries(self.path, Filter(limit=10**6)))]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    chat = Chat()
    app = web.Application()
    app.router.add_post("/{path:.*}", chat.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    chat.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield World(tmp_path / "deskbell.db", chat)
    for gate in chat.shut.values():
        gate.set()
    await runner.cleanup()


def now() -> datetime:
    return datetime.now(UTC)


def throttled(seconds: float, *, everywhere: bool) -> web.Response:
    told = {"Retry-After": str(seconds)} | ({"X-Global": "true"} if everywhere else {})
    return web.Response(status=429, headers=told)


async def within(awaited: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaited, PATIENCE)


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
        world.chat.answers["/x"].append(web.Response(status=410))
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


async def test_what_waits_for_its_services_turn_is_given_back_at_a_stop(world: World) -> None:
    own = [world.webhook(f"w{number}", f"/own/{number}", Paced()) for number in range(8)]
    async with world.running(*own) as run:
        await run.post("a", *own)
        await run.outcomes(3)
        await run.dispatcher.stop()
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
    world.chat.answers["/gone"].append(web.Response(status=410, text="Unknown Webhook"))
    async with world.running(gone, fine) as run:
        await run.post("a", gone, fine)
        await run.outcomes(2)
        assert run.dispatcher.paused() == {"gone": "410 Unknown Webhook"}
    async with world.running(gone, fine) as run:
        assert run.dispatcher.paused() == {"gone": "410 Unknown Webhook"}
        await run.post("b", gone, fine)
        assert await run.outcomes(1) == {"fine Delivered": 1}
        assert world.chat.texts("/gone") == ["a"]
        await run.dispatcher.resume("gone")
        assert await run.outcomes(2) == {"gone Delivered": 2}
        assert run.dispatcher.paused() == {}
    async with world.running(gone, fine) as run:
        assert run.dispatcher.health("gone") == Destination()


async def test_a_new_url_of_a_paused_webhook_gets_what_waits(world: World) -> None:
    world.chat.answers["/old"].append(web.Response(status=410))
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
    """Everything arrives, per ticket in order; and twice only what was in flight when something was lost."""
    dice = random.Random(seed)
    hooks = [world.webhook(f"w{number}") for number in range(3)]
    world.chat.judge = lambda: dice.choices([200, 500, 503, 403, LOST], [80, 8, 4, 4, 4])[0]
    sent = 0
    for _ in range(4):
        async with world.running(*hooks, grace=0.0) as run:
            run.store.shakes = lambda: dice.random() < 0.1
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
    assert twice <= marked | world.chat.lost
    for hook, ticket in itertools.product(hooks, range(4)):
        first = list(
            dict.fromkeys(int(text) for path, text in world.chat.accepted if path == f"/{hook.name}")
        )
        of_ticket = [number for number in first if number % 4 == ticket]
        assert of_ticket == sorted(of_ticket)
