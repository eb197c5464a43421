"""A config file, read: its data, and where each key and value stands in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import loader, traps
from .problem import KeyPath, Note, Place

MAX_BYTES = 1024**2
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML counts as one
_REFUSED = {
    loader.ALIAS: (
        "'*' begins an alias in YAML",
        "write the value itself, or put quotes round it if it is text",
    ),
    loader.ANCHOR: ("'&' begins an anchor in YAML", "put quotes round the value if '&' belongs to it"),
    loader.TAG: ("'!' begins a tag in YAML", "put quotes round the value if '!' belongs to it"),
}
_REST_OF_WORD = "; deskbell's config has none"
_MERGE = "<<"
_BROKEN = "this text holds half of a character (\\ud800 to \\udfff)"


class UnreadableError(Exception):
    """There is no data to go on with. ``notes`` say why, ``text`` is what could be read of the file.

    ``mended`` is that text without the faults that ``notes`` tell, when it can be read then.
    """

    def __init__(self, notes: list[Note], text: str = "", mended: str = "") -> None:
        super().__init__("; ".join(note.message for note in notes))
        self.notes = notes
        self.text = text
        self.mended = mended


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value stands. ``end`` is exclusive; ``style`` and ``text`` are a scalar's, as it is written."""

    key: Place
    start: Place
    end: Place
    style: str = ""
    text: str | None = None


@dataclass(slots=True)
class Document:
    """``notes`` are what is wrong with the YAML although it could be read."""

    lines: tuple[str, ...]
    is_secret: traps.IsSecret
    data: Any = None
    spots: dict[KeyPath, Spot] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str, is_secret: traps.IsSecret) -> Document:
        """Read YAML; ``UnreadableError`` with every trap that can be told when it is none.

        ``is_secret`` says of a key whether hints must mask its value.
        """
        document = cls(split_lines(text), is_secret)
        node = _compose(text, document.lines, is_secret)
        document.data = document._value(node, (), _place(node.start_mark))
        return document

    def spot(self, path: KeyPath) -> Spot:
        """Where ``path`` stands, or the nearest thing round it that is in the file."""
        while path not in self.spots:
            path = path[:-1]
        return self.spots[path]

    def find(self, path: KeyPath, words: str, offset: int) -> Place:
        """Where ``words``, at ``offset`` in the scalar's text, stand in the file, whatever the scalar's style."""
        spot = self.spot(path)
        before = (spot.text or "")[:offset].count(words)
        for place, line in self._lines_of(spot):
            at = line.find(words)
            while at >= 0:
                if before == 0:
                    return Place(place.line, place.column + at)
                before -= 1
                at = line.find(words, at + len(words))
        return spot.start

    def _lines_of(self, spot: Spot) -> Iterator[tuple[Place, str]]:
        first = spot.start.line + (spot.style in ("|", ">"))  # a block's text begins on the line below
        for number in range(first, min(spot.end.line, len(self.lines)) + 1):
            start = spot.start.column if number == spot.start.line else 1
            yield Place(number, start), self.lines[number - 1][start - 1 :]

    def _value(self, node: yaml.Node, path: KeyPath, key: Place) -> Any:
        start, end = _place(node.start_mark), _place(node.end_mark)
        if refusal := _REFUSED.get(node.tag):
            hint = traps.remedy_on(self.lines[start.line - 1], self.is_secret) or refusal[1]
            self.notes.append(Note(start, refusal[0] + _REST_OF_WORD, hint, path=path))
        if isinstance(node, yaml.ScalarNode):
            self.spots[path] = Spot(key, start, end, node.style or "", node.value)
            return self._scalar(node, path, start)
        self.spots[path] = Spot(key, start, end)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [
            self._value(item, (*path, index), _place(item.start_mark))
            for index, item in enumerate(node.value)
        ]

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath, start: Place) -> Any:
        if not _is_broken(node.value):
            return loader.scalar(node)
        self.notes.append(Note(start, _BROKEN, path=path))
        return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data, first_lines = dict[str, Any](), dict[str, int]()
        for key_node, value_node in node.value:
            key, place = key_node.value, _place(key_node.start_mark)
            if note := self._wrong_key(key_node, place, path, first_lines):
                self.notes.append(note)
                if not isinstance(key, str) or key == _MERGE or _is_broken(key):
                    continue
            first_lines.setdefault(key, place.line)
            data[key] = self._value(value_node, (*path, key), place)
        return data

    def _wrong_key(
        self, node: yaml.Node, place: Place, path: KeyPath, first_lines: dict[str, int]
    ) -> Note | None:
        key = node.value
        if not isinstance(key, str):
            return Note(place, "a key must be one word, not a list or a mapping", path=(*path, "?"))
        path = (*path, key)
        if _is_broken(key):
            return Note(place, _BROKEN, path=path)
        if key == _MERGE:
            return Note(place, "merge keys (<<) are refused", "write the keys out", path=path)
        if refusal := _REFUSED.get(node.tag):
            return Note(place, refusal[0] + _REST_OF_WORD, path=path)
        if key in first_lines:
            message = f"{shown_word(key)} is written twice; the first is on line {first_lines[key]}"
            return Note(place, message, "keep one of the two", path=path)
        return None


def read_text(path: Path) -> str:
    """The file as text, without a byte order mark; ``UnreadableError`` when there is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "name another file with --config FILE"
        raise UnreadableError([Note(None, "there is no such file", hint)]) from None
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise UnreadableError([Note(None, f"cannot be read: {reason}")]) from None
    if len(raw) > MAX_BYTES:
        raise UnreadableError(
            [Note(None, f"larger than {MAX_BYTES // 1024} KiB: this is no deskbell config")]
        )
    return _decode(raw)


def split_lines(text: str) -> tuple[str, ...]:
    """The lines of the text, as YAML counts them."""
    return tuple(_LINE_BREAK.split(text))


def shown_word(word: str) -> str:
    """A word of the owner's in quotes, short enough for a sentence."""
    limit = 60
    return f"'{word}'" if len(word) <= limit else f"'{word[:limit]}…'"


def _is_broken(text: str) -> bool:
    """Half of a surrogate pair, which a quoted scalar can name, is no text: it cannot be encoded."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = raw[: error.start].decode("utf-8-sig", "ignore")
        lines = split_lines(good)
        note = Note(Place(len(lines), len(lines[-1]) + 1), "not UTF-8", "save the file as UTF-8")
        raise UnreadableError([note], good) from None


def _compose(text: str, lines: tuple[str, ...], is_secret: traps.IsSecret) -> yaml.Node:
    try:
        node = loader.compose(text)
    except yaml.YAMLError:
        notes, mended = traps.explain_all(lines, is_secret)
        raise UnreadableError(notes, text, mended) from None
    if node is None:
        raise UnreadableError(
            [Note(None, "the file is empty", "copy the shipped config.yaml, and change it")]
        )
    return node


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)
