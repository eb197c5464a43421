"""How deliveries, events and destinations look as rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from deskbell.delivery import Delivery, Destination, State
from deskbell.event import TicketEvent

if TYPE_CHECKING:
    from . import TicketFacts

Row: TypeAlias = tuple[Any, ...]

DELIVERY = (
    "d.id, e.id, d.webhook, d.transport, e.ticket, e.action, d.state, d.due_from, d.attempts, d.setbacks,"
    " d.reason, d.receipt, d.next_at, d.maybe_duplicate, d.replays, d.gap, d.ended_at"
)
"""The columns that ``delivery`` reads, from ``delivery d JOIN event e``."""
DELIVERY_COLUMNS = DELIVERY.count(",") + 1
EVENT = "e.source, e.variables, e.received_at"
"""The further columns that ``event`` reads, after those of ``DELIVERY``."""


def text(value: str) -> str:
    """``value`` as SQLite can hold it: a lone surrogate, which is no character, becomes its escape."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def seconds(at: datetime | None) -> float | None:
    """A time as it is stored."""
    return at.timestamp() if at else None


def moment(stored: float | None) -> datetime | None:
    """A stored time."""
    return datetime.fromtimestamp(stored, UTC) if stored is not None else None


def order_key(of: TicketEvent) -> str:
    """What the events of one ticket share; an event without a ticket shares it with none."""
    return text(f"{of.source}\n{of.ticket}") if of.ticket else of.id


def facts(told: TicketFacts) -> str:
    """What a ticket's events said, as it is stored; ``TicketFacts(**json.loads(…))`` reads it."""
    return json.dumps({"priority": told.priority, "department": told.department, "subject": told.subject})


def delivery(row: Row) -> Delivery:
    """The delivery in the first columns of ``row``."""
    (
        number,
        event_id,
        webhook,
        transport,
        ticket,
        action,
        state,
        due_from,
        attempts,
        setbacks,
        reason,
        receipt,
        next_at,
        maybe_duplicate,
        replays,
        gap,
        ended_at,
    ) = row[:DELIVERY_COLUMNS]
    return Delivery(
        id=number,
        event_id=event_id,
        webhook=webhook,
        transport=transport,
        ticket=ticket,
        action=action,
        state=State(state),
        due_from=datetime.fromtimestamp(due_from, UTC),
        attempts=attempts,
        setbacks=setbacks,
        reason=reason,
        receipt=receipt,
        next_at=moment(next_at),
        maybe_duplicate=bool(maybe_duplicate),
        replays=replays,
        gap=bool(gap),
        ended_at=moment(ended_at),
    )


def event(row: Row, of: Delivery) -> TicketEvent:
    """The event in the columns after those of ``of``."""
    source, variables, received_at = row[DELIVERY_COLUMNS : DELIVERY_COLUMNS + 3]
    return TicketEvent(
        id=of.event_id,
        source=source,
        action=of.action,
        ticket=of.ticket,
        variables=json.loads(variables),
        received_at=datetime.fromtimestamp(received_at, UTC),
    )


def destination(row: Row) -> Destination:
    """The destination in ``until, reason, paused, failures, refusals, last_failed``."""
    until, reason, paused, failures, refusals, last_failed = row
    return Destination(
        until=moment(until),
        reason=reason,
        paused=bool(paused),
        failures=failures,
        refusals=refusals,
        last_failed=last_failed,
    )
