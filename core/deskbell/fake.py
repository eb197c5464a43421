"""What a transport's played service builds on: it refuses, limits and answers as the real one does."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from aiohttp import web

KEPT = 200
"""Messages that a channel remembers."""


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
    their own to let the service's rate windows pass without waiting.
    """

    path: ClassVar[str]
    """The path of the webhook that exists, with its (made-up) secret."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.arrivals: deque[Arrival] = deque(maxlen=KEPT)

    @abstractmethod
    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request, as the service would."""

    def app(self) -> web.Application:
        """A fresh aiohttp application that plays the service."""
        app = web.Application(client_max_size=1024**2)
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    def keep(self, request: web.Request, payload: Mapping[str, Any]) -> Arrival:
        """Remember an accepted message; the oldest go first."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        arrival = Arrival(datetime.now(UTC), payload, dict(request.query), headers)
        self.arrivals.append(arrival)
        return arrival
