"""``/login`` and ``/logout``: the owner is who knows the password."""

from __future__ import annotations

import logging
import math
from typing import Any

from aiohttp import web

from .access import origin_of
from .guesses import TooManyGuessesError
from .visit import Route, Visit, local

LOGIN = "/login"

_log = logging.getLogger(__name__)


async def _get_login(visit: Visit) -> web.StreamResponse:
    if visit.admitted:
        visit.go(_next(visit))
    return await _page(visit)


async def _post_login(visit: Visit) -> web.StreamResponse:
    if visit.admitted:
        visit.go(_next(visit))
    request, access = visit.request, visit.desk.access
    guess = (await visit.form()).get("password", "")
    try:
        right = await access.is_right(request, guess)
    except TooManyGuessesError as error:
        return await _refused(visit, error)
    _log.log(
        logging.INFO if right else logging.WARNING,
        "%s at the pages, from %s",
        _TOLD[right],
        origin_of(request),
    )
    if not right:
        return await _page(visit, status=403, wrong=visit.words.say("signin.wrong"))
    response = web.Response(status=303, headers={"Location": _next(visit)})
    access.sign_in(request, response)
    return response


_TOLD = {True: "a sign-in", False: "a wrong password"}


async def _refused(visit: Visit, error: TooManyGuessesError) -> web.Response:
    """Whatever the guess was."""
    minutes = math.ceil(error.wait / 60)
    response = await _page(visit, status=429, wrong=visit.words.say("signin.too_many", minutes=minutes))
    response.headers["Retry-After"] = str(math.ceil(error.wait))
    return response


async def _post_logout(visit: Visit) -> web.StreamResponse:
    response = web.Response(status=303, headers={"Location": f"{LOGIN}?said=signed_out"})
    visit.desk.access.sign_out(visit.request, response)
    return response


async def _page(visit: Visit, *, status: int = 200, **values: Any) -> web.Response:
    return await visit.page("login.html", status=status, next=_next(visit), **{"wrong": "", **values})


def _next(visit: Visit) -> str:
    """Where the reader was going."""
    return local(visit.query("next"))


ROUTES = (
    Route("GET", LOGIN, _get_login, open=True),
    Route("POST", LOGIN, _post_login, open=True),
    Route("POST", "/logout", _post_logout),
)
