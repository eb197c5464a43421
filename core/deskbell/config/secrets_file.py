"""``secrets.env`` beside config.yaml: variables for ``${NAME}`` that a service manager or a shell need not set."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from deskbell.secret import MASK

from .problem import Problem, Severity

SECRETS_FILE = "secrets.env"
_LARGEST = 65_536
"""Bytes."""
_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)", re.ASCII)
_QUOTED = re.compile(r"""(['"])(?P<value>.*)\1""")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def environment_beside(
    config_path: Path, environ: Mapping[str, str]
) -> tuple[Mapping[str, str], tuple[Problem, ...]]:
    """``environ`` with what ``secrets.env`` adds, and what is wrong with that file. Without one, as it is.

    A variable of ``environ`` wins, unless it is empty. No problem shows a value.
    """
    path = config_path.with_name(SECRETS_FILE)
    try:
        with path.open("rb") as file:
            others_may = stat.S_IMODE(path.stat().st_mode) & _OTHERS
            text = file.read(_LARGEST).decode("utf-8-sig")
    except FileNotFoundError:
        return environ, ()
    except OSError as error:
        said = f"cannot be read: {(error.strerror or 'unknown error').lower()}"
        return environ, (_problem(path, 0, said, "let the user that deskbell runs as read it"),)
    except ValueError:
        return environ, (_problem(path, 0, "is no text in UTF-8", "save the file as UTF-8"),)
    values, problems = _parse(text, path)
    if others_may:
        said = "others on this machine may read this file, and it holds secrets"
        problems.insert(0, _problem(path, 0, said, f"chmod 600 {path}", Severity.WARNING))
    given = {name: value for name, value in environ.items() if value}
    return {**environ, **values, **given}, tuple(problems)


def _parse(text: str, path: Path) -> tuple[dict[str, str], list[Problem]]:
    values, problems = dict[str, str](), list[Problem]()
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if found := _LINE.fullmatch(line):
            quoted = _QUOTED.fullmatch(found["value"])
            values[found["name"]] = quoted["value"] if quoted else found["value"]
        else:
            problems.append(_problem(path, number, "this line is no NAME=VALUE", "write one variable a line"))
    return values, problems


def _problem(path: Path, line: int, message: str, hint: str, severity: Severity = Severity.ERROR) -> Problem:
    """Of a line, or (0) of the whole file."""
    return Problem(
        file=str(path),
        line=line,
        column=1 if line else 0,
        severity=severity,
        message=message,
        hint=hint,
        key="",
        shown=MASK if line else "",
        caret=1 if line else 0,
    )
