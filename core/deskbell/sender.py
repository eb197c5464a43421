"""Make one attempt: format, send, and turn whatever happens into an outcome. A plugin can do no more harm here."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

from .delivery import Attempt
from .errors import SendError
from .notice import Notice
from .outcome import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure, Throttled
from .secret import MASK, Secret
from .settings import Webhook
from .store import Claimed
from .transport import Payload, Response, SendContext

ATTEMPT_TIMEOUT = 15.0
"""Seconds for one attempt, whatever the transport does."""
_OUTCOMES = (Delivered, Throttled, TemporaryFailure, PermanentFailure, DestinationGone)
# What a plugin may raise without meaning the process: a plugin that calls sys.exit() ends nothing here.
_PLUGIN_RAISES = (Exception, SystemExit, GeneratorExit)

Request = Callable[[str, str, bytes | None, Mapping[str, str]], Awaitable[Response]]


class Sender:
    """Sends deliveries, one attempt at a time; it keeps no state between them."""

    def __init__(
        self, request: Request, *, timezone: tzinfo, date_format: str, clock: Callable[[], datetime]
    ) -> None:
        self._request = request
        self._timezone = timezone
        self._date_format = date_format
        self._clock = clock

    async def attempt(self, claimed: Claimed, webhook: Webhook, url: Secret) -> Attempt:
        """One attempt of ``claimed`` at ``url``; the secret stands in nothing that it returns."""
        delivery = claimed.delivery
        started_at, started = self._clock(), time.monotonic()
        payload = self._format(claimed, webhook)
        if isinstance(payload, PermanentFailure):
            outcome: Outcome = payload
            text = ""
        else:
            outcome = await self._send(payload, claimed, webhook, url)
            text = json.dumps(payload, ensure_ascii=False)
        return Attempt(
            delivery_id=delivery.id,
            event_id=delivery.event_id,
            webhook=webhook.name,
            transport=webhook.transport.name,
            number=delivery.attempts,
            started_at=started_at,
            seconds=time.monotonic() - started,
            outcome=replace(outcome, detail=_redact(outcome.detail, webhook, url)),
            payload=_redact(text, webhook, url),
        )

    def _format(self, claimed: Claimed, webhook: Webhook) -> Payload | PermanentFailure:
        notice = Notice.of(
            claimed.event, webhook.template, timezone=self._timezone, date_format=self._date_format
        )
        try:
            payload = webhook.transport.format(notice, webhook.options)
            json.dumps(payload, allow_nan=False).encode()
        except _PLUGIN_RAISES as error:
            return PermanentFailure(f"{_plugin(webhook)}: format failed: {_said(error)}")
        return payload

    async def _send(self, payload: Payload, claimed: Claimed, webhook: Webhook, url: Secret) -> Outcome:
        delivery = claimed.delivery
        context = SendContext(
            url=url,
            options=webhook.options,
            webhook=webhook.name,
            delivery=f"{delivery.event_id}.{delivery.id}",
            attempt=delivery.attempts,
            request=self._request,
        )
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT):
                outcome: Any = await webhook.transport.send(payload, context)
        except SendError as error:
            return TemporaryFailure(str(error))
        except TimeoutError:
            return TemporaryFailure(f"no complete answer within {ATTEMPT_TIMEOUT:g} s")
        except asyncio.CancelledError:
            if _being_cancelled():
                raise
            return TemporaryFailure(f"{_plugin(webhook)}: send cancelled itself")
        except _PLUGIN_RAISES as error:
            return TemporaryFailure(f"{_plugin(webhook)}: send failed: {_said(error)}")
        if not isinstance(outcome, _OUTCOMES):
            return TemporaryFailure(
                f"{_plugin(webhook)}: send returned no outcome but {type(outcome).__name__}"
            )
        return outcome


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _plugin(webhook: Webhook) -> str:
    return f"plugin of transport {webhook.transport.name} ({type(webhook.transport).__module__})"


def _said(error: BaseException) -> str:
    words = str(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _redact(text: str, webhook: Webhook, url: Secret) -> str:
    """Without the webhook's URL, its path, and any secret of its options."""
    for secret in (url, webhook.url, *_secrets(dict(webhook.options))):
        if secret.reveal() in text:
            text = text.replace(secret.reveal(), MASK)
    return webhook.transport.redact(text)


def _secrets(options: Mapping[str, Any]) -> list[Secret]:
    return [value for value in options.values() if isinstance(value, Secret) and value]
