"""Which transport a URL belongs to, and what its channel is called."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from deskbell.secret import Secret
from deskbell.transport import Transport

from .draft import Channel

CHANNEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}", re.ASCII)
_PLAYED = ("discord", "slack")
"""The channels of an owner who has no URL yet, where their transports are there."""
_NOT_IN_URLS = re.compile(r"[\s\x00-\x1f\x7f'\"\\]|[^\x00-\x7f]")
"""Signs that no service puts into a URL, and some of which would mean something in secrets.env."""


def transport_of(url: str, transports: Mapping[str, Transport[Any]]) -> str:
    """The one installed transport that recognises ``url`` and can send there; empty when there is none."""
    if not url or _NOT_IN_URLS.search(url):
        return ""
    known = [name for name, transport in transports.items() if _takes(transport, url)]
    return known[0] if len(known) == 1 else ""


def _takes(transport: Transport[Any], url: str) -> bool:
    try:
        return transport.recognises(url) and not (transport.unavailable() or transport.refuses(url))
    except Exception:  # noqa: BLE001 - a plugin's own code
        return False


def examples(transports: Iterable[Transport[Any]]) -> str:
    """What the URLs of Discord and Slack look like, or of whoever is installed."""
    by_name = {transport.name: transport.example_url for transport in transports if transport.example_url}
    shown = [by_name[name] for name in _PLAYED if name in by_name] or list(by_name.values())
    return ", ".join(f"{url[:48]}…" for url in shown)


def channel_for(url: str, transport: str, taken: Collection[str], *, name: str = "") -> Channel:
    """A channel with a name of its own: ``discord``, ``discord-2``."""
    wanted = name or transport
    free, number = wanted, 2
    while _variable_name(free) in map(_variable_name, taken):
        free, number = f"{wanted}-{number}", number + 1
    return Channel(free, transport, Secret(url))


def _variable_name(name: str) -> str:
    return Channel(name, "").variable


def played_channels(transports: Mapping[str, Transport[Any]]) -> list[Channel]:
    """Without a URL."""
    return [Channel(name, name) for name in _PLAYED if name in transports]
