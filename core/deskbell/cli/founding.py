"""What ``init`` and ``import`` share: a new folder's three files, written or refused, and what is told of them."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from deskbell.languages import LANGUAGES, language_of_locale, text

from .setting import FAILED, UNKNOWN_NAME

if TYPE_CHECKING:
    from deskbell.plugins import Plugins
    from deskbell.secret import Secret
    from deskbell.starter.draft import Draft

HELP_LANGUAGE = language_of_locale(os.environ)
"""In which help is shown, before anybody could choose."""
_TOKEN_BYTES = 32


def help_text(key: str) -> str:
    """Words of a command's help."""
    return text(HELP_LANGUAGE, key)


def founding_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--language`` and ``--dir``."""
    language = click.option(
        "--language", type=click.Choice(list(LANGUAGES)), help=help_text("init.help.language")
    )
    folder = click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        default=Path(),
        help=help_text("init.help.dir"),
    )
    return language(folder(command))


def refuse_existing(folder: Path, language: str) -> None:
    """End the command when one of the files is there, before anything is asked or written."""
    from deskbell.config import SECRETS_FILE
    from deskbell.starter.writing import CONFIG_FILE, SCHEMA_FILE, existing

    if found := existing(folder, (CONFIG_FILE, SECRETS_FILE, SCHEMA_FILE)):
        end(text(language, "init.exists", files=", ".join(str(folder / name) for name in found)))


def fresh_token() -> Secret:
    """For senders: 43 characters that fit into an address."""
    from deskbell.secret import Secret

    return Secret(secrets.token_urlsafe(_TOKEN_BYTES))


def found(folder: Path, draft: Draft, plugins: Plugins) -> None:
    """Write the files and say what each is for; ends the command when that cannot be."""
    from deskbell.config import SECRETS_FILE, json_schema
    from deskbell.starter.writing import CONFIG_FILE, SCHEMA_FILE, write_all

    schema = json_schema(plugins.transports, plugins.sources)
    texts = {
        SECRETS_FILE: draft.secrets(),
        SCHEMA_FILE: json.dumps(schema, ensure_ascii=False, indent=1) + "\n",
        CONFIG_FILE: draft.config(),
    }
    try:
        write_all(folder, texts, secret=SECRETS_FILE)
    except FileExistsError as error:
        end(text(draft.language, "init.exists", files=str(error.filename)))
    except OSError as error:
        end(text(draft.language, "init.unwritable", folder=folder, reason=error.strerror or str(error)))
    _tell(folder, draft, {CONFIG_FILE: "config", SECRETS_FILE: "secrets", SCHEMA_FILE: "schema"})


def _tell(folder: Path, draft: Draft, names: dict[str, str]) -> None:
    language, values = draft.language, draft.values()
    paths = {str(folder / name): kind for name, kind in names.items()}
    width = max(map(len, paths))
    for path, kind in paths.items():
        words = text(language, f"init.written.{kind}", variables=", ".join(values))
        click.echo(f"{path:{width}}  {words}")
    if unset := [name for name, value in values.items() if value is None]:
        secrets_file = next(path for path, kind in paths.items() if kind == "secrets")
        click.echo(text(language, "init.later", variables=", ".join(unset), file=secrets_file))


def tell_next(folder: Path, language: str, webhook: str) -> None:
    """The commands that follow; ``webhook`` is one to try."""
    there = [] if folder == Path() else [f"cd {shlex.quote(str(folder))}"]
    tried = [f"preview {webhook}", f"send {webhook}"] if webhook else []
    commands = ", ".join([*there, *(f"deskbell {command}" for command in ["check", *tried, "serve"])])
    click.echo(text(language, "init.next", commands=commands))


def end(reason: str, code: int = FAILED) -> NoReturn:
    """Say why on stderr, and end the command."""
    click.echo(f"deskbell: {reason}", err=True)
    sys.exit(code)


def end_usage(reason: str) -> NoReturn:
    """For a wrong option."""
    end(reason, UNKNOWN_NAME)


def first_used(entries: Sequence[Any]) -> str:
    """The name of the first webhook that is none of the comments."""
    return next((entry.name for entry in entries if not entry.left_out), "")
