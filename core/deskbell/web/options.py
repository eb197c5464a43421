"""What an owner may set under ``options:``, as its transport declares it: for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deskbell.config.masking import Masks
from deskbell.secret import MASK
from deskbell.transport import Transport

_KINDS = {
    "string": "text",
    "boolean": "switch",
    "integer": "whole",
    "number": "number",
    "array": "list",
    "object": "table",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One key. ``kinds`` are words of ``plugins.kind``; ``choices`` are all that may be written. A secret's default is
    masked."""

    name: str
    kinds: Sequence[str]
    choices: Sequence[str]
    secret: bool
    required: bool
    default: str
    about: str


def options_of(transport: Transport[Any]) -> list[Option]:
    """Each in its order. It asks a plugin's own types, which may raise anything."""
    schema = transport.options_type.model_json_schema()
    masks, required = Masks((transport,)), schema.get("required", ())
    return [
        _option(name, part, secret=masks.is_secret(name), required=name in required)
        for name, part in schema.get("properties", {}).items()
    ]


def _option(name: str, part: Mapping[str, Any], *, secret: bool, required: bool) -> Option:
    shapes = [shape for shape in part.get("anyOf", [part]) if shape.get("type") != "null"]
    choices = [choice for shape in shapes for choice in _choices(shape)]
    default = part.get("default")
    shown = MASK if secret else json.dumps(default, ensure_ascii=False)
    return Option(
        name=name,
        kinds=() if choices else list(dict.fromkeys(map(_kind, shapes))),
        choices=choices,
        secret=secret,
        required=required,
        default="" if default in (None, {}, []) else shown,
        about=str(part.get("description", "")),
    )


def _choices(shape: Mapping[str, Any]) -> Iterator[str]:
    yield from map(str, shape.get("enum", [shape["const"]] if "const" in shape else []))


def _kind(shape: Mapping[str, Any]) -> str:
    """What refers to a model of its own is a table; what says nothing may be anything."""
    return "table" if "$ref" in shape else _KINDS.get(str(shape.get("type")), "any")
