"""``deskbell preview``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deskbell.languages import LANGUAGES

from .samples import chosen_sample, event_options
from .setting import FAILED, config_option, read_setting, webhook_named

if TYPE_CHECKING:
    from deskbell.notice import Rendering
    from deskbell.samples import Sample
    from deskbell.settings import Config, Webhook
    from deskbell.transport import Payload


@click.command()
@click.argument("webhook_name", metavar="WEBHOOK")
@config_option
@event_options
@click.option("--language", type=click.Choice(list(LANGUAGES)), help="The language of the sample event.")
@click.option("--json", "as_json", is_flag=True, help="The payload, as it would be sent.")
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw it as the service would, as a page to open in a browser.",
)
def command(
    webhook_name: str,
    config_path: Path,
    event_path: Path | None,
    source_name: str | None,
    language: str | None,
    as_json: bool,
    html_path: Path | None,
) -> None:
    """Show what WEBHOOK would send, and send nothing."""
    config = read_setting(config_path).config()
    webhook = webhook_named(config, webhook_name)
    sample = chosen_sample(config, webhook, event_path, source_name)
    if language and event_path is None:
        from deskbell.starter.sample import in_language

        sample = in_language(sample, language)
    renderings: list[Rendering] = []
    text = _formatted(config, webhook, sample, renderings)
    payload = json.loads(text)
    if html_path is not None:
        _draw(html_path, webhook, payload, renderings)
    if as_json:
        shown = {"webhook": webhook.name, "transport": webhook.transport.name, "payload": payload}
        click.echo(json.dumps(shown, ensure_ascii=False))
    elif html_path is None:
        _show(webhook, webhook.transport.readable(payload), renderings)
    else:
        click.echo(f"{html_path} written: {webhook.name} ({webhook.transport.name})")


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


def _show(webhook: Webhook, text: str, renderings: Sequence[Rendering]) -> None:
    sizes = ", ".join(f"{rendering.size} / {rendering.limit}" for rendering in renderings)
    click.echo(f"{webhook.name} ({webhook.transport.name})  {sizes} characters")
    for line in text.splitlines():
        click.echo(f"┃ {line}")
    for note in _notes(webhook, renderings):
        click.echo(f"note: {note}")


def _notes(webhook: Webhook, renderings: Sequence[Rendering]) -> Iterator[str]:
    for rendering in renderings:
        for name in rendering.cut:
            yield f"%{name}% is cut to fit the limit"
        for name in rendering.defused:
            yield f"%{name}% holds marks of {webhook.transport.name}; they are shown as plain text"


def _draw(path: Path, webhook: Webhook, payload: Payload, renderings: Sequence[Rendering]) -> None:
    """Write the page, over an earlier one, but over nothing else."""
    from .founding import end
    from .page import START, page

    request = {"webhook": webhook.name, "transport": webhook.transport.name, "payload": payload}
    text = page(webhook, payload, renderings, tuple(_notes(webhook, renderings)), request)
    try:
        if path.exists() and not path.read_bytes().startswith(START.encode()):
            end(f"{path} is there already, and is no page of a preview: name another file", FAILED)
        path.write_text(text, "utf-8")
    except OSError as error:
        end(f"{path} cannot be written: {error.strerror or error}", FAILED)
