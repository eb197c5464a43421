"""``deskbell backup``."""

from __future__ import annotations

from pathlib import Path

import click

from .setting import config_option, ending_with_1, read_setting

COMPANIONS = ("-wal", "-shm", ".lock")
"""What lies beside a store and belongs to it alone: its log would be written into whatever file is put in its place."""
_MEGABYTE = 1_000_000


@click.command()
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@config_option
def command(target: Path, config_path: Path) -> None:
    """Write a consistent copy of the store to FILE, safe beside a running serve."""
    from deskbell.store.reading import back_up

    store = read_setting(config_path).config().store
    with ending_with_1():
        back_up(store, target)
        size = target.stat().st_size
    click.echo(f"{target}: {size / _MEGABYTE:.1f} MB, all that was accepted before this began")
    companions = ", ".join(f"{store.name}{ending}" for ending in COMPANIONS)
    click.echo(
        f"To restore it: stop deskbell, move {store} aside, and {companions} where they are there; "
        f"copy this file to {store}, start deskbell."
    )
