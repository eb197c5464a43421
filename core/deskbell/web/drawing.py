"""A webhook that is being edited, as its service would show it: for a sample event, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from deskbell.errors import PluginError
from deskbell.event import VARIABLES
from deskbell.preview import Preview, picture, preview
from deskbell.samples import Sample, sample_for
from deskbell.settings import Config, Webhook
from deskbell.starter.sample import in_language, said_in


@dataclass(frozen=True, slots=True)
class Drawing:
    """``picture`` is HTML, safe to show; empty where the transport draws none."""

    made: Preview
    picture: str


def sample_of(config: Config, webhook: Webhook) -> Sample:
    """A sample event for it; ``PluginError`` where a source gives none. It asks plugins: in a thread."""
    try:
        return sample_for(webhook, [source.adapter for source in config.sources.values()])
    except (Exception, SystemExit) as error:
        raise PluginError(f"a source's sample event failed ({type(error).__name__})") from error


def draw(config: Config, webhook: Webhook, language: str) -> Drawing:
    """What it would send. It asks plugins: in a thread."""
    try:
        sample = sample_of(config, webhook)
    except PluginError as error:
        return Drawing(Preview(webhook, fault=str(error)), "")
    event = in_language(sample, language).event_at(datetime.now(UTC))
    made = preview(webhook, event, timezone=config.timezone, date_format=config.date_format)
    return Drawing(made, "" if made.fault else picture(webhook.transport, made.payload))


def variables(config: Config, language: str) -> Mapping[str, str]:
    """Every variable that a message may have, as it is written, with a sample value."""
    names = dict(VARIABLES)
    for source in config.sources.values():
        names |= {**source.adapter.variables, **dict.fromkeys(source.variables, "")}
    said = said_in(language)
    return {name: said.get(name.casefold(), value) for name, value in names.items()}
