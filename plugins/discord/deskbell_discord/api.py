"""Discord's webhook API: where a message is posted to, and what the answers mean.

https://docs.discord.com/developers/resources/webhook#execute-webhook
https://docs.discord.com/developers/topics/opcodes-and-status-codes#json
https://docs.discord.com/developers/topics/rate-limits
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import deskbell

API = "https://discord.com/api/v10"
"""A pasted URL names no version, which means version 6: deprecated, and with other error bodies."""
USER_AGENT = f"DiscordBot (https://pypi.org/project/deskbell/, {deskbell.__version__})"
"""https://docs.discord.com/developers/reference#user-agent; others may be blocked (``error code: 1010``)."""

UNSTATED_WAIT = 60.0
"""Seconds to wait after a 429 that does not say how long."""
SHORTEST_WAIT = 0.5
"""A ``retry_after`` of 0 would be a busy loop, and refused requests count towards a ban."""
BLOCKED_WAIT = 600.0
"""Cloudflare counts refused requests over 10 minutes:
https://docs.discord.com/developers/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans"""

WEBHOOK_GONE = frozenset({10015, 50027})  # unknown webhook, invalid webhook token
CHANNEL_CLOSED = frozenset({10003, 50013, 50083, 160005})  # unknown, no permission, thread archived or locked
OVERLOADED = 130000
BLOCKED_BY_CLOUDFLARE = 40333  # https://github.com/discord/discord-api-docs/issues/6473

_WEBHOOK_URL = re.compile(
    r"https?://(?:(?:canary|ptb)\.)?discord(?:app)?\.com(?::443)?/api(?:/v\d+)?"
    r"/webhooks/(?P<id>\d+)/(?P<token>[\w-]+)(?:/slack|/github)?/?(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.IGNORECASE | re.ASCII,
)
_TOKEN = re.compile(r"(webhooks(?:\\?/|%2F)\d+(?:\\?/|%2F))[\w-]+", re.IGNORECASE | re.ASCII)
_SNOWFLAKE = re.compile(r"\d{1,20}", re.ASCII)
_CLOUDFLARE_TEXT = re.compile(r"\s*error code: 1\d{3}\s*", re.ASCII)
_MASK = r"\1•••"
_OWN_PARAMETERS = ("wait", "thread_id")
_NO_CONTENT = 204
_FAULTS_SHOWN = 5
_FAULTS_DEPTH = 12


def recognises(url: str) -> bool:
    """True for a webhook's URL on one of Discord's own hosts, in any of its shapes."""
    return _WEBHOOK_URL.fullmatch(url) is not None


def execute_url(url: str, thread_id: str | None) -> str:
    """Where to post. Always with ``wait=true``: without it Discord says 204 even when it saves nothing.

    Of a URL on Discord's own hosts only id, token and ``thread_id`` are kept; any other goes out as it was given.
    """
    base, given = _parts(url)
    pasted = [part for part in given if part.startswith("thread_id=")][:1]
    thread = [f"thread_id={thread_id}"] if thread_id else pasted
    return f"{base}?{'&'.join([*_kept(url, given), 'wait=true', *thread])}"


def webhook_url(url: str) -> str:
    """Where to ask about the webhook itself: as ``execute_url``, without what only a message needs."""
    base, given = _parts(url)
    kept = _kept(url, given)
    return f"{base}?{'&'.join(kept)}" if kept else base


def _parts(url: str) -> tuple[str, list[str]]:
    """The address of the webhook, and the parameters that were pasted with it."""
    base, _, query = url.partition("#")[0].partition("?")
    if found := _WEBHOOK_URL.fullmatch(url):
        base = f"{API}/webhooks/{found['id']}/{found['token']}"
    return base, [part for part in query.split("&") if part]


def _kept(url: str, given: list[str]) -> list[str]:
    if recognises(url):
        return []
    return [part for part in given if part.partition("=")[0] not in _OWN_PARAMETERS]


def redact(text: str) -> str:
    """``text`` with the token of every webhook URL masked."""
    return _TOKEN.sub(_MASK, text)


def outcome(response: deskbell.Response, *, own_host: bool) -> deskbell.Outcome:
    """What an answer means. ``own_host``: it was asked of Discord itself, not of a proxy or a fake."""
    answer = _object(response)
    detail = _detail(response, answer)
    code = _code(answer)
    if 200 <= response.status < 300:
        return _accepted(response, answer, own_host=own_host)
    if code == BLOCKED_BY_CLOUDFLARE or _is_block(response, own_host=own_host):
        # The network is refused, not the message and not the webhook: asking on would make the ban longer.
        return deskbell.Throttled(_stated_wait(response, answer, BLOCKED_WAIT), "service", detail)
    if response.status == 429:
        wait = max(SHORTEST_WAIT, _stated_wait(response, answer, UNSTATED_WAIT))
        return deskbell.Throttled(wait, "service" if _is_global(response, answer) else "destination", detail)
    if code in WEBHOOK_GONE:
        return deskbell.DestinationGone(detail)
    if code in CHANNEL_CLOSED:
        return deskbell.DestinationGone(detail, certain=False)
    if code == OVERLOADED:
        return deskbell.TemporaryFailure(detail, deskbell.retry_after(response))
    read = deskbell.classify_response(response)
    return read if 300 <= response.status < 400 else replace(read, detail=detail)


def identity(response: deskbell.Response, *, own_host: bool) -> deskbell.Outcome:
    """What the answer to a GET of the webhook means: ``Delivered`` says which one it is."""
    if not 200 <= response.status < 300:
        return outcome(response, own_host=own_host)
    answer = _object(response)
    name, channel = answer.get("name"), answer.get("channel_id")
    if not isinstance(channel, str) or not _SNOWFLAKE.fullmatch(channel):
        return deskbell.TemporaryFailure(
            f"{response.status} without a webhook: something other than Discord answered"
        )
    named = f'webhook "{_printable(name)}"' if isinstance(name, str) else "webhook without a name"
    return deskbell.Delivered(detail=f"{named}, channel {channel}")


def _accepted(response: deskbell.Response, answer: Mapping[str, Any], *, own_host: bool) -> deskbell.Outcome:
    """Only a message with an id proves delivery. Repeating what was accepted without one would post it twice,
    so it counts as delivered, except where Discord's own host gives an answer that is not Discord's."""
    receipt, wait = answer.get("id"), _wait_before_next(response)
    if isinstance(receipt, str) and _SNOWFLAKE.fullmatch(receipt):
        return deskbell.Delivered(receipt, wait, f"{response.status} message {receipt}")
    if own_host and response.status != _NO_CONTENT and not _is_cut_off(response):
        return deskbell.TemporaryFailure(
            f"{response.status} without a message: something between deskbell and Discord answered in its place",
            maybe_received=True,
        )
    return deskbell.Delivered("", wait, f"{response.status} accepted, without the id of a message")


def _is_cut_off(response: deskbell.Response) -> bool:
    """A message may be longer than the part of an answer that is read: 2000 emoji alone take 24,000 bytes."""
    is_json = response.headers.get("content-type", "").startswith("application/json")
    return is_json and response.body.startswith(b"{") and response.json() is None


def _wait_before_next(response: deskbell.Response) -> float:
    if response.headers.get("x-ratelimit-remaining", "").strip() != "0":
        return 0.0
    return deskbell.seconds_in_header(response, "x-ratelimit-reset-after") or 0.0


def _is_block(response: deskbell.Response, *, own_host: bool) -> bool:
    """True for an answer of the network before Discord: no JSON, and no ``Via`` of Discord's own proxies."""
    if _CLOUDFLARE_TEXT.fullmatch(response.text()):
        return True
    refused = response.status in (403, 429)
    return own_host and refused and response.json() is None and "via" not in response.headers


def _is_global(response: deskbell.Response, answer: Mapping[str, Any]) -> bool:
    return (
        answer.get("global") is True
        or response.headers.get("x-ratelimit-global", "").casefold() == "true"
        or response.headers.get("x-ratelimit-scope", "").casefold() == "global"
    )


def _stated_wait(response: deskbell.Response, answer: Mapping[str, Any], unstated: float) -> float:
    """The body is exact, Retry-After is rounded, and the bucket's reset may be another limit's."""
    for seconds in (
        deskbell.seconds_in(answer.get("retry_after")),
        deskbell.retry_after(response),
        deskbell.seconds_in_header(response, "x-ratelimit-reset-after"),
    ):
        if seconds is not None:
            return seconds
    return unstated


def _object(response: deskbell.Response) -> Mapping[str, Any]:
    answer = response.json()
    return answer if isinstance(answer, dict) else {}


def _code(answer: Mapping[str, Any]) -> int | None:
    code = answer.get("code")
    return code if isinstance(code, int) else None


def _detail(response: deskbell.Response, answer: Mapping[str, Any]) -> str:
    """Discord's own words, as in ``400 Invalid Form Body (50035): username: Username cannot be "here"``."""
    message, code = answer.get("message"), _code(answer)
    if not answer:
        return _printable(response.words())
    if isinstance(message, str):
        words = f"{response.status} {message} ({code})" if code else f"{response.status} {message}"
        wrong = _told(answer.get("errors"))
        return _printable(f"{words}: {wrong}" if wrong else words)
    # Version 6, behind a proxy: {"embeds": ["Embed size exceeds maximum size of 6000"]}
    return _printable(f"{response.status} {_told(answer)}")


def _printable(text: str) -> str:
    """On one line, without tokens and without what a terminal would obey. Core cuts it once every secret is masked."""
    line = " ".join(redact(text).split())
    return "".join(char for char in line if char.isprintable())


def _told(errors: Any) -> str:
    return "; ".join(islice(_faults(errors), _FAULTS_SHOWN))


def _faults(node: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """``errors`` flattened: the path of each wrong field, and what is wrong with it."""
    if isinstance(node, dict) and depth < _FAULTS_DEPTH:
        for name, inner in node.items():
            yield from _faults(inner, path if name == "_errors" else f"{path}.{name}".strip("."), depth + 1)
    elif isinstance(node, list):
        for inner in node:
            yield f"{path}: {inner.get('message') if isinstance(inner, dict) else inner}".removeprefix(": ")
    elif node is not None:
        yield f"{path}: {node}"
