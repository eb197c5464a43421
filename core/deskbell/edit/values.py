"""What a value means, and how it is written in config.yaml: there ``$`` begins a reference, except in a message.

*Meant* is what the owner says, ``${NAME}`` for a reference; *data* is what YAML holds, with ``$$`` for a dollar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from deskbell.config.document import split_lines
from deskbell.secret import Secret

from .errors import EditError

PROSE = "message"
"""The key of a webhook in which ``$`` is a sign like any other."""
_REFERENCE = r"(?P<reference>\$\{[A-Za-z_][A-Za-z0-9_]*(?::-(?:[^}$]|\$(?!\{))*)?\})"
_REFERENCE_OR_DOLLAR = re.compile(rf"{_REFERENCE}|\$", re.ASCII)
_REFERENCE_OR_DOLLARS = re.compile(rf"{_REFERENCE}|\$\$?", re.ASCII)
_UNWRITABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What cannot stand in a block of YAML (https://yaml.org/spec/1.2.2/#51-character-set), and the byte order mark."""


class Literal(str):
    """Text in which ``${NAME}`` means nothing: what a stranger typed must not read this machine's environment."""

    __slots__ = ()


def as_data(value: Any, key: str = "") -> Any:
    """What YAML shall hold for a value of ``key``; a mapping loses its keys with None. ``EditError`` when it cannot."""
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, str):
        return _message(value) if key == PROSE else _dollars_doubled(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(name): as_data(item) for name, item in value.items() if item is not None}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [as_data(item) for item in value]
    raise EditError(
        f"{key or 'a value'} is a {type(value).__name__}", "give text, a number, a list or a mapping"
    )


def as_meant(data: Any, key: str = "") -> Any:
    """What the owner means by what YAML holds: ``as_data`` the other way round."""
    if isinstance(data, str):
        return (
            data if key == PROSE else _REFERENCE_OR_DOLLARS.sub(lambda found: found["reference"] or "$", data)
        )
    if isinstance(data, dict):
        return {name: as_meant(item) for name, item in data.items()}
    return [as_meant(item) for item in data] if isinstance(data, list) else data


def says(old: Any, new: Any, key: str) -> bool:
    """True when the data ``new`` would say what the data ``old`` of ``key`` says already, however that is written."""
    if key == PROSE and isinstance(old, str) and isinstance(new, str):
        return _without_blanks(old) == _without_blanks(new)
    return same(new, as_data(as_meant(old, key), key))


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: ``True`` is not 1. The order of keys does not count."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def without_ends(data: Any) -> Any:
    """The file's data with each message cut at its end, where no reader sees anything."""
    if not isinstance(data, dict) or not isinstance(data.get("webhooks"), list):
        return data
    return {**data, "webhooks": [_without_end(entry) for entry in data["webhooks"]]}


def _without_end(entry: Any) -> Any:
    if isinstance(entry, dict) and isinstance(entry.get(PROSE), str):
        return {**entry, PROSE: entry[PROSE].rstrip()}
    return entry


def _message(text: str) -> str:
    """With one line break at its end: a block has one, and nobody sees more."""
    text = _without_blanks(text)
    if found := _UNWRITABLE.search(text):
        raise EditError(
            f"the message holds the character U+{ord(found[0]):04X}, which YAML refuses", "delete it"
        )
    return f"{text}\n" if text else ""


def _without_blanks(text: str) -> str:
    return "\n".join(split_lines(text)).rstrip(" \t\n")


def _dollars_doubled(text: str) -> str:
    if isinstance(text, Literal):
        return text.replace("$", "$$")
    return _REFERENCE_OR_DOLLAR.sub(lambda found: found["reference"] or "$$", text)
