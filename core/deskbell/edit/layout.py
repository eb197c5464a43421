"""Where the webhooks, their keys and their values stand in the text of a config: offsets, lines, columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from deskbell.config import loader
from deskbell.config.document import Document, UnreadableError
from deskbell.config.problem import KeyPath, Note

from .errors import EditError

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_LAYOUT = " \t\r\n\x85\u2028\u2029"
_COMMENT = re.compile(r"(?:(?<=\s)|\A)#.*")
_BLOCKS = ("|", ">")
Pair = tuple[Any, Any]
"""The nodes of a key and of its value."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of the text, counted from 0: ``above`` is the first comment that stands directly above an entry.

    ``first`` and ``last`` hold the entry itself, ``below`` is the last comment that is indented into it.
    """

    above: int
    first: int
    last: int
    below: int


class Layout:
    """The text of a config that deskbell can read; ``EditError`` for another one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.document = _parse(text)
        self.data: Any = self.document.data
        root: Any = loader.compose(text)
        self.root = root  # it has a node: the document has data
        if not isinstance(self.data, dict) or self.root.flow_style:
            raise EditError(
                "the config is no list of 'key: value' lines", "edit it by hand, after the shipped one"
            )

    @cached_property
    def lines(self) -> list[str]:
        """Each with its line break."""
        ends = [found.end() for found in _BREAK.finditer(self.text)]
        parts = [self.text[start:end] for start, end in zip([0, *ends], [*ends, len(self.text)], strict=True)]
        return parts if parts[-1] else parts[:-1]

    @property
    def newline(self) -> str:
        """How the file ends its lines."""
        found = _BREAK.search(self.text)
        return found[0] if found and found[0] in ("\r\n", "\n") else "\n"

    @property
    def entries(self) -> list[Any]:
        """The webhooks' data. ``EditError`` when ``webhooks:`` is something else than a list."""
        webhooks = self.data.get("webhooks")
        if webhooks is None or isinstance(webhooks, list):
            return webhooks or []
        raise EditError("webhooks: is no list", "begin each webhook with '- name: …'")

    @property
    def dash(self) -> int:
        """The column at which a webhook begins."""
        for key in ("webhooks", "sources"):
            found = self.pair((key,))
            if found and is_block(found[1]) and isinstance(found[1], yaml.SequenceNode):
                return int(found[1].start_mark.column)
        return int(self.root.start_mark.column) + 2

    def pair(self, path: KeyPath) -> Pair | None:
        """The key and the value of ``path``, or of an item of a list twice the item; None when it is not there."""
        key, node = self.root, self.root
        for part in path:
            found = next((each for each in _pairs(node) if each[0] == part), None)
            if found is None:
                return None
            _, key, node = found
        return key, node

    def node(self, path: KeyPath) -> Any:
        """The value of ``path``; None when it is not there."""
        found = self.pair(path)
        return found and found[1]

    def lines_of(self, index: int) -> Lines:
        """Where the webhook with this number stands, in a list in the block style."""
        node, dash = self.node(("webhooks", index)), self.dash
        first = node.start_mark.line
        while not _begins_item(self.lines[first], dash):
            first -= 1
        above, bound = first, self._line_before(index)
        while above - 1 > bound and 0 <= _indent_of_comment(self.lines[above - 1]) <= dash:
            above -= 1
        last = self.line_at(true_end(node, self.text))
        return Lines(above, first, last, self._below(last, dash))

    def _line_before(self, index: int) -> int:
        """The last line of what stands before a webhook: another one, or ``webhooks:``."""
        if index:
            return self.line_at(true_end(self.node(("webhooks", index - 1)), self.text))
        return int(self.pair(("webhooks",))[0].start_mark.line)  # type: ignore[index] # it has a webhook

    def line_at(self, offset: int) -> int:
        """The number of the line that holds this offset."""
        return sum(found.end() <= offset for found in _BREAK.finditer(self.text))

    def comments_in(self, node: Any, start: int) -> list[str]:
        """Each comment between ``start`` and the end of the last line of ``node``."""
        end = line_end(self.text, true_end(node, self.text))
        rest, at = "", start
        for first, last in _scalars(node, self.text):
            rest, at = f"{rest}{self.text[at:first]} ", last
        return [
            str(found) for line in _BREAK.split(rest + self.text[at:end]) for found in _COMMENT.findall(line)
        ]

    def _below(self, last: int, dash: int) -> int:
        below = last
        for number in range(last + 1, len(self.lines)):
            if _indent_of_comment(self.lines[number]) > dash:
                below = number
            elif self.lines[number].strip():
                break
        return below


def is_block(node: Any) -> bool:
    """True for a list or a mapping with an entry a line."""
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def is_text_block(node: Any) -> bool:
    """True for a text behind ``|`` or ``>``."""
    return isinstance(node, yaml.ScalarNode) and node.style in _BLOCKS


def true_end(node: Any, text: str) -> int:
    """The offset behind the last sign of a value: PyYAML counts blank lines and comments behind it as well."""
    if is_block(node) and node.value:
        last = node.value[-1]
        return true_end(last[1] if isinstance(last, tuple) else last, text)
    end = int(node.end_mark.index)
    if is_text_block(node):
        return len(text[:end].rstrip(_LAYOUT))
    return end


def line_start(text: str, offset: int) -> int:
    """The offset of the first sign of the line."""
    return max((text.rfind(sign, 0, offset) + 1 for sign in _LAYOUT[2:]), default=0)


def line_end(text: str, offset: int) -> int:
    """The offset of the line's break, or of the end of the text."""
    found = _BREAK.search(text, offset)
    return found.start() if found else len(text)


def _parse(text: str) -> Document:
    try:
        document = Document.parse(text, lambda _: True)
    except UnreadableError as error:
        raise _refused(error.notes) from None
    if document.notes:
        raise _refused(document.notes)
    return document


def _refused(notes: list[Note]) -> EditError:
    told = [f"line {note.place.line}: {note.message}" if note.place else note.message for note in notes]
    return EditError(
        f"the config cannot be read ({'; '.join(told)})", "mend it by hand, then run `deskbell check`"
    )


def _pairs(node: Any) -> Iterator[tuple[str | int, Any, Any]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, key, value) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        yield from ((index, item, item) for index, item in enumerate(node.value))


def _scalars(node: Any, text: str) -> Iterator[tuple[int, int]]:
    """From where to where the texts below a node reach, without the first lines of blocks: these hold comments."""
    for part in (node,) if isinstance(node, yaml.ScalarNode) else ():
        start = line_end(text, part.start_mark.index) if is_text_block(part) else part.start_mark.index
        yield start, max(start, true_end(part, text))
    for _, key, value in _pairs(node):
        if key is not value:
            yield from _scalars(key, text)
        yield from _scalars(value, text)


def _begins_item(line: str, dash: int) -> bool:
    return not line[:dash].strip(" ") and line[dash : dash + 1] == "-"


def _indent_of_comment(line: str) -> int:
    """-1 for a line that is no comment."""
    text = line.lstrip(" ")
    return len(line) - len(text) if text.startswith("#") else -1
