"""Which webhooks an event goes to, and the reason for each that it does not go to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .event import TicketEvent
from .settings import Webhook


def priority_level(label: str, levels: Mapping[str, str]) -> str:
    """``low``, ``medium`` or ``high`` for a label in any known language; else the label, in lower case."""
    word = label.strip().casefold()
    return levels.get(word, word)


def webhooks_for(
    event: TicketEvent, webhooks: Iterable[Webhook], levels: Mapping[str, str]
) -> tuple[Webhook, ...]:
    """The webhooks that take ``event``, in the order of the config."""
    return tuple(webhook for webhook in webhooks if not why_not(event, webhook, levels))


def why_not(event: TicketEvent, webhook: Webhook, levels: Mapping[str, str]) -> str:
    """Why ``webhook`` does not take ``event``, in words; empty when it does."""
    if not webhook.enabled:
        return "the webhook is disabled"
    if webhook.actions is not None and event.action.casefold() not in webhook.actions:
        return f"it does not take the action {event.action}"
    when = webhook.when
    if when.sources and event.source.casefold() not in when.sources:
        return f"it does not take the source {event.source}"
    department = event.variables.get("departmentname", "").strip()
    if when.departments and department.casefold() not in when.departments:
        return f"it does not take the department {department or '(unknown)'}"
    priority = event.variables.get("priority", "").strip()
    if when.priorities and priority_level(priority, levels) not in when.priorities:
        return f"it does not take the priority {priority or '(unknown)'}"
    return ""
