"""``/health``: what an operator should know, in one place: troubles first."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

import deskbell
from deskbell.store import Backlog
from deskbell.store.space import Room, room_for, size_of

from .deliveries import hindrances
from .desk import Desk
from .visit import Route, Visit


async def get_health(visit: Visit) -> web.Response:
    """Troubles, the config, the store, and what waits for each webhook."""
    desk = visit.desk
    size, room = await asyncio.to_thread(_measure, desk.config().store)
    return await visit.page(
        "health.html",
        **hindrances(desk),
        version=deskbell.__version__,
        started_at=desk.started_at,
        uptime=visit.words.span(datetime.now(UTC) - desk.started_at),
        config=desk.config(),
        last=desk.last_reload(),
        size=size,
        room=room,
        backlog=_backlog(desk),
    )


def _measure(store: Path) -> tuple[int, Room | None]:
    return size_of(store), room_for(store)


def _backlog(desk: Desk) -> dict[str, Backlog]:
    """By webhook: those of the config, then those that are gone while something of theirs is left."""
    configured = {webhook.name: Backlog() for webhook in desk.config().webhooks}
    return configured | dict(sorted(desk.backlog().items()))


async def post_reload(visit: Visit) -> web.StreamResponse:
    """Load the config anew; what is wrong with it stands on the page that follows."""
    reloaded = await visit.desk.reload()
    visit.go("/health", **({"said": "reloaded"} if reloaded.ok else {}))


ROUTES = (Route("GET", "/health", get_health), Route("POST", "/reload", post_reload))
