"""Limits are used up and not overstepped; what a service refuses is waited out. Two tests have virtual time."""

from __future__ import annotations

import functools
import heapq
import logging
import math
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from tests.faults.places import (
    ROOMY,
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
)
from tests.kit import Bell

import deskbell
from deskbell.delivery import RetryPolicy, State
from deskbell.pace import Pace, parse_rates
from deskbell.settings import Webhook
from deskbell_discord import Discord
from deskbell_discord.fake import PER_CHANNEL, PER_WEBHOOK, FakeDiscord, Window
from deskbell_slack import Slack
from deskbell_slack.fake import FakeSlack

BURST = 1000
SCALE = 200
"""Discord's windows in a 200th of their time. Slack takes 100/s instead of 1/s in bursts that are longer, so that what
a delivery costs on this machine weighs no more against them than a real way's 150 ms against 5 s."""
IN_WEBHOOK, IN_CHANNEL = ((count, seconds / SCALE) for count, seconds in (PER_WEBHOOK, PER_CHANNEL))
DISCORD_RATES = ", ".join(f"{count}/{seconds:.6f}s" for count, seconds in (IN_WEBHOOK, IN_CHANNEL))
IN_SLACK, SLACK_RATES = (50, 0.5), "50/0.5s"
TOGETHER = (40, 0.4)
"""What a service takes in all."""
LATE = 1.0
"""Seconds: each of up to 34 windows begins as much later as one delivery takes, its way and its commit: some 20 ms."""

_log = logging.getLogger(__name__)


class Known(Discord):
    """Takes this machine for Discord's own host, with a limit for all webhooks together."""

    name = "known"
    service_rate = "40/0.4s"

    @classmethod
    def recognises(cls, url: str) -> bool:
        return "127.0.0.1" in url


class KnownSlack(Slack):
    """Likewise."""

    name = "known_slack"
    service_rate = Known.service_rate
    recognises = Known.recognises


def least(count: int, *limits: tuple[int, float]) -> float:
    """Seconds that ``count`` messages must take."""
    return max((math.ceil(count / each) - 1) * seconds for each, seconds in limits)


async def toll(run: Run, hooks: list[Webhook]) -> float:
    """Seconds that this machine takes for the burst, as long as others use it as they do now."""
    began, sample = tick(), BURST // 10
    await run.post(numbers(sample), *hooks)
    await run.delivered(sample * len(hooks))
    return (tick() - began) * BURST / sample


async def test_a_burst_is_as_quick_as_the_limits_allow_and_none_of_it_is_refused(tmp_path: Path) -> None:
    """1,000 deliveries each: to one webhook, to two of one URL, to two URLs of one service. All at once: each waits
    for its own limit, not for the others. (Where the machine alone would take longer than the limits, it may.)"""
    chance, shared = random.Random(1), Window(*TOGETHER)
    scaled = [discord(IN_WEBHOOK, IN_CHANNEL, address) for address in (None, None, shared, shared)]
    fakes: list[FakeDiscord | FakeSlack] = [
        *scaled,
        slack(IN_SLACK),
        slack(IN_SLACK),
        slack(TOGETHER),
        discord(),
        slack(),
    ]
    async with places(*fakes, way=lambda: chance.random() * 0.002) as (
        d,
        d2,
        d3,
        d4,
        s,
        s2,
        s3,
        *free,
    ):
        known, known_slack = Known(), KnownSlack()
        by_discord, by_slack, by_both = ((IN_WEBHOOK, IN_CHANNEL), (IN_SLACK,), (TOGETHER,))
        cases: list[tuple[tuple[tuple[int, float], ...], list[Place], list[Webhook]]] = [
            (by_discord, [d], [hook("d", d, DISCORD_RATES)]),
            (by_slack, [s], [hook("s", s, SLACK_RATES)]),
            (by_discord, [d2], [hook("d2", d2, DISCORD_RATES), hook("d2b", d2)]),
            (by_slack, [s2], [hook("s2", s2, SLACK_RATES), hook("s2b", s2)]),
            (by_both, [d3, d4], [hook(f"{n}", p, DISCORD_RATES, transport=known) for n, p in (("d3", d3), ("d4", d4))]),
            (by_both, [s3], [hook(f"s3{n}", s3, query=f"?{n}", transport=known_slack) for n in "ab"]),
        ]  # fmt: skip
        unpaced = [hook(f"free{n}", place, query=f"?{n}") for place in free for n in range(3)]
        paced = [each for *_, hooks in cases for each in hooks]
        async with running(tmp_path / "x.db", *paced, *unpaced) as run:
            before, began = await toll(run, unpaced), tick()
            for *_, hooks in cases:
                await run.post(numbers(BURST // len(hooks)), *hooks)
            await run.delivered(BURST * len(cases))
            machine = 1.5 * max(before, await toll(run, unpaced))
    for limits, at, hooks in cases:
        theory, texts = least(BURST, *limits), numbers(BURST // len(hooks))
        took, refused = max(place.seen[-1].at for place in at) - began, sum(place.refused for place in at)
        names = " + ".join(each.name for each in hooks)
        told = f"{names}: {refused} refused, {took:.2f} s, at least {theory:.2f} s"
        _log.info("%s", told)
        assert refused == 0, told
        assert took <= max(1.1 * theory, machine) + LATE, f"{told}, the machine alone {machine:.2f} s"
        assert Counter(text for place in at for text in place.taken) == dict.fromkeys(texts, len(hooks))
        if at != [s3]:  # where two lanes meet in one place, each has its own order
            assert all(place.taken == sorted(place.taken, key=texts.index) for place in at)
    deliveries = BURST * len(cases) + 2 * BURST // 10 * len(unpaced)
    assert fates(tmp_path / "x.db") == {("delivered", 1, False): deliveries}


@pytest.mark.parametrize("lanes", [1, 2])
async def test_what_a_long_way_delays_is_counted_when_it_arrives(tmp_path: Path, lanes: int) -> None:
    """The first message of each lane is a third of a window on its way: the window begins when it is there."""
    address, each = Window(*TOGETHER), TOGETHER[0] // lanes + 5
    async with places(*(discord(address=address) for _ in range(lanes))) as found:
        for place in found:
            place.way = functools.partial(next, iter([TOGETHER[1] / 3]), 0.0)
        kind, rates = (Known(), "none") if lanes > 1 else (Discord(), Known.service_rate)
        hooks = [hook(f"w{n}", place, rates, transport=kind) for n, place in enumerate(found)]
        async with running(tmp_path / "x.db", *hooks) as run:
            await run.post(numbers(each), *hooks)
            await run.delivered(each * lanes)
    assert [place.taken for place in found] == [numbers(each)] * lanes
    assert [place.refused for place in found] == [0] * lanes


Take = Callable[[float], bool]
"""Count a request at this time; false when there is no room for it."""


def way(chance: random.Random) -> float:
    """Seconds from a request to its answer: mostly about 150 ms."""
    return min(chance.lognormvariate(math.log(0.15), 0.5), 0.9)


def bucket(count: int, per_second: float) -> Take:
    """Slack's kind of limit."""
    left, at = float(count), 0.0

    def take(now: float) -> bool:
        nonlocal left, at
        left, at = min(count, left + (now - at) * per_second), now
        taken = left >= 1 - 1e-9
        left -= taken
        return taken

    return take


def aligned(count: int, seconds: float) -> Take:
    """A limit whose windows begin with the minutes of the clock."""
    used = Counter[int]()

    def take(now: float) -> bool:
        used[int(now // seconds)] += 1
        return used[int(now // seconds)] <= count

    return take


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("rates", "limits"),
    [
        (Discord.rates, lambda: [Window(*PER_WEBHOOK).take, Window(*PER_CHANNEL).take]),
        (Discord.rates, lambda: [aligned(*PER_WEBHOOK), aligned(*PER_CHANNEL)]),
        (Slack.rates, lambda: [bucket(5, 1.0)]),
    ],
    ids=["windows from the first", "windows of the clock", "a bucket"],
)
def test_real_limits_are_kept_over_real_ways(rates: str, limits: Callable[[], list[Take]], seed: int) -> None:
    """Whichever way the service counts, and at whatever time before its answer is here."""
    chance, pace, at, service = random.Random(seed), Pace(parse_rates(rates)), 0.0, limits()
    for _ in range(BURST):
        at += pace.wait(at)
        seconds = way(chance)
        assert {take(at + seconds * chance.random()) for take in service} == {True}
        at += seconds
        pace.note(at)
    assert at <= 1.05 * least(BURST, *((rate.count, rate.seconds) for rate in parse_rates(rates)))


@pytest.mark.parametrize("seed", range(5))
def test_lanes_that_share_a_service_keep_its_limit_over_ways_of_any_length(seed: int) -> None:
    """Sixty webhooks, and Discord's 50 a second: what is sent first may be counted last."""
    chance, (limit,) = random.Random(seed), parse_rates(Discord.service_rate)
    pace, counted, finished = Pace([limit]), list[float](), 0.0
    lanes: list[tuple[float, int, float | None]] = [(0.0, lane, None) for lane in range(60)]
    while len(counted) < 2 * BURST:
        at, lane, turn = heapq.heappop(lanes)
        if turn is not None:
            pace.move(turn, at)
            finished = at
        if wait := pace.wait(at):
            heapq.heappush(lanes, (at + wait, lane, None))
            continue
        pace.note(at)
        seconds = way(chance)
        counted.append(at + seconds * chance.random())
        heapq.heappush(lanes, (at + seconds, lane, at))
    counted.sort()
    pairs = zip(counted, counted[limit.count :], strict=False)
    assert all(later - first >= limit.seconds for first, later in pairs)
    assert finished <= 1.5 * least(2 * BURST, (limit.count, limit.seconds))


@pytest.mark.parametrize(
    ("fake", "refusals"),
    [(discord((3, 0.1)), 0), (discord(channel=(20, 0.3)), 2)],
    ids=["told in headers: never", "hidden: once in a window"],
)
async def test_a_limit_that_is_stricter_than_declared_is_hardly_met(
    tmp_path: Path, fake: FakeDiscord, refusals: int
) -> None:
    async with places(fake) as (place,):
        desk = hook("desk", place, "5/0.1s, 30/0.3s")
        async with running(tmp_path / "x.db", desk) as run:
            await run.post(numbers(60), desk)
            await run.delivered(60)
    assert place.taken == numbers(60)
    assert place.refused == fake.refused <= refusals
    assert fates(tmp_path / "x.db") == {("delivered", 1, False): 60}


async def test_two_webhooks_of_one_channel_share_its_hidden_limit_without_a_storm(tmp_path: Path) -> None:
    """Each lane knows only its own half: one refusal for each lane in each window."""
    channel = Window(30, 0.6)
    async with places(discord(channel=channel), discord(channel=channel)) as both:
        hooks = [hook(f"desk{number}", place, "30/0.6s") for number, place in enumerate(both)]
        async with running(tmp_path / "x.db", *hooks) as run:
            await run.post(numbers(60), *hooks)
            await run.delivered(120)
    assert [place.taken for place in both] == [numbers(60)] * 2
    assert sum(place.refused for place in both) <= 2 * math.ceil(120 / 30)
    assert min(gap for place in both for gap in place.gaps()) >= 0
    assert fates(tmp_path / "x.db") == {("delivered", 1, False): 120}


@pytest.mark.parametrize("limit", ["webhook", "channel", "address", "slack"])
async def test_a_refusal_is_waited_out_and_no_attempt_counted(tmp_path: Path, limit: str) -> None:
    """Somebody else has used the limit up."""
    fake: FakeDiscord | FakeSlack = discord()
    if limit == "slack":
        fake = slack((1, 0.25))
    else:
        getattr(fake, limit).fill(fake.clock(), 0.8)
    async with places(fake) as (place,):
        desk = hook("desk", place)
        async with running(tmp_path / "x.db", desk) as run:
            await run.post(numbers(5), desk)
            await run.delivered(5)
    assert place.taken == numbers(5)
    assert place.refused == fake.refused >= 1
    assert min(place.gaps()) >= 0
    assert fates(tmp_path / "x.db") == {("delivered", 1, False): 5}


async def test_a_global_refusal_stops_the_whole_service_and_nobody_else_and_outlives_the_process(
    tmp_path: Path,
) -> None:
    address, known = Window(*ROOMY), Known()
    fakes = discord(address=address), discord(address=address), slack(), discord()
    async with places(*fakes) as (one, two, slack_, proxy):
        hooks = [hook(name, place, transport=known) for name, place in (("one", one), ("two", two))]
        hooks += [hook("slack", slack_), hook("proxy", proxy)]
        address.fill(one.fake.clock(), 0.8)
        async with running(tmp_path / "x.db", *hooks) as run:
            await run.post(["a"], hooks[0])
            (attempt,) = await run.attempts(1)
            assert isinstance(attempt.outcome, deskbell.Throttled)
            await run.post(["b"], *hooks)
            await run.delivered(2)
            assert list(run.dispatcher.services()) == ["known"]
        async with running(tmp_path / "x.db", *hooks) as run:
            assert list(run.dispatcher.services()) == ["known"]
            await run.post(["c"], *hooks)
            await run.delivered(2)
            assert (slack_.taken, proxy.taken) == (["b", "c"], ["b", "c"])
            assert (len(one.seen), len(two.seen)) == (1, 0)
            await run.delivered(5)
    assert (one.taken, two.taken) == (["a", "b", "c"], ["b", "c"])
    assert (one.refused, two.refused) == (1, 0)
    assert min(one.seen[1].at, two.seen[0].at) >= one.seen[0].at + one.seen[0].told


class Fragile(Bell):
    """A service with a host of its own, which bears few refusals."""

    name = "fragile"
    most_refusals = "20/0.5s"
    recognises = Known.recognises


class Doorkeeper(FakeSlack):
    """Refuses everybody, and bans who asks ten times as often as ``Fragile`` says."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status, self.asked, self.banned = status, Window(200, 0.5), False

    async def handle(self, _: web.Request) -> web.StreamResponse:
        self.banned |= not self.asked.take(self.clock())
        return web.json_response({"retry_after": 0.001}, status=self.status, headers={"Retry-After": "0.001"})


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_many_refusals_close_the_service_long_before_it_bans(tmp_path: Path, status: int) -> None:
    """Also over a restart, which forgets how many there were, but not the wait."""
    stubborn = RetryPolicy(
        ladder=(0.001,), jitter=0.0, shortest_throttle=0.001, refusals_to_pause=10**6, setbacks_to_die=10**6
    )
    keeper, lanes = Doorkeeper(status), 12
    async with places(keeper) as (place,):
        hooks = [
            hook(f"w{n}", place, query=f"?{n}", transport=Fragile(), retry=stubborn) for n in range(lanes)
        ]
        for life in range(3):
            async with running(tmp_path / "x.db", *hooks) as run:
                if not life:
                    await run.post(numbers(2), *hooks)
                while not run.dispatcher.services():
                    await run.attempts(1)
                    assert not keeper.banned
                (closed,) = run.dispatcher.services().values()
                assert "too many refused requests" in closed.reason
                await run.attempts(lanes)
    times = [request.at for request in place.seen]
    most = max(sum(first <= at < first + 0.5 for at in times) for first in times)
    _log.info("refused with %d: %d in all, at most %d in a window of 20", status, len(times), most)
    assert not keeper.banned
    assert most <= 2 * (20 + lanes)
    assert fates(tmp_path / "x.db") == {("ready", 0, False): 2 * lanes}


@pytest.mark.parametrize(
    ("fake", "rates", "each"),
    [(discord(IN_WEBHOOK, IN_CHANNEL), DISCORD_RATES, 1), (slack((5, 0.1)), "5/0.1s", 3)],
    ids=["discord", "slack"],
)
async def test_a_restart_in_a_burst_costs_a_refusal_or_three(
    tmp_path: Path, fake: FakeDiscord | FakeSlack, rates: str, each: int
) -> None:
    """The pace is forgotten. Half of Slack's burst may be refused: each refusal is noted like a message."""
    chance, count, crashes = random.Random(5), 150, 5
    async with places(fake) as (place,):
        desk = hook("desk", place, rates)
        for life in range(crashes + 1):
            async with running(tmp_path / "x.db", desk, grace=0.0) as run:
                if not life:
                    await run.post(numbers(count), desk)
                left = sum(row.state != State.DELIVERED for row in rows(tmp_path / "x.db"))
                await run.delivered(left if life == crashes else chance.randrange(8, 28))
    _log.info("%s: %d refused after %d restarts", rates, place.refused, crashes)
    assert place.refused <= crashes * each
    twice = {text for text, times in Counter(place.taken).items() if times > 1}
    marked = {f"n{number}" for number, row in enumerate(rows(tmp_path / "x.db")) if row.maybe_duplicate}
    assert twice <= marked
    assert len(marked) <= crashes
    assert list(dict.fromkeys(place.taken)) == numbers(count)
