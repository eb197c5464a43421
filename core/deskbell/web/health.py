"""``/health``: what an operator should know, in one place."""

from __future__ import annotations

from aiohttp import web

import deskbell

from .visit import Route, Visit


async def get_health(visit: Visit) -> web.Response:
    """Store, queue, services, webhooks, config: troubles first."""
    desk = visit.desk
    backlog = desk.backlog()
    return await visit.page(
        "health.html",
        version=deskbell.__version__,
        troubles=desk.troubles(),
        last=desk.last_reload(),
        config=desk.config(),
        ready=sum(waiting.ready for waiting in backlog.values()),
        oldest=min((each.oldest_at for each in backlog.values() if each.oldest_at), default=None),
    )


ROUTES = (Route("GET", "/health", get_health),)
