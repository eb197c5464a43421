"""What most commands begin with: the plugins, and the config that they make readable."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deskbell.config import Loaded
    from deskbell.plugins import Plugins
    from deskbell.settings import Config, Webhook

UNKNOWN_NAME = 2
FAILED = 1


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--config FILE``, of every command that reads one."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        default=Path("config.yaml"),
        show_default=True,
        help="The configuration.",
    )(command)


@dataclass(frozen=True, slots=True)
class Setting:
    """The plugins that are there, and what became of the config with them."""

    plugins: Plugins
    loaded: Loaded

    def config(self) -> Config:
        """The config, or the end of the command with every problem."""
        from deskbell.cli import CANNOT_START
        from deskbell.config import report

        if self.loaded.config is None:
            click.echo(report(self.loaded.problems), err=True)
            sys.exit(CANNOT_START)
        return self.loaded.config


def load_installed(config_path: Path) -> Plugins:
    """The plugins that are installed, and those of the config's ``plugins_dir`` where there is one."""
    from deskbell.config import environment_beside, read_plugins_dir
    from deskbell.plugins import load_plugins

    environ, _ = environment_beside(config_path, os.environ)
    return load_plugins(plugins_dir=read_plugins_dir(config_path, environ))


def read_setting(config_path: Path) -> Setting:
    """Load the plugins, then the config."""
    plugins = load_installed(config_path)
    return Setting(plugins, read_config(config_path, plugins))


def read_config(config_path: Path, plugins: Plugins, text: str | None = None) -> Loaded:
    """Load the config with the plugins that are there already, and with ``secrets.env`` where that is beside it.

    ``text``: instead of what is in the file.
    """
    from deskbell.config import environment_beside, load_config

    environ, problems = environment_beside(config_path, os.environ)
    loaded = load_config(
        config_path,
        transports=plugins.transports,
        sources=plugins.sources,
        broken=plugins.missing(),
        environ=environ,
        text=text,
    )
    return loaded.after(problems)


@contextmanager
def ending_with_1() -> Iterator[None]:
    """A store or a server that does not do what the command asks of it ends the command with 1, not with 78."""
    from deskbell.errors import DeskbellError

    try:
        yield
    except DeskbellError as error:
        click.echo(f"deskbell: {error}", err=True)
        sys.exit(FAILED)


def webhook_named(config: Config, name: str) -> Webhook:
    """The webhook, or the end of the command with a did-you-mean."""
    from difflib import get_close_matches

    found = {webhook.name: webhook for webhook in config.webhooks}
    if name in found:
        return found[name]
    near = get_close_matches(name, found, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(found) or 'none'}"
    click.echo(f"deskbell: there is no webhook '{name}'; {hint}", err=True)
    sys.exit(UNKNOWN_NAME)
