"""``deskbell reload``."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from .setting import config_option, ending_with_1, read_setting


@click.command()
@config_option
def command(config_path: Path) -> None:
    """Let the running serve load the config anew; a file with errors changes nothing."""
    from deskbell.cli import CANNOT_START
    from deskbell.config import environment_beside, read_store_path
    from deskbell.control import ask

    environ, _ = environment_beside(config_path, os.environ)
    with ending_with_1():
        answer = asyncio.run(ask(read_store_path(config_path, environ), "reload"))
    if answer is None:
        read_setting(config_path).config()  # its errors may be why none runs
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
        sys.exit(CANNOT_START)
    click.echo("the config is loaded anew")
