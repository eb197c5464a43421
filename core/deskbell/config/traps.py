"""Text that is no YAML: what the owner probably meant, and how to write it.

Messages are full of signs that mean something in YAML, so each of these traps has its own words, and the hint
prints the line as it should be. A line that is understood is mended before the rest is looked at, so that one
run tells all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.reader import ReaderError

from deskbell.secret import MASK

from . import loader, structure
from .masking import hide_urls
from .problem import Note, Place

IsSecret = Callable[[str], bool]
"""Whether the value of a key must be masked."""

_PROSE = "message"
_MOST_TRAPS = 20
_ENTRY = re.compile(r"(?P<head>\s*(?:-\s+)*(?P<key>[\w.-]+)\s*:)\s+(?P<value>\S.*)")
_REFERENCE = re.compile(r"\$\{[^}]*\}?")
_QUOTES = "'\""
_COLLECTIONS = "[{"
_BEGINNINGS = {
    "%": "", "@": "", "`": "", ",": "", "]": "", "}": "",
    "*": " (an alias in YAML)", "&": " (an anchor in YAML)", "!": " (a tag in YAML)",
    "[": " (a list in YAML)", "{": " (a mapping in YAML)", ">": " (a block in YAML)", "|": " (a block in YAML)",
    "-": " (a list item in YAML)", "?": " (a key in YAML)",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Trap:
    """``mended`` is the line at ``note.place`` without the fault; empty when reading on makes no sense."""

    note: Note
    mended: str = ""


def explain_all(lines: Sequence[str], is_secret: IsSecret) -> tuple[list[Note], str]:
    """What keeps ``lines`` from being YAML: at least one note; and the text without these faults, if it is YAML."""
    notes, rest, mended = list[Note](), list(lines), set[int]()
    while trap := _next_trap(rest, is_secret):
        place = trap.note.place
        if mended and not trap.mended:
            return notes, ""  # it may come from the mending
        notes.append(trap.note)
        if not trap.mended or place is None or place.line in mended or len(mended) == _MOST_TRAPS:
            return notes, ""
        rest[place.line - 1] = trap.mended
        mended.add(place.line)
    return notes, "\n".join(rest)


def remedy(key: str, value: str, is_secret: IsSecret) -> str:
    """How to write ``key: value``: a message as a block, anything else in quotes. Secrets are masked."""
    if key == _PROSE:
        return f"write it as a block:\n  {key}: |\n    {_unquoted(value)}"
    return f"put quotes round it:  {key}: {in_quotes(MASK if is_secret(key) else hide_urls(value))}"


def remedy_on(line: str, is_secret: IsSecret) -> str:
    """``remedy`` for a line that is one ``key: value``; empty for any other."""
    entry = _ENTRY.fullmatch(line.rstrip())
    return remedy(entry["key"], entry["value"], is_secret) if entry else ""


def in_quotes(text: str) -> str:
    """``text`` as a YAML scalar in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def _next_trap(lines: list[str], is_secret: IsSecret) -> _Trap | None:
    try:
        loader.compose("\n".join(lines))
    except ReaderError as error:
        return _Trap(structure.unprintable(error, lines))
    except yaml.MarkedYAMLError as error:
        return _explain(error, lines, is_secret)
    return None


def _explain(error: yaml.MarkedYAMLError, lines: Sequence[str], is_secret: IsSecret) -> _Trap:
    mark: Any = error.problem_mark
    line = lines[min(mark.line, len(lines) - 1)]
    place = Place(min(mark.line, len(lines) - 1) + 1, min(mark.column, len(line)) + 1)
    entry = _ENTRY.fullmatch(line.rstrip())
    return (
        _tab(line, place)
        or _reference(line, place)
        or (entry and _value(entry, place, error.problem or "", is_secret))
        or _Trap(structure.explain(error, lines, place))
    )


def _tab(line: str, place: Place) -> _Trap | None:
    before, sign = line[: place.column - 1], line[place.column - 1 : place.column]
    if sign != "\t":
        return None
    if before.strip():
        return _Trap(Note(place, "a tab stands where YAML wants a space", "replace it with one space"))
    spaced = line.replace("\t", "  ")
    return _Trap(Note(place, f"line {place.line} is indented with a tab", "indent with spaces"), spaced)


def _reference(line: str, place: Place) -> _Trap | None:
    """``{url: ${A}}``: the scanner stops at the second brace."""
    found = next((found for found in _REFERENCE.finditer(line) if found.start() + 2 == place.column), None)
    if not found:
        return None
    start = Place(place.line, place.column - 1)
    hint = f"put quotes round ${{…}} inside {{ }} or [ ]:  {in_quotes(hide_urls(found[0]))}"
    message = "inside { } or [ ] YAML takes the brace of ${ for a mapping"
    return _Trap(Note(start, message, hint), line.replace(found[0], in_quotes(found[0])))


def _value(entry: re.Match[str], place: Place, problem: str, is_secret: IsSecret) -> _Trap | None:
    """A value that means something else to YAML."""
    key, value = entry["key"], entry["value"]
    start = Place(place.line, entry.start("value") + 1)
    if place.column < start.column or (value[0] in _COLLECTIONS and key != _PROSE):
        return None
    if value[0] in _QUOTES:
        if "escape" in problem or "out of range" in problem:
            message = f"{key} holds a backslash, which means something inside double quotes"
            return _Trap(Note(place, message, "use single quotes, or write \\\\ for each backslash"))
        what, start = "has text behind its closing quote; all of it must be quoted", place
    elif value[0] in _BEGINNINGS:
        what = f"begins with '{value[0]}'{_BEGINNINGS[value[0]]}, so it must be quoted"
    elif "mapping values" in problem:
        what, start = "holds a ':' that YAML takes for the end of a key, so it must be quoted", place
    else:
        return None
    note = Note(start, f"{key} {what}", remedy(key, value, is_secret))
    return _Trap(note, f"{entry['head']} {in_quotes(value)}")


def _unquoted(value: str) -> str:
    """Without the owner's own quotes, and without a block's sign that has its text on the same line."""
    if value[0] in _QUOTES and value.endswith(value[0]) and len(value) > 1:
        return value[1:-1]
    return value.removeprefix("|").lstrip()
