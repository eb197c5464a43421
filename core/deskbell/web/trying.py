"""``/webhooks/NAME/test``: a sample event through the real queue; its delivery then tells what the service answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from deskbell.errors import PluginError
from deskbell.settings import Webhook
from deskbell.starter.sample import in_language
from deskbell.store.reading import Filter
from deskbell.store.searching import find_page
from deskbell.trial import try_webhook

from .aside import aside
from .desk import Desk
from .drawing import sample_of
from .switching import known_name
from .visit import Route, Visit

PATIENCE = 3.0
"""Seconds that a reader waits for the answer; after that its page waits for it, live."""
_AMONG = 200
"""Deliveries of the webhook, the newest first: a channel takes no more meanwhile."""


async def post_test(visit: Visit) -> web.StreamResponse:
    """Send it, for this webhook alone, as ``deskbell send`` does."""
    desk, name = visit.desk, known_name(visit)
    webhook = desk.config().webhook(name)
    if webhook is None or not webhook.enabled:
        raise web.HTTPConflict(text=visit.words.say("webhooks.test.disabled", webhook=name))
    event_id = await _try(desk, webhook, visit.words.language)
    number = await asyncio.to_thread(_delivery_of, desk.config().store, name, event_id)
    visit.go(f"/deliveries/{number}" if number else "/", said="tested")


async def _try(desk: Desk, webhook: Webhook, language: str) -> str:
    """The id of the event: the one that the form previews."""
    try:
        sample = in_language(await aside(lambda: sample_of(desk.config(), webhook)), language)
    except TimeoutError:
        raise PluginError("a source's sample event did not come in time") from None
    trial = await try_webhook(desk.intake, desk.dispatcher, webhook, sample, patience=PATIENCE)
    return trial.event_id


def _delivery_of(store: Path, webhook: str, event_id: str) -> int | None:
    page = find_page(store, Filter(webhook=webhook, limit=_AMONG))
    return next((each.delivery.id for each in page.found if each.delivery.event_id == event_id), None)


ROUTES = (Route("POST", "/webhooks/{name}/test", post_test),)
