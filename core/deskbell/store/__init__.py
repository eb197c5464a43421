"""The store: events, deliveries and what is known of destinations and tickets, durable.

``Store`` is the contract; every engine passes the same tests (``tests/contract/test_store.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from deskbell.delivery import Attempt, Delivery, Destination, State
from deskbell.errors import EventError
from deskbell.event import TicketEvent
from deskbell.settings import Webhook

SERVICE = "service "
"""Begins the id of a whole service among the destinations, which are known by a hash."""


class KeyReusedError(EventError):
    """An idempotency key came again with another body."""

    def __init__(self) -> None:
        super().__init__("this idempotency key was used before, with another body")


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """What the events of one ticket last said; empty where none said it."""

    priority: str = ""
    department: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """``id`` and the number of deliveries of the stored event; ``replayed`` when its key was known."""

    id: str
    deliveries: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is now ``sending``, and its event."""

    delivery: Delivery
    event: TicketEvent


@dataclass(frozen=True, slots=True)
class Listed:
    """A delivery as people look it up, with its latest attempt's time and answer."""

    delivery: Delivery
    received_at: datetime
    attempted_at: datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a wish to replay: the deliveries that go again, their webhooks, and why each other does not."""

    ids: tuple[int, ...] = ()
    webhooks: frozenset[str] = frozenset()
    refused: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The unfinished and the dead deliveries of one webhook; ``oldest_at`` is when its oldest unfinished one came."""

    ready: int = 0
    sending: int = 0
    held: int = 0
    dead: int = 0
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """What ended, or came, before these times is forgotten. A delivery that has not ended never is."""

    delivered: datetime
    dead: datetime
    events: datetime
    """Events without deliveries, and with them their idempotency keys."""
    tickets: datetime
    """What tickets said."""


class Store(Protocol):
    """What deskbell asks of an engine. Every method returns after the commit, and raises ``StoreError``."""

    async def add(
        self,
        event: TicketEvent,
        raw: bytes,
        *,
        webhooks: Sequence[Webhook],
        key: str | None = None,
        facts: TicketFacts | None = None,
    ) -> Added:
        """Store ``event`` and one delivery for each of ``webhooks``, in one transaction.

        A ``key`` that the source used before changes nothing; with another body it is a ``KeyReusedError``.
        ``facts`` replaces what is remembered of the ticket. ``StoreBusyError`` when too much is waiting.
        """

    async def recall(self, source: str, ticket: str) -> TicketFacts:
        """What the ticket's events last said."""

    async def claim(
        self, max_ages: Mapping[str, float], *, now: datetime, avoid: int | None = None
    ) -> Claimed | None:
        """Make the oldest ready delivery of some webhooks ``sending``, its attempt counted; None when there is none.

        ``max_ages`` (seconds by webhook): rows that waited longer die. ``avoid`` names a delivery that just failed:
        the next ticket after it has its turn, round and round; its own only if there is no other.
        """

    def save(
        self, delivery: Delivery, attempt: Attempt, destinations: Mapping[str, Destination]
    ) -> asyncio.Future[bool]:
        """Settle a ``sending`` delivery, and note how ``destinations`` fare now; false (and nothing changed) when it
        is not ``sending`` any more.

        It is in the queue when this returns, before any later call; but it is not urgent: the future may
        wait a moment for a commit that carries more.
        """

    async def release(self, delivery: Delivery) -> None:
        """Put a ``sending`` delivery back, as ``delivery.release`` made it."""

    async def recover(self, webhooks: Sequence[str] | None = None) -> int:
        """Every ``sending`` delivery (of ``webhooks``) becomes ready and ``maybe_duplicate``. How many.

        At start, and where a lane met a bug of ours.
        """

    async def adopt(self, destinations: Mapping[str, str], *, now: datetime) -> int:
        """At start: these are the webhooks now, each with its destination. How many deliveries are held.

        The ready deliveries of other webhooks are held, the held ones of these are freed; the waiting ones of a
        webhook that goes elsewhere since the last time are renewed (``delivery.renew``).
        """

    async def resume(self, destination: str, webhooks: Sequence[str], *, now: datetime) -> None:
        """Forget the destination's troubles; age and setbacks of its ready deliveries start anew."""

    async def replay(self, ids: Sequence[int], *, now: datetime, state: State | None = None) -> Replayed:
        """Make deliveries that ended ready again (``delivery.replay``), or held where their webhook is gone.

        Only those in ``state``, where it is given: somebody else may have replayed them since they were looked at.
        """

    async def destinations(self) -> Mapping[str, Destination]:
        """Every destination that is not simply active."""

    async def backlog(self) -> Mapping[str, Backlog]:
        """How much waits, by webhook; those with nothing unfinished or dead are left out. It holds nobody up."""

    async def prune(self, horizon: Horizon) -> int:
        """Forget some of what lies before ``horizon``, few enough to hold nobody up. How much; 0 when all is done."""

    @property
    def trouble(self) -> str:
        """Why events cannot be stored now (a commit failed, the disk is nearly full); empty when they can."""

    @property
    def failure(self) -> asyncio.Future[str]:
        """Resolves, with the reason, when the engine cannot be trusted any more: the process must end."""

    async def close(self) -> None:
        """Finish what is waiting, and let go of the database."""


def open_store(path: Path) -> Store:
    """Open (or create) the SQLite store at ``path``, locked for this process. Call it on the event loop."""
    from .sqlite import SqliteStore

    return SqliteStore.open(path)
