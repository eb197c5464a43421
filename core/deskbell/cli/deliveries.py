"""``deskbell deliveries``."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import click

from deskbell.delivery import State

from .listing import Listing
from .setting import config_option, ending_with_1, read_setting, webhook_named
from .since import since_at, since_option
from .troubles import find_troubles, tell_troubles


@click.command()
@config_option
@click.option(
    "--state", type=click.Choice([str(state) for state in State]), help="Only deliveries in this state."
)
@click.option("--webhook", help="Only those of this webhook.")
@click.option("--ticket", help="Only those of this ticket.")
@since_option
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(
    config_path: Path,
    state: str | None,
    webhook: str | None,
    ticket: str | None,
    since: timedelta | datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """What was sent, when, and the answer; the newest first. Webhooks that are held up are told on stderr."""
    from deskbell.store.reading import Filter, list_deliveries

    config = read_setting(config_path).config()
    wanted = Filter(
        state=State(state) if state else None,
        webhook=webhook,
        ticket=ticket,
        since=since_at(since, config.timezone),
        limit=limit,
    )
    with ending_with_1():
        found = list_deliveries(config.store, wanted)
        troubles = find_troubles(config)
    if webhook is not None and not found:
        webhook_named(config, webhook)  # ends the command when there is no such webhook
    concerned = {name: trouble for name, trouble in troubles.items() if webhook in (None, name)}
    tell_troubles(concerned, config.timezone)
    listing = Listing(config.timezone, troubles)
    if as_json:
        for listed in found:
            click.echo(json.dumps(listing.as_json(listed), ensure_ascii=False))
    else:
        listing.show(found)
