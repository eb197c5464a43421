"""What ``send`` says about one attempt. A value, never an exception.

``detail`` holds the service's own words (``404 Unknown Webhook (10015)``), free of secrets:
it is logged, stored and shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Delivered:
    """The service has the message. ``receipt`` is its id there, where the service gives one.

    ``wait`` (seconds): the service said that the next message would be refused before then.
    """

    receipt: str = ""
    wait: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too fast, and nobody's failure: no attempt is counted.

    ``retry_after`` in seconds. ``scope`` is ``service`` when every destination there must wait.
    """

    retry_after: float
    scope: Literal["destination", "service"] = "destination"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TemporaryFailure:
    """It may work later. ``retry_after`` (seconds) is the wait the service asked for, if it did.

    ``maybe_received``: no answer said whether the service has the message, so that the next attempt may double it.
    """

    detail: str
    retry_after: float | None = None
    maybe_received: bool = False


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """This message will never work there; the next one may."""

    detail: str


@dataclass(frozen=True, slots=True)
class DestinationGone:
    """No message will work there: the webhook was deleted or revoked.

    ``certain`` false: an answer (a bare 403, a redirect) that means it only when it is repeated.
    ``maybe_received``: it may have the message all the same (something answered 200, but not in the service's words).
    """

    detail: str
    certain: bool = True
    maybe_received: bool = False


Outcome: TypeAlias = Delivered | Throttled | TemporaryFailure | PermanentFailure | DestinationGone
