"""What a webhook would send for an event, as a lane formats it, and how it came out. Nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from .errand import format_payload, plugin_of
from .event import TicketEvent
from .notice import Notice, Rendering
from .redaction import Redactor
from .settings import Webhook
from .testing.picture import Picture
from .transport import Payload, Transport


@dataclass(frozen=True, slots=True)
class Preview:
    """``payload`` is free of secrets; ``fault`` says why there is none, whose fault it is and where."""

    webhook: Webhook
    payload: Payload = field(default_factory=dict)
    renderings: Sequence[Rendering] = ()
    fault: str = ""

    @property
    def cut(self) -> tuple[str, ...]:
        """The variables that were shortened to fit the limit."""
        return tuple(dict.fromkeys(name for each in self.renderings for name in each.cut))

    @property
    def defused(self) -> Mapping[str, Sequence[str]]:
        """The variables that hold the service's own marks, and where: its readers see them as plain text."""
        return {name: words for each in self.renderings for name, words in each.defused.items()}


def preview(webhook: Webhook, event: TicketEvent, *, timezone: tzinfo, date_format: str) -> Preview:
    """Format ``event``. It raises nothing, whatever the plugin does; one that hangs hangs here, so use a thread."""
    renderings: list[Rendering] = []

    def make_notice() -> Notice:
        return Notice.of(
            event, webhook.template, timezone=timezone, date_format=date_format, renderings=renderings
        )

    formatted = format_payload(webhook, make_notice, Redactor(webhook, webhook.url))
    if formatted.fault:
        return Preview(webhook, fault=formatted.fault.detail)
    try:
        return Preview(webhook, json.loads(formatted.text), tuple(renderings))
    except ValueError:
        fault = f"{plugin_of(webhook)}: redact failed, or left no JSON: the message may hold a secret"
        return Preview(webhook, fault=fault)


def picture(transport: Transport[Any], payload: Payload) -> str:
    """The transport's own HTML of ``payload``, safe to show; empty where it draws none, or not by the rules."""
    try:
        drawn = transport.picture(payload)
        return "" if Picture(drawn).faults else drawn
    except (Exception, SystemExit):  # noqa: BLE001 - a plugin's own code: what it sends is shown all the same
        return ""
