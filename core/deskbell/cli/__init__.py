"""The command line. Each command is a small module, imported when it is asked for, so that help is quick."""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper
from keyword import iskeyword

import click

import deskbell

COMMANDS = (
    "backup", "check", "deliveries", "demo", "import", "init", "new-plugin", "password", "plugin-check", "plugins",
    "preview", "reload", "replay", "resume", "send", "serve", "variables",
)  # fmt: skip

CANNOT_START = 78
"""``EX_CONFIG`` of sysexits.h: the service cannot start."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{_module_of(cmd_name)}", __name__).command
        return command


def _module_of(command: str) -> str:
    """A word of Python's own names no module that could be imported by a statement: ``import_``."""
    name = command.replace("-", "_")
    return f"{name}_" if iskeyword(name) else name


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(deskbell.__version__, prog_name="deskbell")
def _deskbell() -> None:
    """Support-ticket events from your CMS, shown in Discord, Slack and any chat."""
    if import_module("deskbell.trace").is_on():
        import_module("deskbell.log").configure_logging()


def main() -> None:
    """Run the command line; an error that is somebody's fault prints its sentence, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal cannot show must not end the command
            stream.reconfigure(errors="backslashreplace")
    try:
        _deskbell(prog_name="deskbell")
    except deskbell_errors() as error:
        click.echo(f"deskbell: {error}", err=True)
        sys.exit(CANNOT_START)


def deskbell_errors() -> type[Exception]:
    """Loaded late: help needs no errors."""
    error: type[Exception] = import_module("deskbell.errors").DeskbellError
    return error
