"""What an owner may set under ``options:``, as its transport declares it: for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deskbell.config.masking import Masks
from deskbell.secret import MASK
from deskbell.transport import Transport

from .option_fields import option_fields


@dataclass(frozen=True, slots=True)
class Option:
    """One key. ``kind`` is a word of ``plugins.kind``; ``choices`` are all that may be written. A secret's default is
    masked."""

    name: str
    kind: str
    choices: Sequence[str]
    secret: bool
    required: bool
    default: str
    about: str


def options_of(transport: Transport[Any]) -> list[Option]:
    """Each in its order. It asks a plugin's own types, which may raise anything."""
    asked = {field.name: field for field in option_fields(transport.options_type)}
    masks, options = Masks((transport,)), list[Option]()
    for name, field in transport.options_type.model_fields.items():
        kind, choices = (asked[name].kind, asked[name].choices) if name in asked else ("structure", ())
        secret = masks.is_secret(name)
        default = _default(field, secret=secret)
        about = field.description or ""
        options.append(Option(name, kind, choices, secret, field.is_required(), default, about))
    return options


def _default(field: FieldInfo, *, secret: bool) -> str:
    if field.default in (None, PydanticUndefined, {}, []):
        return ""
    return MASK if secret else json.dumps(field.default, ensure_ascii=False, default=str)
