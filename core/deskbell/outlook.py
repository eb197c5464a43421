"""Why a delivery stands where it stands, and when it goes on: for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .delivery import Delivery, Destination, State

HELPING = 500
"""Deliveries that are replayed in one transaction: new events and lanes wait no longer."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """``held``, ``paused`` or ``waits``: what its webhook does to it; then ``reason`` may be the webhook's.

    ``held`` has no reason. Otherwise ``reason`` is the delivery's own, empty where there is nothing to say.
    ``next_at``: the next try, where one is due.
    """

    why: Literal["", "held", "paused", "waits"] = ""
    reason: str = ""
    next_at: datetime | None = None


def outlook(delivery: Delivery, troubles: Mapping[str, Destination]) -> Outlook:
    """``troubles``: the webhooks that are held up, and by what.

    A delivery waits as long as its destination does, though it may have failed long before; one that was never tried
    has no reason of its own.
    """
    trouble = troubles.get(delivery.webhook) if delivery.state is State.READY else None
    if delivery.state is State.HELD:
        return Outlook("held")
    if trouble is None:
        return Outlook("", delivery.reason, delivery.next_at)
    if trouble.paused:
        return Outlook("paused", delivery.reason or trouble.reason)
    return Outlook("" if delivery.reason else "waits", delivery.reason or trouble.reason, trouble.until)


def worst(places: Iterable[Destination], now: datetime) -> Destination | None:
    """Of a destination and its service, the one that holds a webhook up longest; None when neither does.

    The wait after a success, which is only its pace, has no reason.
    """
    held_up = [each for each in places if each.paused or (each.reason and each.wait(now) > 0)]
    return max(held_up, key=lambda each: (each.paused, each.wait(now)), default=None)


def helpings(ids: Iterable[int]) -> Iterator[Sequence[int]]:
    """Deliveries to replay, the oldest first: what flows already while the rest follows keeps the order."""
    ordered = sorted(ids)
    for first in range(0, len(ordered), HELPING):
        yield ordered[first : first + HELPING]
