"""A delivery's whole life. Pure: the time and the noise are handed in.

Waiting belongs to the destination, never to its rows: a lane is first in, first out, one in flight.

| ``sending`` and …             | the row becomes                     | the destination                                |
|-------------------------------|-------------------------------------|------------------------------------------------|
| Delivered(wait)               | delivered                           | active, after ``wait``                         |
| Throttled(retry_after)        | ready, attempt given back           | waits as told                                  |
| TemporaryFailure              | ready; dead if poisonous            | waits: next step of the ladder, or longer      |
| … which may have been received | likewise, + maybe_duplicate        | likewise                                       |
| PermanentFailure              | dead                                | active: the lane goes on                       |
| DestinationGone, certain      | ready, attempt given back           | paused                                         |
| DestinationGone, uncertain    | likewise; dead if poisonous         | paused at the third in a row, else waits       |
| … which may have been received | likewise, + maybe_duplicate        | likewise                                       |
| stopped before the first byte | ready, attempt given back           | –                                              |
| the process died              | ready + maybe_duplicate             | –                                              |

A row is *poisonous* when it failed or was refused 5 times, others getting through each time in between: a
destination that is simply down kills no row. From the third failure in a row, and from the first refusal,
the next probe is a row of another ticket, so that neither one bad message nor a few can hold the lane.

| a row at rest and …                            | becomes                                             |
|------------------------------------------------|-----------------------------------------------------|
| ready, older than ``max_age``                  | dead                                                |
| ready, its webhook left the config             | held                                                |
| held, its webhook is back                      | ready, its age and setbacks start anew              |
| ready, its destination resumed, or the URL new | ready, its age and setbacks start anew              |
| dead or delivered, replayed                    | ready, replays + 1, its age and setbacks start anew |

A row that is claimed while an earlier one of its ticket is dead in this webhook has a ``gap``: what its reader sees is
not the whole story.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from .outcome import (
    Delivered,
    DestinationGone,
    Outcome,
    PermanentFailure,
    TemporaryFailure,
    Throttled,
)

LONGEST_WAIT = 3600.0
"""Seconds: so long a service is believed when it says how long to wait."""
PROBE_ANOTHER_FROM = 3
"""From this failure in a row on, the destination is probed with a row of another ticket."""


class State(StrEnum):
    """Where a delivery stands."""

    READY = "ready"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one webhook, until it ends.

    ``attempts`` counts what was sent; ``setbacks`` the failures while the destination was doing well.
    ``due_from`` is when its age starts: accepted, resumed or replayed. ``next_at`` is shown to people only.
    ``ended_at``: delivered or dead since then. ``gap``: an earlier event of its ticket is dead in this webhook.
    """

    id: int
    event_id: str
    webhook: str
    transport: str
    ticket: str
    action: str
    state: State
    due_from: datetime
    attempts: int = 0
    setbacks: int = 0
    reason: str = ""
    receipt: str = ""
    next_at: datetime | None = None
    maybe_duplicate: bool = False
    replays: int = 0
    gap: bool = False
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one delivery, as it is kept, shown and told to plugins. Free of secrets."""

    delivery_id: int
    event_id: str
    webhook: str
    transport: str
    number: int
    started_at: datetime
    seconds: float
    outcome: Outcome
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """How a destination fares: ``active``, waiting (``until``, ``reason``) or ``paused`` (``reason``).

    ``failures`` and ``refusals`` are in a row: a success ends both, a failure ends the refusals, too.
    ``last_failed`` names the row whose ticket the probe avoids.
    """

    until: datetime | None = None
    reason: str = ""
    paused: bool = False
    failures: int = 0
    refusals: int = 0
    last_failed: int | None = None

    def wait(self, now: datetime) -> float:
        """Seconds to wait before the next claim.

        None is longer than ``LONGEST_WAIT`` when it begins; one that is now comes from a clock that was wrong, and
        counts no more.
        """
        seconds = (self.until - now).total_seconds() if self.until else 0.0
        return seconds if 0.0 < seconds <= LONGEST_WAIT else 0.0

    def avoids(self) -> int | None:
        """The delivery whose ticket the next probe leaves out, if another ticket has one."""
        return self.last_failed if self.refusals or self.failures >= PROBE_ANOTHER_FROM else None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds throughout. ``ladder``: the waits after the first, second, … failure in a row; the last repeats."""

    ladder: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0, 300.0, 900.0)
    jitter: float = 0.2
    shortest_throttle: float = 1.0
    max_age: float = 96 * 3600.0
    setbacks_to_die: int = 5
    refusals_to_pause: int = 3

    def backoff(self, failures: int, noise: float) -> float:
        """The wait after ``failures`` in a row; ``noise`` in [-1, 1] moves it by up to ``jitter``.

        Never longer than the ladder's longest: so much later, at most, a backlog flows when the service is back.
        """
        step = self.ladder[min(failures, len(self.ladder)) - 1]
        return min(step * (1 + self.jitter * noise), max(self.ladder))


@dataclass(frozen=True, slots=True)
class Settled:
    """What an outcome makes of the delivery and of its destination."""

    delivery: Delivery
    destination: Destination


def claim(delivery: Delivery, *, gap: bool = False) -> Delivery:
    """Take a ready delivery: the attempt counts from here, so that a crash cannot hide it."""
    return replace(delivery, state=State.SENDING, attempts=delivery.attempts + 1, gap=gap)


def settle(
    delivery: Delivery,
    destination: Destination,
    outcome: Outcome,
    *,
    now: datetime,
    policy: RetryPolicy,
    noise: float,
) -> Settled:
    """Turn the outcome of an attempt into the next states: the table above."""
    match outcome:
        case Delivered(receipt=receipt, wait=wait):
            delivered = replace(
                delivery, state=State.DELIVERED, receipt=receipt, reason="", next_at=None, ended_at=now
            )
            return Settled(delivered, Destination(until=_later(now, wait)))
        case Throttled(retry_after=seconds, detail=detail):
            until = _later(now, max(policy.shortest_throttle, seconds))
            reason = f"throttled: {detail}"
            waiting = replace(destination, until=until, reason=reason)
            return Settled(_give_back(delivery, reason, until), waiting)
        case TemporaryFailure():
            return _fail(delivery, destination, outcome, now, policy, noise)
        case PermanentFailure(detail=detail):
            # Not a success: what failed before stays counted, so that it kills no other row.
            return Settled(_die(delivery, detail, now), replace(destination, until=None))
        case DestinationGone():
            return _refuse(delivery, destination, outcome, now, policy, noise)
    assert_never(outcome)


def release(delivery: Delivery) -> Delivery:
    """Give a claimed delivery back unsent: its attempt does not count."""
    return replace(delivery, state=State.READY, attempts=delivery.attempts - 1)


def recover(delivery: Delivery) -> Delivery:
    """A delivery that was ``sending`` when the process died: the service may or may not have it."""
    return replace(delivery, state=State.READY, maybe_duplicate=True)


def expire(delivery: Delivery, *, now: datetime) -> Delivery:
    """A delivery that waited longer than ``max_age``."""
    reason = f"too old: not delivered in time ({delivery.reason})" if delivery.reason else "too old"
    return _die(delivery, reason, now)


def hold(delivery: Delivery) -> Delivery:
    """A ready delivery whose webhook left the config, or was disabled."""
    return replace(delivery, state=State.HELD)


def renew(delivery: Delivery, *, now: datetime) -> Delivery:
    """A waiting delivery gets a fresh chance: its webhook is back, was resumed, or has a new URL."""
    return replace(delivery, state=State.READY, due_from=now, setbacks=0, next_at=None)


def replay(delivery: Delivery, *, now: datetime) -> Delivery:
    """An operator's second chance for a delivery that ended (``may_replay``). It keeps its place in the order."""
    return replace(renew(delivery, now=now), reason="", replays=delivery.replays + 1, ended_at=None)


def may_replay(state: State) -> bool:
    """True for a delivery that ended; the others are on their way."""
    return state in (State.DEAD, State.DELIVERED)


def _fail(
    delivery: Delivery,
    destination: Destination,
    outcome: TemporaryFailure,
    now: datetime,
    policy: RetryPolicy,
    noise: float,
) -> Settled:
    failures = destination.failures + 1
    wait = max(policy.backoff(failures, noise), outcome.retry_after or 0.0)
    waiting = Destination(
        until=_later(now, wait), reason=outcome.detail, failures=failures, last_failed=delivery.id
    )
    failed = replace(
        delivery,
        state=State.READY,
        reason=outcome.detail,
        next_at=waiting.until,
        maybe_duplicate=delivery.maybe_duplicate or outcome.maybe_received,
    )
    return _set_back(failed, destination, waiting, now, policy)


def _refuse(
    delivery: Delivery,
    destination: Destination,
    outcome: DestinationGone,
    now: datetime,
    policy: RetryPolicy,
    noise: float,
) -> Settled:
    refusals = destination.refusals + 1
    doubtful = replace(delivery, maybe_duplicate=delivery.maybe_duplicate or outcome.maybe_received)
    if outcome.certain or refusals >= policy.refusals_to_pause:
        paused = Destination(paused=True, reason=outcome.detail)
        return Settled(_give_back(doubtful, outcome.detail, None), paused)
    until = _later(now, policy.backoff(refusals, noise))
    waiting = replace(
        destination, until=until, reason=outcome.detail, refusals=refusals, last_failed=delivery.id
    )
    return _set_back(_give_back(doubtful, outcome.detail, until), destination, waiting, now, policy)


def _set_back(
    delivery: Delivery, before: Destination, after: Destination, now: datetime, policy: RetryPolicy
) -> Settled:
    """Count a failure against the row itself if its destination was doing well until then."""
    setbacks = delivery.setbacks + (before.failures == before.refusals == 0)
    if setbacks >= policy.setbacks_to_die:
        reason = f"failed {setbacks} times while others got through: {delivery.reason}"
        return Settled(replace(_die(delivery, reason, now), setbacks=setbacks), after)
    return Settled(replace(delivery, setbacks=setbacks), after)


def _give_back(delivery: Delivery, reason: str, until: datetime | None) -> Delivery:
    return replace(release(delivery), reason=reason, next_at=until)


def _die(delivery: Delivery, reason: str, now: datetime) -> Delivery:
    return replace(
        delivery, state=State.DEAD, reason=reason or "no reason was given", next_at=None, ended_at=now
    )


def _later(now: datetime, seconds: float) -> datetime | None:
    return now + timedelta(seconds=min(seconds, LONGEST_WAIT)) if seconds > 0 else None
