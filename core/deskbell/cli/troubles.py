"""Which webhooks are held up, as the store knows it: paused, or waiting after a failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from deskbell.delivery import Destination
    from deskbell.settings import Config, Webhook

_TIME = "%Y-%m-%d %H:%M:%S"


def shown_time(at: datetime, timezone: tzinfo) -> str:
    """A time as every command shows it; the zone is named by ``zone_name``, once."""
    return at.astimezone(timezone).strftime(_TIME)


def zone_name(timezone: tzinfo) -> str:
    """``Europe/Paris``."""
    return str(timezone)


def find_troubles(config: Config) -> dict[str, Destination]:
    """The active webhooks that are paused or wait, and what their destination, or its service, has. ``StoreError``."""
    from deskbell.store.reading import list_troubles

    known = list_troubles(config.store)
    now = datetime.now(UTC)
    found = ((webhook.name, _trouble(webhook, known, now)) for webhook in config.active_webhooks)
    return {name: trouble for name, trouble in found if trouble}


def tell_troubles(troubles: Mapping[str, Destination], timezone: tzinfo) -> None:
    """On stderr, so that what a script reads stays clean."""
    from deskbell.log import one_line

    for name, trouble in troubles.items():
        if trouble.paused:
            words = f"is PAUSED: {trouble.reason}. Give it a working URL, or `deskbell resume {name}`"
        else:
            words = f"waits {until(trouble, timezone)}: {trouble.reason}. It then tries again by itself"
        click.secho(one_line(f"webhook {name} {words}"), err=True, bold=True)


def until(trouble: Destination, timezone: tzinfo) -> str:
    """``until 2026-11-22 18:50:03 (Europe/Paris)``."""
    return f"until {shown_time(trouble.until, timezone)} ({zone_name(timezone)})" if trouble.until else ""


def _trouble(webhook: Webhook, known: Mapping[str, Destination], now: datetime) -> Destination | None:
    from deskbell.outlook import worst

    return worst((known[identity] for identity in _places(webhook) if identity in known), now)


def _places(webhook: Webhook) -> Iterator[str]:
    """The destination, and its whole service where it is at the service's own host."""
    from deskbell.store import SERVICE

    yield webhook.destination
    try:
        own_host = webhook.transport.recognises(webhook.url.reveal())
    except (Exception, SystemExit):  # noqa: BLE001 - a plugin that cannot say: `serve` logs it, and keeps its lanes apart
        own_host = False
    if own_host:
        yield f"{SERVICE}{webhook.transport.name}"
