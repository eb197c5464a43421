"""The event that ``preview`` and ``send`` work with: a sample, or a file's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .setting import UNKNOWN_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from deskbell.samples import Sample
    from deskbell.settings import Config, Webhook


def event_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--event FILE`` and ``--source NAME``."""
    event = click.option(
        "--event",
        "event_path",
        type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
        help="An event as JSON; without it, a sample of the webhook's action.",
    )
    source = click.option(
        "--source", "source_name", help="The source that FILE is a body of; else it is a native event."
    )
    return event(source(command))


def chosen_sample(
    config: Config, webhook: Webhook, event_path: Path | None, source_name: str | None
) -> Sample:
    """The event to show or send; ends the command when the file holds none."""
    from deskbell.errors import EventError
    from deskbell.samples import read_sample, sample_for
    from deskbell.source import NativeSource

    if event_path is None:
        return sample_for(webhook, [source.adapter for source in config.sources.values()])
    if source_name is not None and source_name not in config.sources:
        _end(f"there is no source '{source_name}'; there are: {', '.join(config.sources)}", UNKNOWN_NAME)
    adapter = config.sources[source_name].adapter if source_name else NativeSource()
    try:
        with click.open_file(str(event_path), "rb") as file:
            return read_sample(file.read(), adapter)
    except EventError as error:
        faults = "".join(f"\n  {fault.path or 'the body'}: {fault.message}" for fault in error.faults)
        hint = (
            ""
            if source_name
            else "\n  (the body of a source, as its CMS sends it, is read with --source NAME)"
        )
        _end(f"{event_path}: {error}{faults}{hint}", 1)


def _end(reason: str, code: int) -> NoReturn:
    click.echo(f"deskbell: {reason}", err=True)
    sys.exit(code)
