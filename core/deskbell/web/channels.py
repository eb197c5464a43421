"""A played channel as a reader sees it: its messages, how each came out, and what waits to get there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from deskbell.delivery import State
from deskbell.fake import Arrival
from deskbell.played import Channel
from deskbell.preview import Preview, picture, preview
from deskbell.store.looking import find_delivery
from deskbell.store.reading import Filter
from deskbell.store.searching import Found, find_page

from .aside import aside
from .deliveries import HeldUp, held_up
from .desk import Desk

MOST_MESSAGES = 20
MOST_WAITING = 5
"""Of each webhook."""


@dataclass(frozen=True, slots=True)
class Message:
    """One that arrived. ``picture`` is HTML; ``delivery`` is its number, where it was sent from here.

    ``made`` tells how its text came out; None where something else would be sent today.
    """

    arrival: Arrival
    picture: str = ""
    delivery: int | None = None
    made: Preview | None = None

    @property
    def id(self) -> str:
        """What stays the same when the page is fetched anew."""
        return f"{self.arrival.at.timestamp():.6f}"


@dataclass(frozen=True, slots=True)
class Shown:
    """``messages``, the newest first; ``waiting``, the newest first as well. ``held_up``: by what, if so."""

    channel: Channel
    messages: Sequence[Message]
    waiting: Sequence[Found]
    held_up: Sequence[HeldUp]


async def shown(desk: Desk) -> list[Shown]:
    """Every channel, in the order of the config."""
    return [await _shown(desk, channel) for channel in desk.channels()]


async def _shown(desk: Desk, channel: Channel) -> Shown:
    arrivals = list(islice(reversed(channel.fake.arrivals), MOST_MESSAGES))
    try:
        messages = await aside(lambda: [_message(desk, channel, arrival) for arrival in arrivals])
    except TimeoutError:  # the plugin hangs: what arrived is shown all the same
        messages = [Message(arrival) for arrival in arrivals]
    waiting = await asyncio.to_thread(lambda: list(_waiting(desk, channel)))
    # Its webhooks share one destination, so one of them speaks for all.
    trouble = [each for each in held_up(desk) if each.webhook in channel.webhooks][:1]
    return Shown(channel, messages, waiting, trouble)


def _message(desk: Desk, channel: Channel, arrival: Arrival) -> Message:
    """It asks the plugin and the store: in a thread."""
    number = channel.delivery_of(arrival)
    drawn = picture(channel.transport, arrival.payload)
    return Message(arrival, drawn, number, _made(desk, arrival, number) if number else None)


def _made(desk: Desk, arrival: Arrival, number: int) -> Preview | None:
    config = desk.config()
    detail = find_delivery(config.store, number, patience=0.0)
    webhook = config.webhook(detail.delivery.webhook) if detail else None
    if detail is None or webhook is None:
        return None
    made = preview(webhook, detail.event, timezone=config.timezone, date_format=config.date_format)
    return made if made.payload == arrival.payload else None


def _waiting(desk: Desk, channel: Channel) -> Iterator[Found]:
    """What is on its way, then what is ready to go."""
    store = desk.config().store
    for state in (State.SENDING, State.READY):
        found = (
            find_page(store, Filter(state, webhook, limit=MOST_WAITING)).found for webhook in channel.webhooks
        )
        of_all = (each for page in found for each in page)
        yield from sorted(of_all, key=lambda each: each.delivery.id, reverse=True)[:MOST_WAITING]
