"""What a transport's played service builds on: it refuses, limits and answers as the real one does."""

from __future__ import annotations

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from aiohttp import web

KEPT = 200
"""Messages that a channel remembers."""
WAIT = 3.0
"""Seconds that a service in trouble asks for when messages come too fast, and that it takes when it is slow."""


class Trouble(StrEnum):
    """What can be wrong with a played service, as long as somebody wants to see what becomes of its messages."""

    DOWN = "down"
    SLOW = "slow"
    RATE_LIMITED = "rate_limited"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that the service accepted. ``query`` and ``headers`` (lower-case names) are the request's."""

    at: datetime
    payload: Mapping[str, Any]
    query: Mapping[str, str]
    headers: Mapping[str, str]


class FakeService(ABC):
    """One channel of a chat service. Subclass it, set ``path``, and write ``handle``.

    It serves the plugin's tests, and `url: demo:NAME` in a config. ``clock`` counts seconds: tests hand in
    their own to let the service's rate windows pass without waiting. While ``trouble`` is set, ``handle`` is asked only
    where the service still takes messages.
    """

    path: ClassVar[str]
    """The path of the webhook that exists, with its (made-up) secret."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.arrivals: deque[Arrival] = deque(maxlen=KEPT)
        self.trouble: Trouble | None = None

    @abstractmethod
    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request, as the service would."""

    def too_fast(self, seconds: float) -> web.StreamResponse:
        """The service's answer to what comes ``seconds`` too early: while its trouble is ``RATE_LIMITED``."""
        return web.Response(
            status=429, text="Too Many Requests", headers={"Retry-After": str(math.ceil(seconds))}
        )

    def gone(self) -> web.StreamResponse:
        """The service's answer when somebody deleted the webhook: while its trouble is ``DELETED``."""
        return web.Response(status=410, text="Gone")

    def app(self) -> web.Application:
        """A fresh aiohttp application that plays the service."""
        app = web.Application(client_max_size=1024**2)
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """What a request gets: what ``handle`` says, as far as the trouble lets it."""
        match self.trouble:
            case Trouble.DOWN:
                return web.Response(status=503, text="Service Unavailable")
            case Trouble.RATE_LIMITED:
                return self.too_fast(WAIT)
            case Trouble.DELETED:
                return self.gone()
            case Trouble.SLOW:
                await asyncio.sleep(WAIT)
        return await self.handle(request)

    def keep(self, request: web.Request, payload: Mapping[str, Any]) -> Arrival:
        """Remember an accepted message; the oldest go first."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        arrival = Arrival(datetime.now(UTC), payload, dict(request.query), headers)
        self.arrivals.append(arrival)
        return arrival
