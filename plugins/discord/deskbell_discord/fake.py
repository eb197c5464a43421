"""Discord, played: one webhook of one channel, with the real service's refusals, answers and limits.

It scans for pings as harshly as can be, anywhere in the text and whatever Markdown stands around: a message that
pings nobody here pings nobody there.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

from aiohttp import web

import deskbell

from .form import form_errors, is_empty, query_errors

WEBHOOK_ID = "1097219411294621797"
TOKEN = "a-token-of-the-webhook-that-only-this-process-plays-0123456789-ABCDE"  # noqa: S105 - made up, opens nothing
CHANNEL_ID = "1097219411294621700"
GUILD_ID = "1097219411294621600"
WEBHOOK_NAME = "deskbell"

PER_WEBHOOK = (5, 2.0)
PER_CHANNEL = (30, 60.0)
"""(messages, seconds), as seen in https://github.com/discord/discord-api-docs/issues/367. The second one shows in no
header before it refuses: https://github.com/discord/discord-api-docs/issues/4043"""
PER_ADDRESS = (50, 1.0)
"""Requests: https://docs.discord.com/developers/topics/rate-limits#global-rate-limit"""
BEFORE_BAN = (10_000, 600.0)
"""Refused requests: the same page, under "invalid request limit"."""

_PATH = re.compile(r"/api(?:/v\d+)?/webhooks/(?P<id>\d+)/(?P<token>[^/]+)/?", re.ASCII)
_BLOCKED_AGENTS = ("", "python-urllib")
_EPOCH = 1_420_070_400_000  # https://docs.discord.com/developers/reference#snowflakes
_TIME_SHIFT = 22
_TYPE_INCOMING = 1
_INVALID = (401, 403, 429)
_EVERYONE = re.compile(r"@(?:everyone|here)")
_USER = re.compile(r"<@!?(\d+)>", re.ASCII)
_ROLE = re.compile(r"<@&(\d+)>", re.ASCII)
_DEFAULT_MENTIONS = {"parse": ["users"]}
"""What a webhook's text may ping when the message does not say."""


@dataclass(slots=True)
class Window:
    """So many requests in so many seconds, counted from the first."""

    count: int
    seconds: float
    ends_at: float = -math.inf
    used: int = 0

    def take(self, now: float) -> bool:
        """Count one request; False when there is no room for it."""
        if now >= self.ends_at:
            self.ends_at, self.used = now + self.seconds, 0
        self.used += 1
        return self.used <= self.count

    @property
    def remaining(self) -> int:
        """Requests that still have room."""
        return max(0, self.count - self.used)

    def reset_after(self, now: float) -> float:
        """Seconds until it starts anew, in whole milliseconds."""
        return math.ceil(max(0.0, self.ends_at - now) * 1000) / 1000

    def is_full(self, now: float) -> bool:
        """True while there is no room."""
        return now < self.ends_at and self.used >= self.count

    def fill(self, now: float, seconds: float) -> None:
        """Somebody else takes all the room for ``seconds``."""
        self.used, self.ends_at = self.count, now + seconds


class Pings(NamedTuple):
    """Whom a message pings: ids of users and of roles."""

    everyone: bool
    users: list[str]
    roles: list[str]


def pings(payload: Mapping[str, Any]) -> Pings:
    """https://docs.discord.com/developers/resources/message#allowed-mentions-object"""
    content = payload.get("content") or ""
    allowed = payload.get("allowed_mentions") or _DEFAULT_MENTIONS
    parsed = allowed.get("parse") or ()

    def among(kind: str, pattern: re.Pattern[str]) -> list[str]:
        listed = {str(each) for each in allowed.get(kind) or ()}
        named = dict.fromkeys(pattern.findall(content))
        return [each for each in named if kind in parsed or each in listed]

    everyone = "everyone" in parsed and _EVERYONE.search(content) is not None
    return Pings(everyone, among("users", _USER), among("roles", _ROLE))


class FakeDiscord(deskbell.FakeService):
    """One webhook, at ``path``; ``arrivals`` are the messages that its channel shows."""

    path: ClassVar[str] = f"/api/webhooks/{WEBHOOK_ID}/{TOKEN}"

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        webhook: Window | None = None,
        channel: Window | None = None,
        address: Window | None = None,
        ban: Window | None = None,
    ) -> None:
        """Its limits are the real ones, unless tests hand in others, and those that several services share."""
        super().__init__(clock=clock)
        self.webhook = webhook or Window(*PER_WEBHOOK)
        self.channel = channel or Window(*PER_CHANNEL)
        self.address = address or Window(*PER_ADDRESS)
        self.ban = ban or Window(*BEFORE_BAN)
        self.refused = 0  # requests that came too fast
        self._numbers = itertools.count()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer as https://discord.com/api would, or as the network before it."""
        answer = await self._respond(request)
        self.refused += answer.status == 429
        if answer.status in _INVALID and answer.headers.get("X-RateLimit-Scope") != "shared":
            self.ban.take(self.clock())
        return answer

    def too_fast(self, seconds: float) -> web.Response:
        """As if others had used up what the webhook takes."""
        self.webhook.fill(self.clock(), seconds)
        return self._limited(self.webhook, "user", "You are being rate limited.")

    def gone(self) -> web.Response:
        """Nobody tells a webhook that was deleted from one that never was."""
        return self._refusal(404, 10015, "Unknown Webhook")

    async def _respond(self, request: web.Request) -> web.Response:
        if self.ban.is_full(self.clock()):
            return web.Response(status=429, text="error code: 1015")
        if request.headers.get("User-Agent", "").partition("/")[0].casefold() in _BLOCKED_AGENTS:
            return web.Response(status=403, text="error code: 1010")
        if not self.address.take(self.clock()):
            return self._limited(self.address, "global", "You are being rate limited.")
        found = _PATH.fullmatch(request.path)
        if not found:
            return self._refusal(404, 0, "404: Not Found")
        if found["id"] != WEBHOOK_ID:
            return self.gone()
        if found["token"] != TOKEN:
            return self._refusal(401, 50027, "Invalid Webhook Token")
        if not self.webhook.take(self.clock()):
            return self._limited(self.webhook, "user", "You are being rate limited.")
        if request.method == "GET":
            return self._answer(200, _webhook_object())
        if request.method != "POST":
            return self._refusal(405, 0, "405: Method Not Allowed")
        return await self._execute(request)

    async def _execute(self, request: web.Request) -> web.Response:
        try:
            payload = json.loads(await request.read())
        except (ValueError, RecursionError):
            return self._refusal(400, 50109, "The request body contains invalid JSON.")
        if errors := form_errors(payload) or query_errors(request.query):
            return self._refusal(400, 50035, "Invalid Form Body", errors=errors)
        if is_empty(payload):
            return self._refusal(400, 50006, "Cannot send an empty message")
        if not self.channel.take(self.clock()):
            return self._limited(self.channel, "shared", "The resource is being rate limited.")
        self.keep(request, payload)
        if request.query.get("wait", "").casefold() not in ("true", "1"):
            return self._answer(204, None)
        return self._answer(200, self._message(payload, request.query.get("thread_id", CHANNEL_ID)))

    def _message(self, payload: Mapping[str, Any], channel_id: str) -> dict[str, Any]:
        pinged = pings(payload)
        return {
            "type": 0,
            "id": self._snowflake(),
            "channel_id": channel_id,
            "webhook_id": WEBHOOK_ID,
            "author": {**_user(WEBHOOK_ID, payload.get("username") or WEBHOOK_NAME), "bot": True},
            "content": (payload.get("content") or "").strip(),
            "mention_everyone": pinged.everyone,
            "mentions": [_user(user, "a member") for user in pinged.users],
            "mention_roles": pinged.roles,
            "embeds": [{**embed, "type": "rich"} for embed in payload.get("embeds") or ()],
            "attachments": [],
            "components": [],
            "timestamp": datetime.now(UTC).isoformat(),
            "edited_timestamp": None,
            "flags": payload.get("flags") or 0,
            "pinned": False,
            "tts": payload.get("tts") is True,
        }

    def _snowflake(self) -> str:
        milliseconds = time.time_ns() // 1_000_000 - _EPOCH
        return str((milliseconds << _TIME_SHIFT) + next(self._numbers) % (1 << _TIME_SHIFT))

    def _answer(self, status: int, body: Any, **headers: str) -> web.Response:
        now = self.clock()
        reset_after = self.webhook.reset_after(now)
        return web.Response(
            status=status,
            body=None if body is None else json.dumps(body).encode(),
            content_type=None if body is None else "application/json",
            headers={
                "Via": "1.1 google",
                "X-RateLimit-Limit": str(self.webhook.count),
                "X-RateLimit-Remaining": str(self.webhook.remaining),
                "X-RateLimit-Reset": f"{time.time() + reset_after:.3f}",
                "X-RateLimit-Reset-After": f"{reset_after:.3f}",
                "X-RateLimit-Bucket": "d6ad8ee1bd0d9a5a4f2c5a0c3c0e5b1e",
                **headers,
            },
        )

    def _refusal(self, status: int, code: int, message: str, **more: Any) -> web.Response:
        return self._answer(status, {"message": message, "code": code, **more})

    def _limited(self, window: Window, scope: str, message: str) -> web.Response:
        wait = window.reset_after(self.clock())
        headers = {"Retry-After": str(math.ceil(wait)), "X-RateLimit-Scope": scope}
        if everywhere := scope == "global":
            headers["X-RateLimit-Global"] = "true"
        body = {"message": message, "retry_after": wait, "global": everywhere, "code": 0}
        return self._answer(429, body, **headers)


def _user(identity: str, name: str) -> dict[str, Any]:
    return {
        "id": identity,
        "username": name,
        "avatar": None,
        "discriminator": "0000",
        "public_flags": 0,
        "flags": 0,
        "global_name": None,
        "primary_guild": None,
    }


def _webhook_object() -> dict[str, Any]:
    return {
        "id": WEBHOOK_ID,
        "type": _TYPE_INCOMING,
        "name": WEBHOOK_NAME,
        "avatar": None,
        "channel_id": CHANNEL_ID,
        "guild_id": GUILD_ID,
        "application_id": None,
        "token": TOKEN,
    }
