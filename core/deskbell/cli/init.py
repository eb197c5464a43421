"""``deskbell init``: a few questions, and a new config."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deskbell.languages import LANGUAGES, text

from .founding import (
    HELP_LANGUAGE,
    end_usage,
    first_used,
    found,
    founding_options,
    fresh_token,
    help_text,
    refuse_existing,
    tell_next,
)
from .setting import load_installed

if TYPE_CHECKING:
    from deskbell.plugins import Plugins
    from deskbell.starter.draft import Channel


@click.command(help=help_text("init.help"))
@founding_options
@click.option("--url", "urls", multiple=True, metavar="NAME=URL", help=help_text("init.help.url"))
@click.option("--listen", metavar="HOST:PORT", help=help_text("init.help.listen"))
@click.option("--yes", is_flag=True, help=help_text("init.help.yes"))
@click.option("--offline", is_flag=True, help=help_text("init.help.offline"))
def command(
    language: str | None, folder: Path, urls: Sequence[str], listen: str | None, yes: bool, offline: bool
) -> None:
    """Its help is in the catalogue."""
    refuse_existing(folder, language or HELP_LANGUAGE)
    language = language or (HELP_LANGUAGE if yes else _ask_language())
    listen = _usable(listen, language) if listen is not None else _free_listen(language, ask=not yes)
    plugins = load_installed(folder / "config.yaml")
    channels = _given(urls, plugins, language)
    if not urls and not yes:
        channels = _ask_channels(plugins, language, offline=offline)
    elif not offline:
        for channel in channels:
            _ask_service(channel, plugins, language)
    entries = _found(folder, plugins, language, listen, channels)
    tell_next(folder, language, entries)


def _found(folder: Path, plugins: Plugins, language: str, listen: str, channels: Sequence[Channel]) -> str:
    """Write the files; the webhook to try."""
    from deskbell.starter.channels import played_channels
    from deskbell.starter.draft import Draft, usual_entries
    from deskbell.starter.place import local_timezone

    channels = channels or played_channels(plugins.transports)
    entries = usual_entries(channels, language)
    draft = Draft(
        language=language,
        token=fresh_token(),
        timezone=local_timezone(os.environ),
        channels=channels,
        entries=entries,
        listen=listen,
    )
    found(folder, draft, plugins)
    return first_used(entries)


def _ask_language() -> str:
    question = text(HELP_LANGUAGE, "init.ask.language")
    answer: str = click.prompt(question, type=click.Choice(list(LANGUAGES)), default=HELP_LANGUAGE)
    return answer


def _usable(listen: str, language: str) -> str:
    from deskbell.config import parse_listen

    try:
        parse_listen(listen)
    except ValueError:
        end_usage(text(language, "init.listen.usage"))
    return listen


def _free_listen(language: str, *, ask: bool) -> str:
    """Where ``serve`` listens; asked only where somebody else does already."""
    from deskbell.config import parse_listen
    from deskbell.config.service import DEFAULT_LISTEN
    from deskbell.starter.place import free_listen

    free = free_listen()
    if free == DEFAULT_LISTEN or not ask:
        return free
    question = text(language, "init.ask.listen", taken=DEFAULT_LISTEN)

    def check(answer: str) -> str:
        try:
            parse_listen(answer)
        except ValueError:
            raise click.BadParameter(text(language, "init.listen.usage")) from None
        return answer

    answer: str = click.prompt(question, default=free, value_proc=check)
    return answer


def _given(urls: Sequence[str], plugins: Plugins, language: str) -> list[Channel]:
    """The channels of ``--url``; a URL never shows in what is said of it."""
    from deskbell.starter.channels import CHANNEL_NAME, channel_for, examples, transport_of

    channels: list[Channel] = []
    for given in urls:
        name, _, url = given.partition("=")
        taken = [channel.name for channel in channels]
        if not CHANNEL_NAME.fullmatch(name) or channel_for(url, "", taken, name=name).name != name:
            end_usage(text(language, "init.url.usage"))
        transport = transport_of(url, plugins.transports)
        if not transport:
            shown = examples(plugins.transports.values())
            end_usage(f"--url {name}=…: {text(language, 'init.not.recognised', examples=shown)}")
        channels.append(channel_for(url, transport, taken, name=name))
    return channels


def _ask_channels(plugins: Plugins, language: str, *, offline: bool) -> list[Channel]:
    """As many as the owner has."""
    from deskbell.starter.channels import channel_for, examples, transport_of

    channels: list[Channel] = []
    question = text(language, "init.ask.url")
    while url := click.prompt(question, default="", show_default=False).strip():
        transport = transport_of(url, plugins.transports)
        if not transport:
            shown = examples(plugins.transports.values())
            click.echo(f"  {text(language, 'init.not.recognised', examples=shown)}")
        elif any(channel.url and channel.url.matches(url) for channel in channels):
            click.echo(f"  {text(language, 'init.twice')}")
        else:
            channels.append(channel_for(url, transport, [channel.name for channel in channels]))
            if not offline:
                _ask_service(channels[-1], plugins, language)
        question = text(language, "init.ask.another" if channels else "init.ask.url")
    return channels


def _ask_service(channel: Channel, plugins: Plugins, language: str) -> None:
    """Whether the webhook lives; whatever comes of it, ``init`` goes on."""
    from deskbell.client import Client
    from deskbell.egress import EgressPolicy
    from deskbell.starter.question import put_question

    async def ask() -> str:
        async with Client(EgressPolicy()) as client:
            return await put_question(channel, plugins.transports, client.request, language)

    click.echo(f"  {asyncio.run(ask())}")
