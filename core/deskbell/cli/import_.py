"""``deskbell import``: a config made of another program's settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deskbell.languages import text

from .founding import (
    HELP_LANGUAGE,
    end,
    first_used,
    found,
    founding_options,
    fresh_token,
    help_text,
    refuse_existing,
    tell_next,
)
from .setting import load_installed, read_config

if TYPE_CHECKING:
    from deskbell.plugins import Plugins
    from deskbell.starter.original import OldSettings
    from deskbell.starter.takeover import Takeover


@click.group(help=help_text("import.help"))
def command() -> None:
    """Its help is in the catalogue."""


@command.command("clientxcms", help=help_text("import.clientxcms.help"))
@click.argument(
    "file", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
)
@founding_options
def clientxcms(file: Path, language: str | None, folder: Path) -> None:
    """Its help is in the catalogue."""
    from deskbell.starter.draft import Draft
    from deskbell.starter.place import free_listen, local_timezone
    from deskbell.starter.takeover import take_over

    language = language or HELP_LANGUAGE
    refuse_existing(folder, language)
    old = _read(file, language)
    plugins = load_installed(folder / "config.yaml")
    work = take_over(old, plugins.transports, plugins.sources, language=language)
    draft = Draft(
        language=language,
        token=fresh_token(),
        timezone=local_timezone(os.environ),
        channels=work.channels,
        entries=work.entries,
        listen=free_listen(),
        variables=work.variables,
    )
    found(folder, draft, plugins)
    _tell(work, old, language)
    _tell_check(folder, plugins, language)
    tell_next(folder, language, first_used(work.entries))


def _read(file: Path, language: str) -> OldSettings:
    from deskbell.starter.original import UnreadableSettingError, read_settings

    try:
        with click.open_file(str(file), "rb") as opened:
            old = read_settings(opened.read().decode("utf-8", "replace"))
    except UnreadableSettingError as error:
        end(text(language, "import.unreadable", file=file, name=str(error)))
    if old is None:
        end(text(language, "import.nothing", file=file))
    return old


def _tell(work: Takeover, old: OldSettings, language: str) -> None:
    used = sum(not entry.left_out for entry in work.entries)
    click.echo(text(language, "import.found", count=used, total=len(old.webhooks)))
    for webhook, words in work.warnings:
        click.echo(f"  {webhook}: {words}" if webhook else f"  {words}")
    click.secho(text(language, "import.switch.off"), bold=True)


def _tell_check(folder: Path, plugins: Plugins, language: str) -> None:
    """What ``check`` would say beside."""
    for problem in read_config(folder / "config.yaml", plugins).problems:
        click.echo(f"  {text(language, 'import.check', message=problem.message)}")
