"""Whom deskbell answers: docs/access.md has the rules as a table, which the tests are made from.

Without a password, whoever asks from this machine for this machine is the owner. With one, the owner is who gave it,
under a host name that is ours: any site may tell a browser that its name is our address (DNS rebinding).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web

from deskbell.problem import Problem
from deskbell.receiver import refusal_beyond_loopback
from deskbell.refusals import owner_of
from deskbell.settings import Config, is_loopback

from .guesses import HERE, Guesses
from .sessions import LIFETIME, Session, Sessions

COOKIE = "deskbell_session"
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(?::[0-9]+)?", re.IGNORECASE | re.ASCII)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what is listened on, and no name
_NOT_OURS = "deskbell is not known under this host name; if it shall be, set server.public_url in config.yaml"


class Access:
    """``config`` gives the one in force: a new password counts from the next request on."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._sessions = Sessions()
        self._guesses = Guesses()

    @property
    def needs_password(self) -> bool:
        """False where being local is enough."""
        return self._config().password is not None

    def refusal(self, request: web.Request) -> Problem | None:
        """Why there are no pages for ``request``, not even one to sign in; None when there are."""
        if not self.needs_password:
            return refusal_beyond_loopback(request)
        return None if self._is_ours(request) else Problem(421, _NOT_OURS)

    def metrics_refusal(self, request: web.Request) -> Problem | None:
        """The same for the metrics: a Prometheus on this machine has no password, and needs none."""
        return self.refusal(request) or (None if self.session(request) else refusal_beyond_loopback(request))

    def session(self, request: web.Request) -> Session | None:
        """The visitor's session; None for whoever has yet to sign in, or need not."""
        password, cookie = self._config().password, request.cookies.get(self._cookie(request))
        return self._sessions.find(cookie, password) if password and cookie else None

    async def is_right(self, request: web.Request, guess: str) -> bool:
        """Whether ``guess`` is the password. ``TooManyGuessesError`` when it is not even looked at."""
        password = self._config().password
        return password is not None and await self._guesses.is_right(guess, password, origin_of(request))

    def sign_in(self, request: web.Request, response: web.Response) -> None:
        """Begin a session, with ``response`` to tell the browser; one that it had ends."""
        password = self._config().password
        if password is None:
            return
        self._end(request)
        response.set_cookie(
            self._cookie(request),
            self._sessions.begin(password),
            max_age=int(LIFETIME),
            httponly=True,
            samesite="Strict",
            secure=self._is_secure(request),
        )

    def sign_out(self, request: web.Request, response: web.Response) -> None:
        """End the visitor's session."""
        self._end(request)
        response.del_cookie(self._cookie(request), secure=self._is_secure(request), httponly=True)

    def is_same_origin(self, request: web.Request) -> bool:
        """https://html.spec.whatwg.org/multipage/browsers.html#origin; every browser sends one of the two with a POST."""
        if (origin := request.headers.get("Origin")) is not None:
            return origin == self._config().public_url or origin.partition("://")[2] == request.host
        return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"

    def _end(self, request: web.Request) -> None:
        password, cookie = self._config().password, request.cookies.get(self._cookie(request))
        if password and cookie:
            self._sessions.end(cookie, password)

    def _is_ours(self, request: web.Request) -> bool:
        config = self._config()
        ours = {*_LOOPBACK, config.host.lower(), _own_address(request), _public_host(config)}
        return _host(request) in ours - _ANY - {""}

    def _cookie(self, request: web.Request) -> str:
        """https://datatracker.ietf.org/doc/html/rfc6265bis#name-the-__host-prefix: no neighbour can set such a one."""
        return f"__Host-{COOKIE}" if self._is_secure(request) else COOKIE

    def _is_secure(self, request: web.Request) -> bool:
        """True when the browser came over https: through the proxy, not through a tunnel to loopback."""
        config = self._config()
        return config.public_url.startswith("https:") and _host(request) == _public_host(config)


def origin_of(request: web.Request) -> str:
    """Who asks, to be counted; a proxy on this machine says it last in ``X-Forwarded-For``."""
    told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    peer = request.remote or ""
    origin = told if told and is_loopback(peer) else peer
    return HERE if is_loopback(origin) else owner_of(origin)


def _host(request: web.Request) -> str:
    found = _HOST.fullmatch(request.host)
    return (found["six"] or found["name"]).lower() if found else ""


def _own_address(request: web.Request) -> str:
    """The address of ours that was connected to: no name was bent to it."""
    own = request.transport and request.transport.get_extra_info("sockname")
    return str(own[0]) if own else ""


def _public_host(config: Config) -> str:
    return urlsplit(config.public_url).hostname or ""
