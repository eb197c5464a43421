"""Sample events: what ``preview`` and ``send`` use when no real one is handed in. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

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
    """A sample event of the webhook's action: a source's own body for its own action, else the native event
    with a value for every variable that ``sources`` know."""
    adapters = tuple(sources)
    action = _first_action(webhook)
    for adapter in adapters:
        for word in adapter.actions:
            if word.casefold() == action.casefold() and action not in tuple(Action):
                return _read(adapter.sample(word), adapter)
    known = {name: value for adapter in adapters for name, value in adapter.variables.items()}
    return _read({**known, **NativeSource().sample(action)}, NativeSource())


def _read(body: Mapping[str, Any], adapter: Source) -> Sample:
    return read_sample(json.dumps(body, ensure_ascii=False).encode(), adapter)


def read_sample(raw: bytes, adapter: Source) -> Sample:
    """``raw`` as ``adapter`` reads it; ``EventError`` when it is no event."""
    return Sample(adapter.parse(EventRequest(raw, {"content-type": "application/json"})), raw, adapter.name)


def _first_action(webhook: Webhook) -> str:
    """The first of the ticket actions that the webhook takes, else the first of its own; Submit where it names none."""
    if not webhook.actions:
        return Action.SUBMIT
    for action in Action:
        if action.casefold() in webhook.actions:
            return action
    return action_named(min(webhook.actions))
