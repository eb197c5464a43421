"""``deskbell reload``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from .setting import config_option, ending_with_1, read_setting


@click.command()
@config_option
def command(config_path: Path) -> None:
    """Let the running serve load the config anew; a file with errors changes nothing."""
    from deskbell.control import ask

    store = read_setting(config_path).config().store
    with ending_with_1():
        answer = asyncio.run(ask(store, "reload"))
    if answer is None:
        click.echo(
            "deskbell: no `deskbell serve` runs with this config: there is nothing to reload", err=True
        )
        sys.exit(1)
    if answer["report"]:
        click.echo(answer["report"], err=True)
    for what in answer["restart"]:
        click.echo(f"{what} stays as it was until `deskbell serve` is started again", err=True)
    if not answer["ok"]:
        click.echo("deskbell: nothing was changed", err=True)
        sys.exit(1)
    click.echo("the config is loaded anew")
