"""Make one attempt: format, send, and turn whatever happens into an outcome. A plugin can do no more harm here."""

from __future__ import annotations

import asyncio
import json
import re
import reprlib
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from pydantic import BaseModel

from .delivery import Attempt
from .errors import SendError
from .notice import Notice, clean
from .outcome import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure, Throttled
from .secret import MASK, Secret
from .settings import Webhook
from .store import Claimed
from .transport import DEFAULT_THROTTLE, Payload, Response, SendContext, seconds_in

ATTEMPT_TIMEOUT = 15.0
"""Seconds for one attempt, whatever the transport does."""
LAST_WORDS = 0.2
"""Seconds that ``send`` has to end once it was cancelled; one that ignores it is left behind."""
_LONGEST_WORDS = 500
"""Characters of what a service or a plugin said that are kept."""
_URL = re.compile(r"\w+://(?:(?P<user>[^/?#]*)@)?[^/?#]*(?P<rest>.*)", re.DOTALL)
_SHORTEST_TOKEN = 16
"""Characters of a part of a URL that is taken for a token."""
_SHORTEST_PATH = 12
"""Characters: a shorter path holds no secret, and masking it would mask ordinary words."""

Request = Callable[[str, str, bytes | None, Mapping[str, str]], Awaitable[Response]]
Redact = Callable[[str], str]


class Sender:
    """Sends deliveries, one attempt at a time; it keeps no state between them. ``timeout`` in seconds."""

    def __init__(
        self,
        request: Request,
        *,
        timezone: tzinfo,
        date_format: str,
        clock: Callable[[], datetime],
        timeout: float = ATTEMPT_TIMEOUT,
    ) -> None:
        self._request = request
        self._timezone = timezone
        self._date_format = date_format
        self._clock = clock
        self._timeout = timeout
        self._sending = set[asyncio.Task[Outcome]]()

    async def attempt(self, claimed: Claimed, webhook: Webhook, url: Secret) -> Attempt:
        """One attempt of ``claimed`` at ``url``. It raises nothing; the secret stands in nothing that it returns."""
        delivery = claimed.delivery
        started_at, started = self._clock(), time.monotonic()
        message = self._format(claimed, webhook)
        outcome: Outcome
        if isinstance(message, PermanentFailure):
            outcome, text = message, ""
        else:
            payload, text = message
            outcome = await self._send(payload, claimed, webhook, url)
        redact = _redactor(webhook, url)
        return Attempt(
            delivery_id=delivery.id,
            event_id=delivery.event_id,
            webhook=webhook.name,
            transport=webhook.transport.name,
            number=delivery.attempts,
            started_at=started_at,
            seconds=time.monotonic() - started,
            outcome=_sound(outcome, redact),
            payload=redact(text),
        )

    def _format(self, claimed: Claimed, webhook: Webhook) -> tuple[Payload, str] | PermanentFailure:
        """The payload, and as the text it is now: ``send`` may change it."""
        try:
            notice = Notice.of(
                claimed.event, webhook.template, timezone=self._timezone, date_format=self._date_format
            )
            payload = webhook.transport.format(notice, webhook.options)
            text = json.dumps(payload, ensure_ascii=False, allow_nan=False)
            text.encode()  # half of a surrogate pair is JSON to Python, and to nobody else
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - not even a plugin's sys.exit() may end the service
            return PermanentFailure(f"{_plugin(webhook)}: format failed: {_said(error)}")
        if not isinstance(payload, Mapping):
            return PermanentFailure(
                f"{_plugin(webhook)}: format returned {_kind(payload)}, and a payload is a dict"
            )
        return payload, text

    async def _send(self, payload: Payload, claimed: Claimed, webhook: Webhook, url: Secret) -> Outcome:
        """In a task of its own: one that ignores its cancellation must not keep the lane."""
        delivery = claimed.delivery
        context = SendContext(
            url=url,
            options=webhook.options,
            webhook=webhook.name,
            delivery=f"{delivery.event_id}.{delivery.id}",
            attempt=delivery.attempts,
            request=self._request,
        )
        sending = asyncio.create_task(self._outcome(payload, context, webhook))
        self._sending.add(sending)  # the loop itself holds tasks only weakly
        sending.add_done_callback(self._sending.discard)
        try:
            await asyncio.wait({sending}, timeout=self._timeout + LAST_WORDS)
        finally:
            sending.cancel()
        if not sending.done():
            return TemporaryFailure(f"{_plugin(webhook)}: send goes on after its {self._timeout:g} s")
        return sending.result()

    async def _outcome(self, payload: Payload, context: SendContext[Any], webhook: Webhook) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout) as limit:
                outcome: Any = await webhook.transport.send(payload, context)
        except SendError as error:
            return TemporaryFailure(str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - likewise, and not even a CancelledError of its own
            if limit.expired():
                return TemporaryFailure(f"no complete answer within {self._timeout:g} s")
            return TemporaryFailure(f"{_plugin(webhook)}: send failed: {_said(error)}")
        if not isinstance(outcome, Outcome):
            return TemporaryFailure(f"{_plugin(webhook)}: send returned {_kind(outcome)}, and no outcome")
        return outcome


def _sound(outcome: Outcome, redact: Redact) -> Outcome:
    """``outcome`` with fields that can be counted with, stored and shown: plugins need no type checker."""
    match outcome:
        case Delivered(receipt=receipt, wait=wait, detail=detail):
            return Delivered(_words(receipt, redact), seconds_in(wait) or 0.0, _words(detail, redact))
        case Throttled(retry_after=wait, scope=scope, detail=detail):
            seconds = seconds_in(wait)
            return Throttled(
                DEFAULT_THROTTLE if seconds is None else seconds, scope, detail=_words(detail, redact)
            )
        case TemporaryFailure(detail=detail, retry_after=wait):
            return TemporaryFailure(_words(detail, redact), seconds_in(wait))
        case PermanentFailure(detail=detail):
            return PermanentFailure(_words(detail, redact))
        case DestinationGone(detail=detail, certain=certain):
            return DestinationGone(_words(detail, redact), certain=bool(certain))


def _words(value: object, redact: Redact) -> str:
    """On one line that is safe to print. Redacted first: half a secret would not be found any more."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else reprlib.repr(value)
    return " ".join(clean(redact(text)).split())[:_LONGEST_WORDS]


def _plugin(webhook: Webhook) -> str:
    return f"plugin of transport {webhook.transport.name} ({type(webhook.transport).__module__})"


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error))


def _kind(value: object) -> str:
    return "nothing" if value is None else f"an object of type {type(value).__name__}"


def _redactor(webhook: Webhook, url: Secret) -> Redact:
    """Masks the webhook's URL, the telling parts of it, and every secret of its options."""
    found = {*_parts(url.reveal()), *_parts(webhook.url.reveal()), *_secrets(webhook.options)}
    escaped = {json.dumps(secret, ensure_ascii=False)[1:-1] for secret in found}  # as it stands in a payload
    secrets = sorted(found | escaped, key=len, reverse=True)  # the whole before its parts

    def redact(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, MASK)
        try:
            return str(webhook.transport.redact(text))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - what cannot be redacted is not shown
            return MASK

    return redact


def _parts(url: str) -> Iterator[str]:
    yield url
    if found := _URL.fullmatch(url):
        _, _, password = (found["user"] or "").partition(":")
        tokens = [part for part in re.split("[/?&=#]", found["rest"]) if len(part) >= _SHORTEST_TOKEN]
        path = [found["rest"]] if len(found["rest"]) >= _SHORTEST_PATH else []
        yield from filter(None, [password, *tokens, *path])


def _secrets(value: object) -> Iterator[str]:
    """Every ``Secret`` in options, however deep."""
    match value:
        case Secret():
            yield from filter(None, [value.reveal()])
        case BaseModel():
            yield from _secrets(
                [inner for _, inner in value]
            )  # `dict()` would trip over a field named `keys`
        case Mapping():
            yield from _secrets(list(value.values()))
        case list() | tuple() | set() | frozenset():
            for each in value:
                yield from _secrets(each)
