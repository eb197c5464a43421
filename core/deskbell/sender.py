"""Make one attempt, within its time, and say what came of it. A plugin can do no more harm here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

from .delivery import Attempt
from .errand import Errand
from .errors import PluginError
from .isolation import Isolation, Request, from_any_loop
from .notice import Notice
from .outcome import Outcome, TemporaryFailure
from .redaction import Redactor
from .secret import Secret
from .settings import Webhook
from .store import Claimed
from .transport import SendContext

ATTEMPT_TIMEOUT = 15.0
"""Seconds for one attempt, whatever the transport does."""
_PATIENCE = 1 / 3
"""The share of it that an attempt waits for a thread, where its transport runs in threads and all are busy."""
LAST_WORDS = 0.2
"""Seconds that ``send`` has to end once it was cancelled; one that ignores it is left behind."""


class Sender:
    """Sends deliveries, one attempt at a time. ``timeout`` in seconds."""

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
        self._isolation = Isolation(patience=timeout * _PATIENCE)
        self._running = set[asyncio.Future[Outcome]]()
        self._redactors: dict[str, Redactor] = {}

    def write_times(self, timezone: tzinfo, date_format: str) -> None:
        """From the next attempt on, as the owner writes times now."""
        self._timezone, self._date_format = timezone, date_format

    async def attempt(self, claimed: Claimed, webhook: Webhook, url: Secret) -> Attempt:
        """One attempt of ``claimed`` at ``url``. It raises nothing; the secret stands in nothing that it returns."""
        delivery = claimed.delivery
        started_at, started = self._clock(), time.monotonic()
        errand = Errand(
            webhook,
            make_notice=lambda: Notice.of(
                claimed.event, webhook.template, timezone=self._timezone, date_format=self._date_format
            ),
            context=self._context(claimed, webhook, url),
            redact=self._redactor(webhook, url),
            timeout=self._timeout,
        )
        outcome = await self._outcome(errand)
        return Attempt(
            delivery_id=delivery.id,
            event_id=delivery.event_id,
            webhook=webhook.name,
            transport=webhook.transport.name,
            number=delivery.attempts,
            started_at=started_at,
            seconds=time.monotonic() - started,
            outcome=outcome,
            payload=errand.text,
        )

    def _context(self, claimed: Claimed, webhook: Webhook, url: Secret) -> SendContext[Any]:
        delivery = claimed.delivery
        return SendContext(
            url=url,
            options=webhook.options,
            webhook=webhook.name,
            delivery=f"{delivery.event_id}.{delivery.id}",
            attempt=delivery.attempts,
            request=from_any_loop(self._request),
        )

    def _redactor(self, webhook: Webhook, url: Secret) -> Redactor:
        known = self._redactors.get(webhook.name)
        if known is None or not known.is_for(webhook, url):
            known = self._redactors[webhook.name] = Redactor(webhook, url)
        return known

    async def _outcome(self, errand: Errand) -> Outcome:
        """The errand runs by itself: one that ignores its cancellation must not keep the lane."""
        try:
            running = await self._isolation.start(errand)
        except PluginError as error:
            return TemporaryFailure(str(error))  # not a word was sent
        self._running.add(running)  # the loop itself holds tasks only weakly
        running.add_done_callback(self._running.discard)
        try:
            done, _ = await asyncio.wait({running}, timeout=errand.time_left() + LAST_WORDS)
        finally:
            running.cancel()
        if not done:
            return errand.given_up()
        try:
            return running.result()
        except BaseException as error:  # noqa: BLE001 - a plugin may leave even a cancellation pending
            return errand.lost(error)
