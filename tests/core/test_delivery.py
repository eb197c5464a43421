"""The state machine, cell by cell, and what must hold over any sequence of outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskbell.delivery import (
    LONGEST_WAIT,
    PROBE_ANOTHER_FROM,
    Delivery,
    Destination,
    RetryPolicy,
    Settled,
    State,
    claim,
    expire,
    hold,
    may_replay,
    recover,
    release,
    renew,
    replay,
    settle,
)
from deskbell.outcome import (
    Delivered,
    DestinationGone,
    Outcome,
    PermanentFailure,
    TemporaryFailure,
    Throttled,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = RetryPolicy()
ACTIVE = Destination()
HOUR = 3600.0
LONGEST_STEP = 15 * 60.0
NAN = math.nan


def row(number: int = 7, **changes: Any) -> Delivery:
    """A row as the lane has it while it sends: its first attempt is counted."""
    sent = Delivery(
        id=number, event_id="e", webhook="w", transport="t", ticket="1", action="Reply",
        state=State.SENDING, due_from=NOW, attempts=1,
    )  # fmt: skip
    return replace(sent, **changes)


def settled(
    outcome: Outcome, destination: Destination = ACTIVE, *, noise: float = 0.0, **changes: Any
) -> Settled:
    return settle(row(**changes), destination, outcome, now=NOW, policy=POLICY, noise=noise)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


TROUBLED = Destination(until=NOW, reason="503", failures=2, refusals=1, last_failed=3)
GONE = DestinationGone("404 Unknown Webhook (10015)")
FORBIDDEN = DestinationGone("403", certain=False)


@pytest.mark.parametrize(
    ("outcome", "before", "delivery", "destination"),
    [
        pytest.param(
            Delivered("99"), ACTIVE,
            {"state": State.DELIVERED, "receipt": "99", "ended_at": NOW}, ACTIVE, id="delivered",
        ),
        pytest.param(
            Delivered(), TROUBLED,
            {"state": State.DELIVERED, "ended_at": NOW}, ACTIVE, id="delivered-ends-all-trouble",
        ),
        pytest.param(
            Delivered(wait=1.5), ACTIVE, {"state": State.DELIVERED, "ended_at": NOW},
            Destination(until=after(1.5)), id="delivered-the-next-must-wait",
        ),
        pytest.param(
            Throttled(2.5, detail="429"), TROUBLED,
            {"state": State.READY, "attempts": 0, "reason": "throttled: 429", "next_at": after(2.5)},
            replace(TROUBLED, until=after(2.5), reason="throttled: 429"), id="throttled-counts-for-nobody",
        ),
        pytest.param(
            TemporaryFailure("500"), ACTIVE,
            {"state": State.READY, "reason": "500", "next_at": after(1), "setbacks": 1},
            Destination(until=after(1), reason="500", failures=1, last_failed=7), id="first-failure",
        ),
        pytest.param(
            TemporaryFailure("500"), TROUBLED,
            {"state": State.READY, "reason": "500", "next_at": after(30), "setbacks": 0},
            Destination(until=after(30), reason="500", failures=3, last_failed=7), id="third-failure",
        ),
        pytest.param(
            TemporaryFailure("no answer", maybe_received=True), ACTIVE,
            {
                "state": State.READY, "reason": "no answer", "next_at": after(1), "setbacks": 1,
                "maybe_duplicate": True,
            },
            Destination(until=after(1), reason="no answer", failures=1, last_failed=7), id="maybe-received",
        ),
        pytest.param(
            PermanentFailure("400 too long"), ACTIVE,
            {"state": State.DEAD, "reason": "400 too long", "ended_at": NOW}, ACTIVE, id="refused-for-good",
        ),
        pytest.param(
            PermanentFailure("400"), TROUBLED, {"state": State.DEAD, "reason": "400", "ended_at": NOW},
            replace(TROUBLED, until=None), id="no-success-no-wait",
        ),
        pytest.param(
            PermanentFailure(""), ACTIVE,
            {"state": State.DEAD, "reason": "no reason was given", "ended_at": NOW}, ACTIVE,
            id="never-dead-without-a-word",
        ),
        pytest.param(
            GONE, ACTIVE,
            {"state": State.READY, "attempts": 0, "reason": GONE.detail},
            Destination(paused=True, reason=GONE.detail), id="certainly-gone",
        ),
        pytest.param(
            FORBIDDEN, ACTIVE,
            {"state": State.READY, "attempts": 0, "reason": "403", "next_at": after(1), "setbacks": 1},
            Destination(until=after(1), reason="403", refusals=1, last_failed=7), id="perhaps-gone",
        ),
        pytest.param(
            FORBIDDEN, Destination(refusals=1),
            {"state": State.READY, "attempts": 0, "reason": "403", "next_at": after(5)},
            Destination(until=after(5), reason="403", refusals=2, last_failed=7), id="perhaps-gone-again",
        ),
        pytest.param(
            FORBIDDEN, Destination(refusals=2),
            {"state": State.READY, "attempts": 0, "reason": "403"},
            Destination(paused=True, reason="403"), id="refused-the-third-time-in-a-row",
        ),
        pytest.param(
            DestinationGone("200 <html>", certain=False, maybe_received=True), ACTIVE,
            {
                "state": State.READY, "attempts": 0, "reason": "200 <html>", "next_at": after(1), "setbacks": 1,
                "maybe_duplicate": True,
            },
            Destination(until=after(1), reason="200 <html>", refusals=1, last_failed=7),
            id="perhaps-gone-and-maybe-received",
        ),
        pytest.param(
            DestinationGone("200 <html>", certain=False, maybe_received=True), Destination(refusals=2),
            {"state": State.READY, "attempts": 0, "reason": "200 <html>", "maybe_duplicate": True},
            Destination(paused=True, reason="200 <html>"), id="gone-and-maybe-received",
        ),
    ],
)  # fmt: skip
def test_an_outcome_makes_the_states_of_the_table(
    outcome: Outcome, before: Destination, delivery: dict[str, Any], destination: Destination
) -> None:
    """One row of the table at the head of ``delivery.py`` each; nothing else changes."""
    assert settled(outcome, before) == Settled(row(**delivery), destination)


@pytest.mark.parametrize("poison", [TemporaryFailure("500"), FORBIDDEN], ids=["failed", "refused"])
def test_a_row_whose_fifth_setback_it_is_dies(poison: TemporaryFailure | DestinationGone) -> None:
    """What the table calls poisonous; the destination waits as for any other."""
    alive, dead = settled(poison, setbacks=3), settled(poison, setbacks=4)
    assert (alive.delivery.state, alive.delivery.setbacks) == (State.READY, 4)
    assert (dead.delivery.state, dead.delivery.setbacks) == (State.DEAD, 5)
    assert (dead.delivery.next_at, dead.delivery.ended_at) == (None, NOW)
    assert dead.destination == alive.destination


def test_a_row_that_may_have_been_received_stays_marked() -> None:
    for outcome in (TemporaryFailure("503"), Throttled(1.0), GONE, Delivered(), PermanentFailure("400")):
        assert settled(outcome, maybe_duplicate=True).delivery.maybe_duplicate


LATER = after(9 * HOUR)
AT_REST: dict[str, Any] = {"due_from": NOW, "setbacks": 4, "attempts": 6, "next_at": NOW, "reason": "503"}
ENDED: dict[str, Any] = {**AT_REST, "next_at": None, "ended_at": NOW, "gap": True, "maybe_duplicate": True}
RENEWED: dict[str, Any] = {"state": State.READY, "due_from": LATER, "setbacks": 0, "next_at": None}
REPLAYED: dict[str, Any] = {**RENEWED, "reason": "", "ended_at": None}


@pytest.mark.parametrize(
    ("change", "before", "expected"),
    [
        pytest.param(
            claim, {"state": State.READY, "attempts": 2},
            {"state": State.SENDING, "attempts": 3}, id="claimed",
        ),
        pytest.param(
            partial(claim, gap=True), {"state": State.READY, "attempts": 0},
            {"state": State.SENDING, "attempts": 1, "gap": True}, id="claimed-behind-a-dead-one",
        ),
        pytest.param(
            claim, {"state": State.READY, "attempts": 1, "gap": True},
            {"state": State.SENDING, "attempts": 2, "gap": False}, id="claimed-after-the-dead-one-was-replayed",
        ),
        pytest.param(
            release, {"attempts": 3}, {"state": State.READY, "attempts": 2}, id="stopped-before-the-first-byte"
        ),
        pytest.param(
            recover, {"attempts": 3},
            {"state": State.READY, "attempts": 3, "maybe_duplicate": True}, id="the-process-died",
        ),
        pytest.param(
            partial(expire, now=LATER), {"state": State.READY, **AT_REST},
            {
                "state": State.DEAD, "reason": "too old: not delivered in time (503)", "next_at": None,
                "ended_at": LATER,
            },
            id="too-old-after-failures",
        ),
        pytest.param(
            partial(expire, now=LATER), {"state": State.READY},
            {"state": State.DEAD, "reason": "too old", "ended_at": LATER}, id="too-old",
        ),
        pytest.param(hold, {"state": State.READY, **AT_REST}, {"state": State.HELD}, id="held"),
        pytest.param(partial(renew, now=LATER), {"state": State.HELD, **AT_REST}, RENEWED, id="back"),
        pytest.param(partial(renew, now=LATER), {"state": State.READY, **AT_REST}, RENEWED, id="resumed-or-moved"),
        pytest.param(
            partial(replay, now=LATER), {"state": State.DEAD, **ENDED, "replays": 1},
            {**REPLAYED, "replays": 2}, id="dead-replayed",
        ),
        pytest.param(
            partial(replay, now=LATER), {"state": State.DELIVERED, **ENDED, "receipt": "99"},
            {**REPLAYED, "replays": 1}, id="delivered-replayed",
        ),
    ],
)  # fmt: skip
def test_what_happens_beside_outcomes_makes_the_states_of_the_table(
    change: Callable[[Delivery], Delivery], before: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Nothing else changes: not what was sent so far, nor whether the service may have it already."""
    assert change(row(**before)) == row(**{**before, **expected})


def test_only_what_ended_may_be_replayed() -> None:
    assert [state for state in State if may_replay(state)] == [State.DELIVERED, State.DEAD]


def test_every_outcome_is_handled_and_nothing_else() -> None:
    samples = {Delivered: (), Throttled: (1.0,)}
    for kind in get_args(Outcome):
        outcome = kind(*samples.get(kind, ("why",)))
        assert settled(outcome).delivery.state in {State.READY, State.DELIVERED, State.DEAD}
    with pytest.raises(AssertionError):
        settled("delivered")  # type: ignore[arg-type]  # a plugin without a type checker returned it


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 1), (2, 5), (3, 30), (4, 120), (5, 300), (6, 900), (7, 900), (5000, 900)],
)
def test_each_failure_in_a_row_takes_the_next_step_of_the_ladder(failures: int, seconds: float) -> None:
    assert settled(TemporaryFailure("x"), Destination(failures=failures - 1)).destination.until == after(
        seconds
    )


@given(failures=st.integers(1, 12), noise=st.floats(-1, 1))
def test_jitter_moves_a_step_by_a_fifth_at_most(failures: int, noise: float) -> None:
    plain = POLICY.backoff(failures, 0.0)
    assert 0.8 * plain <= POLICY.backoff(failures, noise) <= min(1.2 * plain, LONGEST_STEP)


def test_jitter_reaches_both_ends_but_not_beyond_the_longest_step() -> None:
    assert [POLICY.backoff(3, noise) for noise in (-1, 0, 1)] == pytest.approx([24, 30, 36])
    assert [POLICY.backoff(6, noise) for noise in (-1, 0, 1)] == pytest.approx([720, 900, 900])


@given(st.floats(0, 900), st.lists(st.floats(-1, 1), min_size=60, max_size=60))
def test_after_a_four_hour_outage_the_backlog_flows_at_most_15_minutes_later(
    began: float, noises: list[float]
) -> None:
    """Whatever the noise: one probe for each step, and the first that gets through frees every row at once."""
    health, now, ends = ACTIVE, after(began), after(began + 4 * HOUR)
    waiting = [row(number) for number in range(3)]
    while now < ends:
        found = settle(
            waiting[0], health, TemporaryFailure("503"), now=now, policy=POLICY, noise=noises.pop()
        )
        health = found.destination
        assert health.until is not None
        assert health.until - now <= timedelta(minutes=15)
        now = health.until
    for each in waiting:
        assert health.wait(now) == 0
        health = settle(each, health, Delivered(), now=now, policy=POLICY, noise=0).destination
    assert now - ends <= timedelta(minutes=15)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, 0.8), (0.1, 0.8), (-5.0, 0.8), (NAN, 0.8), (50.0, 50), (HOUR, HOUR), (2 * HOUR, HOUR), (math.inf, HOUR)],
)  # fmt: skip
def test_a_failing_service_that_says_when_is_obeyed_up_to_an_hour(
    asked: float | None, seconds: float
) -> None:
    """Its word is not shortened by the jitter; a shorter or senseless one does not shorten the ladder."""
    found = settled(TemporaryFailure("503", asked), noise=-1.0)
    assert found.destination.until == found.delivery.next_at == after(seconds)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (0.0, 1), (0.3, 1), (-1.0, 1), (NAN, 1), (1.1, 1.1),
        (1336.57, 1336.57),  # Discord's own example of a long one
        (1e9, HOUR), (math.inf, HOUR),
    ],
)  # fmt: skip
def test_throttling_waits_as_told_but_at_least_a_second_and_at_most_an_hour(
    asked: float, seconds: float
) -> None:
    assert settled(Throttled(asked), noise=-1.0).destination.until == after(seconds)


def test_a_wait_that_a_wrong_clock_made_longer_than_any_counts_no_more() -> None:
    """It began in 2030, as far as the clock knew, and was saved; now the clock is right again."""
    assert Destination(until=after(HOUR)).wait(NOW) == HOUR
    assert Destination(until=after(HOUR + 1)).wait(NOW) == 0.0


@pytest.mark.parametrize("wait", [0.0, -1.0, NAN])
def test_a_senseless_wait_after_a_success_is_none(wait: float) -> None:
    assert settled(Delivered(wait=wait)).destination == ACTIVE


@pytest.mark.parametrize(
    ("destination", "seconds"),
    [
        (ACTIVE, 0),
        (Destination(until=after(-9)), 0),
        (Destination(until=after(9)), 9),
        (Destination(until=after(LONGEST_WAIT)), LONGEST_WAIT),
        (Destination(until=after(LONGEST_WAIT + 1)), 0),  # begun by a clock that was wrong
    ],
)
def test_a_destination_says_how_long_it_waits(destination: Destination, seconds: float) -> None:
    assert destination.wait(NOW) == seconds


@pytest.mark.parametrize(
    ("destination", "avoided"),
    [
        (Destination(last_failed=7, failures=PROBE_ANOTHER_FROM - 1), None),
        (Destination(last_failed=7, failures=PROBE_ANOTHER_FROM), 7),
        (Destination(last_failed=7, refusals=1), 7),
        (ACTIVE, None),
    ],
)
def test_the_probe_avoids_what_failed_last_from_the_third_failure_or_the_first_refusal(
    destination: Destination, avoided: int | None
) -> None:
    assert destination.avoids() == avoided


class Lane:
    """Rows of one destination, each of its own ticket, served by the rules and by nothing else."""

    def __init__(self, rows: int) -> None:
        self.rows = {number: row(number, state=State.READY, attempts=0) for number in range(rows)}
        self.health = ACTIVE
        self.log: list[tuple[int, Outcome]] = []

    def next(self) -> int | None:
        ready = [number for number, each in self.rows.items() if each.state is State.READY]
        if (avoid := self.health.avoids()) is not None:  # then the one whose turn is next after it
            ready.sort(key=lambda number: (number <= avoid, number == avoid))
        return next(iter(ready), None)

    def serve(self, number: int, outcome: Outcome) -> Delivery:
        claimed = claim(self.rows[number])
        found = settle(claimed, self.health, outcome, now=NOW, policy=POLICY, noise=0.0)
        self.rows[number], self.health = found.delivery, found.destination
        self.log.append((number, outcome))
        return found.delivery

    def resume(self) -> None:
        self.health = ACTIVE
        self.log.clear()
        for number, each in self.rows.items():
            if each.state is State.READY:
                self.rows[number] = renew(each, now=NOW)

    def replay(self, number: int) -> None:
        self.rows[number] = replay(self.rows[number], now=NOW)
        self.log = [(-1 if served == number else served, outcome) for served, outcome in self.log]

    def successes_of_others(self, number: int) -> int:
        """Since the row was first tried, or replayed, or the lane resumed."""
        first = next(place for place, (served, _) in enumerate(self.log) if served == number)
        return sum(isinstance(outcome, Delivered) for _, outcome in self.log[first:])


@pytest.mark.parametrize("poison", [TemporaryFailure("500"), FORBIDDEN], ids=["fails", "is-refused"])
def test_a_poisonous_row_dies_and_the_others_get_through(poison: Outcome) -> None:
    """The lane goes on to others by itself; after five setbacks the row is dead, with the reason."""
    lane = Lane(10)
    while (number := lane.next()) is not None:
        lane.serve(number, poison if number == 0 else Delivered())
    dead = lane.rows.pop(0)
    assert dead.state is State.DEAD
    assert dead.reason == f"failed 5 times while others got through: {poison.detail}"
    assert {each.state for each in lane.rows.values()} == {State.DELIVERED}
    served = [number for number, _ in lane.log]
    assert served[: served.index(5)].count(0) <= 15, "few tries for each of the others that got through"


def test_two_poisonous_rows_do_not_hold_the_others() -> None:
    lane = Lane(20)
    while (number := lane.next()) is not None:
        lane.serve(number, TemporaryFailure("500") if number < 2 else Delivered())
        assert len(lane.log) < 100
    assert [each.state for each in lane.rows.values()] == [State.DEAD] * 2 + [State.DELIVERED] * 18


def test_a_destination_that_is_simply_down_kills_no_row() -> None:
    lane = Lane(3)
    for _ in range(300):
        number = lane.next()
        assert number is not None
        lane.serve(number, TemporaryFailure("503"))
    assert [(each.state, each.setbacks) for each in lane.rows.values()] == [
        (State.READY, 1), (State.READY, 0), (State.READY, 0),
    ]  # fmt: skip
    assert lane.health.failures == 300


@pytest.mark.parametrize(
    ("between", "paused"),
    [(None, True), (Throttled(1.0), True), (Delivered(), False), (TemporaryFailure("503"), False)],
    ids=["nothing", "throttled", "delivered", "failed"],
)
def test_only_refusals_in_a_row_pause_a_destination(between: Outcome | None, *, paused: bool) -> None:
    lane = Lane(9)
    outcomes = [FORBIDDEN, FORBIDDEN, *([between] if between else []), FORBIDDEN]
    for number, outcome in enumerate(outcomes):
        lane.serve(number, outcome)
    assert lane.health.paused is paused


OUTCOMES = st.one_of(
    st.builds(Delivered, wait=st.sampled_from([0.0, 0.5, NAN])),
    st.builds(Throttled, st.floats(allow_nan=True)),
    st.builds(TemporaryFailure, st.just("503"), st.none() | st.floats(allow_nan=True), st.booleans()),
    st.builds(PermanentFailure, st.sampled_from(["400", ""])),
    st.builds(DestinationGone, st.just("403"), st.booleans(), st.booleans()),
)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 4), OUTCOMES | st.sampled_from(["resume", "replay"])), max_size=80
    ),
    in_turn=st.booleans(),
)
def test_over_any_sequence_of_outcomes_the_rules_hold(
    steps: list[tuple[int, Outcome | str]], *, in_turn: bool
) -> None:
    """Rows are served in turn, or in any order at all: the rules do not rest on the lane's choice."""
    lane = Lane(5)
    for any_row, outcome in steps:
        number = lane.next() if in_turn else any_row
        if outcome == "replay":
            if may_replay(lane.rows[any_row].state):
                lane.replay(any_row)
        elif isinstance(outcome, str) or lane.health.paused:
            lane.resume()
        elif number is not None and lane.rows[number].state is State.READY:
            before = lane.rows[number]
            found = lane.serve(number, outcome)
            check_row(lane, before, outcome, found)
            check_destination(lane.health, outcome, found)


def check_row(lane: Lane, before: Delivery, outcome: Outcome, found: Delivery) -> None:
    given_back = isinstance(outcome, Throttled | DestinationGone)
    unsure = isinstance(outcome, TemporaryFailure | DestinationGone) and outcome.maybe_received
    assert found.attempts == before.attempts + (not given_back) >= 0
    assert found.maybe_duplicate == (before.maybe_duplicate or unsure)
    assert found.ended_at == (NOW if may_replay(found.state) else None)
    assert found.state in {State.READY, State.DELIVERED, State.DEAD}
    assert (found.state is State.DELIVERED) == isinstance(outcome, Delivered)
    assert bool(found.reason) == (found.state is not State.DELIVERED)
    assert not (found.next_at and found.state is not State.READY)
    if found.state is State.DEAD and not isinstance(outcome, PermanentFailure):
        assert found.setbacks == POLICY.setbacks_to_die
        assert lane.successes_of_others(found.id) >= POLICY.setbacks_to_die - 1


def check_destination(health: Destination, outcome: Outcome, found: Delivery) -> None:
    if health.paused:
        assert isinstance(outcome, DestinationGone)
        assert health.until is None
    if isinstance(outcome, Delivered):
        assert health == Destination(until=health.until)
    if isinstance(outcome, Throttled | TemporaryFailure):
        assert health.until is not None
        assert 0.8 <= (health.until - NOW).total_seconds() <= HOUR
    if found.state is State.READY:
        assert found.next_at == health.until
