"""The fields of a form for a transport's own options, as far as a form can ask for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from deskbell.secret import Secret
from deskbell.template import Template
from deskbell.transport import Options

FLAG = ("true", "false")
"""What a field that is a yes or no may hold, beside nothing."""
_WHOLE = re.compile("-?[0-9]{1,18}")
_KINDS: Mapping[str, set[Any]] = {
    "secret": {Secret},
    "number": {int, float},
    "text": {str, Template, int, float},
}


@dataclass(frozen=True, slots=True)
class OptionField:
    """``kind``: ``text``, ``number``, ``secret`` or ``choice``, which has ``choices``; a yes or no is one of those."""

    name: str
    kind: str
    description: str
    choices: Sequence[str] = ()

    def value(self, typed: str) -> Any:
        """What was typed, as the config shall hold it; None for nothing."""
        if self.choices == FLAG:
            return {"true": True, "false": False}.get(typed)
        if self.kind == "number" and _WHOLE.fullmatch(typed):
            return int(typed)
        return typed or None


def option_fields(options: type[Options]) -> list[OptionField]:
    """Those that a form can ask for: text, numbers, secrets, choices. A mapping (headers, a body) is none of them."""
    made = (_field(name, field) for name, field in options.model_fields.items())
    return [field for field in made if field]


def _field(name: str, field: FieldInfo) -> OptionField | None:
    leaves = [leaf for leaf in dict.fromkeys(_leaves(field.annotation)) if leaf is not NoneType]
    if not leaves:
        return None
    told = field.description or ""
    if leaves == [bool]:
        return OptionField(name, "choice", told, FLAG)
    if all(isinstance(leaf, str) for leaf in leaves):
        return OptionField(name, "choice", told, tuple(leaves))
    for kind, types in _KINDS.items():
        if set(leaves) <= types:
            return OptionField(name, kind, told)
    return None


def _leaves(annotation: Any) -> Iterator[Any]:
    """The types that a value may have; of a closed list, its words, in their order."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _leaves(part)
    elif origin is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif origin is Literal:
        yield from get_args(annotation)
    else:
        yield annotation
