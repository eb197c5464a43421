"""``/webhooks``: where messages go, and how each place fares."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from deskbell.delivery import Destination
from deskbell.pace import Rate
from deskbell.settings import Webhook
from deskbell.store import Backlog
from deskbell.store.searching import find_successes

from .visit import Route, Visit
from .words import Words


@dataclass(frozen=True, slots=True)
class Standing:
    """One webhook of the config. ``trouble`` holds it up; ``last``: when it last got a message through."""

    webhook: Webhook
    trouble: Destination | None
    backlog: Backlog
    last: datetime | None

    @property
    def state(self) -> str:
        """One of the words of ``webhooks.state``."""
        if not self.webhook.enabled:
            return "disabled"
        if self.trouble is None:
            return "active"
        return "paused" if self.trouble.paused else "waits"

    @property
    def tone(self) -> str:
        """The class of its tag."""
        return {"active": "good", "waits": "warn", "paused": "bad"}.get(self.state, "")


async def get_webhooks(visit: Visit) -> web.Response:
    """All of the config, in its order."""
    desk = visit.desk
    webhooks, troubles, backlog = desk.config().webhooks, desk.dispatcher.troubles(), desk.backlog()
    names = [webhook.name for webhook in webhooks]
    successes = await asyncio.to_thread(find_successes, desk.config().store, names)
    return await visit.page(
        "webhooks.html",
        standings=[
            Standing(each, troubles.get(name), backlog.get(name, Backlog()), successes.at.get(name))
            for name, each in zip(names, webhooks, strict=True)
        ],
        searched_since=successes.searched_since,
        rates=_rates,
        takes=lambda webhook: list(_takes(visit.words, webhook)),
        stale=not desk.last_reload().ok,
        file=desk.config().path.name,
    )


def _rates(rates: Sequence[Rate]) -> str:
    """As they are written in the config."""
    return ", ".join(f"{rate.count}/{rate.seconds:g}s" for rate in rates)


def _takes(words: Words, webhook: Webhook) -> Iterator[str]:
    """The events that it takes, for people."""
    if webhook.actions is None:
        yield words.say("webhooks.every_action")
    yield from sorted(words.action(action) for action in webhook.actions or ())
    yield from sorted(words.named("priority", level) for level in webhook.when.priorities)
    yield from sorted(webhook.when.departments | webhook.when.sources)


ROUTES = (Route("GET", "/webhooks", get_webhooks),)
