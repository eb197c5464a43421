"""One destination: order, waits, poison, pauses, pace, stops, and a store that fails under it."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import deskbell
from deskbell.client import Client
from deskbell.delivery import Attempt, Delivery, Destination, RetryPolicy, State
from deskbell.egress import EgressPolicy
from deskbell.errors import StoreError
from deskbell.lane import Engine, Lane, Service
from deskbell.pace import Pace, parse_rates
from deskbell.sender import Sender
from deskbell.settings import Webhook, When
from deskbell.store import Claimed
from deskbell.store.reading import Filter, list_deliveries
from deskbell.store.sqlite import SqliteStore
from deskbell.template import Template

PATIENCE = 10.0
"""Seconds until a test that waits for something gives up."""
SHORT = 0.15
"""A wait that is long enough to measure."""
LONG = 3600.0
"""A wait that no test survives."""
QUICK = RetryPolicy(ladder=(0.002,), jitter=0.0, shortest_throttle=0.01)


class Bell(deskbell.Transport):
    """Posts plain text. An answer's ``X-Wait`` is the wait that a service asks for before the next message."""

    name = "bell"
    max_length = 1000

    def format(self, notice: deskbell.Notice, _: deskbell.Options) -> deskbell.Payload:
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[deskbell.Options]
    ) -> deskbell.Outcome:
        response = await context.post(payload)
        outcome = deskbell.classify_response(response)
        if isinstance(outcome, deskbell.Delivered):
            return replace(outcome, wait=float(response.headers.get("x-wait", 0)))
        return outcome


class Sink:
    """A service that answers with what stands in ``answers``, then as ``judge`` says, while it is ``open``.

    ``seconds`` is the time that its nth message takes to be counted: ``times``.
    """

    def __init__(self) -> None:
        self.answers: deque[web.Response] = deque()
        self.judge: Callable[[str], web.Response] = lambda _: status(200)
        self.texts: list[str] = []
        self.times: list[float] = []
        self.arrived: asyncio.Queue[str] = asyncio.Queue()
        self.seconds: Callable[[int], float] = lambda _: 0.0
        self.open = asyncio.Event()
        self.open.set()

    async def handle(self, request: web.Request) -> web.Response:
        text: str = (await request.json())["text"]
        self.texts.append(text)
        self.arrived.put_nowait(text)
        await asyncio.sleep(self.seconds(len(self.texts)))
        self.times.append(asyncio.get_running_loop().time())
        await self.open.wait()
        return self.answers.popleft() if self.answers else self.judge(text)


def status(code: int, **headers: str) -> web.Response:
    return web.Response(
        status=code, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


class ShakyStore(SqliteStore):
    """The real store. Each of its methods fails as often as ``failing`` says; ``after_claim`` may come between."""

    failing: Counter[str]
    shaken: asyncio.Queue[str]
    after_claim: Callable[[Claimed | None], Awaitable[object]] | None
    at_save: Callable[[], object]

    def _shake(self, method: str) -> None:
        if self.failing[method] > 0:
            self.failing[method] -= 1
            self.shaken.put_nowait(method)
            raise StoreError("database or disk is full")

    async def claim(
        self, webhooks: Sequence[str], *, oldest: datetime, avoid: int | None = None
    ) -> Claimed | None:
        self._shake("claim")
        claimed = await super().claim(webhooks, oldest=oldest, avoid=avoid)
        if hook := self.after_claim:
            self.after_claim = None
            await hook(claimed)
        return claimed

    def save(
        self, delivery: Delivery, attempt: Attempt, destination: tuple[str, Destination] | None
    ) -> asyncio.Future[bool]:
        try:
            self._shake("save")
        except StoreError as error:
            failed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed
        self.at_save()
        return super().save(delivery, attempt, destination)

    async def release(self, delivery: Delivery) -> None:
        self._shake("release")
        await super().release(delivery)


@dataclass
class Bench:
    """A store, a service, and the lane between them."""

    path: Path
    store: ShakyStore
    sink: Sink
    url: deskbell.Secret
    client: Client
    saved: asyncio.Queue[tuple[Delivery, Attempt]] = field(default_factory=asyncio.Queue)
    lanes: list[Lane] = field(default_factory=list)

    def lane(
        self,
        *,
        policy: RetryPolicy = QUICK,
        rates: str = "",
        transport: deskbell.Transport[Any] | None = None,
    ) -> Lane:
        """A lane of the two webhooks ``first`` and ``second``."""
        hooks = {name: webhook(name, self.url, transport or Bell()) for name in ("first", "second")}
        lane = Lane(
            hooks["first"].destination,
            hooks,
            url=self.url,
            pace=Pace(parse_rates(rates)),
            service=Service(Pace(())),
            health=Destination(),
            engine=Engine(
                store=self.store,
                sender=Sender(self.client.request, timezone=UTC, date_format="%H:%M", clock=now, timeout=5),
                policy=policy,
                clock=now,
                noise=lambda: 0.0,
                settled=lambda delivery, attempt: self.saved.put_nowait((delivery, attempt)),
                store_retry=0.01,
                restart=0.01,
            ),
        )
        self.lanes.append(lane)
        return lane

    async def add(
        self, *texts: str, tickets: Sequence[str] = (), hooks: Sequence[str] = ("first",), age: float = 0.0
    ) -> None:
        """Store an event for each text, of ticket 1 unless told."""
        for number, (text, ticket) in enumerate(itertools.zip_longest(texts, tickets, fillvalue="1")):
            event = deskbell.TicketEvent(
                id=f"{text}-{number}",
                source="cms",
                action="Reply",
                ticket=ticket,
                variables={"content": text},
                received_at=now() - timedelta(seconds=age),
            )
            webhooks = [self.lanes[-1].webhooks[name] for name in hooks]
            await self.store.add(event, b"{}", webhooks=webhooks)

    async def post(self, *texts: str, **how: Any) -> None:
        """Add events, and tell the lane."""
        await self.add(*texts, **how)
        self.lanes[-1].wake()

    async def outcomes(self, count: int) -> list[str]:
        """The next saved attempts: text and outcome."""
        return [said_of(attempt) for _, attempt in [await within(self.saved.get()) for _ in range(count)]]

    def rows(self) -> list[Delivery]:
        """Every delivery, the oldest first, as another process reads it."""
        return [listed.delivery for listed in reversed(list_deliveries(self.path, Filter(limit=1000)))]

    def states(self) -> list[str]:
        return [str(row.state) for row in self.rows()]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    path, sink = tmp_path / "deskbell.db", Sink()
    store = ShakyStore.open(path)
    store.failing, store.shaken, store.after_claim = Counter(), asyncio.Queue(), None
    store.at_save = lambda: None
    app = web.Application()
    app.router.add_post("/hook", sink.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = deskbell.Secret(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
    async with Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))) as client:
        bench = Bench(path, store, sink, url, client)
        yield bench
        sink.open.set()
        for lane in bench.lanes:
            await lane.stop(PATIENCE)
    await runner.cleanup()
    await store.close()


def webhook(name: str, url: deskbell.Secret, transport: deskbell.Transport[Any]) -> Webhook:
    return Webhook(
        name=name, enabled=True, url=url, transport=transport, options=deskbell.Options(), actions=None,
        when=When(), template=Template.parse("%content%", deskbell.VARIABLES), rates=(),
    )  # fmt: skip


def now() -> datetime:
    return datetime.now(UTC)


async def within(awaited: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaited, PATIENCE)


def said_of(attempt: Attempt) -> str:
    return f"{json.loads(attempt.payload)['text']} {type(attempt.outcome).__name__}"


def tasks_of_lanes() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("lane ")]


async def test_first_in_first_out(bench: Bench) -> None:
    bench.lane()
    await bench.post("a", "b", "c", "d", tickets=["1", "2", "1", ""])

    assert await bench.outcomes(4) == ["a Delivered", "b Delivered", "c Delivered", "d Delivered"]
    assert bench.sink.texts == ["a", "b", "c", "d"]
    assert [(row.state, row.attempts) for row in bench.rows()] == [(State.DELIVERED, 1)] * 4


async def test_a_lane_without_work_is_no_task(bench: Bench) -> None:
    lane = bench.lane()
    assert tasks_of_lanes() == []
    await bench.post("a")
    assert len(tasks_of_lanes()) == 1
    await bench.outcomes(1)
    assert tasks_of_lanes() == []
    lane.wake()
    assert [task.get_name() for task in tasks_of_lanes()] == ["lane first, second"]


@pytest.mark.parametrize(
    ("answer", "outcome", "attempts"),
    [
        (status(500), "TemporaryFailure", 2),
        (status(429, Retry_After="0.02"), "Throttled", 1),
        (status(403), "DestinationGone", 1),
    ],
)
async def test_what_did_not_get_through_goes_before_the_next_of_its_ticket(
    bench: Bench, answer: web.Response, outcome: str, attempts: int
) -> None:
    bench.lane()
    bench.sink.answers = deque([answer])
    await bench.post("a", "b")

    assert await bench.outcomes(3) == [f"a {outcome}", "a Delivered", "b Delivered"]
    assert [row.attempts for row in bench.rows()] == [attempts, 1]


async def test_from_the_third_failure_another_ticket_is_the_probe_and_a_success_frees_all(
    bench: Bench,
) -> None:
    bench.lane(policy=replace(QUICK, ladder=(0.001, 0.001, 0.001, LONG)))
    bench.sink.answers = deque([status(500), status(502), status(503)])
    await bench.post("bad", "next of its ticket", "other", "third", tickets=["1", "1", "2", "3"])

    assert await bench.outcomes(7) == [
        "bad TemporaryFailure",
        "bad TemporaryFailure",
        "bad TemporaryFailure",
        "other Delivered",
        "bad Delivered",
        "next of its ticket Delivered",
        "third Delivered",
    ]


async def test_a_poisonous_message_dies_while_the_others_get_through(bench: Bench) -> None:
    bench.lane()
    bench.sink.judge = lambda text: status(500 if text == "poison" else 200)
    healthy = [f"h{number}" for number in range(9)]
    await bench.post("poison", *healthy, tickets=["p", *healthy])

    while "h8" not in bench.sink.texts:
        await within(bench.sink.arrived.get())
    while (row := (await within(bench.saved.get()))[0]).state is not State.DEAD:
        assert row.webhook == "first"
    assert row.reason == "failed 5 times while others got through: 500"
    assert [text for text in bench.sink.texts if text != "poison"] == healthy


async def test_a_message_that_can_never_work_dies_and_the_lane_goes_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.lane()
    bench.sink.answers = deque([web.Response(status=400, text="Cannot send an empty message")])
    await bench.post("a", "b")

    assert await bench.outcomes(2) == ["a PermanentFailure", "b Delivered"]
    assert [(row.state, row.reason) for row in bench.rows()] == [
        (State.DEAD, "400 Cannot send an empty message"),
        (State.DELIVERED, ""),
    ]
    assert "delivery 1 to webhook first is dead: 400 Cannot send an empty message" in caplog.messages


@pytest.mark.parametrize(
    "answer",
    [
        status(429, Retry_After=str(SHORT)),
        status(503, Retry_After=str(SHORT)),
        status(200, X_Wait=str(SHORT)),
    ],
)
async def test_the_lane_waits_as_long_as_the_service_asks(bench: Bench, answer: web.Response) -> None:
    bench.lane()
    bench.sink.answers = deque([answer])
    await bench.post("a", "b")
    while (await bench.outcomes(1)) != ["b Delivered"]:
        pass

    assert bench.sink.times[1] - bench.sink.times[0] >= SHORT


@pytest.mark.parametrize("answers", [[status(410)], [status(403), status(401), status(302)]])
async def test_a_destination_that_is_gone_pauses_and_keeps_its_rows(
    bench: Bench, answers: list[web.Response], caplog: pytest.LogCaptureFixture
) -> None:
    lane = bench.lane()
    bench.sink.answers = deque(answers)
    await bench.post("a", "b")
    await bench.outcomes(len(answers))

    assert lane.health.paused
    assert tasks_of_lanes() == []
    assert [(row.state, row.attempts) for row in bench.rows()] == [(State.READY, 0)] * 2
    assert "webhook first is PAUSED" in caplog.text
    assert "`deskbell resume first`" in caplog.text
    assert bench.url.reveal() not in caplog.text

    await bench.post("c")
    await within(asyncio.gather(*tasks_of_lanes()))
    assert len(bench.sink.texts) == len(answers), "a paused lane sends nothing"
    await lane.resume()
    assert await bench.outcomes(3) == ["a Delivered", "b Delivered", "c Delivered"]
    assert lane.health == Destination()


async def test_resume_ends_a_wait_at_once(bench: Bench) -> None:
    lane = bench.lane(policy=replace(QUICK, ladder=(LONG,)))
    bench.sink.answers = deque([status(500)])
    await bench.post("a")
    assert await bench.outcomes(1) == ["a TemporaryFailure"]
    await lane.resume()
    assert await bench.outcomes(1) == ["a Delivered"]


async def test_a_delivery_that_waited_too_long_is_not_sent(bench: Bench) -> None:
    bench.lane(policy=replace(QUICK, max_age=60.0))
    await bench.add("old", age=61.0)
    await bench.post("new", age=59.0)
    assert await bench.outcomes(1) == ["new Delivered"]
    assert bench.states() == ["dead", "delivered"]


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.lane()
    bench.sink.answers = deque([status(200), status(500), status(500), status(500), status(200)])
    with caplog.at_level(logging.INFO, "deskbell.lane"):
        await bench.post("a", "b")
        await bench.outcomes(5)
    assert caplog.messages == ["webhook first: 500; its deliveries wait", "webhook first is back"]


async def test_the_declared_rate_is_kept(bench: Bench) -> None:
    """A service counts at some moment before it answers: here some messages later than others."""
    window = 0.2
    bench.lane(rates=f"3/{window}s")
    bench.sink.seconds = lambda nth: 0.05 if nth == 1 else 0.0
    await bench.post(*"abcdefgh")
    await bench.outcomes(8)
    times = bench.sink.times
    assert len(times) == 8
    gaps = [later - sooner for sooner, later in zip(times, times[3:], strict=False)]
    assert min(gaps) >= window
    assert times[-1] - times[0] < 6 * window, "but it is used up to the limit"


async def test_a_plugin_that_changes_the_event_changes_it_for_nobody_else(bench: Bench) -> None:
    class Vandal(Bell):
        def format(self, notice: deskbell.Notice, options: deskbell.Options) -> deskbell.Payload:
            payload = super().format(notice, options)
            variables: Any = notice.event.variables
            variables["content"] = "hacked"
            return payload

    bench.lane(transport=Vandal())
    bench.sink.answers = deque([status(500)])
    await bench.post("mine", hooks=["first", "second"])
    assert await bench.outcomes(3) == ["mine TemporaryFailure", "mine Delivered", "mine Delivered"]


async def test_what_comes_during_the_last_claim_is_not_forgotten(bench: Bench) -> None:
    lane = bench.lane()

    async def add_meanwhile(claimed: Claimed | None) -> None:
        assert claimed is None, "the claim found nothing"
        await bench.post("late")

    bench.store.after_claim = add_meanwhile
    lane.wake()
    assert await bench.outcomes(1) == ["late Delivered"]


async def test_no_wake_is_lost_however_it_falls(bench: Bench) -> None:
    """Each event comes some steps of the loop after the one before was saved: around the lane's last claim."""
    bench.lane()
    for number in range(150):
        await bench.post(f"n{number}")
        for _ in range(number % 10):
            await asyncio.sleep(0)
        if number % 3:
            await bench.outcomes(1)
    await bench.outcomes(50)
    assert bench.sink.texts == [f"n{number}" for number in range(150)]


async def test_a_stop_lets_the_attempt_in_flight_end_and_saves_it(bench: Bench) -> None:
    lane = bench.lane()
    bench.sink.open.clear()
    await bench.post("a", "b")
    await within(bench.sink.arrived.get())
    stopping = asyncio.create_task(lane.stop(PATIENCE))
    await asyncio.sleep(0)
    bench.sink.open.set()
    await within(stopping)

    assert await bench.outcomes(1) == ["a Delivered"]
    assert bench.states() == ["delivered", "ready"]
    lane.wake()
    assert (tasks_of_lanes(), bench.sink.texts) == ([], ["a"])


@pytest.mark.parametrize("failures", [0, 3])
async def test_a_stop_gives_back_what_was_claimed_but_not_sent(bench: Bench, failures: int) -> None:
    lane = bench.lane()
    bench.store.failing["release"] = failures
    stopping: list[asyncio.Task[None]] = []

    async def stop_meanwhile(claimed: Claimed | None) -> None:
        assert claimed
        assert claimed.delivery.attempts == 1
        stopping.append(asyncio.create_task(lane.stop(PATIENCE)))
        await asyncio.sleep(0)

    bench.store.after_claim = stop_meanwhile
    await bench.post("a")
    await within(asyncio.gather(*tasks_of_lanes()))
    await within(stopping[0])
    assert bench.sink.texts == []
    assert [(row.state, row.attempts) for row in bench.rows()] == [(State.READY, 0)]


@pytest.mark.parametrize("wait", [LONG, 0.0])
async def test_a_stop_does_not_wait_for_a_service(bench: Bench, wait: float) -> None:
    """Neither for one that hangs, nor for the end of a wait."""
    lane = bench.lane(policy=replace(QUICK, ladder=(LONG,)))
    if wait:
        bench.sink.answers = deque([status(500)])
        await bench.post("a")
        await bench.outcomes(1)
    else:
        bench.sink.open.clear()
        await bench.post("a")
        await within(bench.sink.arrived.get())
    began = asyncio.get_running_loop().time()
    await lane.stop(PATIENCE if wait else SHORT)

    assert asyncio.get_running_loop().time() - began < 2
    assert tasks_of_lanes() == []
    assert bench.states() == ["ready" if wait else "sending"], "the next start sends again what hung"


@pytest.mark.parametrize("methods", [["claim"], ["save"], ["claim", "save"]])
@pytest.mark.parametrize(
    ("code", "outcomes"),
    [
        (200, ["a Delivered", "b Delivered", "c Delivered"]),
        (500, ["a TemporaryFailure", "a Delivered", "b Delivered", "c Delivered"]),
        (400, ["a PermanentFailure", "b Delivered", "c Delivered"]),
    ],
)
async def test_when_the_store_fails_for_a_while_nothing_is_lost_doubled_or_out_of_order(
    bench: Bench, methods: list[str], code: int, outcomes: list[str]
) -> None:
    bench.lane()
    bench.sink.answers = deque([status(code)])
    bench.store.failing.update(dict.fromkeys(methods, 4))
    await bench.post("a", "b", "c")

    assert await bench.outcomes(len(outcomes)) == outcomes
    assert bench.sink.texts == [outcome.split()[0] for outcome in outcomes]
    assert not any(bench.store.failing.values())
    assert [row.attempts for row in bench.rows()] == [1 + (code == 500), 1, 1]


async def test_nothing_more_is_sent_until_what_was_sent_is_saved(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.lane()
    bench.store.failing["save"] = 10**6
    await bench.post("a", "b")
    for _ in range(5):
        await within(bench.store.shaken.get())
    assert bench.sink.texts == ["a"]
    assert "delivery 1: its outcome is not saved yet: database or disk is full" in caplog.messages
    bench.store.failing["save"] = 0
    assert await bench.outcomes(2) == ["a Delivered", "b Delivered"]


async def test_an_outcome_on_its_way_to_the_disk_gets_there_though_the_grace_is_over(bench: Bench) -> None:
    lane = bench.lane(policy=replace(QUICK, ladder=(LONG,)))
    bench.sink.answers = deque([status(500)])
    stopping: list[asyncio.Task[None]] = []
    bench.store.at_save = lambda: stopping.append(asyncio.create_task(lane.stop(0.0)))
    await bench.post("a")
    await within(asyncio.gather(*tasks_of_lanes(), return_exceptions=True))
    await within(stopping[0])
    await bench.store.recall("cms", "1")  # the store works in the order in which it is asked
    assert [(row.state, row.attempts, row.reason) for row in bench.rows()] == [(State.READY, 1, "500")]


async def test_what_was_settled_by_somebody_else_meanwhile_stays_so(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.lane()
    bench.sink.open.clear()
    await bench.post("a", "b")
    await within(bench.sink.arrived.get())
    settled = bench.store._writer.submit(
        lambda connection: connection.execute("UPDATE delivery SET state = 'dead' WHERE id = 1").rowcount
    )
    assert await settled == 1
    bench.sink.open.set()

    assert await bench.outcomes(1) == ["b Delivered"], "and nobody is told of the other"
    assert bench.states() == ["dead", "delivered"]
    assert "delivery 1: was settled by somebody else" in caplog.text


async def test_a_bug_of_ours_silences_a_destination_only_for_a_while(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    lane = bench.lane()

    async def bug(_: object) -> None:
        raise RuntimeError("a bug")

    bench.store.after_claim = bug
    lane.wake()
    await within(asyncio.gather(*tasks_of_lanes()))
    await bench.add("a")
    assert await bench.outcomes(1) == ["a Delivered"]
    assert "the lane of first, second stopped; it goes on in 0.01 s" in caplog.messages
    assert "RuntimeError: a bug" in caplog.text
