"""Who sees the pages: whoever asks from this machine for this machine. And whose forms count: those we wrote.

A browser on this machine may be asked by any site to post here (CSRF), or be told that a site's name is 127.0.0.1 (DNS
rebinding): so the Host must be ours, the Origin as well, and each form carries a token that no other site can read.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from deskbell.errors import DeskbellError
from deskbell.problem import Problem
from deskbell.receiver import is_loopback_host

from .desk import Desk
from .visit import FORM_TOKEN, Route, Visit
from .words import Words, language_of

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser calls the Origin of our own forms null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every page. Nothing inline runs or styles, nothing is loaded from elsewhere, nobody may frame it."""
_SAFE = ("GET", "HEAD")

_log = logging.getLogger(__name__)


class Gate:
    """Lets visits through to the pages of ``desk``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._form_token = secrets.token_urlsafe(24)

    def through(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler of ``route``."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if not is_loopback_host(request):
                return Problem(404, "there is nothing here").response()
            visit = self._visit(request)
            try:
                await self._check_form(visit)
                response = await route.answer(visit)
            except web.HTTPException as answer:
                response = await _answered(visit, answer)
            except DeskbellError as error:
                response = await _told(visit, 500, str(error))
            except Exception:  # noqa: BLE001 - it is logged, and the reader gets a page
                _log.exception("a page failed")
                response = await _told(visit, 500, visit.words.say("page.error.defect"))
            return _with_headers(response)

        return handle

    def _visit(self, request: web.Request) -> Visit:
        words = Words(language_of(request), self._desk.config().timezone)
        return Visit(request, self._desk, words, self._form_token)

    async def _check_form(self, visit: Visit) -> None:
        request = visit.request
        if request.method in _SAFE:
            return
        if not _same_origin(request):
            raise web.HTTPForbidden(text=visit.words.say("page.error.origin"))
        given = (await visit.form()).get(FORM_TOKEN, "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), visit.form_token.encode()):
            raise web.HTTPForbidden(text=visit.words.say("page.error.form"))


def _same_origin(request: web.Request) -> bool:
    """https://html.spec.whatwg.org/multipage/browsers.html#origin; every browser sends one of the two with a POST."""
    if (origin := request.headers.get("Origin")) is not None:
        return urlsplit(origin).netloc == request.host
    return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


async def _answered(visit: Visit, answer: web.HTTPException) -> web.StreamResponse:
    if answer.status < 400:
        return web.Response(status=answer.status, headers={"Location": answer.headers["Location"]})
    return await _told(visit, answer.status, answer.text or answer.reason)


async def _told(visit: Visit, status: int, words: str) -> web.Response:
    return await visit.page("error.html", status=status, message=words)


def _with_headers(response: web.StreamResponse) -> web.StreamResponse:
    if not response.prepared:
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
    return response
