"""A delivery's whole life. Pure: the time and the noise are handed in.

Waiting belongs to the destination, never to its rows: a lane is first in, first out, one in flight.

| ``sending`` and …             | the row becomes                     | the destination                                |
|-------------------------------|-------------------------------------|------------------------------------------------|
| Delivered(wait)               | delivered                           | active, after ``wait``                         |
| Throttled(retry_after)        | ready, attempt given back           | waits as told                                  |
| TemporaryFailure              | ready; dead if poisonous            | waits: next step of the ladder, or longer      |
| PermanentFailure              | dead                                | active: the lane goes on                       |
| DestinationGone, certain      | ready, attempt given back           | paused                                         |
| DestinationGone, uncertain    | likewise; dead if poisonous         | paused at the third in a row, else waits       |
| stopped before the first byte | ready, attempt given back           | –                                              |
| the process died              | ready + maybe_duplicate             | –                                              |

A row is *poisonous* when it failed or was refused 5 times, others getting through each time in between: a
destination that is simply down kills no row. From the third failure in a row, and from the first refusal,
the next probe is a row of another ticket, so that neither one bad message nor a few can hold the lane.

| a row at rest and …                 | becomes                                        |
|-------------------------------------|------------------------------------------------|
| older than ``max_age``              | dead                                           |
| its webhook left the config         | held; ready again when it is back              |
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
        """Seconds to wait before the next claim."""
        return max(0.0, (self.until - now).total_seconds()) if self.until else 0.0

    def avoids(self) -> int | None:
        """The delivery whose ticket the next probe leaves out, if another ticket has one."""
        return self.last_failed if self.refusals or self.failures >= PROBE_ANOTHER_FROM else None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds throughout. ``ladder``: the waits after the first, second, … failure in a row; the last repeats."""

    ladder: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0, 300.0, 900.0)
    jitter: float = 0.2
    shortest_throttle: float = 1.0
    longest_retry_after: float = 3600.0
    max_age: float = 96 * 3600.0
    setbacks_to_die: int = 5
    refusals_to_pause: int = 3

    def backoff(self, failures: int, noise: float) -> float:
        """The wait after ``failures`` in a row; ``noise`` in [-1, 1] moves it by up to ``jitter``."""
        step = self.ladder[min(failures, len(self.ladder)) - 1]
        return step * (1 + self.jitter * noise)


@dataclass(frozen=True, slots=True)
class Settled:
    """What an outcome makes of the delivery and of its destination."""

    delivery: Delivery
    destination: Destination


def claim(delivery: Delivery) -> Delivery:
    """Take a ready delivery: the attempt counts from here, so that a crash cannot hide it."""
    return replace(delivery, state=State.SENDING, attempts=delivery.attempts + 1)


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
            delivered = replace(delivery, state=State.DELIVERED, receipt=receipt, reason="", next_at=None)
            return Settled(delivered, Destination(until=_later(now, wait, policy)))
        case Throttled(retry_after=seconds, detail=detail):
            until = _later(now, max(policy.shortest_throttle, seconds), policy)
            reason = f"throttled: {detail}"
            waiting = replace(destination, until=until, reason=reason)
            return Settled(_give_back(delivery, reason, until), waiting)
        case TemporaryFailure():
            return _fail(delivery, destination, outcome, now, policy, noise)
        case PermanentFailure(detail=detail):
            # Not a success: what failed before stays counted, so that it kills no other row.
            return Settled(_die(delivery, detail), replace(destination, until=None))
        case DestinationGone():
            return _refuse(delivery, destination, outcome, now, policy, noise)
    assert_never(outcome)


def release(delivery: Delivery) -> Delivery:
    """Give a claimed delivery back unsent: its attempt does not count."""
    return replace(delivery, state=State.READY, attempts=delivery.attempts - 1)


def recover(delivery: Delivery) -> Delivery:
    """A delivery that was ``sending`` when the process died: the service may or may not have it."""
    return replace(delivery, state=State.READY, maybe_duplicate=True)


def expire(delivery: Delivery) -> Delivery:
    """A delivery that waited longer than ``max_age``."""
    return _die(
        delivery, f"too old: not delivered in time ({delivery.reason})" if delivery.reason else "too old"
    )


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
        until=_later(now, wait, policy), reason=outcome.detail, failures=failures, last_failed=delivery.id
    )
    failed = replace(delivery, state=State.READY, reason=outcome.detail, next_at=waiting.until)
    return _set_back(failed, destination, waiting, policy)


def _refuse(
    delivery: Delivery,
    destination: Destination,
    outcome: DestinationGone,
    now: datetime,
    policy: RetryPolicy,
    noise: float,
) -> Settled:
    refusals = destination.refusals + 1
    if outcome.certain or refusals >= policy.refusals_to_pause:
        paused = Destination(paused=True, reason=outcome.detail)
        return Settled(_give_back(delivery, outcome.detail, None), paused)
    until = _later(now, policy.backoff(refusals, noise), policy)
    waiting = replace(
        destination, until=until, reason=outcome.detail, refusals=refusals, last_failed=delivery.id
    )
    return _set_back(_give_back(delivery, outcome.detail, until), destination, waiting, policy)


def _set_back(delivery: Delivery, before: Destination, after: Destination, policy: RetryPolicy) -> Settled:
    """Count a failure against the row itself if its destination was doing well until then."""
    setbacks = delivery.setbacks + (before.failures == before.refusals == 0)
    if setbacks >= policy.setbacks_to_die:
        reason = f"failed {setbacks} times while others got through: {delivery.reason}"
        return Settled(replace(_die(delivery, reason), setbacks=setbacks), after)
    return Settled(replace(delivery, setbacks=setbacks), after)


def _give_back(delivery: Delivery, reason: str, until: datetime | None) -> Delivery:
    return replace(release(delivery), reason=reason, next_at=until)


def _die(delivery: Delivery, reason: str) -> Delivery:
    return replace(delivery, state=State.DEAD, reason=reason or "no reason was given", next_at=None)


def _later(now: datetime, seconds: float, policy: RetryPolicy) -> datetime | None:
    return now + timedelta(seconds=min(seconds, policy.longest_retry_after)) if seconds > 0 else None
