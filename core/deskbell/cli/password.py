"""``deskbell password``."""

from __future__ import annotations

import secrets
import sys

import click

_SALT_LENGTH = 16


@click.command()
def command() -> None:
    """Make the line for config.yaml that sets the password of the pages."""
    from deskbell.password import SHORTEST_PASSWORD, hash_password

    password = _asked() if sys.stdin.isatty() else _piped()
    if len(password) < SHORTEST_PASSWORD:
        click.echo(f"deskbell: the password is shorter than {SHORTEST_PASSWORD} characters", err=True)
        sys.exit(2)
    click.echo(f"admin_password: {hash_password(password, secrets.token_bytes(_SALT_LENGTH))}")
    click.echo("put this line under server: in config.yaml, then `deskbell reload`", err=True)


def _asked() -> str:
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    return answer


def _piped() -> str:
    """One line: what ``echo`` and a password manager print."""
    return sys.stdin.readline().rstrip("\r\n")
