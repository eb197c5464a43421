"""Sample events: what ``preview`` and ``send`` use when no real one is handed in. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from .event import Action, TicketEvent, action_named
from .settings import Webhook
from .source import EventRequest, NativeSource, Source


@dataclass(frozen=True, slots=True)
class Sample:
    """An event, the body it was read from, and the name of its source."""

    event: TicketEvent
    raw: bytes
    source: str

    def event_at(self, received_at: datetime) -> TicketEvent:
        """The event as if it came in now."""
        return replace(self.event, id="sample", source=self.source, received_at=received_at)


def sample_for(webhook: Webhook, sources: Iterable[Source]) -> Sample:
    """A sample event of the webhook's action, with a value for every variable that ``sources`` know."""
    adapters = tuple(sources)
    action = _first_action(webhook)
    own = next(
        (adapter for adapter in adapters if action in adapter.actions and action not in tuple(Action)), None
    )
    adapter = own or NativeSource()
    body = adapter.sample(action)
    if own is None:
        body = {**{name: value for each in adapters for name, value in each.variables.items()}, **body}
    return read_sample(json.dumps(body, ensure_ascii=False).encode(), adapter)


def read_sample(raw: bytes, adapter: Source) -> Sample:
    """``raw`` as ``adapter`` reads it; ``EventError`` when it is no event."""
    return Sample(adapter.parse(EventRequest(raw, {"content-type": "application/json"})), raw, adapter.name)


def _first_action(webhook: Webhook) -> str:
    """The first of the ticket actions that the webhook takes, else the first of its own."""
    if webhook.actions is None:
        return Action.SUBMIT
    for action in Action:
        if action.casefold() in webhook.actions:
            return action
    return action_named(min(webhook.actions))
