"""``deskbell send``."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .samples import chosen_sample, event_options
from .setting import Setting, config_option, read_setting, webhook_named

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
    for attempt in trial["attempts"]:
        click.echo(f"  {attempt['detail'] or attempt['outcome']} in {attempt['seconds'] * 1000:.0f} ms")
    if trial["state"] == "delivered":
        receipt = f", message {trial['receipt']}" if trial["receipt"] else ""
        click.echo(f"delivered{receipt}")
        return 0
    if trial["state"] == "dead":
        click.echo(f"not delivered, and not tried again: {trial['reason']}")
    else:
        at = datetime.fromisoformat(trial["next_at"]).astimezone(timezone) if trial["next_at"] else None
        following = f"; next try at {at:%H:%M:%S}" if at else ""
        click.echo(
            f"not delivered yet: {trial['reason'] or 'it waits its turn'}{following}. It stays in the queue"
        )
    return 1
