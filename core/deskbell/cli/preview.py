"""``deskbell preview``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .samples import chosen_sample, event_options
from .setting import FAILED, config_option, read_setting, webhook_named

if TYPE_CHECKING:
    from deskbell.notice import Rendering
    from deskbell.samples import Sample
    from deskbell.settings import Config, Webhook


@click.command()
@click.argument("webhook_name", metavar="WEBHOOK")
@config_option
@event_options
@click.option("--json", "as_json", is_flag=True, help="The payload, as it would be sent.")
def command(
    webhook_name: str, config_path: Path, event_path: Path | None, source_name: str | None, as_json: bool
) -> None:
    """Show what WEBHOOK would send, and send nothing."""
    config = read_setting(config_path).config()
    webhook = webhook_named(config, webhook_name)
    sample = chosen_sample(config, webhook, event_path, source_name)
    renderings: list[Rendering] = []
    text = _formatted(config, webhook, sample, renderings)
    payload = json.loads(text)
    if as_json:
        shown = {"webhook": webhook.name, "transport": webhook.transport.name, "payload": payload}
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        _show(webhook, webhook.transport.readable(payload), renderings)


def _formatted(config: Config, webhook: Webhook, sample: Sample, renderings: list[Rendering]) -> str:
    """The payload as text, free of secrets, as a lane makes it; or the end of the command."""
    from deskbell.app import now
    from deskbell.errand import format_payload
    from deskbell.notice import Notice
    from deskbell.redaction import Redactor

    def make_notice() -> Notice:
        return Notice.of(
            sample.event_at(now()),
            webhook.template,
            timezone=config.timezone,
            date_format=config.date_format,
            renderings=renderings,
        )

    formatted = format_payload(webhook, make_notice, Redactor(webhook, webhook.url))
    if formatted.fault:
        click.echo(f"deskbell: {formatted.fault.detail}", err=True)
        sys.exit(FAILED)
    return formatted.text


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
