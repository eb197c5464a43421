"""``deskbell demo``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

import deskbell
from deskbell.languages import language_of_locale, text

from .founding import fresh_token
from .serve import listen_option, serve
from .setting import Setting, read_config

if TYPE_CHECKING:
    from deskbell.app import Door
    from deskbell.plugins import Plugins
    from deskbell.secret import Secret
    from deskbell.settings import Config


@click.command()
@listen_option
def command(listen: str | None) -> None:
    """Watch deskbell at work: it plays the services and a help desk itself, without account and config."""
    from deskbell.log import configure_logging
    from deskbell.plugins import load_plugins
    from deskbell.starter.writing import CONFIG_FILE

    configure_logging()
    language, token, plugins = language_of_locale(os.environ), fresh_token(), load_plugins()

    async def begin(door: Door, config: Config) -> None:
        _announce(door, token, config, language)
        await _play(door, language)

    with TemporaryDirectory(prefix="deskbell-demo-") as folder:
        path = Path(folder) / CONFIG_FILE
        path.touch(mode=0o600)  # its token is for this demo alone, and still a secret
        path.write_text(_config(plugins, token, language), "utf-8")
        serve(Setting(plugins, read_config(path, plugins)), listen, begin)


def _config(plugins: Plugins, token: Secret, language: str) -> str:
    from deskbell.errors import ConfigError
    from deskbell.starter.demo import demo_config, playable
    from deskbell.starter.place import free_listen, local_timezone

    transports = playable(plugins.transports)
    if not transports:
        raise ConfigError("no installed transport brings a service that could be played")
    return demo_config(
        transports,
        _sources(plugins),
        language=language,
        listen=free_listen(),
        timezone=local_timezone(os.environ),
        token=token,
    )


def _sources(plugins: Plugins) -> Sequence[str]:
    """Every adapter, deskbell's own event first: samples are played as such."""
    from deskbell.source import NativeSource

    return sorted(plugins.sources, key=lambda name: (name != NativeSource.name, name))


def _announce(door: Door, token: Secret, config: Config, language: str) -> None:
    """The line that ``serve`` prints, and then for people: where to look, where to post, how to stop."""
    click.echo(f"deskbell {deskbell.__version__} listening on {door.address}")
    played = ", ".join(dict.fromkeys(webhook.transport.name for webhook in config.webhooks))
    told = [
        text(language, "demo.told.page", played=played),
        f"  {door.address}/demo/",
        text(language, "demo.told.post"),
        *(f"  {door.address}/events/{name}/{token.reveal()}" for name in config.sources),
        text(language, "demo.told.stop", command="deskbell init"),
    ]
    click.echo("\n".join(told), err=True)


async def _play(door: Door, language: str) -> None:
    """So that the page is not empty."""
    from deskbell.source import NativeSource
    from deskbell.starter.play import opening

    for sample in opening(language, NativeSource.name):
        await door.play(sample)
