"""``deskbell preview``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .samples import chosen_sample, event_options
from .setting import config_option, read_setting, webhook_named

if TYPE_CHECKING:
    from deskbell.notice import Rendering
    from deskbell.settings import Webhook


@click.command()
@click.argument("webhook_name", metavar="WEBHOOK")
@config_option
@event_options
@click.option("--json", "as_json", is_flag=True, help="The payload, as it would be sent.")
def command(
    webhook_name: str, config_path: Path, event_path: Path | None, source_name: str | None, as_json: bool
) -> None:
    """Show what WEBHOOK would send, and send nothing."""
    from deskbell import trace
    from deskbell.app import now
    from deskbell.notice import Notice

    config = read_setting(config_path).config()
    webhook = webhook_named(config, webhook_name)
    sample = chosen_sample(config, webhook, event_path, source_name)
    renderings: list[Rendering] = []
    notice = Notice.of(
        sample.event_at(now()),
        webhook.template,
        timezone=config.timezone,
        date_format=config.date_format,
        renderings=renderings,
    )
    given = {"notice": notice, "options": webhook.options}
    payload = trace.call(webhook.transport.name, webhook.transport.format, given)
    if as_json:
        shown = {"webhook": webhook.name, "transport": webhook.transport.name, "payload": payload}
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        _show(webhook, webhook.transport.readable(payload), renderings)


def _show(webhook: Webhook, text: str, renderings: list[Rendering]) -> None:
    sizes = ", ".join(f"{rendering.size} / {rendering.limit}" for rendering in renderings)
    click.echo(f"{webhook.name} ({webhook.transport.name})  {sizes} characters")
    for line in text.splitlines():
        click.echo(f"┃ {line}")
    for rendering in renderings:
        for name in rendering.cut:
            click.echo(f"note: %{name}% is cut to fit the limit")
        for name in rendering.defused:
            click.echo(
                f"note: %{name}% holds marks of {webhook.transport.name}; they are shown as plain text"
            )
