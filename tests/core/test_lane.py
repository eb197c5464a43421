"""One destination: order, waits, poison, pauses, pace, stops, and a store that fails under it."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.kit import (
    NOW,
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
from deskbell.client import Client
from deskbell.delivery import Attempt, Delivery, Destination, RetryPolicy, State
from deskbell.lane import Lane, Service
from deskbell.outcome import (
    Delivered,
    DestinationGone,
    Outcome,
    PermanentFailure,
    TemporaryFailure,
    Throttled,
)
from deskbell.pace import Pace, parse_rates
from deskbell.sender import Sender
from deskbell.settings import Webhook
from deskbell.store import SERVICE, Claimed
from deskbell.store.reading import Filter, list_deliveries

SHORT = 0.15
"""A wait that is long enough to measure."""
LONG = 3600.0
"""A wait that no test survives."""


class Sink:
    """A service that answers with what stands in ``answers``, then as ``judge`` says, while it is ``open``.

    ``seconds`` is the time that its nth message takes to be counted: ``times``.
    """

    def __init__(self) -> None:
        self.answers: deque[web.Response] = deque()
        self.judge: Callable[[str], web.Response] = lambda _: answer(200)
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


class Failing(Counter[str]):
    """How often each method of the store will fail; ``shaken`` tells each time."""

    def __init__(self) -> None:
        super().__init__()
        self.shaken: asyncio.Queue[str] = asyncio.Queue()

    def shakes(self, method: str) -> bool:
        if not self[method]:
            return False
        self[method] -= 1
        self.shaken.put_nowait(method)
        return True


@dataclass
class Bench:
    """A store, a service, and the lane between them."""

    path: Path
    store: ShakyStore
    sink: Sink
    url: str
    client: Client
    failing: Failing
    saved: asyncio.Queue[tuple[Delivery, Attempt]] = field(default_factory=asyncio.Queue)
    lanes: list[Lane] = field(default_factory=list)

    def lane(
        self,
        *,
        retry: RetryPolicy = QUICK,
        retries: Mapping[str, RetryPolicy] | None = None,
        rates: str = "",
        refusals: str = "",
        transport: deskbell.Transport[Any] | None = None,
        **changes: Any,
    ) -> Lane:
        """A lane of the two webhooks ``first`` and ``second``."""
        retries = retries or {"first": retry, "second": retry}
        hooks = {name: webhook(name, self.url, transport, retry=each) for name, each in retries.items()}
        service = Service(
            f"{SERVICE}bell", pace=Pace(()), refusals=Pace(parse_rates(refusals)), health=Destination()
        )
        lane = Lane(
            hooks["first"].destination,
            hooks,
            url=deskbell.Secret(self.url),
            pace=Pace(parse_rates(rates)),
            service=service,
            health=Destination(),
            engine=engine(
                self.store, self.client, settled=lambda *saved: self.saved.put_nowait(saved), **changes
            ),
        )
        self.lanes.append(lane)
        return lane

    async def add(
        self, *texts: str, tickets: Sequence[str] = (), hooks: Sequence[str] = ("first",), age: float = 0.0
    ) -> None:
        """Store an event for each text, of ticket 1 unless told."""
        for number, (text, ticket) in enumerate(itertools.zip_longest(texts, tickets, fillvalue="1")):
            sent = event(ticket, text, id=f"{text}-{number}", received_at=now() - timedelta(seconds=age))
            webhooks = [self.lanes[-1].webhooks[name] for name in hooks]
            await self.store.add(sent, b"{}", webhooks=webhooks)

    async def post(self, *texts: str, **how: Any) -> None:
        """Add events, and tell the lane."""
        await self.add(*texts, **how)
        self.lanes[-1].wake()

    async def outcomes(self, count: int) -> list[str]:
        """The next saved attempts: text and outcome."""
        return [said_of(attempt) for _, attempt in [await within(self.saved.get()) for _ in range(count)]]

    def rows(self) -> list[Delivery]:
        """Every delivery, the oldest first, as another process reads it."""
        return [listed.delivery for listed in reversed(list_deliveries(self.path, Filter(limit=None)))]

    def states(self) -> list[str]:
        return [str(row.state) for row in self.rows()]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path / "deskbell.db") as opened:
        yield opened


@asynccontextmanager
async def open_bench(path: Path) -> AsyncIterator[Bench]:
    sink, failing = Sink(), Failing()
    store = ShakyStore.open(path)
    store.shakes = failing.shakes
    async with serving(sink.handle) as url, loopback_client() as client:
        bench = Bench(path, store, sink, f"{url}/hook", client, failing)
        yield bench
        sink.open.set()
        for lane in bench.lanes:
            await lane.stop(PATIENCE)
    await store.close()


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
        (answer(500), "TemporaryFailure", 2),
        (answer(429, Retry_After="0.02"), "Throttled", 1),
        (answer(403), "DestinationGone", 1),
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
    bench.lane(retry=replace(QUICK, ladder=(0.001, 0.001, 0.001, LONG)))
    bench.sink.answers = deque([answer(500), answer(502), answer(503)])
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
    bench.sink.judge = lambda text: answer(500 if text == "poison" else 200)
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
    bench.sink.answers = deque([answer(400, "Cannot send an empty message")])
    await bench.post("a", "b")

    assert await bench.outcomes(2) == ["a PermanentFailure", "b Delivered"]
    assert [(row.state, row.reason, row.gap) for row in bench.rows()] == [
        (State.DEAD, "400 Cannot send an empty message", False),
        (State.DELIVERED, "", True),
    ]
    assert "delivery 1 to webhook first is dead: 400 Cannot send an empty message" in caplog.messages


@pytest.mark.parametrize(
    "answer",
    [
        answer(429, Retry_After=str(SHORT)),
        answer(503, Retry_After=str(SHORT)),
        answer(200, X_Wait=str(SHORT)),
    ],
)
async def test_the_lane_waits_as_long_as_the_service_asks(bench: Bench, answer: web.Response) -> None:
    bench.lane()
    bench.sink.answers = deque([answer])
    await bench.post("a", "b")
    while (await bench.outcomes(1)) != ["b Delivered"]:
        pass

    assert bench.sink.times[1] - bench.sink.times[0] >= SHORT


@pytest.mark.parametrize("answers", [[answer(410)], [answer(403), answer(401), answer(302)]])
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
    assert bench.url not in caplog.text

    await bench.post("c")
    await within(asyncio.gather(*tasks_of_lanes()))
    assert len(bench.sink.texts) == len(answers), "a paused lane sends nothing"
    await lane.resume()
    assert await bench.outcomes(3) == ["a Delivered", "b Delivered", "c Delivered"]
    assert lane.health == Destination()


async def test_resume_ends_a_wait_at_once(bench: Bench) -> None:
    lane = bench.lane(retry=replace(QUICK, ladder=(LONG,)))
    bench.sink.answers = deque([answer(500)])
    await bench.post("a")
    assert await bench.outcomes(1) == ["a TemporaryFailure"]
    await lane.resume()
    assert await bench.outcomes(1) == ["a Delivered"]


async def test_an_answer_that_comes_during_a_resume_is_newer_than_it(bench: Bench) -> None:
    lane = bench.lane()
    bench.sink.open.clear()
    bench.sink.answers = deque([answer(410)])
    await bench.post("a")
    await within(bench.sink.arrived.get())

    async def pause_meanwhile() -> None:
        bench.sink.open.set()
        await bench.outcomes(1)

    bench.store.after_resume = pause_meanwhile
    await lane.resume()
    assert lane.health.paused
    assert await bench.store.destinations() == {lane.destination: lane.health}


async def test_a_resume_while_the_store_fails_is_newer_than_what_could_not_be_saved(bench: Bench) -> None:
    lane = bench.lane()
    bench.failing["save"] = 10**6
    bench.sink.answers = deque([answer(410)])
    await bench.post("a")
    await within(bench.failing.shaken.get())
    await lane.resume()
    bench.failing["save"] = 0
    assert await bench.outcomes(2) == ["a DestinationGone", "a Delivered"]
    assert await bench.store.destinations() == {}, "else the next start would find it paused"


async def test_a_delivery_that_waited_too_long_is_not_sent(bench: Bench) -> None:
    bench.lane(retry=replace(QUICK, max_age=60.0))
    await bench.add("old", age=61.0)
    await bench.post("new", age=59.0)
    assert await bench.outcomes(1) == ["new Delivered"]
    assert bench.states() == ["dead", "delivered"]


async def test_webhooks_that_share_a_lane_have_each_its_own_patience(bench: Bench) -> None:
    bench.lane(retries={"first": replace(QUICK, max_age=60.0), "second": replace(QUICK, max_age=600.0)})
    await bench.post("old", hooks=["first", "second"], age=300.0)
    assert await bench.outcomes(1) == ["old Delivered"]
    assert [(row.webhook, row.state) for row in bench.rows()] == [
        ("first", State.DEAD),
        ("second", State.DELIVERED),
    ]


async def test_webhooks_that_share_a_lane_wait_as_the_most_patient_does(bench: Bench) -> None:
    """Waiting belongs to the destination, whichever webhook's delivery failed."""
    patient = replace(QUICK, ladder=(0.002, LONG))
    lane = bench.lane(retries={"first": replace(QUICK, ladder=(0.002, 0.004)), "second": patient})
    bench.sink.judge = lambda _: answer(500)
    await bench.post("a", hooks=["first"])
    await bench.outcomes(2)
    assert lane.health.failures == 2
    assert lane.health.wait(now()) > LONG / 2


@pytest.mark.parametrize("maybe_received", [True, False])
async def test_only_what_may_have_been_received_is_marked(bench: Bench, *, maybe_received: bool) -> None:
    class Unlucky(Bell):
        """Its first request gets no answer."""

        lost = 1

        async def send(
            self, payload: deskbell.Payload, context: deskbell.SendContext[deskbell.Options]
        ) -> deskbell.Outcome:
            if self.lost:
                self.lost -= 1
                raise deskbell.SendError("no answer", maybe_received=maybe_received)
            return await super().send(payload, context)

    bench.lane(transport=Unlucky())
    await bench.post("a")
    assert await bench.outcomes(2) == ["a TemporaryFailure", "a Delivered"]
    assert [(row.attempts, row.maybe_duplicate) for row in bench.rows()] == [(2, maybe_received)]


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.lane()
    bench.sink.answers = deque([answer(200), answer(500), answer(500), answer(500), answer(200)])
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
            object.__setattr__(notice.event, "variables", {"content": "hacked"})
            return payload

    bench.lane(transport=Vandal())
    bench.sink.answers = deque([answer(500)])
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
    bench.failing["release"] = failures
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
    lane = bench.lane(retry=replace(QUICK, ladder=(LONG,)))
    if wait:
        bench.sink.answers = deque([answer(500)])
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
    """Not even when the destination need not wait: a later one of the ticket would be claimed meanwhile."""
    bench.lane(retry=replace(QUICK, ladder=(1e-6,)))
    bench.sink.answers = deque([answer(code)])
    bench.failing.update(dict.fromkeys(methods, 4))
    await bench.post("a", "b", "c")

    assert await bench.outcomes(len(outcomes)) == outcomes
    assert bench.sink.texts == [outcome.split()[0] for outcome in outcomes]
    assert not any(bench.failing.values())
    assert [row.attempts for row in bench.rows()] == [1 + (code == 500), 1, 1]


async def test_nothing_more_is_sent_until_what_was_sent_is_saved(bench: Bench) -> None:
    bench.lane()
    bench.failing["save"] = 10**6
    await bench.post("a", "b")
    for _ in range(5):
        await within(bench.failing.shaken.get())
    assert bench.sink.texts == ["a"]
    bench.failing["save"] = 0
    assert await bench.outcomes(2) == ["a Delivered", "b Delivered"]


async def test_an_outcome_on_its_way_to_the_disk_gets_there_though_the_grace_is_over(bench: Bench) -> None:
    lane = bench.lane(retry=replace(QUICK, ladder=(LONG,)))
    bench.sink.answers = deque([answer(500)])
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


class Buggy(Sender):
    """Has a bug that shows once."""

    bugs = 1

    async def attempt(self, claimed: Claimed, webhook: Webhook, url: deskbell.Secret) -> Attempt:
        if self.bugs:
            self.bugs -= 1
            raise RuntimeError("a bug")
        return await super().attempt(claimed, webhook, url)


async def bug(_: object) -> None:
    raise RuntimeError("a bug")


@pytest.mark.parametrize("where", ["after the claim", "in the attempt"])
async def test_after_a_bug_of_ours_nothing_is_stuck_or_overtaken(
    bench: Bench, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """Nobody knows whether the row that was in flight was sent; the next of its ticket waits for it all the same."""
    if where == "after the claim":
        bench.lane(restart=SHORT)
        bench.store.after_claim = bug
    else:
        buggy = Buggy(bench.client.request, timezone=UTC, date_format="%H:%M", clock=now)
        bench.lane(restart=SHORT, sender=buggy)
    await bench.post("a")
    await within(asyncio.gather(*tasks_of_lanes()))
    await bench.post("b")
    assert bench.states() == ["sending", "ready"]
    assert tasks_of_lanes() == [], "it would only meet the bug again, with each event"
    assert await bench.outcomes(2) == ["a Delivered", "b Delivered"]
    assert [(row.attempts, row.maybe_duplicate) for row in bench.rows()] == [(2, True), (1, False)]
    assert f"the lane of first, second stopped; it goes on in {SHORT:g} s" in caplog.messages
    assert "RuntimeError: a bug" in caplog.text


def test_a_lane_goes_on_after_every_bug_whatever_the_clock_of_its_loop(tmp_path: Path) -> None:
    """That of ``serve`` counts in milliseconds: a timer may be told before its time."""
    uvloop = pytest.importorskip("uvloop", reason="this machine has no uvloop")
    bugs = 60

    async def meet_them() -> None:
        async with open_bench(tmp_path / "deskbell.db") as bench:

            async def again(_: object) -> None:
                nonlocal bugs
                if bugs := bugs - 1:
                    bench.store.after_claim = again
                raise RuntimeError("a bug")

            bench.lane(restart=0.0017)
            bench.store.after_claim = again
            await bench.post("a")
            assert await bench.outcomes(1) == ["a Delivered"]

    uvloop.run(meet_them())
    assert bugs == 0


async def test_an_outcome_that_was_not_saved_yet_outlives_a_bug_of_ours(bench: Bench) -> None:
    bench.lane()
    bench.failing["save"] = 1

    def judge(text: str) -> web.Response:
        if text == "a":
            bench.store.after_claim = bug  # of the next
        return answer(200)

    bench.sink.judge = judge
    await bench.post("a", "b")
    assert await bench.outcomes(2) == ["a Delivered", "b Delivered"]
    assert bench.sink.texts == ["a", "b"]
    assert [(row.attempts, row.maybe_duplicate) for row in bench.rows()] == [(1, False), (2, True)]


# -- what destinations of one service share


def service_of(refusals: str) -> Service:
    return Service("service bell", pace=Pace(()), refusals=Pace(parse_rates(refusals)), health=Destination())


WAITING = Destination(until=NOW + timedelta(seconds=5), reason="throttled: 429")
FORBIDDEN = DestinationGone("403 Forbidden", certain=False)


@pytest.mark.parametrize(
    ("outcome", "refused"),
    [
        (Throttled(1.0, detail="429"), True),
        (FORBIDDEN, True),
        (DestinationGone("404"), True),
        (Delivered(), False),
        (TemporaryFailure("503"), False),
        (PermanentFailure("400"), False),
    ],
)
async def test_too_many_refusals_close_a_service(outcome: Outcome, *, refused: bool) -> None:
    """What a service counts before it bans: 401, 403, 404 and 429. Closed until fewer are in the window again."""
    service = service_of("3/600s")
    assert [service.hear(FORBIDDEN, WAITING, NOW) for _ in range(2)] == [False, False]
    assert service.hear(outcome, WAITING, NOW) is refused
    assert service.wait(NOW) == pytest.approx(600.0 if refused else 0.0, abs=1.0)
    if refused:
        assert service.health.reason == f"too many refused requests: {outcome.detail}"


async def test_the_thousandth_refusal_within_600_seconds_closes_a_service_that_says_nothing_else() -> None:
    service = service_of(Bell.most_refusals)
    heard = [service.hear(FORBIDDEN, WAITING, NOW) for _ in range(1_000)]
    assert heard.index(True) == 999
    assert service.wait(NOW) == pytest.approx(600.0, abs=5.0)


async def test_a_service_that_says_so_is_closed_at_once_and_no_shorter_than_it_said() -> None:
    service, shorter = service_of("1000/600s"), Destination(until=NOW + timedelta(seconds=3))
    everywhere = Throttled(5.0, scope="service")
    assert not service.hear(Throttled(5.0), WAITING, NOW), "that is for one destination"
    assert service.hear(everywhere, WAITING, NOW)
    assert (service.health, service.wait(NOW)) == (WAITING, 5.0)
    assert not service.hear(everywhere, shorter, NOW)
    assert service.wait(NOW) == 5.0
    later = NOW + timedelta(seconds=9)
    assert service.wait(later) == 0.0
    assert not service.hear(everywhere, WAITING, later), "it is over"


async def test_after_too_many_refusals_a_lane_waits_and_says_so_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    window = 0.4
    lane = bench.lane(refusals=f"3/{window}s")
    bench.sink.answers = deque(answer(429, Retry_After="0") for _ in range(3))
    await bench.post("a")
    assert await bench.outcomes(4) == ["a Throttled"] * 3 + ["a Delivered"]
    times = bench.sink.times
    assert times[2] - times[0] < window
    assert times[3] - times[0] >= window
    said = [message for message in caplog.messages if "all others of its service" in message]
    assert len(said) == 1
    assert re.fullmatch(
        r"webhook first, second and .* wait for 0\.\d+ s: too many refused requests: 429", said[0]
    )
    assert lane.destination not in await bench.store.destinations()
    kept = (await bench.store.destinations())[f"{SERVICE}bell"]
    assert kept.reason == "too many refused requests: 429"
