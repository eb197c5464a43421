"""``${NAME}``, ``${NAME:-default}`` and ``$$`` in values, after the YAML is read; never in a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .findings import Findings
from .problem import KeyPath

_SIGN = re.compile(
    r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:[^}$]|\$(?!\{))*))?\}|\{)", re.ASCII
)
_MESSAGE_PATH_LENGTH = 3


def expand(value: Any, environ: Mapping[str, str], findings: Findings, path: KeyPath = ()) -> Any:
    """``value`` with its references replaced; None stands where one cannot be. Each fault is noted."""
    if isinstance(value, dict):
        return {key: expand(item, environ, findings, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, environ, findings, (*path, index)) for index, item in enumerate(value)]
    if isinstance(value, str) and "$" in value and not _is_message(path):
        return _expand_text(value, environ, findings, path)
    return value


def _is_message(path: KeyPath) -> bool:
    """``webhooks.*.message``: there ``$`` is a sign like any other ("costs $5")."""
    return len(path) == _MESSAGE_PATH_LENGTH and path[0] == "webhooks" and path[2] == "message"


def _expand_text(text: str, environ: Mapping[str, str], findings: Findings, path: KeyPath) -> str | None:
    parts, at = list[str](), 0
    for found in _SIGN.finditer(text):
        if fault := _fault_of(found, environ):
            findings.error(path, *fault, place=findings.find(path, found[0], found.start()))
            return None
        parts += text[at : found.start()], _meaning(found, environ)
        at = found.end()
    return "".join(parts) + text[at:]


def _fault_of(found: re.Match[str], environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Why a sign has no meaning, and what to do."""
    name = found["name"]
    if found[0] == "$$" or environ.get(name or "") or found["default"] is not None:
        return None
    if name is None:
        hint = "write ${NAME} or ${NAME:-default}; a default holds no } and no ${; $$ is a dollar sign"
        return "this ${ is half-written", hint
    state = "empty" if name in environ else "not set"
    return f"the environment variable {name} is {state}", f"set it, or give a default: ${{{name}:-…}}"


def _meaning(found: re.Match[str], environ: Mapping[str, str]) -> str:
    """An empty variable counts as one that is not set, as in a shell."""
    if found[0] == "$$":
        return "$"
    return environ.get(found["name"]) or found["default"].replace("$$", "$")
