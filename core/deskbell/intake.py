"""Accept an event: complete it from what its ticket said before, route it, store it, wake the lanes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from .errors import StoreBusyError
from .event import TicketEvent
from .routing import webhooks_for
from .settings import Webhook
from .store import Added, Store, TicketFacts

TICKETS_IN_MEMORY = 10_000
_NOTHING = TicketFacts()
# Unique, not secret: asking the system for each would cost more than the rest of the routing.
_ids = random.Random()  # noqa: S311 - likewise


class Intake:
    """Everything between a parsed event and the durable answer. ``refusal`` says why none is taken now, if so."""

    def __init__(
        self,
        store: Store,
        *,
        webhooks: Sequence[Webhook],
        priorities: Mapping[str, str],
        wake: Callable[[Iterable[str]], None],
        accepted: Callable[[TicketEvent, Sequence[str]], None],
        clock: Callable[[], datetime],
        refusal: Callable[[], str] = str,
        tickets_in_memory: int = TICKETS_IN_MEMORY,
    ) -> None:
        self._store = store
        self._webhooks = webhooks
        self._priorities = priorities
        self._wake = wake
        self._accepted = accepted
        self._clock = clock
        self._refusal = refusal
        self._memory = _TicketMemory(store, tickets_in_memory)

    def route_by(self, webhooks: Sequence[Webhook], priorities: Mapping[str, str]) -> None:
        """Events that come from now on go to these webhooks."""
        self._webhooks, self._priorities = webhooks, priorities

    async def accept(
        self,
        event: TicketEvent,
        raw: bytes,
        *,
        source: str,
        key: str | None = None,
        only: Sequence[Webhook] | None = None,
    ) -> Added:
        """Store ``event`` for the webhooks it matches.

        ``only`` names them, and skips the routing: a trial (``send``), a play. It neither uses nor changes what is
        known of a ticket, which may be a customer's.

        Returns after the commit. ``KeyReusedError``, ``StoreBusyError`` and ``StoreError`` as the store says.
        Events of one ticket are stored in the order in which they were handed in.
        """
        if full := self._refusal():
            raise StoreBusyError(full)
        event = TicketEvent(
            action=event.action,
            ticket=event.ticket,
            variables=event.variables,
            id=f"{_ids.getrandbits(128):032x}",
            source=source,
            received_at=self._clock(),
        )
        if only is not None:
            return await self._add(event, raw, only, key, None)
        event, news = await self._memory.complete(event, perhaps_known=key is not None)
        webhooks = webhooks_for(event, self._webhooks, self._priorities)
        return await self._add(event, raw, webhooks, key, news)

    async def _add(
        self,
        event: TicketEvent,
        raw: bytes,
        webhooks: Sequence[Webhook],
        key: str | None,
        facts: TicketFacts | None,
    ) -> Added:
        stored = False
        try:
            added = await self._store.add(event, raw, webhooks=webhooks, key=key, facts=facts)
            stored = not added.replayed
        finally:
            if not stored:
                self._memory.forget(event)
        if stored:
            names = [webhook.name for webhook in webhooks]
            self._wake(names)
            self._accepted(event, names)
        return added


class _TicketMemory:
    """What the events of each ticket last said: the latest tickets here, all of them in the store.

    It is ahead of the store: what it holds is being written, or was. That is right because the store does its work
    in the order of the calls, and because what was not written is forgotten.
    """

    def __init__(self, store: Store, size: int) -> None:
        self._store = store
        self._size = size
        self._facts: dict[tuple[str, str], TicketFacts] = {}
        self._recalling: Counter[tuple[str, str]] = Counter()

    async def complete(
        self, event: TicketEvent, *, perhaps_known: bool
    ) -> tuple[TicketEvent, TicketFacts | None]:
        """The event with what its ticket said before, and what is to be stored of the ticket if that is new.

        One that is ``perhaps_known`` may be an old one again, which says nothing new: only the store can tell, so
        the next event of the ticket asks it.
        """
        if not event.ticket:
            return event, None
        identity = (event.source, event.ticket)
        told = _facts_of(event.variables)
        known = self._facts.get(identity)
        # An event that waits for the store must not be overtaken by the next one of its ticket.
        if self._recalling[identity] or (known is None and not _says_all(told)):
            known = await self._recall(identity)
        facts = _merged(told, known or _NOTHING)
        if perhaps_known:
            self.forget(event)
        else:
            self._remember(identity, facts)
        if facts != told:
            event = replace(event, variables=_filled(event.variables, facts))
        return event, facts if facts != known else None

    def forget(self, event: TicketEvent) -> None:
        """``event`` was not stored: what it said does not count."""
        self._facts.pop((event.source, event.ticket), None)

    async def _recall(self, identity: tuple[str, str]) -> TicketFacts:
        self._recalling[identity] += 1
        try:
            recalled = await self._store.recall(*identity)
        finally:
            self._recalling[identity] -= 1
            if not self._recalling[identity]:
                del self._recalling[identity]
        return self._facts.get(identity, recalled)

    def _remember(self, identity: tuple[str, str], facts: TicketFacts) -> None:
        self._facts[identity] = facts
        # Those who wait for the store learn from here what was said meanwhile.
        while len(self._facts) > self._size and (oldest := next(iter(self._facts))) not in self._recalling:
            del self._facts[oldest]


def _facts_of(variables: Mapping[str, str]) -> TicketFacts:
    return TicketFacts(
        priority=variables.get("priority", "").strip(),
        department=variables.get("departmentname", "").strip(),
        subject=variables.get("subject", "").strip(),
    )


def _says_all(facts: TicketFacts) -> bool:
    return bool(facts.priority and facts.department and facts.subject)


def _merged(told: TicketFacts, known: TicketFacts) -> TicketFacts:
    return TicketFacts(
        priority=told.priority or known.priority,
        department=told.department or known.department,
        subject=told.subject or known.subject,
    )


def _filled(variables: Mapping[str, str], facts: TicketFacts) -> dict[str, str]:
    """``variables``, where those that are blank have what is known; what was sent stays as it was sent."""
    known = {"priority": facts.priority, "departmentname": facts.department, "subject": facts.subject}
    blank = {name for name in known if not variables.get(name, "").strip()}
    return {**variables, **{name: known[name] for name in blank if known[name]}}
