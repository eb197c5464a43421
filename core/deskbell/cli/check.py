"""``deskbell check``: every problem of the config, or what was found in it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .setting import config_option, read_setting

if TYPE_CHECKING:
    from deskbell.config import Loaded
    from deskbell.settings import Config


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object: ok, problems, found.")
def command(config_path: Path, as_json: bool) -> None:
    """Every problem of the config at once, each with its line and what to do; then what was found."""
    sys.exit(show(read_setting(config_path).loaded, as_json=as_json))


def show(loaded: Loaded, *, as_json: bool) -> int:
    """Print the problems and what was found. The exit code: 0 when the config can be used, else 1."""
    from deskbell.config import report, to_json

    config = loaded.config
    if as_json:
        answer = {
            "ok": config is not None,
            "problems": to_json(loaded.problems),
            "found": _facts(config) if config else None,
        }
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return 0 if config else 1
    if loaded.problems:
        click.echo(report(loaded.problems))
    if config is None:
        return 1
    click.echo(f"{config.path} OK. Found: {found_in(config)}.")
    return 0


def found_in(config: Config) -> str:
    """``3 webhooks (2 discord, 1 slack), 3 actions, 9 variables, 1 source (clientxcms)``."""
    from deskbell.config.problem import counted

    webhooks, actions = config.webhooks, _actions(config)
    transports = Counter(webhook.transport.name for webhook in webhooks)
    parts = [
        counted(len(webhooks), "webhook")
        + _in_brackets(f"{n} {name}" for name, n in sorted(transports.items())),
        "every action" if None in actions else counted(len(actions), "action"),
        counted(len({name for webhook in webhooks for name in webhook.template.variables}), "variable"),
        counted(len(config.sources), "source") + _in_brackets(config.sources),
    ]
    disabled = len(webhooks) - len(config.active_webhooks)
    return ", ".join([*parts, f"{disabled} disabled"] if disabled else parts)


def _actions(config: Config) -> set[str | None]:
    """The actions that are shown somewhere; None stands for all of them."""
    return {action for webhook in config.active_webhooks for action in webhook.actions or (None,)}


def _in_brackets(words: Iterable[str]) -> str:
    text = ", ".join(words)
    return f" ({text})" if text else ""


def _facts(config: Config) -> dict[str, Any]:
    return {
        "webhooks": [
            {"name": webhook.name, "transport": webhook.transport.name, "enabled": webhook.enabled}
            for webhook in config.webhooks
        ],
        "sources": [
            {"name": source.name, "adapter": source.adapter.name} for source in config.sources.values()
        ],
    }
