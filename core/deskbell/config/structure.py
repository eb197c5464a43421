"""Text that is no YAML because its indentation, quotes or brackets do not fit together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml
from yaml.reader import ReaderError

from . import loader
from .problem import Note, Place

_NO_SPACE = re.compile(r"\s*(?:-\s+)*(?P<key>[\w.-]+):\S")
_CUT = re.compile(r"\s(#[^\s#])")
_BRACKETS = {"{": "}", "[": "]"}
_INDENT = "give all keys of one entry the same indentation, and the lines of a message a larger one"


def unprintable(error: ReaderError, lines: Sequence[str]) -> Note:
    """A character that YAML does not allow. ``lines`` were joined by one character each."""
    position = error.position
    for number, line in enumerate(lines, 1):
        if position < len(line):
            message = f"the character U+{ord(line[position]):04X} cannot stand in a YAML file"
            return Note(Place(number, position + 1), message, "delete it")
        position -= len(line) + 1
    return Note(None, "a character cannot stand in a YAML file")


def explain(error: yaml.MarkedYAMLError, lines: Sequence[str], place: Place) -> Note:
    """What is wrong at ``place``, or where the thing began that ends there."""
    context, problem = error.context or "", error.problem or ""
    mark: Any = error.context_mark or error.problem_mark
    begin = Place(mark.line + 1, mark.column + 1)
    if isinstance(error, loader.TooLargeError):
        return Note(place, problem, "a config needs no such depth or size")
    if "end of stream" in problem:
        return Note(
            begin, "the quote that opens here is never closed", "close it, or write the text as a block"
        )
    if "another document" in problem:
        return Note(place, "a second document begins here", "a config is one document: take out the '---'")
    if "directive" in context:
        hint = "indent it as far as the other lines of its message"
        return Note(begin, "a line that begins with '%' is an order to YAML itself", hint)
    sign, before = _sign_at(lines, begin)
    if "an alias" in context or "an anchor" in context or ("cannot start" in problem and before.strip()):
        return Note(begin, f"a text that begins with '{sign}' must be quoted", "put quotes round it")
    if "flow" in context:
        return _unclosed(lines, begin, place)
    if "expected ':'" in problem or "cannot start" in problem:
        return _no_entry(lines, begin)
    if "block" in problem or "not allowed here" in problem or "document start" in problem:
        return Note(place, "the indentation of this line does not fit the lines above it", _INDENT)
    # PyYAML's own words, up to where they quote the file.
    return Note(place, f"this is no YAML: {problem.partition(chr(39))[0].strip() or 'it cannot be read'}")


def _sign_at(lines: Sequence[str], place: Place) -> tuple[str, str]:
    """The character at a place, and what stands before it on its line."""
    line = lines[min(place.line, len(lines)) - 1]
    return line[place.column - 1 : place.column], line[: place.column - 1]


def _unclosed(lines: Sequence[str], begin: Place, end: Place) -> Note:
    """A bracket that is open where something else should come; a comment may have swallowed its end."""
    begin = begin if _sign_at(lines, begin)[0] in _BRACKETS else _last_bracket(lines, end)
    for number in range(begin.line, end.line + 1):
        if found := _CUT.search(lines[number - 1]):
            message = (
                "everything after '#' on this line is a YAML comment, also the bracket that should close"
            )
            hint = f"put quotes round the text that begins with '{found[1]}'"
            return Note(Place(number, found.start(1) + 1), message, hint)
    sign = _sign_at(lines, begin)[0]
    if not any(map(str.strip, lines[end.line - 1 :])):
        return Note(
            begin, f"the '{sign}' that opens here is never closed", f"close it with {_BRACKETS.get(sign)}"
        )
    message = f"something is missing before this: the '{sign}' of line {begin.line}"
    hint = "put commas between the values, quotes round values with signs in them, and close the bracket"
    return Note(end, f"{message} is still open", hint)


def _last_bracket(lines: Sequence[str], end: Place) -> Place:
    """Where the bracket stands that was opened last; PyYAML does not always say."""
    for number in range(end.line, 0, -1):
        line = lines[number - 1] if number < end.line else lines[number - 1][: end.column - 1]
        if any(sign in line for sign in _BRACKETS):
            return Place(number, max(map(line.rfind, _BRACKETS)) + 1)
    return end


def _no_entry(lines: Sequence[str], place: Place) -> Note:
    if found := _NO_SPACE.match(lines[min(place.line, len(lines)) - 1]):
        return Note(
            place, f"there is no space behind '{found['key']}:'", f"write {found['key']}: and then a space"
        )
    hint = "if it belongs to a message, indent it further than the key of the message"
    return Note(place, "this line is no 'key: value'", hint)
