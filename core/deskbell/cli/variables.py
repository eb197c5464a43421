"""``deskbell variables``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from .setting import UNKNOWN_NAME, config_option, read_setting


@click.command()
@click.argument("source", required=False)
@config_option
def command(source: str | None, config_path: Path) -> None:
    """Every %variable% with a sample value; with SOURCE, those of its adapter too."""
    from deskbell.event import VARIABLES

    sources = read_setting(config_path).plugins.sources
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
