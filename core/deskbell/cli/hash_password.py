"""``deskbell hash-password``."""

from __future__ import annotations

import sys

import click


@click.command()
def command() -> None:
    """Ask for a password and print its hash, for server.admin_password."""
    from deskbell.config.password import hash_password
    from deskbell.errors import ConfigError

    try:
        click.echo(hash_password(_ask()))
    except ConfigError as error:
        click.echo(f"deskbell: {error}", err=True)
        sys.exit(1)


def _ask() -> str:
    """Twice, and unseen; a script gives it as a line of its own."""
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    return sys.stdin.readline().rstrip("\r\n")
