"""``deskbell resume``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .alone import own_store
from .setting import config_option, ending_with_1, read_setting, webhook_named

if TYPE_CHECKING:
    from deskbell.settings import Config, Webhook


@click.command()
@click.argument("webhook_name", metavar="WEBHOOK")
@config_option
def command(webhook_name: str, config_path: Path) -> None:
    """Go on with WEBHOOK after it was paused, because its service said that it was deleted or revoked."""
    config = read_setting(config_path).config()
    webhook = webhook_named(config, webhook_name)
    with ending_with_1():
        click.echo(f"webhook {webhook.name} {asyncio.run(_resume(config, webhook))}")


async def _resume(config: Config, webhook: Webhook) -> str:
    """What became of it, in words."""
    from deskbell.control import ask
    from deskbell.errors import DeskbellError
    from deskbell.log import one_line

    before = await ask(config.store, "resume", webhook=webhook.name)
    later = " once `deskbell serve` runs" if before is None else ""
    if before is None:
        before = await _resume_alone(config, webhook)
    if "error" in before:
        raise DeskbellError(before["error"])
    if before["paused"]:
        return f"goes on{later}"
    if before["reason"]:
        return one_line(f"was not paused, but waited: {before['reason']}. It tries again{later or ' now'}")
    return "is not paused: there is nothing to resume"


async def _resume_alone(config: Config, webhook: Webhook) -> dict[str, Any]:
    """No ``serve`` is running: write the store here."""
    from deskbell.app import now
    from deskbell.delivery import Destination
    from deskbell.store.reading import list_troubles

    before = list_troubles(config.store).get(webhook.destination, Destination())
    if before.paused or before.reason:
        async with own_store(config.store) as store:
            await store.resume(webhook.destination, _sharing(config, webhook), now=now())
    return {"paused": before.paused, "reason": before.reason}


def _sharing(config: Config, webhook: Webhook) -> list[str]:
    return [other.name for other in config.webhooks if other.destination == webhook.destination]
