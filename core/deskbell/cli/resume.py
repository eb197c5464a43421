"""``deskbell resume``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .setting import config_option, read_setting, webhook_named

if TYPE_CHECKING:
    from deskbell.settings import Config, Webhook


@click.command()
@click.argument("webhook_name", metavar="WEBHOOK")
@config_option
def command(webhook_name: str, config_path: Path) -> None:
    """Go on with WEBHOOK after it was paused, because its service said that it was deleted or revoked."""
    from deskbell.control import ask

    config = read_setting(config_path).config()
    webhook = webhook_named(config, webhook_name)
    answer = asyncio.run(ask(config.store, "resume", webhook=webhook.name))
    if answer is None:
        asyncio.run(_resume_alone(config.store, webhook.destination, _sharing(config, webhook)))
    elif "error" in answer:
        click.echo(f"deskbell: {answer['error']}", err=True)
        sys.exit(1)
    click.echo(f"webhook {webhook.name} goes on")


async def _resume_alone(store_path: Path, destination: str, names: list[str]) -> None:
    """No ``serve`` is running: write the store here."""
    from deskbell.app import now
    from deskbell.store import open_store

    store = open_store(store_path)
    try:
        await store.resume(destination, names, now=now())
    finally:
        await store.close()


def _sharing(config: Config, webhook: Webhook) -> list[str]:
    return [other.name for other in config.webhooks if other.destination == webhook.destination]
