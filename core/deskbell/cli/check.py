"""``deskbell check``: every problem of the config, or what was found in it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .setting import config_option, read_setting

if TYPE_CHECKING:
    from deskbell.config import Loaded
    from deskbell.probing import Probed
    from deskbell.settings import Config


@click.command()
@config_option
@click.option("--live", is_flag=True, help="Ask the services whether each webhook lives; post nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: ok, problems, found, and live.")
def command(config_path: Path, live: bool, as_json: bool) -> None:
    """Every problem of the config at once, each with its line and what to do; then what was found."""
    loaded = read_setting(config_path).loaded
    probed = _ask(loaded.config) if live and loaded.config else None
    sys.exit(show(loaded, as_json=as_json, probed=probed))


def _ask(config: Config) -> list[Probed]:
    from deskbell.client import Client
    from deskbell.probing import probe_all

    async def ask() -> list[Probed]:
        async with Client(config.egress) as client:
            return await probe_all(config.active_webhooks, client.request)

    return asyncio.run(ask())


def show(loaded: Loaded, *, as_json: bool, probed: Sequence[Probed] | None = None) -> int:
    """Print the problems, what was found, and what the services said where they were asked.

    The exit code: 0 when the config can be used and no webhook is gone or out of reach, else 1.
    """
    config = loaded.config
    failed = config is None or any(each.failed for each in probed or ())
    if as_json:
        click.echo(json.dumps(_as_json(loaded, probed, ok=not failed), ensure_ascii=False, indent=2))
    else:
        _tell(loaded, probed or ())
    return 1 if failed else 0


def _as_json(loaded: Loaded, probed: Sequence[Probed] | None, *, ok: bool) -> dict[str, Any]:
    from deskbell.config import to_json

    config = loaded.config
    answer = {"ok": ok, "problems": to_json(loaded.problems), "found": _facts(config) if config else None}
    return answer if probed is None else {**answer, "live": [_live_fact(each) for each in probed]}


def _live_fact(probed: Probed) -> dict[str, str]:
    return {
        "webhook": probed.webhook.name,
        "transport": probed.webhook.transport.name,
        "answer": probed.answer,
        "detail": probed.detail,
        "advice": _advice(probed),
    }


def _tell(loaded: Loaded, probed: Sequence[Probed]) -> None:
    from deskbell.config import report

    if loaded.problems:
        click.echo(report(loaded.problems))
    if loaded.config is None:
        return
    click.echo(f"{loaded.config.path} OK. Found: {found_in(loaded.config)}.")
    rows = [(each.webhook.name, each.webhook.transport.name, _said(each)) for each in probed]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo(
            "  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _said(probed: Probed) -> str:
    words = f"{_ANSWERS[probed.answer]}{f': {probed.detail}' if probed.detail else ''}"
    advice = _advice(probed)
    return f"{words}; {advice}" if advice else words


_ANSWERS = {
    "reachable": "reachable",
    "gone": "GONE",
    "unreachable": "UNREACHABLE",
    "busy": "busy, so nobody knows",
    "not_probed": "not probed",
    "demo": "demo channel",
}


def _advice(probed: Probed) -> str:
    """What to do, or why there is nothing to do."""
    webhook = probed.webhook
    match probed.answer:
        case "gone":
            return "make a new webhook there, and put its URL where this one's url comes from"
        case "unreachable":
            return "look at the network, egress.allow and the URL; serve would try again and again"
        case "busy":
            return "ask again in a minute"
        case "not_probed":
            return f"{webhook.transport.name} has no question that posts nothing; try: deskbell send {webhook.name}"
        case "demo":
            return "deskbell plays it itself"
    return ""


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
