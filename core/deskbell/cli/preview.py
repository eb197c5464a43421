"""``deskbell preview``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deskbell.languages import LANGUAGES

from .samples import chosen_sample, event_options
from .setting import FAILED, config_option, read_setting, webhook_named

if TYPE_CHECKING:
    from deskbell.preview import Preview
    from deskbell.samples import Sample
    from deskbell.settings import Config, Webhook


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
    made = _previewed(config, webhook, sample)
    if html_path is not None:
        _draw(html_path, made)
    if as_json:
        shown = {"webhook": webhook.name, "transport": webhook.transport.name, "payload": made.payload}
        click.echo(json.dumps(shown, ensure_ascii=False))
    elif html_path is None:
        _show(made)
    else:
        click.echo(f"{html_path} written: {webhook.name} ({webhook.transport.name})")


def _previewed(config: Config, webhook: Webhook, sample: Sample) -> Preview:
    """What a lane would make of it; or the end of the command."""
    from deskbell.app import now
    from deskbell.preview import preview

    event = sample.event_at(now())
    made = preview(webhook, event, timezone=config.timezone, date_format=config.date_format)
    if made.fault:
        click.echo(f"deskbell: {made.fault}", err=True)
        sys.exit(FAILED)
    return made


def _show(made: Preview) -> None:
    webhook = made.webhook
    sizes = ", ".join(f"{rendering.size} / {rendering.limit}" for rendering in made.renderings)
    click.echo(f"{webhook.name} ({webhook.transport.name})  {sizes} characters")
    for line in webhook.transport.readable(made.payload).splitlines():
        click.echo(f"┃ {line}")
    for note in _notes(made):
        click.echo(f"note: {note}")


def _notes(made: Preview) -> Iterator[str]:
    for name in made.cut:
        yield f"%{name}% is cut to fit the limit"
    for name in made.defused:
        yield f"%{name}% holds marks of {made.webhook.transport.name}; they are shown as plain text"


def _draw(path: Path, made: Preview) -> None:
    """Write the page, over an earlier one, but over nothing else."""
    from .founding import end
    from .page import START, page

    text = page(made, tuple(_notes(made)))
    try:
        if path.exists() and not path.read_bytes().startswith(START.encode()):
            end(f"{path} is there already, and is no page of a preview: name another file", FAILED)
        path.write_text(text, "utf-8")
    except OSError as error:
        end(f"{path} cannot be written: {error.strerror or error}", FAILED)
