"""``deskbell plugins``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .setting import config_option, read_setting

if TYPE_CHECKING:
    from deskbell.plugins import BrokenPlugin, PluginInfo, Plugins

_HEADINGS = ("PLUGIN", "FROM", "PROVIDES", "USED BY")
_NOT_LOADED = "NOT LOADED"


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(config_path: Path, as_json: bool) -> None:
    """Each plugin: where it comes from, what it provides, who uses it, or why it is broken."""
    from deskbell.inventory import users_of

    setting = read_setting(config_path)  # without a config, or with a wrong one, nobody uses anything
    used_by = users_of(setting.loaded.config) if setting.loaded.config else {}
    sys.exit(show_plugins(setting.plugins, used_by=used_by, as_json=as_json))


def show_plugins(plugins: Plugins, *, used_by: Mapping[str, Sequence[str]], as_json: bool) -> int:
    """Print every plugin, broken and disabled ones too; the exit code: 1 when one is broken.

    ``used_by`` is keyed as in ``transport discord`` and ``source clientxcms``.
    """
    if as_json:
        for entry in _entries(plugins, used_by):
            click.echo(json.dumps(entry, ensure_ascii=False))
    else:
        _table(plugins, used_by)
    return 1 if plugins.broken else 0


def _entries(plugins: Plugins, used_by: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    from deskbell.inventory import users

    for info in plugins.loaded:
        yield {
            **_origin(info, "loaded"),
            "transports": info.transports,
            "sources": info.sources,
            "hooks": info.hooks,
            "lacks": info.lacks,
            "used_by": users(info, used_by),
        }
    for broken in plugins.broken:
        yield {**_origin(broken, "broken"), "reason": broken.reason, "fix": broken.fix}
    yield from (_origin(origin, "disabled") for origin in plugins.disabled)


def _origin(plugin: Any, state: str) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "state": state,
    }


def _table(plugins: Plugins, used_by: Mapping[str, Sequence[str]]) -> None:
    rows = [
        _HEADINGS,
        *((info.name, str(info), _provided(info), _user_list(info, used_by)) for info in plugins.loaded),
        *((broken.name, str(broken), _NOT_LOADED, "") for broken in plugins.broken),
        *((origin.name, str(origin), "left out", "") for origin in plugins.disabled),
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    explained = {broken.name: broken for broken in plugins.broken}
    lacking = {info.name: info.lacks for info in plugins.loaded}
    for row in rows:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        if row[2] == _NOT_LOADED:
            _explain(explained[row[0]])
        for lack in lacking.get(row[0], ()):
            click.echo(f"    cannot be used here: {lack}")


def _explain(broken: BrokenPlugin) -> None:
    from deskbell.inventory import way_round

    click.echo(f"    {broken.reason}")
    click.echo(f"    fix: {broken.fix}")
    if setting := way_round(broken):
        click.echo(f"    or leave it out: {setting}")


def _provided(info: PluginInfo) -> str:
    """``transport ntfy``, and which events it is told of."""
    from deskbell.inventory import observed

    return ", ".join([*info.provided(), *observed(info)]) or "nothing"


def _user_list(info: PluginInfo, used_by: Mapping[str, Sequence[str]]) -> str:
    from deskbell.inventory import users

    return ", ".join(users(info, used_by)) or "-"
