"""What a plugin does for one attempt: format, then send. Whatever happens there becomes an outcome."""

from __future__ import annotations

import asyncio
import json
import reprlib
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import trace
from .blame import place_of
from .breakoff import BLOCKED, BrokenOff, breakable
from .errors import SendError
from .notice import Notice, clean
from .outcome import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure, Throttled
from .redaction import Redactor
from .settings import Webhook
from .transport import DEFAULT_THROTTLE, Payload, SendContext, seconds_in

_LONGEST_WORDS = 500
"""Characters of what a service or a plugin said that are kept."""


@dataclass(frozen=True, slots=True)
class Formatted:
    """A payload, and the text that it was at that moment, free of secrets; or ``fault``: why there is none.

    ``exclusive``: the plugin was broken off, and let no other thread run.
    """

    payload: Payload = field(default_factory=dict)
    text: str = ""
    fault: PermanentFailure | TemporaryFailure | None = None
    exclusive: bool = False


def format_payload(webhook: Webhook, make_notice: Callable[[], Notice], redact: Redactor) -> Formatted:
    """What the webhook's transport makes of an event. It raises nothing, whatever the plugin does."""
    began = time.monotonic()
    formatted = _format(webhook, make_notice, redact)
    if trace.is_on():
        asked = f"format(webhook={webhook.name}, options={trace.shown(webhook.options)})"
        came = formatted.fault or formatted.text
        trace.say(webhook.transport.name, asked, came, time.monotonic() - began)
    return formatted


@breakable
def _format(webhook: Webhook, make_notice: Callable[[], Notice], redact: Redactor) -> Formatted:
    who = plugin_of(webhook)
    try:
        payload = webhook.transport.format(make_notice(), webhook.options)
        text = json.dumps(payload, ensure_ascii=False, allow_nan=False)
        text.encode()  # half of a surrogate pair is JSON to Python, and to nobody else
    except BrokenOff as error:
        words = f"{who}: format was broken off: {error}"
        # Where a thread helps, the next attempt is made in one, and has its full time.
        kind = PermanentFailure if error.exclusive else TemporaryFailure
        return Formatted(fault=kind(_words(words, redact)), exclusive=error.exclusive)
    except BaseException as error:  # noqa: BLE001 - not even a plugin's sys.exit() may end the service
        words = f"{who}: format failed: {_said(error)}"
        return Formatted(fault=PermanentFailure(_words(words, redact)))
    if not isinstance(payload, Mapping):
        return Formatted(
            fault=PermanentFailure(f"{who}: format returned {_kind(payload)}, and a payload is a dict")
        )
    return Formatted(payload, redact(text))


def plugin_of(webhook: Webhook) -> str:
    """The plugin of the webhook's transport, as people are told of it."""
    who = webhook.transport.plugin or type(webhook.transport).__module__
    return f"plugin of transport {webhook.transport.name} ({who})"


class Errand:
    """What a transport does for one attempt. It may run in a thread, and it may never come back.

    ``plugin`` names it to people, ``method`` is the one it is in; ``text`` is the payload, free of secrets.
    ``blocking``: its transport says that it blocks. ``exclusive``: it was broken off, and let no other thread run.
    ``timeout`` in seconds, from now on.
    """

    def __init__(
        self,
        webhook: Webhook,
        *,
        make_notice: Callable[[], Notice],
        context: SendContext[Any],
        redact: Redactor,
        timeout: float,
    ) -> None:
        self.transport = webhook.transport.name
        self.blocking = webhook.transport.blocking
        self.destination = webhook.destination
        self.plugin = plugin_of(webhook)
        self.method = ""
        self.text = ""
        self.exclusive = False
        self._webhook = webhook
        self._make_notice = make_notice
        self._context = context
        self._redact = redact
        self._timeout = timeout
        self._until = time.monotonic() + timeout

    def time_left(self) -> float:
        """Seconds."""
        return self._until - time.monotonic()

    def given_up(self) -> Outcome:
        """What an errand comes to that did not come back in time."""
        if self.method == "format":
            return PermanentFailure(f"{self.plugin}: format did not return within {self._timeout:g} s")
        return self._failed(f"goes on after its {self._timeout:g} s")

    def lost(self, error: BaseException) -> Outcome:
        """What an errand comes to whose loop ended under it."""
        return self._failed(f"ended its loop: {type(error).__name__}")

    async def run(self) -> Outcome:
        """Whatever the plugin does is an outcome, and free of secrets."""
        self.method, began = "format", time.monotonic()
        formatted = format_payload(self._webhook, self._make_notice, self._redact)
        self.text, self.exclusive = formatted.text, formatted.exclusive
        if time.monotonic() - began > BLOCKED:
            await asyncio.sleep(0)  # a turn for all others; it also tells this step from those of `send`
        if formatted.fault:
            return formatted.fault
        self.method, began = "send", time.monotonic()
        outcome = _sound(await self._send(formatted.payload), self._redact)
        if trace.is_on():
            context = self._context
            asked = f"send({context.delivery} to {context.webhook}, attempt {context.attempt})"
            trace.say(self.transport, asked, outcome, time.monotonic() - began)
        return outcome

    @breakable
    async def _send(self, payload: Payload) -> Outcome:
        try:
            async with asyncio.timeout(self.time_left()) as limit:
                outcome: Any = await self._webhook.transport.send(payload, self._context)
        except SendError as error:
            return TemporaryFailure(str(error), maybe_received=error.maybe_received)
        except BrokenOff as error:
            self.exclusive = error.exclusive
            return self._failed(f"was broken off: {error}")
        except BaseException as error:  # noqa: BLE001 - likewise, and not even a CancelledError of its own
            if limit.expired():
                return TemporaryFailure(f"no complete answer within {self._timeout:g} s", maybe_received=True)
            return self._failed(f"failed: {_said(error)}")
        if not isinstance(outcome, Outcome):
            return self._failed(f"returned {_kind(outcome)}, and no outcome")
        return outcome

    def _failed(self, how: str) -> TemporaryFailure:
        """Nobody knows how far it got: the service may have the message."""
        return TemporaryFailure(f"{self.plugin}: send {how}", maybe_received=self.method == "send")


def _sound(outcome: Outcome, redact: Redactor) -> Outcome:
    """``outcome`` with fields that can be counted with, stored and shown: plugins need no type checker."""
    match outcome:
        case Delivered(receipt=receipt, wait=wait, detail=detail):
            return Delivered(_words(receipt, redact), seconds_in(wait) or 0.0, _words(detail, redact))
        case Throttled(retry_after=wait, scope=scope, detail=detail):
            seconds = seconds_in(wait)
            return Throttled(
                DEFAULT_THROTTLE if seconds is None else seconds,
                "service" if scope == "service" else "destination",
                detail=_words(detail, redact),
            )
        case TemporaryFailure(detail=detail, retry_after=wait, maybe_received=received):
            return TemporaryFailure(_words(detail, redact), seconds_in(wait), maybe_received=bool(received))
        case PermanentFailure(detail=detail):
            return PermanentFailure(_words(detail, redact))
        case DestinationGone(detail=detail, certain=certain, maybe_received=received):
            return DestinationGone(
                _words(detail, redact), certain=bool(certain), maybe_received=bool(received)
            )


def _words(value: object, redact: Redactor) -> str:
    """On one line that is safe to print. Redacted first: half a secret would not be found any more."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else reprlib.repr(value)
    return " ".join(clean(redact(text)).split())[:_LONGEST_WORDS]


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).rstrip() + place_of(error)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"an object of type {type(value).__name__}"
