"""``deskbell variables``."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from .setting import UNKNOWN_NAME, load_all_plugins


@click.command()
@click.argument("source", required=False)
def command(source: str | None) -> None:
    """Every %variable% with a sample value; with SOURCE, those of its adapter too."""
    from deskbell.event import VARIABLES

    sources = load_all_plugins()[0].sources
    if source is not None and source not in sources:
        click.echo(f"deskbell: there is no source '{source}'; there are: {', '.join(sources)}", err=True)
        sys.exit(UNKNOWN_NAME)
    _table("every source", VARIABLES)
    for name, adapter in sources.items():
        if adapter.variables and source in (None, name):
            _table(name, adapter.variables)


def _table(title: str, samples: Mapping[str, str]) -> None:
    width = max(len(name) for name in samples) + 2
    click.echo(f"{title}:")
    for name, sample in samples.items():
        click.echo(f"  {f'%{name}%':{width}}  {sample}")
