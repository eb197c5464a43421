"""What a plugin does for one attempt: format, then send. Whatever happens there becomes an outcome."""

from __future__ import annotations

import asyncio
import json
import reprlib
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from . import trace
from .breakoff import BLOCKED, BrokenOff, breakable
from .errors import SendError
from .notice import Notice, clean
from .outcome import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure, Throttled
from .redaction import Redactor
from .settings import Webhook
from .transport import DEFAULT_THROTTLE, Payload, SendContext, seconds_in

_LONGEST_WORDS = 500
"""Characters of what a service or a plugin said that are kept."""

T = TypeVar("T")


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
        who = webhook.transport.plugin or type(webhook.transport).__module__
        self.plugin = f"plugin of transport {self.transport} ({who})"
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
        payload = self._format()
        if time.monotonic() - began > BLOCKED:
            await asyncio.sleep(0)  # a turn for all others; it also tells this step from those of `send`
        if isinstance(payload, (PermanentFailure, TemporaryFailure)):
            return self._traced(_sound(payload, self._redact), began)
        self._traced(self.text, began)
        self.method, began = "send", time.monotonic()
        return self._traced(_sound(await self._send(payload), self._redact), began)

    def _traced(self, came: T, began: float) -> T:
        if trace.is_on():
            trace.say(self.transport, f"{self.method}(…)", trace.shown(came), time.monotonic() - began)
        return came

    @breakable
    def _format(self) -> Payload | PermanentFailure | TemporaryFailure:
        """The payload; it is kept as the text that it is now, for ``send`` may change it."""
        try:
            payload = self._webhook.transport.format(self._make_notice(), self._webhook.options)
            text = json.dumps(payload, ensure_ascii=False, allow_nan=False)
            text.encode()  # half of a surrogate pair is JSON to Python, and to nobody else
        except BrokenOff as error:
            self.exclusive, words = error.exclusive, f"{self.plugin}: format was broken off: {error}"
            # Where a thread helps, the next attempt is made in one, and has its full time.
            return PermanentFailure(words) if error.exclusive else TemporaryFailure(words)
        except BaseException as error:  # noqa: BLE001 - not even a plugin's sys.exit() may end the service
            return PermanentFailure(f"{self.plugin}: format failed: {_said(error)}")
        if not isinstance(payload, Mapping):
            return PermanentFailure(
                f"{self.plugin}: format returned {_kind(payload)}, and a payload is a dict"
            )
        self.text = self._redact(text)
        return payload

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
    return "".join(traceback.format_exception_only(error))


def _kind(value: object) -> str:
    return "nothing" if value is None else f"an object of type {type(value).__name__}"
