"""``/``: what was sent, when, and the answer; the newest first. Above it, what holds anything up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from deskbell.delivery import Destination, State
from deskbell.event import Action
from deskbell.store.searching import PATIENCE, Page, find_page

from .desk import Desk
from .sought import Sought
from .told import Told
from .visit import Route, Visit, local

ON_A_PAGE = 50
_OF_ALL = ("store", "queue", "config")
"""The troubles that are not those of one webhook or service."""


@dataclass(frozen=True, slots=True)
class HeldUp:
    """A webhook that is paused or waits, because of its own destination."""

    webhook: str
    health: Destination


async def get_deliveries(visit: Visit) -> web.Response:
    """A page of those that the filter asks for, as far as the store's patience goes."""
    desk, sought = visit.desk, Sought.of(visit.query)
    wanted = sought.filter(limit=ON_A_PAGE)
    page = await asyncio.to_thread(find_page, desk.config().store, wanted, patience=PATIENCE)
    return await visit.page(
        "deliveries.html",
        sought=sought,
        page=page,
        told=Told.to(visit),
        zone=desk.config().timezone,
        webhooks=_webhooks(desk, sought),
        actions=with_chosen(known_actions(desk), _given(sought, "action")),
        states=tuple(State),
        replayable=_may_replay(desk, sought, page),
        **hindrances(desk),
    )


def hindrances(desk: Desk) -> dict[str, Any]:
    """What ``held_up.html`` tells: whatever holds anything up, or keeps events out."""
    troubles = desk.troubles()
    return {
        "held_up": held_up(desk),
        "services": desk.dispatcher.services(),
        "orphans": _orphans(desk),
        "ailing": {what: troubles[what] for what in _OF_ALL if what in troubles},
    }


def held_up(desk: Desk) -> list[HeldUp]:
    """What a resume would set going, in the order of the config."""
    found = [HeldUp(each.name, desk.dispatcher.health(each.name)) for each in desk.config().active_webhooks]
    troubles = desk.dispatcher.troubles()
    return [each for each in found if each.webhook in troubles and (each.health.paused or each.health.reason)]


def _orphans(desk: Desk) -> dict[str, int]:
    """How many deliveries are held, by webhook."""
    return {name: waiting.held for name, waiting in desk.backlog().items() if waiting.held}


def _webhooks(desk: Desk, sought: Sought) -> list[str]:
    """Those of the config, those that are gone while deliveries wait for them, and the one that is sought."""
    configured = [webhook.name for webhook in desk.config().webhooks]
    return list(dict.fromkeys([*configured, *sorted(desk.backlog()), *_given(sought, "webhook")]))


def known_actions(desk: Desk) -> list[str]:
    """Those of tickets, and those of the sources."""
    own = [str(action) for source in desk.config().sources.values() for action in source.adapter.actions]
    return list(dict.fromkeys([*map(str, Action), *own]))


def with_chosen(known: Sequence[str], chosen: Iterable[str]) -> list[str]:
    """The known words, and what is chosen beside them."""
    folded = {word.casefold() for word in known}
    return [*known, *(word for word in chosen if word.casefold() not in folded)]


def _given(sought: Sought, field: str) -> list[str]:
    return [sought.given[field]] if field in sought.given else []


def _may_replay(desk: Desk, sought: Sought, page: Page) -> bool:
    """Whether any of those that the filter asks for may be dead: the backlog was measured a while ago."""
    if sought.given.get("state", State.DEAD) != State.DEAD:
        return False
    webhook = sought.given.get("webhook")
    dead = sum(waiting.dead for name, waiting in desk.backlog().items() if webhook in (None, name))
    return dead > 0 or any(found.delivery.state is State.DEAD for found in page.found)


async def post_resume(visit: Visit) -> web.StreamResponse:
    """Go on with a webhook's destination, and back to where the reader was."""
    name, desk = visit.request.match_info["name"], visit.desk
    if name not in {webhook.name for webhook in desk.config().active_webhooks}:
        raise web.HTTPNotFound(text=visit.words.say("deliveries.webhook.unknown", webhook=name))
    before = await desk.dispatcher.resume(name)
    back = local((await visit.form()).get("back", "/"))
    visit.go(back, said="resumed" if before.paused or before.reason else "not_paused")


ROUTES = (Route("GET", "/", get_deliveries), Route("POST", "/webhooks/{name}/resume", post_resume))
