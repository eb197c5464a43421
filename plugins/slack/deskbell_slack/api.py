"""Slack's incoming webhooks: their URLs, and what their answers mean.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit

import deskbell

HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
"""The commercial service, and GovSlack (https://docs.slack.dev/govslack)."""

RATE = "5/5s"
"""One a second, and short bursts (https://docs.slack.dev/apis/web-api/rate-limits): five at once, then the pause."""

_WEBHOOK = re.compile(r"/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]+/?")
_WORKFLOW = re.compile(r"/(?:triggers|workflows)/")
_SECRET = re.compile(
    r"(hooks\.slack(?:-gov)?\.com(?:\\?/|%2F)(?:services|triggers|workflows)((?:\\?/|%2F)[^/\\%\s]+){2}"
    r"(?:\\?/|%2F))[^\s\"'<>]+",
    re.IGNORECASE,
)
MASK = "•••"

WORKFLOW_REFUSAL = (
    "this URL starts a Slack workflow, which takes variables of its own and no text: "
    "make an incoming webhook (https://hooks.slack.com/services/…) for the channel and use its URL"
)

OK = b"ok"
DEAD = MappingProxyType(
    {
        "no_service": "Slack does not know this webhook any more; make a new one",
        "no_service_id": "the URL of the webhook is incomplete; copy it again",
        "no_active_hooks": "this webhook was removed or switched off; make a new one",
        "no_team": "Slack does not know the workspace in the webhook's URL; copy it again",
        "invalid_token": "the end of the webhook's URL is wrong; copy it again",
        "team_disabled": "the workspace is disabled",
        "channel_not_found": "the webhook's channel was deleted; make a webhook for another one",
        "channel_is_archived": "the webhook's channel is archived; bring it back, or make a webhook for another one",
        "user_not_found": "the person the webhook writes to does not exist; make a new webhook",
        "action_prohibited": "an administrator has restricted this webhook; ask them",
        "posting_to_general_channel_denied": "an administrator lets few people write in #general; choose another channel",
    }
)
"""No message will work there until a person acts; and what that person should do."""
OURS = frozenset(
    {"invalid_payload", "no_text", "invalid_blocks", "invalid_attachments", "too_many_attachments"}
)
"""Slack refuses this message; the next may work."""
PASSING = frozenset({"rollup_error"})
"""Something went wrong at Slack's."""
TOO_FAST = frozenset({"rate_limited", "ratelimited"})


def recognises(url: str) -> bool:
    """True for the URL of an incoming webhook. Of a workflow's not: it takes other bodies."""
    parts = _slack_parts(url)
    return parts is not None and _WEBHOOK.fullmatch(parts.path) is not None


def starts_workflow(url: str) -> bool:
    """True for the URL of a workflow (https://docs.slack.dev/workflows), old or new."""
    parts = _slack_parts(url)
    return parts is not None and _WORKFLOW.match(parts.path) is not None


def _slack_parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.scheme == "https" and parts.netloc.lower() in HOSTS else None
    except ValueError:
        return None


def redact(text: str) -> str:
    """``text`` without the secret end of any Slack URL in it."""
    return _SECRET.sub(rf"\1{MASK}", text)


def outcome_of(response: deskbell.Response) -> deskbell.Outcome:
    """Read an answer by its body: the statuses that Slack sends with a word have changed over the years.

    Only 200 with the body ``ok`` is a delivery. A sign-in page of some proxy answers 200 too; and a server that
    took the message but says so otherwise would get it again with every attempt. So any other success counts
    against the destination, which is paused when it comes again and again.
    """
    if response.status == HTTPStatus.OK and response.body.strip() == OK:
        return deskbell.Delivered(detail=response.words())
    response = replace(response, body=redact(response.text()).encode())
    word, words = _word(response), response.words()
    if word in DEAD:
        return deskbell.DestinationGone(f"{words}: {DEAD[word]}")
    if word in OURS:
        return deskbell.PermanentFailure(words)
    if word in TOO_FAST or response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _throttled(response)
    if word in PASSING:
        return deskbell.TemporaryFailure(words, deskbell.retry_after(response))
    if 200 <= response.status < 300:
        # Whatever answers there may show the message, as Rocket.Chat and others that imitate Slack do.
        return deskbell.DestinationGone(
            f"not Slack's answer `ok`: {words}", certain=False, maybe_received=True
        )
    return deskbell.classify_response(response)


def _word(response: deskbell.Response) -> str:
    """The one word of the answer. Some come as JSON, as Slack's Web API writes them."""
    body = _fields(response)
    return str(body.get("error", "")) if body else response.text().strip()


def _fields(response: deskbell.Response) -> dict[str, Any]:
    body = response.json()
    return body if isinstance(body, dict) else {}


def _throttled(response: deskbell.Response) -> deskbell.Outcome:
    """The header says how long, in whole seconds; some answers say it in their JSON."""
    wait = deskbell.retry_after(response)
    if wait is None:
        wait = deskbell.seconds_in(_fields(response).get("retry_after"))
    if wait is None:
        return deskbell.classify_response(replace(response, status=HTTPStatus.TOO_MANY_REQUESTS))
    return deskbell.Throttled(wait, detail=response.words())
