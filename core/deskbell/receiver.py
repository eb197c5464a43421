"""The HTTP door: ``POST /events/{source}``, and what machines ask of the process."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from aiohttp import web

from .errors import EventError, StoreBusyError, StoreError
from .event import TicketEvent
from .problem import Problem
from .settings import SourceSettings
from .signature import SignatureError, verify
from .source import EventRequest
from .store import Added

LARGEST_BODY = 256 * 1024
"""Bytes: a ticket message has at most 10,000 characters; this leaves room for CMSs that send HTML."""
SLOWEST_BODY = 10.0
"""Seconds. aiohttp itself never ends a body that drips."""
_RETRY_SOON = {"Retry-After": "5"}
_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
_NOT_FOUND = "there is nothing here; events go to POST /events/{source}"
_UNAUTHORISED = "the token or the signature is missing or wrong"
_REDIRECTED = (
    "send a POST. If your sender is set to POST, a redirect (http to https, or a missing www) turned it into "
    "a GET without its body: give it the final URL"
)

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Accept(Protocol):
    """Store one event durably (``Intake.accept``)."""

    def __call__(
        self, event: TicketEvent, raw: bytes, *, source: str, key: str | None = None
    ) -> Awaitable[Added]: ...


class Receiver:
    """``ready`` says why events cannot be taken now (empty: they can); ``metrics`` renders them."""

    def __init__(
        self,
        sources: Mapping[str, SourceSettings],
        *,
        accept: Accept,
        ready: Callable[[], Mapping[str, str]],
        metrics: Callable[[], tuple[bytes, str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sources = sources
        self._accept = accept
        self._ready = ready
        self._metrics = metrics
        self._clock = clock

    def app(self) -> web.Application:
        """The application, with every answer made here: aiohttp's own would be plain text."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/events/{source}", _answering(self._post_event))
        app.router.add_route("*", "/events/{source}/{token}", _answering(self._post_event))
        app.router.add_get("/healthz", self._get_health)
        app.router.add_get("/readyz", self._get_readiness)
        app.router.add_get("/metrics", _answering(self._get_metrics))
        return app

    async def _post_event(self, request: web.Request) -> web.StreamResponse:
        source = self._sources.get(request.match_info["source"])
        if source is None:
            raise Problem(404, "no source of this name is configured", close=True)
        if request.method != "POST":
            raise Problem(405, _REDIRECTED, headers={"Allow": "POST"}, close=True)
        _check_token(request, source)
        _check_encoding(request)
        body = await _read(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        signed_id = self._check_signature(source, headers, body)
        event = source.adapter.parse(EventRequest(body, headers))
        added = await self._accept(
            event, body, source=source.name, key=signed_id or _idempotency_key(headers)
        )
        return _accepted(added)

    def _check_signature(self, source: SourceSettings, headers: Mapping[str, str], body: bytes) -> str | None:
        if not source.signing_secrets:
            return None
        try:
            return verify(source.signing_secrets, body=body, headers=headers, now=self._clock())
        except SignatureError:
            raise Problem(401, _UNAUTHORISED) from None

    async def _get_health(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def _get_readiness(self, _request: web.Request) -> web.StreamResponse:
        troubles = self._ready()
        return web.json_response(
            {"status": "ready" if not troubles.get("store") else "not ready", "detail": dict(troubles)},
            status=503 if troubles.get("store") else 200,
        )

    async def _get_metrics(self, request: web.Request) -> web.StreamResponse:
        if not is_loopback_host(request):
            raise Problem(404, _NOT_FOUND)
        body, content_type = self._metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})


def is_loopback_host(request: web.Request) -> bool:
    """True when the sender named this machine itself: a proxy in front publishes nothing that asks for it."""
    host = (
        request.host.rpartition(":")[0] if request.host[-1:] != "]" and ":" in request.host else request.host
    )
    return host in ("127.0.0.1", "localhost", "[::1]")


async def not_found(_request: web.Request) -> web.StreamResponse:
    """The answer to any other path."""
    return Problem(404, _NOT_FOUND).response()


def _answering(handler: Handler) -> Handler:
    """``handler``, with every error turned into its answer: the sender never sees a traceback."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return problem.response()
        except EventError as error:
            return Problem(error.status, str(error), faults=error.faults).response()
        except StoreBusyError as error:
            return Problem(503, str(error), headers=_RETRY_SOON).response()
        except StoreError as error:
            _log.error("an event was refused: %s", error)
            return Problem(503, "events cannot be stored now", headers=_RETRY_SOON).response()
        except Exception:
            _log.exception("a request failed; this is a defect of deskbell or of a source's plugin")
            return Problem(500, "a defect of the receiver; it is in its log").response()

    return answer


def _check_token(request: web.Request, source: SourceSettings) -> None:
    if not source.tokens:
        if source.signing_secrets:
            return
        raise Problem(401, _UNAUTHORISED, close=True)
    candidate = request.match_info.get("token") or _header_token(request.headers.get("Authorization", ""))
    # Every token is compared, so that the time tells nothing.
    if not any([token.matches(candidate) for token in source.tokens]):  # noqa: C419
        raise Problem(401, _UNAUTHORISED, headers={"WWW-Authenticate": "Bearer"}, close=True)


def _header_token(authorization: str) -> str:
    """The token of ``Bearer TOKEN``, or the password of ``Basic``: what ``https://x:TOKEN@host/`` makes."""
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return b64decode(value, validate=True).decode().partition(":")[2]
            except ValueError:
                return ""
    return ""


def _check_encoding(request: web.Request) -> None:
    kind = request.content_type.lower()
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "send the body without Content-Encoding", close=True)
    if "Content-Type" in request.headers and kind != "application/json" and not kind.endswith("+json"):
        raise Problem(415, "send the event as JSON, with Content-Type: application/json", close=True)


async def _read(request: web.Request) -> bytes:
    too_large = Problem(413, f"the body is larger than {LARGEST_BODY // 1024} KiB", close=True)
    if (request.content_length or 0) > LARGEST_BODY:
        raise too_large
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    except TimeoutError:
        raise Problem(408, f"the body took longer than {SLOWEST_BODY:g} s", close=True) from None


def _idempotency_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("webhook-id") or headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(400, "the idempotency key must have 1 to 255 visible ASCII characters")
    return key


def _accepted(added: Added) -> web.Response:
    response = web.Response(
        status=202,
        body=b'{"id": "%b", "deliveries": %d}' % (added.id.encode(), added.deliveries),
        content_type="application/json",
    )
    if added.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response
