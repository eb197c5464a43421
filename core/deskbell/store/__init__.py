"""The store: events, deliveries and what is known of destinations and tickets, durable.

``Store`` is the contract; every engine passes the same tests (``tests/contract/test_store.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from deskbell.delivery import Attempt, Delivery, Destination
from deskbell.errors import EventError
from deskbell.event import TicketEvent
from deskbell.settings import Webhook


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
        self, webhooks: Sequence[str], *, oldest: datetime, avoid: int | None = None
    ) -> Claimed | None:
        """Make the oldest ready delivery of ``webhooks`` ``sending``, its attempt counted; None when there is none.

        Rows due from before ``oldest`` die of age. ``avoid`` names a delivery that just failed: the next ticket
        after it has its turn, round and round; its own only if there is no other.
        """

    def save(
        self, delivery: Delivery, attempt: Attempt, destination: tuple[str, Destination] | None
    ) -> asyncio.Future[bool]:
        """Settle a ``sending`` delivery; false (and nothing changed) when it is not ``sending`` any more.

        It is in the queue when this returns, before any later call; but it is not urgent: the future may
        wait a moment for a commit that carries more.
        """

    async def release(self, delivery: Delivery) -> None:
        """Put a ``sending`` delivery back, as ``delivery.release`` made it."""

    async def recover(self) -> int:
        """At start: every ``sending`` delivery becomes ready and ``maybe_duplicate``. How many."""

    async def hold_all_but(self, webhooks: Sequence[str]) -> int:
        """Hold the ready deliveries of other webhooks, free the held ones of these. How many are held."""

    async def resume(self, destination: str, webhooks: Sequence[str], *, now: datetime) -> None:
        """Forget the destination's troubles; age and setbacks of its ready deliveries start anew."""

    async def destinations(self) -> Mapping[str, Destination]:
        """Every destination that is not simply active."""

    async def waiting(self, webhooks: Sequence[str]) -> Mapping[str, int]:
        """The number of ready deliveries by webhook."""

    @property
    def trouble(self) -> str:
        """Why the last commit failed; empty when it did not."""

    async def close(self) -> None:
        """Finish what is waiting, and let go of the database."""


def open_store(path: Path) -> Store:
    """Open (or create) the SQLite store at ``path``, locked for this process. Call it on the event loop."""
    from .sqlite import SqliteStore

    return SqliteStore.open(path)
