"""``/deliveries/{id}``: one delivery, with its message as the channel shows it, and all that was tried."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from deskbell.delivery import State, may_replay
from deskbell.preview import Preview, picture, preview
from deskbell.routing import priority_level
from deskbell.settings import Webhook
from deskbell.store.looking import Detail, Try, find_delivery
from deskbell.transport import Payload

from .aside import aside
from .curl import URL_VARIABLE, curl, variables
from .masking import masking
from .sought import number
from .told import Told
from .visit import Route, Visit
from .words import Words


@dataclass(frozen=True, slots=True)
class Message:
    """``sent``: the attempt that sent it; None where it is what would be sent now (``made``, where that is known).

    ``text``: the payload, where it is no JSON. ``picture`` is HTML. ``fault`` says why there is no message.
    ``headers`` are those that the transport adds.
    """

    sent: Try | None = None
    made: Preview | None = None
    payload: Payload | None = None
    text: str = ""
    picture: str = ""
    fault: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


async def get_delivery(visit: Visit) -> web.Response:
    """All that is known of it."""
    detail, config = await _detail(visit), visit.desk.config()
    webhook = config.webhook(detail.delivery.webhook)
    try:
        message = await aside(lambda: _message(visit, detail, webhook))
    except TimeoutError:
        message = Message(fault=visit.words.say("delivery.hangs", transport=detail.delivery.transport))
    masked = masking(config)
    return await visit.page(
        "delivery.html",
        detail=detail,
        delivery=detail.delivery,
        told=Told.to(visit),
        message=message,
        curl=_curl(visit.words, detail, message),
        event=_event(visit.words, config.priorities, masked, detail),
        body=masked(detail.body),
        replayable=may_replay(detail.delivery.state),
        live=detail.delivery.state in (State.READY, State.SENDING, State.HELD),
    )


async def post_replay(visit: Visit) -> web.StreamResponse:
    """Deliver it again, if it ended, and was not replayed since the reader saw it: a second click is no second wish."""
    delivery = (await _detail(visit)).delivery
    seen = (await visit.form()).get("replays", "")
    replayed = seen == str(delivery.replays) and may_replay(delivery.state)
    if replayed:
        replayed = bool((await visit.desk.dispatcher.replay([delivery.id], state=delivery.state)).ids)
    if not replayed:
        raise web.HTTPConflict(text=visit.words.say("delivery.not_again", id=delivery.id))
    visit.go(f"/deliveries/{delivery.id}", said="replayed")


async def _detail(visit: Visit) -> Detail:
    wanted = visit.request.match_info["id"]
    detail = await asyncio.to_thread(find_delivery, visit.desk.config().store, number(wanted) or 0)
    if detail is None:
        raise web.HTTPNotFound(text=visit.words.say("delivery.unknown", id=wanted))
    return detail


def _message(visit: Visit, detail: Detail, webhook: Webhook | None) -> Message:
    """What was last sent; where nothing was, what would be. It asks plugins: in a thread."""
    config = visit.desk.config()
    sent = next((each for each in reversed(detail.tries) if each.payload), None)
    if sent:
        payload = _read(sent.payload)
        text, made = "" if payload else sent.payload, None
    elif webhook:
        made = preview(webhook, detail.event, timezone=config.timezone, date_format=config.date_format)
        payload, text = None if made.fault else made.payload, ""
    else:
        return Message()
    transport = visit.desk.plugins.transports.get(detail.delivery.transport)
    drawn = picture(transport, payload) if transport and payload else ""
    return Message(sent, made, payload, text, drawn, made.fault if made else "", _headers(webhook))


def _read(text: str) -> Payload | None:
    """What a plugin's redaction left of a payload need not be JSON."""
    try:
        payload = json.loads(text)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _headers(webhook: Webhook | None) -> Mapping[str, str]:
    if webhook is None:
        return {}
    try:
        headers = webhook.transport.headers(webhook.options)
        return {str(name): str(value) for name, value in headers.items()}
    except (Exception, SystemExit):  # noqa: BLE001 - a plugin's own code: the request is shown all the same
        return {}


def _curl(words: Words, detail: Detail, message: Message) -> str:
    """The request for a shell; empty where there is none."""
    if message.payload is None:
        return ""
    delivery = detail.delivery
    comments = [words.say("delivery.curl.url", variable=URL_VARIABLE, webhook=delivery.webhook)]
    for name, variable in variables(message.headers).items():
        comments.append(words.say("delivery.curl.header", variable=variable, header=name))
    comments.append(words.say("delivery.curl.transport", transport=delivery.transport))
    return curl(message.payload, message.headers, comments=comments)


def _event(
    words: Words, priorities: Mapping[str, str], masked: Callable[[str], str], detail: Detail
) -> dict[str, str]:
    """The event's variables, as they were sent, but for secrets of ours; and what they mean in the reader's words."""
    told = {name: masked(value) for name, value in detail.event.variables.items()}
    if priority := told.get("priority", "").strip():
        meant = words.named("priority", priority_level(priority, priorities))
        told["priority"] = meant if meant.casefold() == priority.casefold() else f"{meant} ({priority})"
    if sent := told.get("created_at", ""):
        told["created_at"] = _time(words, sent)
    return told


def _time(words: Words, sent: str) -> str:
    """As the reader writes times; what cannot be read is shown as it was sent."""
    try:
        at = datetime.fromisoformat(sent)
        return words.time(at if at.tzinfo else at.replace(tzinfo=words.timezone))
    except (ValueError, OverflowError):
        return sent


ROUTES = (
    Route("GET", "/deliveries/{id}", get_delivery),
    Route("POST", "/deliveries/{id}/replay", post_replay),
)
