"""``deskbell replay``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deskbell.delivery import State, may_replay

from .alone import own_store
from .listing import Listing, show_table
from .setting import config_option, ending_with_1, read_setting, webhook_named
from .since import since_at, since_option
from .troubles import find_troubles, shown_time, tell_troubles

if TYPE_CHECKING:
    from deskbell.settings import Config
    from deskbell.store import Listed

_LONGEST_TABLE = 50
"""Rows; more are counted by webhook."""


@dataclass(slots=True)
class _Replaying:
    """What became of it: how many go again, why others do not, and whether a ``serve`` took it up."""

    count: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    alone: bool = False

    def note(self, ids: Sequence[int], refused: Mapping[int, str]) -> None:
        """What became of one helping."""
        self.count += len(ids)
        self.refused |= refused


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=click.IntRange(min=1))
@config_option
@click.option("--dead", is_flag=True, help="Every dead delivery, instead of those named.")
@click.option("--webhook", help="With --dead: only those of this webhook.")
@since_option
@click.option("--dry-run", is_flag=True, help="Show which they are, and change nothing.")
def command(
    ids: tuple[int, ...],
    config_path: Path,
    dead: bool,
    webhook: str | None,
    since: timedelta | datetime | None,
    dry_run: bool,
) -> None:
    """Deliver again what is dead, or deliveries that ended, by ID. Each keeps its ID and its place in the order."""
    from deskbell.store.reading import Filter, list_deliveries

    if dead == bool(ids):
        raise click.UsageError("name the deliveries by their IDs, or say --dead: one of the two")
    if ids and (webhook is not None or since is not None):
        raise click.UsageError("--webhook and --since choose among the dead: say --dead instead of IDs")
    config = read_setting(config_path).config()
    wanted = (
        Filter(state=State.DEAD, webhook=webhook, since=since_at(since, config.timezone), limit=None)
        if dead
        else Filter(ids=ids, limit=None)
    )
    with ending_with_1():
        found = list_deliveries(config.store, wanted)
        if webhook is not None and not found:
            webhook_named(config, webhook)  # ends the command when there is no such webhook
        sys.exit(_replay(config, ids, found, dry_run=dry_run))


def _replay(config: Config, ids: Sequence[int], found: Sequence[Listed], *, dry_run: bool) -> int:
    """Show what goes again, and let it go. The exit code."""
    going = [listed for listed in found if may_replay(listed.delivery.state)]
    refused = _refused(ids, {listed.delivery.id: listed.delivery.state for listed in found})
    _show(config, going)
    if dry_run:
        result = _Replaying(len(going))
        click.echo(f"{_counted(result.count)} would go again; nothing is changed")
    else:
        result = asyncio.run(_let_go(config.store, [listed.delivery.id for listed in going]))
        later = ", once `deskbell serve` runs" if result.alone else ""
        click.echo(f"{_counted(result.count)} {'goes' if result.count == 1 else 'go'} again{later}")
    _tell_what_waits(config, {listed.delivery.webhook for listed in going})
    for number, reason in sorted({**refused, **result.refused}.items()):
        click.echo(f"deskbell: delivery {number}: {reason}", err=True)
    return 1 if refused or result.refused else 0


def _refused(ids: Sequence[int], states: Mapping[int, State]) -> dict[int, str]:
    absent = {number: "there is no such delivery" for number in ids if number not in states}
    unfinished = {
        number: f"it is {state}, and has not ended"
        for number, state in states.items()
        if not may_replay(state)
    }
    return absent | unfinished


async def _let_go(store_path: Path, ids: Sequence[int]) -> _Replaying:
    from deskbell.control import ask
    from deskbell.errors import DeskbellError
    from deskbell.outlook import helpings

    result = _Replaying()
    left = list(helpings(ids))
    while left:
        answer = await ask(store_path, "replay", ids=left[0])
        if answer is None:
            await _let_go_alone(store_path, left, result)
            break
        if "error" in answer:
            raise DeskbellError(answer["error"])
        result.note(answer["ids"], {int(number): reason for number, reason in answer["refused"].items()})
        del left[0]
    return result


async def _let_go_alone(store_path: Path, left: Sequence[Sequence[int]], result: _Replaying) -> None:
    """No ``serve`` is running (any more): write the store here."""
    from deskbell.app import now

    result.alone = True
    async with own_store(store_path) as store:
        for helping in left:
            replayed = await store.replay(helping, now=now())
            result.note(replayed.ids, replayed.refused)


def _show(config: Config, going: Sequence[Listed]) -> None:
    if not going:
        return
    listing = Listing(config.timezone, {})
    if len(going) <= _LONGEST_TABLE:
        listing.show(going)
        return
    rows = [("WEBHOOK", "DELIVERIES", f"FIRST {listing.time_heading}", "LAST TIME")]
    by_webhook = sorted(going, key=lambda listed: (listed.delivery.webhook, listed.received_at))
    for name, group in groupby(by_webhook, key=lambda listed: listed.delivery.webhook):
        times = [shown_time(listed.received_at, config.timezone) for listed in group]
        rows.append((name, str(len(times)), times[0], times[-1]))
    show_table(rows)


def _tell_what_waits(config: Config, webhooks: set[str]) -> None:
    """Going again is not yet going: a webhook may be gone, paused, or waiting."""
    active = {webhook.name for webhook in config.active_webhooks}
    for name in sorted(webhooks - active):
        click.echo(f"webhook {name} is disabled, or not in the config: what is for it is held", err=True)
    troubles = find_troubles(config)
    tell_troubles({name: troubles[name] for name in troubles if name in webhooks}, config.timezone)


def _counted(number: int) -> str:
    return "1 delivery" if number == 1 else f"{number} deliveries"
