"""Listen for HTTP: bounded connections, a log of our own, and no answer that repeats what was sent.

aiohttp bounds neither, puts a malformed header into its answer and its log, and shows whole paths in its access log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any

from aiohttp import http_parser, web

from .errors import ConfigError
from .problem import Problem
from .refusals import NOT_HTTP, TOO_MANY_CONNECTIONS, Refusals, owner_of

SENDER = web.RequestKey("sender", str)
"""On a request: the source that it proved to come from."""
MOST_CONNECTIONS = 8192
"""More than the queue has places: a sender that comes too late is told 503, not cut off."""
MOST_STRANGERS, MOST_PER_ADDRESS = 2048, 512
"""Connections that have not proven who they are; behind a proxy everybody has one address."""
GRACE = 5.0
"""Seconds that a new connection has to say who it is: a burst of good senders is no crowd of strangers."""
SLOWEST_HEAD = 10.0
"""Seconds that a connection may stay without a whole request: silent, or with headers that drip."""
_OTHER_FILES = 256
"""File descriptors for all else: the store, the lanes, the libraries."""
_READING_GRACE = 5.0
"""Seconds that requests in progress have at a stop; with the dispatcher's grace it stays within 25."""
_BACKLOG = 1024
_NO_HTTP = "this is no HTTP request that can be read"
_DEFECT = "a defect of the receiver; it is in its log"

_log = logging.getLogger(__name__)
_access = logging.getLogger("deskbell.access")


class Connections:
    """Those that are open. Where there are too many, the oldest that has not proven who it is makes room."""

    def __init__(
        self,
        refusals: Refusals | None = None,
        *,
        most: int | None = None,
        most_strangers: int = MOST_STRANGERS,
        most_per_address: int = MOST_PER_ADDRESS,
        grace: float = GRACE,
    ) -> None:
        self.refusals = refusals or Refusals()
        self._grace = grace
        self._most = most or room_for_connections()
        self._most_strangers = most_strangers
        self._most_per_address = most_per_address
        self._open = 0
        self._strangers = dict[Connection, None]()  # in the order in which they came
        self._of_address = defaultdict[str, dict[Connection, None]](dict)

    def enter(self, connection: Connection) -> None:
        """Count a new connection. It is dropped itself where all others have proven who they are."""
        self._make_room(self._of_address.get(connection.address, {}), self._most_per_address)
        self._make_room(self._strangers, self._most_strangers)
        if self._strangers and self._open >= self._most:
            self._drop(next(iter(self._strangers)))
        if self._open >= self._most:
            self._drop(connection)
            return
        self._open += 1
        connection.counted = True
        self._strangers[connection] = self._of_address[connection.address][connection] = None

    def _make_room(self, strangers: Mapping[Connection, None], most: int) -> None:
        """Drop the oldest until there are fewer than ``most``, but none that came just now."""
        while len(strangers) >= most and (oldest := next(iter(strangers))).age > self._grace:
            self._drop(oldest)

    def trust(self, connection: Connection) -> None:
        """It has proven who it is."""
        if connection not in self._strangers:
            return
        del self._strangers[connection]
        mine = self._of_address[connection.address]
        del mine[connection]
        if not mine:
            del self._of_address[connection.address]

    def leave(self, connection: Connection) -> None:
        """It is closed."""
        if connection.counted:
            connection.counted = False
            self._open -= 1
            self.trust(connection)

    def _drop(self, connection: Connection) -> None:
        self.refusals.count(TOO_MANY_CONNECTIONS)
        if self.refusals.fail(connection.address).worth_telling:
            _log.warning("from %s: too many connections; one was dropped", connection.address)
        self.leave(connection)
        connection.drop()


def room_for_connections() -> int:
    """As many as we want, if the process may open so many files; it raises its own soft limit as far as it may."""
    wanted = MOST_CONNECTIONS + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(MOST_CONNECTIONS, soft - _OTHER_FILES))


def trust(request: web.BaseRequest) -> None:
    """Its sender has proven who it is: from now on nothing that others do touches its connection."""
    if isinstance(request.protocol, Connection):
        request.protocol.trust()


class Connection(web.RequestHandler):
    """One connection, as aiohttp serves it, within our bounds."""

    __slots__ = ("_connections", "_since", "address", "counted")

    def __init__(self, connections: Connections, server: web.Server, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._connections = connections
        self.address = ""
        self.counted = False
        self._since = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds."""
        return time.monotonic() - self._since

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See whether there is room."""
        super().connection_made(transport)
        self.address = owner_of((transport.get_extra_info("peername") or ("",))[0])
        self._connections.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room."""
        super().connection_lost(exc)
        self._connections.leave(self)

    def trust(self) -> None:
        """It has proven who it is."""
        self._connections.trust(self)

    def drop(self) -> None:
        """Close at once; a reader that is slow on purpose is not waited for."""
        if self.transport is not None:
            self.transport.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; aiohttp's own errors in our words, since some repeat what was sent."""
        if isinstance(resp, web.HTTPError):
            resp = Problem(resp.status, HTTPStatus(resp.status).description, close=True).response()
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it holds what was sent
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, or to what failed. The log has the kind of the error alone."""
        refusals = self._connections.refusals
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("a request failed", exc_info=exc)
            problem = Problem(status, _DEFECT, close=True)
        else:
            refusals.count(NOT_HTTP)
            if refusals.fail(self.address).worth_telling:
                _log.warning("from %s: what came is no HTTP: %s", self.address, type(exc).__name__)
            problem = Problem(status, _NO_HTTP, close=True)
        if request.writer.output_size:
            raise ConnectionError("the answer has begun")
        return problem.response()


def warn_of_a_lenient_parser() -> None:
    """aiohttp's parser in Python takes requests that its compiled one refuses, and that a proxy may read otherwise."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        _log.warning(
            "aiohttp is installed without its compiled parser, so malformed requests may be taken: install its wheel, "
            "and unset AIOHTTP_NO_EXTENSIONS"
        )


async def listen(
    app: web.Application, host: str, port: int, stack: AsyncExitStack, connections: Connections | None = None
) -> int:
    """Serve ``app`` until the stack unwinds; the port that it really got. ``connections`` keeps the bounds."""
    connections = connections or Connections()
    if _access.isEnabledFor(logging.DEBUG):
        app.middlewares.append(_logged)
    runner = web.AppRunner(app, shutdown_timeout=_READING_GRACE)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)

    def connect() -> Connection:
        return Connection(
            connections,
            runner.server,  # type: ignore[arg-type] # it is set up
            loop=loop,
            access_log=None,
            keepalive_timeout=SLOWEST_HEAD,
            auto_decompress=False,  # a compressed body is refused by the receiver, in its own words
        )

    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(connect, host, port, backlog=_BACKLOG)
    except OSError as error:
        # asyncio wraps the reason into a sentence of its own; a name that does not resolve has only its own words.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; choose another server.listen") from None
    stack.callback(server.close)
    return int(server.sockets[0].getsockname()[1])


@web.middleware
async def _logged(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """One line a request. It has only words of our own: a path may hold a token, and headers hold anything."""
    started = time.monotonic()
    response = await handler(request)
    resource = request.match_info.route.resource
    _access.debug(
        "%s %s from %s as %s: %d in %.1f ms",
        request.method,
        resource.canonical if resource else "-",
        request.remote,
        request.get(SENDER, "-"),
        response.status,
        (time.monotonic() - started) * 1000,
    )
    return response
