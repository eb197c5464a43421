"""Slack's incoming webhooks, played: one channel that refuses, limits and answers as the real one.

Where Slack's documentation is silent (how many make a "short burst", which word answers a GET), what public
clients report is played: see https://github.com/slackapi/slack-github-action/issues/292 for the answer to
what comes too fast.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

import deskbell

PER_SECOND = 1.0
BURST = 6.0
"""https://docs.slack.dev/apis/web-api/rate-limits says "1 per second" and "short bursts". Six is our reading: the five
that the transport sends at once, and one for what the way between shifts."""
MAX_ATTACHMENTS = 100
MAX_BLOCKS = 50
"""https://docs.slack.dev/reference/block-kit/blocks"""
CUT_AT = 40_000
"""https://docs.slack.dev/changelog/2018-truncating-really-long-messages"""

_ROUNDING = 1e-6
_FORM = "application/x-www-form-urlencoded"
_PATH = re.compile(r"/services/(?P<team>[^/]+)/(?P<service>[^/]+)/(?P<token>[^/]+)/?")


class RefusedError(Exception):
    """The message is refused, with this status and word."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status, self.word = status, word


class FakeSlack(deskbell.FakeService):
    """One incoming webhook and its channel."""

    path = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        per_second: float = PER_SECOND,
        burst: float = BURST,
    ) -> None:
        super().__init__(clock=clock)
        self.refused = 0  # messages that came too fast
        self._per_second, self._burst = per_second, burst
        self._sends_left, self._counted_at = burst, clock()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """``ok``, or the word that says what is wrong."""
        try:
            self._check_webhook(request.path)
            if (wait := self._wait()) > 0:
                self.refused += 1
                return self.too_fast(wait)
            message = _read(request.method, request.content_type, await request.read())
        except RefusedError as refused:
            return _refusal(refused)
        self.keep(request, message)
        return web.Response(text="ok", content_type="text/html")

    def too_fast(self, seconds: float) -> web.Response:
        """``rate_limited``, in JSON: Slack's only answer that is none of its words."""
        told = f"{seconds:g}"
        body = f'{{"retry_after": {told}, "ok": false, "error": "rate_limited"}}'
        return web.Response(
            status=429, text=body, content_type="application/json", headers={"Retry-After": told}
        )

    def gone(self) -> web.Response:
        """The word for a webhook that was removed, or never was."""
        return _refusal(RefusedError(404, "no_service"))

    def _check_webhook(self, path: str) -> None:
        asked, own = _PATH.fullmatch(path), _PATH.fullmatch(self.path)
        if not asked or not own or asked.group("team", "service") != own.group("team", "service"):
            raise RefusedError(404, "no_service")
        if asked["token"] != own["token"]:
            raise RefusedError(403, "invalid_token")

    def _wait(self) -> float:
        """Seconds until the next message is taken, rounded up as Slack does: to a whole turn. 0 takes one now."""
        now = self.clock()
        self._sends_left = min(self._burst, self._sends_left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._sends_left < 1 - _ROUNDING:
            return 1 / self._per_second
        self._sends_left -= 1
        return 0.0


def _refusal(refused: RefusedError) -> web.Response:
    return web.Response(status=refused.status, text=refused.word, content_type="text/html")


def _read(method: str, content_type: str, body: bytes) -> Mapping[str, Any]:
    """The message in a request, as the channel shows it."""
    message = _parse(content_type, body) if method == "POST" else None
    if not isinstance(message, dict):
        raise RefusedError(400, "invalid_payload")
    _check_parts(message)
    text = message.get("text") or ""
    if not isinstance(text, str) or _unreadable(text):
        raise RefusedError(400, "invalid_payload")
    if not text.strip() and not message.get("blocks") and not message.get("attachments"):
        raise RefusedError(400, "no_text")
    return {**message, "text": text[:CUT_AT]}


def _parse(content_type: str, body: bytes) -> Any:
    """JSON, as the body or as the field ``payload`` of a form: the older way, and still taken."""
    try:
        if content_type == _FORM:
            return json.loads(parse_qs(body.decode())["payload"][0])
        return json.loads(body) if content_type == "application/json" else None
    except (ValueError, KeyError, RecursionError):
        return None


def _check_parts(message: Mapping[str, Any]) -> None:
    attachments, blocks = message.get("attachments"), message.get("blocks")
    if not _all_objects(attachments):
        raise RefusedError(400, "invalid_attachments")
    if attachments and len(attachments) > MAX_ATTACHMENTS:
        raise RefusedError(400, "too_many_attachments")
    if not _all_objects(blocks) or any(not isinstance(block.get("type"), str) for block in blocks or ()):
        raise RefusedError(400, "invalid_blocks")
    if blocks and len(blocks) > MAX_BLOCKS:
        raise RefusedError(400, "invalid_blocks")


def _all_objects(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, dict) for one in value))


def _unreadable(text: str) -> bool:
    """Half of a surrogate pair: JSON can spell it, nobody can show it."""
    return any("\ud800" <= char <= "\udfff" for char in text)
