"""``deskbell send``."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .samples import chosen_sample, event_options
from .setting import Setting, config_option, read_setting, webhook_named
from .troubles import shown_time, zone_name

if TYPE_CHECKING:
    from deskbell.samples import Sample
    from deskbell.settings import Config, Webhook


@click.command()
@click.argument("webhook_name", metavar="WEBHOOK")
@config_option
@event_options
def command(webhook_name: str, config_path: Path, event_path: Path | None, source_name: str | None) -> None:
    """Send a sample event to WEBHOOK through the real queue, and print the service's answer."""
    setting = read_setting(config_path)
    config = setting.config()
    webhook = webhook_named(config, webhook_name)
    if not webhook.enabled:
        click.echo(f"deskbell: webhook '{webhook.name}' is disabled: set enabled: true first", err=True)
        sys.exit(1)
    sample = chosen_sample(config, webhook, event_path, source_name)
    trial = asyncio.run(_send(config, setting, webhook, sample))
    sys.exit(_show(trial, webhook, config.timezone))


async def _send(config: Config, setting: Setting, webhook: Webhook, sample: Sample) -> dict[str, Any]:
    """Through the running ``serve`` where there is one: only one process writes the store."""
    from deskbell.app import running_core
    from deskbell.control import ask
    from deskbell.trial import try_webhook

    answer = await ask(
        config.store, "send", webhook=webhook.name, body=sample.raw.decode(), adapter=sample.source
    )
    if answer is not None:
        return answer
    own_lane = webhook.destination
    async with running_core(
        config, setting.plugins, wake=lambda other: other.destination == own_lane
    ) as core:
        return asdict(await try_webhook(core.intake, core.dispatcher, webhook, sample))


def _show(trial: dict[str, Any], webhook: Webhook, timezone: tzinfo) -> int:
    if "error" in trial:
        click.echo(f"deskbell: {trial['error']}", err=True)
        return 1
    click.echo(f"event {trial['event_id']} to {webhook.name} ({webhook.transport.name})")
    for line in _answers(trial["attempts"]):
        click.echo(f"  {line}")
    if trial["state"] == "delivered":
        receipt = f", message {trial['receipt']}" if trial["receipt"] else ""
        click.echo(f"delivered{receipt}")
        return 0
    if trial["state"] == "dead":
        click.echo(f"not delivered, and not tried again: {trial['reason']}")
        return 1
    at = f"; next try at {_moment(trial['next_at'], timezone)}" if trial["next_at"] else ""
    click.echo(f"not delivered yet: {trial['reason'] or 'it waits its turn'}{at}")
    click.echo(f"This event stays in the queue: `deskbell deliveries --webhook {webhook.name}` shows it.")
    return 1


def _answers(attempts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each answer once, with its number and its times: ``503 busy, 3 times, in 12 to 40 ms``."""
    times = defaultdict[str, list[float]](list)
    for attempt in attempts:
        times[attempt["detail"] or attempt["outcome"]].append(attempt["seconds"] * 1000)
    for answer, taken in times.items():
        if len(taken) == 1:
            yield f"{answer} in {taken[0]:.0f} ms"
        else:
            yield f"{answer}, {len(taken)} times, in {min(taken):.0f} to {max(taken):.0f} ms"


def _moment(at: str, timezone: tzinfo) -> str:
    return f"{shown_time(datetime.fromisoformat(at), timezone)} ({zone_name(timezone)})"
