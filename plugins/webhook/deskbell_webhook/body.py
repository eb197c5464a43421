"""The body of the request: a JSON structure whose texts are templates.

It is read once, with the config, and filled for each event. Filling changes texts and nothing else: the payload
has the same keys, list lengths, numbers, booleans and nulls as what the owner wrote.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError, ValidationInfo

from deskbell import Template

from .faults import Faults, Path

MESSAGE = "%message%"
"""A text that is this and nothing else stands for the webhook's own message."""

MAX_DEPTH = 32
"""Mappings and lists inside each other. deskbell itself refuses events that are nested deeper."""
MAX_PARTS = 1_000
"""Values of all kinds, the mappings and lists among them."""
MAX_WRITTEN = 100_000
"""Characters of the body as the owner writes it, in JSON."""
MAX_TEXTS = 50
MAX_TEXT = 16_000
"""UTF-16 units of one text; a little less than Mattermost's longest post, 16,383 (``PostMessageMaxRunesV2`` in
https://github.com/mattermost/mattermost/blob/master/server/public/model/post.go)."""
MAX_FILLED = 200_000
"""UTF-16 units of all texts together. A unit is at most three bytes in UTF-8, so with the owner's own words the body
stays below 1 MiB, the most that nginx passes on unless it is told otherwise
(https://nginx.org/en/docs/http/ngx_http_core_module.html#client_max_body_size)."""
MAX_NUMBER = 2**63
"""Beyond it most languages read another number than the one that was written."""

_MESSAGE = re.compile(r"%[ \t]*message[ \t]*%", re.IGNORECASE)
_TEMPLATE = TypeAdapter(Template)

Leaf: TypeAlias = Template | str
"""A template, or ``MESSAGE``: no other text is left in a tree."""
Tree: TypeAlias = "dict[str, Tree] | list[Tree] | Leaf | bool | int | float | None"


@dataclass(frozen=True, slots=True)
class Body:
    """``written`` is the structure as the owner wrote it; ``limit`` (UTF-16 units) is for each text in it."""

    tree: Tree
    limit: int
    written: Mapping[str, Any]

    def filled(self, text_of: Callable[[Leaf], str]) -> dict[str, Any]:
        """The structure with its texts written by ``text_of``."""
        payload: dict[str, Any] = _filled(self.tree, text_of)
        return payload

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        """As the type of an option it is read from a mapping, and written as the mapping that it was read from."""

        def as_written(body: Body) -> Mapping[str, Any]:
            return body.written

        return {
            "type": "function-after",
            "function": {"type": "with-info", "function": read},
            "schema": handler(dict),
            "serialization": {"type": "function-plain", "function": as_written},
        }


def _filled(node: Tree, text_of: Callable[[Leaf], str]) -> Any:
    match node:
        case Template() | str():
            return text_of(node)
        case dict():
            return {key: _filled(inner, text_of) for key, inner in node.items()}
        case list():
            return [_filled(inner, text_of) for inner in node]
        case _:
            return node


def read(value: dict[Any, Any], info: ValidationInfo) -> Body:
    """The body in an option's value; each fault is told with the path that leads to it."""
    if not value:
        raise ValueError('is empty, and would tell nothing; leave it out to send {"text": "%message%"}')
    faults = Faults()
    reader = _Reader(info.context, faults)
    tree = reader.read(value, ())
    limit = reader.limit()
    faults.raise_any()
    _refuse_too_much(value)
    return Body(tree, limit, value)


def _refuse_too_much(written: Any) -> None:
    """Asked last: only now is it sure to be JSON."""
    size = len(json.dumps(written, ensure_ascii=False))
    if size > MAX_WRITTEN:
        raise ValueError(f"has {size} characters; it may have {MAX_WRITTEN}")


class _Reader:
    """Turns one structure into a tree. ``context`` names the ``variables`` that may stand in texts; None: any may."""

    def __init__(self, context: dict[str, Any] | None, faults: Faults) -> None:
        # No text with `%message%` in it becomes a template: here it only helps to guess what `%mesage%` means.
        self._context = context and {**context, "variables": [*context["variables"], "message"]}
        self._faults = faults
        self._parts = 0
        self._texts: list[tuple[Path, Leaf]] = []

    def read(self, value: Any, path: Path) -> Tree:
        self._parts += 1
        if self._parts > MAX_PARTS or len(path) > MAX_DEPTH:
            self._note_size(path)
            return None
        match value:
            case str():
                return self._text(value, path)
            case None | bool():
                return value
            case int() | float():
                return self._number(value, path)
            case Mapping():
                return self._mapping(value, path)
            case list() | tuple():
                return [self.read(inner, (*path, index)) for index, inner in enumerate(value)]
        self._faults.add(path, f"a value of type {type(value).__name__} cannot be written in JSON")
        return None

    def limit(self) -> int:
        """UTF-16 units for each text. What has more words of its own, or too many texts, is a fault."""
        if len(self._texts) > MAX_TEXTS:
            self._faults.add((), f"has {len(self._texts)} texts; it may have {MAX_TEXTS}")
        limit = min(MAX_TEXT, MAX_FILLED // max(1, len(self._texts)))
        for path, leaf in self._texts:
            words = "" if isinstance(leaf, str) else "".join(leaf.literals)
            if units(words) > limit:
                self._faults.add(path, f"its own words have {units(words)} characters; they may have {limit}")
        return limit

    def _note_size(self, path: Path) -> None:
        if len(path) > MAX_DEPTH:
            self._faults.add(path[:1], f"is nested deeper than {MAX_DEPTH} levels")
        elif self._parts == MAX_PARTS + 1:
            self._faults.add((), f"has more than {MAX_PARTS} values")

    def _mapping(self, value: Mapping[Any, Any], path: Path) -> dict[str, Tree]:
        tree = dict[str, Tree]()
        for key, inner in value.items():
            if isinstance(key, str) and _encodable(key):
                tree[key] = self.read(inner, (*path, key))
            else:
                self._faults.add(path, "the keys must be text in UTF-8: put quotes round them")
        return tree

    def _number(self, value: float, path: Path) -> float | None:
        if math.isfinite(value) and abs(value) <= MAX_NUMBER:
            return value
        self._faults.add(path, "this number is not safe in JSON: put quotes round it to send it as text")
        return None

    def _text(self, text: str, path: Path) -> Leaf:
        leaf: Leaf = MESSAGE
        if not _MESSAGE.fullmatch(text.strip()):
            leaf = self._template(text, path)
        self._texts.append((path, leaf))
        return leaf

    def _template(self, text: str, path: Path) -> Leaf:
        if not _encodable(text):
            self._faults.add(path, "holds half of a character (\\uD800 to \\uDFFF), which no JSON can carry")
            return MESSAGE
        if _MESSAGE.search(text):
            self._faults.add(
                path,
                "%message% must stand alone: write the words round it into the webhook's message, or under another key",
            )
            return MESSAGE
        try:
            return _TEMPLATE.validate_python(text, context=self._context)
        except ValidationError as error:
            for one in error.errors(include_input=False, include_url=False, include_context=False):
                self._faults.add(path, one["msg"].removeprefix("Value error, "))
            return MESSAGE


def units(text: str) -> int:
    """The length in UTF-16 units, as JavaScript counts; never fewer than code points."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _encodable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
