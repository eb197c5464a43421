"""The config of ``deskbell demo``: every service that can be played, and waits that are short enough to watch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from deskbell.secret import Secret
from deskbell.settings import DEMO_SCHEME
from deskbell.transport import Transport

from .draft import TICKETS, Channel, usual_entries

RETRY = "2s, 4s, 8s, 15s"
_HEAD = """\
version: 1
server: {{listen: "{listen}"}}
store: sqlite:///deskbell.db
timezone: {timezone}
date_format: "%Y-%m-%d %H:%M"
sources:
{sources}
webhooks:
{webhooks}
"""


def playable(transports: Mapping[str, Transport[Any]]) -> list[str]:
    """The names of those that bring their service, and need no options."""
    return [name for name, transport in transports.items() if _plays(transport)]


def _plays(transport: Transport[Any]) -> bool:
    try:
        transport.options_type()
        return not transport.unavailable() and transport.fake() is not None
    except Exception:  # noqa: BLE001 - a plugin's own code: it is left out
        return False


def demo_config(
    transports: Iterable[str],
    sources: Iterable[str],
    *,
    language: str,
    listen: str,
    timezone: str,
    token: Secret,
) -> str:
    """The text of config.yaml. No variable of the environment is in it: nothing may lead to a real service."""
    entries = [
        replace(entry, url=f"{DEMO_SCHEME}{name}", retry=RETRY)
        for name in transports
        for entry in usual_entries([Channel(name, name)], language, TICKETS)
    ]
    return _HEAD.format(
        listen=listen,
        timezone=timezone,
        sources="\n".join(f"  - {{name: {name}, token: {token.reveal()}}}" for name in sources),
        webhooks="\n\n".join(map(str, entries)),
    )
