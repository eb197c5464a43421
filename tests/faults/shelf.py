"""Deliveries as a server left them, for commands that look at them: made through the store, without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from deskbell import Outcome, TicketEvent
from deskbell.cli.setting import read_setting
from deskbell.delivery import Attempt, Destination, RetryPolicy, settle
from deskbell.settings import Webhook
from deskbell.store import SERVICE, Store, open_store

PATIENT = RetryPolicy(jitter=0.0)


@dataclass(frozen=True)
class Past:
    """One event for the webhook ``webhook``, and what its service said; None: it was not tried.

    ``ago``: when all of it happened. ``service``: the answer concerned the whole service.
    """

    outcome: Outcome | None = None
    webhook: str = "desk"
    ticket: str = "1"
    subject: str = ""
    ago: timedelta = timedelta()
    service: bool = False


@dataclass
class Shelf:
    """The store beside ``config.yaml`` in ``folder``. What ``fill`` is given happens in this order."""

    folder: Path
    health: dict[str, Destination] = field(default_factory=dict)

    @property
    def webhooks(self) -> Mapping[str, Webhook]:
        config = read_setting(self.folder / "config.yaml").config()
        return {webhook.name: webhook for webhook in config.active_webhooks}

    async def fill(self, *pasts: Past) -> None:
        """The deliveries get the ids 1, 2, …"""
        webhooks = self.webhooks
        store = open_store(self.folder / "deskbell.db")
        await store.adopt({name: webhook.destination for name, webhook in webhooks.items()}, now=now())
        for past in pasts:
            await self._happen(store, past, webhooks[past.webhook])
        await store.close()

    async def bury(self, subjects: Sequence[str]) -> None:
        """Deliveries to ``desk``, each of a ticket of its own, that all died of age."""
        desk = self.webhooks["desk"]
        store = open_store(self.folder / "deskbell.db")
        await store.adopt({"desk": desk.destination}, now=now())
        for subject in subjects:
            await store.add(_event(Past(ticket=subject, subject=subject)), b"{}", webhooks=[desk])
        assert await store.claim({"desk": 0.0}, now=now() + timedelta(seconds=1)) is None
        await store.close()

    async def _happen(self, store: Store, past: Past, webhook: Webhook) -> None:
        event = _event(past)
        await store.add(event, b"{}", webhooks=[webhook])
        if past.outcome is None:
            return
        claimed = await store.claim({webhook.name: PATIENT.max_age}, now=now())
        assert claimed is not None
        assert claimed.event.id == event.id
        place = f"{SERVICE}{webhook.transport.name}" if past.service else webhook.destination
        before, at = self.health.get(place, Destination()), now() - past.ago
        settled = settle(claimed.delivery, before, past.outcome, now=at, policy=PATIENT, noise=0.0)
        attempt = Attempt(
            delivery_id=claimed.delivery.id, event_id=event.id, webhook=webhook.name, transport="slack",
            number=1, started_at=at, seconds=0.1, outcome=past.outcome, payload="{}",
        )  # fmt: skip
        self.health[place] = settled.destination
        assert await store.save(settled.delivery, attempt, {place: settled.destination})


def now() -> datetime:
    return datetime.now(UTC)


def _event(past: Past) -> TicketEvent:
    return TicketEvent(
        id=uuid4().hex,
        action="Submit",
        source="clientxcms",
        ticket=past.ticket,
        variables={"subject": past.subject, "ticket": past.ticket},
        received_at=now() - past.ago,
    )
