"""Who sees the pages: whom ``Access`` lets in. And whose forms count: those we wrote.

Any site may ask a browser to post here (CSRF): so the Origin must be ours, and each form carries a token that no other
site can read. Those of a session are its own; whoever is local, or has yet to sign in, gets the one of this start.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import NoReturn

from aiohttp import web
from yarl import URL

from deskbell.errors import DeskbellError
from deskbell.listener import trust

from .desk import Desk
from .sign_in import LOGIN
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
            if refusal := self._desk.access.refusal(request):
                return refusal.response()
            visit = self._visit(request)
            try:
                self._check_origin(visit)
                if not (visit.admitted or route.open):
                    _send_to_login(visit)
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
        session = self._desk.access.session(request)
        if session:
            trust(request)
        return Visit(
            request,
            self._desk,
            words,
            form_token=session.form_token if session else self._form_token,
            signed_in=session is not None,
            admitted=session is not None or not self._desk.access.needs_password,
        )

    def _check_origin(self, visit: Visit) -> None:
        request = visit.request
        if request.method not in _SAFE and not self._desk.access.is_same_origin(request):
            raise web.HTTPForbidden(text=visit.words.say("page.error.origin"))

    async def _check_form(self, visit: Visit) -> None:
        if visit.request.method in _SAFE:
            return
        given = (await visit.form()).get(FORM_TOKEN, "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), visit.form_token.encode()):
            raise web.HTTPForbidden(text=visit.words.say("page.error.form"))


def _send_to_login(visit: Visit) -> NoReturn:
    """And then to the page that was asked for; a form is lost, and begins at the front page."""
    request = visit.request
    wanted = request.path_qs if request.method in _SAFE else "/"
    raise web.HTTPSeeOther(str(URL(LOGIN).with_query(next=wanted)))


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
