"""A receiver of webhooks, played: it takes JSON objects and, where it has a secret, only those that are signed."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

import deskbell

TOLERANCE = 300.0
"""Seconds that a timestamp may be away from the receiver's clock; the libraries of Standard Webhooks take the same
(https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries)."""


class RefusedError(Exception):
    """The message is refused, with this status and these words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class FakeReceiver(deskbell.FakeService):
    """One address that takes messages. ``now`` gives seconds since 1970."""

    path = "/webhook/3f1c9a52e7d04b68"

    def __init__(
        self,
        *,
        secret: deskbell.Secret | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(clock=clock)
        self._secret = secret
        self._now = now

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """``{"ok": true}``, or a status and words that say what is wrong."""
        try:
            self._check_address(request)
            body = await request.read()
            self._check_signature(request.headers, body)
            message = _object_in(request.content_type, body)
        except RefusedError as refused:
            return _refusal(refused)
        self.keep(request, message)
        return web.json_response({"ok": True})

    def gone(self) -> web.Response:
        """Somebody removed the address."""
        return _refusal(RefusedError(410, "this address takes no more messages"))

    def _check_address(self, request: web.Request) -> None:
        if request.path != self.path:
            raise RefusedError(404, "nothing is here")
        if request.method != "POST":
            raise RefusedError(405, "messages are posted")

    def _check_signature(self, headers: Mapping[str, str], body: bytes) -> None:
        """The receiver's part of Standard Webhooks."""
        if self._secret is None:
            return
        known_as, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not known_as or not (
            timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= len("99999999999")
        ):
            raise RefusedError(403, "the message is not signed")
        if abs(self._now() - int(timestamp)) > TOLERANCE:
            raise RefusedError(403, "the signature is too old, or of the future")
        expected = deskbell.signature_headers(self._secret, known_as, body, int(timestamp))
        given = headers.get("webhook-signature", "").split()
        if not any(_same(one, expected["webhook-signature"]) for one in given):
            raise RefusedError(403, "the signature does not fit the message")


def _refusal(refused: RefusedError) -> web.Response:
    return web.json_response({"error": refused.words}, status=refused.status)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _object_in(content_type: str, body: bytes) -> Mapping[str, Any]:
    """The JSON object that the body is."""
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise RefusedError(415, "messages are JSON")
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, "this is no JSON") from None
    if not isinstance(message, dict):
        raise RefusedError(422, "a message is a JSON object")
    return message
