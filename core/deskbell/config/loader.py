"""YAML as deskbell reads it: core scalars only, no aliases, no tags, bounded in depth and size.

A scalar becomes a number only when the number is written back as the very same text. So ``on``, ``yes``,
``22:30``, ``1_000``, ``2024-01-01``, ``0123`` and ``1.10`` stay the text that the owner wrote.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_DEPTH = 32
MAX_NODES = 20_000
ALIAS, ANCHOR, TAG = "alias", "anchor", "tag"
"""How ``compose`` marks nodes that used what is refused here; the marked node is a plain one otherwise."""

_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)


class TooLargeError(yaml.MarkedYAMLError):
    """Nested too deep, or too many values."""


class _Loader(yaml.SafeLoader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave it so
        self._admit(event)
        if _is_alias(event):
            self.get_event()  # type: ignore[no-untyped-call] # likewise
            return yaml.ScalarNode(ALIAS, "", event.start_mark, event.end_mark)
        refused = ANCHOR if event.anchor else TAG if event.tag else ""
        event.anchor = event.tag = None
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None:
            node.tag = refused
        return node

    def resolve(self, *_: Any) -> str:
        return ""

    def _admit(self, event: Any) -> None:
        self._nodes += 1
        if self._depth >= MAX_DEPTH and _begins_collection(event):
            raise TooLargeError(problem=f"nested deeper than {MAX_DEPTH}", problem_mark=event.start_mark)
        if self._nodes > MAX_NODES:
            raise TooLargeError(problem=f"more than {MAX_NODES} values", problem_mark=event.start_mark)


def compose(text: str) -> yaml.Node | None:
    """The tree of the one document in ``text``; None when there is nothing in it.

    Raises ``yaml.YAMLError`` for text that is no YAML, also where PyYAML itself stumbles over a number.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    except (ValueError, OverflowError):  # "\U00110000", %YAML 1.<5000 digits>
        raise yaml.MarkedYAMLError(problem="a number out of range", problem_mark=loader.get_mark()) from None
    finally:
        loader.dispose()


def _begins_collection(event: Any) -> bool:
    return isinstance(event, yaml.CollectionStartEvent)


def _is_alias(event: Any) -> bool:
    return isinstance(event, yaml.AliasEvent)


def scalar(node: yaml.ScalarNode) -> Any:
    """The value of a scalar: quoted and block ones are text."""
    return node.value if node.style else _plain(node.value)


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text) if "." in text else int(text)
    return number if str(number) == text else text
