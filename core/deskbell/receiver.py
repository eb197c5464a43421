"""The HTTP door: ``POST /events/{source}``, and what machines ask of the process."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from base64 import b64decode
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from . import trace
from .arrivals import Arrivals
from .breakoff import BrokenOff, breakable
from .errors import EventError, PluginError, SignatureError, StoreBusyError, StoreError
from .event import TicketEvent
from .listener import SENDER, trust
from .problem import Problem
from .refusals import REASONS, Refusals
from .settings import SourceSettings, is_loopback
from .signature import verify
from .source import EventRequest
from .store import Added

LARGEST_BODY = 256 * 1024
"""Bytes: a ticket message has at most 10,000 characters; this leaves room for CMSs that send HTML."""
SLOWEST_BODY = 10.0
"""Seconds. aiohttp itself never ends a body that drips."""
_NO_EVENTS = frozenset({"store", "queue"})
_RETRY_SOON = {"Retry-After": "5"}
_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)
_UNKNOWN_SOURCE = "no source of this name is configured"
_TOO_MANY_FAILURES = "too many requests from this address did not prove who sent them"
_NOT_FOUND = "there is nothing here; events go to POST /events/{source}"
_REDIRECTED = (
    "send a POST. If your sender is set to POST, a redirect (http to https, or a missing www) turned it into "
    "a GET without its body: give it the final URL"
)

_FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")

_log = logging.getLogger(__name__)


class Accept(Protocol):
    """Store one event durably (``Intake.accept``)."""

    def __call__(
        self, event: TicketEvent, raw: bytes, *, source: str, key: str | None = None
    ) -> Awaitable[Added]: ...


class Receiver:
    """Takes events from ``sources``.

    ``ready`` names what troubles the service, and why; while it names ``store`` or ``queue``, no event can be taken.
    ``metrics`` gives them rendered, with their content type; ``metrics_refusal`` is what keeps a request from them.
    ``refusals`` hears of each. ``slowest_body`` is in seconds. ``arrivals`` is what came to each source since this start,
    by its name; under an empty one, what named no source of the config.
    """

    def __init__(
        self,
        sources: Mapping[str, SourceSettings],
        *,
        accept: Accept,
        ready: Callable[[], Mapping[str, str]],
        metrics: Callable[[], tuple[bytes, str]],
        refusals: Refusals,
        metrics_refusal: Callable[[web.Request], Problem | None] | None = None,
        clock: Callable[[], float] = time.time,
        slowest_body: float = SLOWEST_BODY,
    ) -> None:
        self._sources = sources
        self._accept = accept
        self._ready = ready
        self._metrics = metrics
        self._refusals = refusals
        self._metrics_refusal = metrics_refusal or refusal_beyond_loopback
        self._clock = clock
        self._slowest_body = slowest_body
        self._trouble = ""
        self.arrivals = defaultdict[str, Arrivals](Arrivals)

    def listen_to(self, sources: Mapping[str, SourceSettings]) -> None:
        """Take events from these sources from now on."""
        self._sources = sources

    def app(self) -> web.Application:
        """The application; ``not_found`` belongs behind its last route."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/events/{source}/{token:[^/]*}", self._answer)
        app.router.add_route("*", "/events/{source}", self._answer)
        for path, answer in {
            "/healthz": self._get_health,
            "/readyz": self._get_readiness,
            "/metrics": self._get_metrics,
        }.items():
            app.router.add_get(path, answer)
            app.router.add_route("*", path, _only_get)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        """Every request gets its answer here: the sender never sees a traceback, the owner sees every refusal."""
        source = self._sources.get(request.match_info["source"])
        try:
            if source is None:
                raise Problem(404, _UNKNOWN_SOURCE, close=True)
            added = await self._take(request, source)
            self._trouble = ""
            self.arrivals[source.name].taken += 1
            return _accepted(added)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered, and logged
            return self._refuse(request, source, _problem_of(error), error).response()

    def _refuse(
        self, request: web.Request, source: SourceSettings | None, problem: Problem, error: Exception
    ) -> Problem:
        """Count and tell a refusal; the answer to it. Strangers who go on are told so, and the log no more.

        Whoever proved who it is never comes into that, whatever others do at its address.
        """
        failures = None if SENDER in request else self._refusals.fail(request.remote or "")
        if failures and failures.too_many:
            wait = {"Retry-After": str(self._refusals.seconds_left(failures))}
            problem = error = Problem(429, _TOO_MANY_FAILURES, headers=wait, close=True)
        self._refusals.count(REASONS[problem.status])
        arrivals = self.arrivals[source.name if source else ""]
        arrivals.refused += 1
        if failures is None or failures.worth_telling:
            self._note(arrivals, problem, error)
            self._tell(request, source, problem, error)
        return problem

    def _tell(
        self, request: web.Request, source: SourceSettings | None, problem: Problem, error: Exception
    ) -> None:
        """Tell the owner of a refusal: the senders of this world do not. The store's trouble only when it changes."""
        trouble = str(error) if isinstance(error, StoreError) else ""
        if trouble and trouble == self._trouble:
            return
        self._trouble = trouble or self._trouble
        defect = problem.status == HTTPStatus.INTERNAL_SERVER_ERROR
        level = logging.ERROR if trouble or defect else logging.WARNING
        name = source.name if source else "unknown"
        told = "source %s, from %s: answered %d: %s"
        _log.log(level, told, name, request.remote, problem.status, error, exc_info=defect)

    def _note(self, arrivals: Arrivals, problem: Problem, error: Exception) -> None:
        """Remember a refusal, for the owner. A defect's own words may hold what was sent: they are for the log."""
        defect = problem.status == HTTPStatus.INTERNAL_SERVER_ERROR
        faults = [f"{fault.path}: {fault.message}" for fault in problem.faults]
        reason = problem.detail if defect else "; ".join([str(error), *faults])
        arrivals.remember(datetime.fromtimestamp(self._clock(), UTC), problem.status, reason)

    async def _take(self, request: web.Request, source: SourceSettings) -> Added:
        if request.method != "POST":
            raise Problem(405, _REDIRECTED, headers={"Allow": "POST"}, close=True)
        _check_token(request, source)
        if not source.signing_secrets:
            _welcome(request, source)
        _check_encoding(request)
        body = await self._read(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        if source.signing_secrets:
            verify(source.signing_secrets, body=body, headers=headers, now=self._clock())
            _welcome(request, source)
        event = _parse(source, EventRequest(body, headers))
        key = _idempotency_key(headers)
        added = await self._accept(event, body, source=source.name, key=key)
        if not added.deliveries:
            _log.info("source %s: no webhook takes event %s (%s)", source.name, added.id, event.action)
        return added

    async def _read(self, request: web.Request) -> bytes:
        if (request.content_length or 0) > LARGEST_BODY:
            raise _too_large()
        try:
            if request.content.is_eof():  # it came with the headers, as most do: a timeout has its price
                return await request.read()
            async with asyncio.timeout(self._slowest_body):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise _too_large() from None
        except TimeoutError:
            raise Problem(408, f"the body took longer than {self._slowest_body:g} s", close=True) from None
        except (ConnectionError, web.RequestPayloadError):
            # Most often nobody is left to read this.
            raise Problem(400, "the body ended before it was complete", close=True) from None

    async def _get_health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _get_readiness(self, request: web.Request) -> web.Response:
        """The status for everybody; what the troubles are, only for this machine."""
        troubles = self._ready()
        stuck = not _NO_EVENTS.isdisjoint(troubles)
        return web.json_response(
            {
                "status": "not ready" if stuck else "ready",
                "detail": dict(troubles) if is_loopback_host(request) else {},
            },
            status=503 if stuck else 200,
        )

    async def _get_metrics(self, request: web.Request) -> web.Response:
        if refusal := self._metrics_refusal(request):
            return refusal.response()
        body, content_type = self._metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})


def is_loopback_host(request: web.Request) -> bool:
    """True when a program on this machine asked for this machine.

    Not another machine, nor one through a proxy, which passes its own name or a header on; nor a page of another
    site whose name was bent to loopback (DNS rebinding).
    """
    forwarded = any(name in request.headers for name in _FORWARDING)
    named = _LOOPBACK_HOST.fullmatch(request.host) is not None
    return named and not forwarded and is_loopback(request.remote or "")


def refusal_beyond_loopback(request: web.Request) -> Problem | None:
    """The answer to whoever is not here: there is nothing."""
    return None if is_loopback_host(request) else Problem(404, _NOT_FOUND)


async def not_found(_request: web.Request) -> web.Response:
    """The answer to any other path."""
    return Problem(404, _NOT_FOUND).response()


async def _only_get(_request: web.Request) -> web.Response:
    return Problem(405, "ask with GET", headers={"Allow": "GET, HEAD"}).response()


def _problem_of(error: Exception) -> Problem:
    """The answer that ``error`` means: whose fault it is decides, and only the sender's own is told in full."""
    match error:
        case Problem():
            return error
        case SignatureError():
            return _unauthorised()
        case EventError():
            # A plugin may have written any number here.
            return Problem(400 if error.status == 400 else 422, str(error), faults=error.faults)
        case StoreBusyError():
            return Problem(503, str(error), headers=_RETRY_SOON)
        case StoreError():
            return Problem(503, "events cannot be stored now", headers=_RETRY_SOON)
    return Problem(500, "a defect of the receiver; it is in its log")


def _unauthorised() -> Problem:
    """One answer for every reason, so that nobody can guess a token from it."""
    detail = "the token or the signature is missing or wrong"
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"}, close=True)


def _too_large() -> Problem:
    return Problem(413, f"the body is larger than {LARGEST_BODY // 1024} KiB", close=True)


def _welcome(request: web.Request, source: SourceSettings) -> None:
    """It was seen to come from ``source``."""
    request[SENDER] = source.name
    trust(request)


def _check_token(request: web.Request, source: SourceSettings) -> None:
    if not source.tokens and source.signing_secrets:
        return
    candidate = request.match_info.get("token") or _header_token(request.headers.get("Authorization", ""))
    # Every token is compared, so that the time tells nothing.
    if not any([token.matches(candidate) for token in source.tokens]):  # noqa: C419
        raise _unauthorised()


def _header_token(authorization: str) -> str:
    """The token of ``Bearer TOKEN``, or the password of ``Basic``: what ``https://x:TOKEN@host/`` makes."""
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return b64decode(value.strip(), validate=True).decode().partition(":")[2]
            except ValueError:
                return ""
    return ""


def _check_encoding(request: web.Request) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "send the body without Content-Encoding", close=True)
    kind = request.content_type.lower()
    if request.headers.get("Content-Type") and kind != "application/json" and not kind.endswith("+json"):
        raise Problem(415, "send the event as JSON, with Content-Type: application/json", close=True)


@breakable
def _parse(source: SourceSettings, request: EventRequest) -> TicketEvent:
    try:
        event: object = trace.call(source.adapter.name, source.adapter.parse, {"request": request})
    except (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, BrokenOff) as error:
        # What a plugin may raise without meaning the process.
        raise PluginError(f"the adapter {source.adapter.name} raised {type(error).__name__}") from error
    if not isinstance(event, TicketEvent):
        raise PluginError(
            f"the adapter {source.adapter.name} returned no TicketEvent but {type(event).__name__}"
        )
    return event


def _idempotency_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("webhook-id", headers.get("idempotency-key"))
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(400, "the idempotency key must have 1 to 255 visible ASCII characters")
    return key


def _accepted(added: Added) -> web.Response:
    headers = {"Content-Type": "application/json"}
    if added.replayed:
        headers["Idempotent-Replayed"] = "true"
    body = b'{"id": "%b", "deliveries": %d}' % (added.id.encode(), added.deliveries)
    return web.Response(status=202, body=body, headers=headers)
