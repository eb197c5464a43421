"""``deskbell deliveries``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deskbell.delivery import State

from .setting import config_option, read_setting, webhook_named

if TYPE_CHECKING:
    from datetime import tzinfo

    from deskbell.store import Listed

_TIME = "%Y-%m-%d %H:%M:%S"
_HEADINGS = ("ID", "TIME", "TICKET", "ACTION", "WEBHOOK", "STATE", "TRIES", "ANSWER")


@click.command()
@config_option
@click.option(
    "--state", type=click.Choice([str(state) for state in State]), help="Only deliveries in this state."
)
@click.option("--webhook", help="Only those of this webhook.")
@click.option("--ticket", help="Only those of this ticket.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(
    config_path: Path, state: str | None, webhook: str | None, ticket: str | None, limit: int, as_json: bool
) -> None:
    """What was sent, when, and the answer; the newest first."""
    from deskbell.errors import StoreError
    from deskbell.store.reading import Filter, list_deliveries

    config = read_setting(config_path).config()
    wanted = Filter(State(state) if state else None, webhook, ticket, limit)
    try:
        found = list_deliveries(config.store, wanted)
    except StoreError as error:
        click.echo(f"deskbell: {error}", err=True)
        sys.exit(1)
    if webhook is not None and not found:
        webhook_named(config, webhook)  # ends the command when there is no such webhook
    if as_json:
        for listed in found:
            click.echo(json.dumps(_as_json(listed), ensure_ascii=False))
    else:
        _table([_HEADINGS, *(_row(listed, config.timezone) for listed in found)])


def _as_json(listed: Listed) -> dict[str, Any]:
    delivery = listed.delivery
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "webhook": delivery.webhook,
        "transport": delivery.transport,
        "ticket": delivery.ticket,
        "action": delivery.action,
        "state": str(delivery.state),
        "attempts": delivery.attempts,
        "reason": delivery.reason,
        "next_at": delivery.next_at.isoformat() if delivery.next_at else None,
        "receipt": delivery.receipt,
        "maybe_duplicate": delivery.maybe_duplicate,
        "replays": delivery.replays,
        "received_at": listed.received_at.isoformat(),
        "attempted_at": listed.attempted_at.isoformat() if listed.attempted_at else None,
        "answer": listed.detail,
    }


def _row(listed: Listed, timezone: tzinfo) -> tuple[str, ...]:
    delivery = listed.delivery
    answer = delivery.reason or listed.detail
    if delivery.next_at and delivery.state == "ready":
        answer += f"; next try {delivery.next_at.astimezone(timezone):%H:%M:%S}"
    if delivery.maybe_duplicate:
        answer += " (maybe a duplicate)"
    return (
        str(delivery.id),
        listed.received_at.astimezone(timezone).strftime(_TIME),
        delivery.ticket,
        delivery.action,
        delivery.webhook,
        str(delivery.state),
        str(delivery.attempts),
        answer,
    )


def _table(rows: list[tuple[str, ...]]) -> None:
    from deskbell.log import one_line

    shown = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*shown, strict=True)]
    for row in shown:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
