"""Accept an event: complete it from what its ticket said before, route it, store it, wake the lanes."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from .errors import StoreError
from .event import TicketEvent
from .routing import webhooks_for
from .settings import Webhook
from .store import Added, Store, TicketFacts

_TICKETS_IN_MEMORY = 10_000


class Intake:
    """Everything between a parsed event and the durable answer."""

    def __init__(
        self,
        store: Store,
        *,
        webhooks: Sequence[Webhook],
        priorities: Mapping[str, str],
        wake: Callable[[Iterable[str]], None],
        accepted: Callable[[TicketEvent, Sequence[str]], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._webhooks = webhooks
        self._priorities = priorities
        self._wake = wake
        self._accepted = accepted
        self._clock = clock
        self._memory: OrderedDict[tuple[str, str], TicketFacts] = OrderedDict()

    async def accept(
        self,
        event: TicketEvent,
        raw: bytes,
        *,
        source: str,
        key: str | None = None,
        only: Webhook | None = None,
    ) -> Added:
        """Store ``event`` for the webhooks it matches; ``only`` names one and skips the routing (``send``).

        Returns after the commit. ``KeyReusedError``, ``StoreBusyError`` and ``StoreError`` as the store says.
        """
        event = replace(event, id=uuid.uuid4().hex, source=source, received_at=self._clock())
        event, facts = await self._complete(event)
        webhooks = (only,) if only else webhooks_for(event, self._webhooks, self._priorities)
        try:
            added = await self._store.add(event, raw, webhooks=webhooks, key=key, facts=facts)
        except StoreError:
            self._memory.pop((event.source, event.ticket), None)  # what is not stored is not remembered
            raise
        if not added.replayed:
            names = [webhook.name for webhook in webhooks]
            self._wake(names)
            self._accepted(event, names)
        return added

    async def _complete(self, event: TicketEvent) -> tuple[TicketEvent, TicketFacts | None]:
        """The event with what its ticket said before, and what to remember of it if that is new."""
        if not event.ticket:
            return event, None
        told = _facts_of(event.variables)
        identity = (event.source, event.ticket)
        known = self._memory.get(identity)
        if known is None and not (told.priority and told.department and told.subject):
            recalled = await self._store.recall(*identity)
            known = self._memory.get(identity, recalled)
        merged = _merge(told, known or TicketFacts())
        self._remember(identity, merged)
        if merged != told:
            event = replace(event, variables={**event.variables, **_as_variables(merged)})
        return event, merged if merged != known else None

    def _remember(self, identity: tuple[str, str], facts: TicketFacts) -> None:
        self._memory[identity] = facts
        self._memory.move_to_end(identity)
        if len(self._memory) > _TICKETS_IN_MEMORY:
            self._memory.popitem(last=False)


def _facts_of(variables: Mapping[str, str]) -> TicketFacts:
    return TicketFacts(
        priority=variables.get("priority", "").strip(),
        department=variables.get("departmentname", "").strip(),
        subject=variables.get("subject", "").strip(),
    )


def _merge(told: TicketFacts, known: TicketFacts) -> TicketFacts:
    return TicketFacts(
        priority=told.priority or known.priority,
        department=told.department or known.department,
        subject=told.subject or known.subject,
    )


def _as_variables(facts: TicketFacts) -> dict[str, str]:
    return {"priority": facts.priority, "departmentname": facts.department, "subject": facts.subject}
