"""Every page and its address: the one list."""

from __future__ import annotations

from aiohttp import web

from deskbell.languages import LANGUAGES

from . import (
    deliveries,
    delivery,
    demo,
    editing,
    health,
    plugins,
    replay,
    sign_in,
    sources,
    switching,
    trying,
    webhooks,
)
from .desk import Desk
from .gate import Gate
from .rendering import get_static
from .visit import Route, Visit, local
from .words import LANGUAGE_COOKIE

_A_YEAR = 365 * 24 * 3600


async def _get_static(visit: Visit) -> web.StreamResponse:
    return await get_static(visit.request)


async def _get_changes(visit: Visit) -> web.StreamResponse:
    return await visit.desk.live.answer(visit.request)


async def _post_language(visit: Visit) -> web.StreamResponse:
    """Remember the language, and go back to where the reader was."""
    form = await visit.form()
    language, back = form.get("language", ""), form.get("back", "/")
    if language not in LANGUAGES:
        raise web.HTTPBadRequest(text="no such language")
    response = web.Response(status=303, headers={"Location": local(back)})
    response.set_cookie(LANGUAGE_COOKIE, language, max_age=_A_YEAR, httponly=True, samesite="Lax")
    return response


ROUTES = (
    *deliveries.ROUTES,
    *replay.ROUTES,  # before the next: `replay` is no number
    *delivery.ROUTES,
    *webhooks.ROUTES,
    *switching.ROUTES,
    *editing.ROUTES,
    *trying.ROUTES,
    *sources.ROUTES,
    *plugins.ROUTES,
    *health.ROUTES,
    *demo.ROUTES,
    *sign_in.ROUTES,
    Route("GET", "/static/{hash}/{name}", _get_static, open=True),
    Route("GET", "/live", _get_changes),
    Route("POST", "/language", _post_language, open=True),
)


def add_pages(app: web.Application, desk: Desk) -> None:
    """Put every page into ``app``; what answers GET answers HEAD."""
    gate = Gate(desk)
    add = {"GET": app.router.add_get, "POST": app.router.add_post}
    for route in ROUTES:
        add[route.method](route.path, gate.through(route))

    async def let_go(_app: web.Application) -> None:
        desk.live.close()

    app.on_shutdown.append(let_go)
