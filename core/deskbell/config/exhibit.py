"""The lines of a config file as they may be shown: with every secret masked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from deskbell.secret import MASK

from .document import Document
from .masking import Masks, url_spans
from .problem import Place

Exhibit = Callable[[Place], tuple[int, str, int]]
"""The column of a place in its line, the line as it is shown, and the column of the place in that."""
Span = tuple[int, int]
"""A part of a line: the first offset and the one behind the last."""
PROSE = "message"
"""The key whose text is shown as it is: it goes to a channel, so it holds no secret."""

_REFERENCE = re.compile(r"""['"]?\$\{\w+\}['"]?(?=[\s,}\]]|\Z)""", re.ASCII)  # tells a name, no secret
_ENTRY = re.compile(r"""(?:\A|(?<=[\s{,\[-]))['"]?(?P<key>[\w.-]{1,64})['"]?[ \t]{0,8}:[ \t]*""")
_NO_TEXT = " \t-'\""


def of_document(document: Document, masks: Masks) -> Exhibit:
    """For a file that was read: the places of its values are known."""
    secrets, prose = list[tuple[Place, Place]](), set[int]()
    for path, spot in document.spots.items():
        if PROSE in path:
            prose.update((spot.start.line, *range(spot.start.line, spot.end.line)))
        elif path and masks.is_secret(str(path[-1])) and not _REFERENCE.fullmatch(spot.text or ""):
            secrets.append((spot.start, spot.end))

    def exhibit(place: Place) -> tuple[int, str, int]:
        line = document.lines[place.line - 1]
        spans = [span for start, end in secrets if (span := _overlap(start, end, place.line, line))]
        if place.line not in prose:
            spans += url_spans(line) if spans else _suspects(line, masks)
        return place.column, *_hide(line, spans, place.column, masks)

    return exhibit


def of_text(lines: Sequence[str], masks: Masks) -> Exhibit:
    """For a file that is no YAML: its keys are guessed, and what may be a secret counts as one."""

    def exhibit(place: Place) -> tuple[int, str, int]:
        line = lines[place.line - 1]
        column = min(place.column, len(line) + 1)  # a line that was mended may be longer
        owner = _owner(lines, place.line - 1)
        spans = [] if owner == PROSE else _suspects(line, masks)
        if masks.is_secret(owner) and not spans and not _begins_entry(line):
            spans = [(0, len(line))]
        return column, *_hide(line, spans, column, masks)

    return exhibit


def _suspects(line: str, masks: Masks) -> list[Span]:
    """What follows a key that may hold a secret, and every URL."""
    return url_spans(line) + [
        (entry.end(), len(line))
        for entry in _entries(line)
        if masks.is_secret(entry["key"]) and not _REFERENCE.match(line, entry.end())
    ]


def _owner(lines: Sequence[str], index: int) -> str:
    """The key that a line begins with; else the last one above it."""
    if _begins_entry(lines[index]):
        return next(_entries(lines[index]))["key"]
    keys = (entry["key"] for line in reversed(lines[:index]) for entry in reversed(list(_entries(line))))
    return next(keys, "")


def _begins_entry(line: str) -> bool:
    entry = next(_entries(line), None)
    return entry is not None and not line[: entry.start()].strip(_NO_TEXT)


def _entries(line: str) -> Iterator[re.Match[str]]:
    """Each ``key: …`` of a line, of the inner ones of ``{a: 1, b: 2}`` as well."""
    at = 0
    while found := _ENTRY.search(line, at):
        yield found
        at = found.end("key") + 1


def _overlap(start: Place, end: Place, number: int, line: str) -> Span | None:
    """The part of a line that lies between two places, with the comment behind it."""
    if not start.line <= number <= end.line:
        return None
    first = start.column - 1 if number == start.line else len(line) - len(line.lstrip())
    last = end.column - 1 if number == end.line else len(line)
    if line[last:].lstrip().startswith("#"):
        last = len(line)
    return (first, last) if first < last else None


def _hide(line: str, spans: Sequence[Span], column: int, masks: Masks) -> tuple[str, int]:
    caret = min((first for first, last in spans if first < column - 1 < last), default=column - 1)
    before = _masked(line[:caret], [span for span in spans if span[0] < caret])
    return masks.scrub(_masked(line, spans)), len(masks.scrub(before)) + 1


def _masked(line: str, spans: Iterable[Span]) -> str:
    shown, at = "", 0
    for first, last in sorted(spans):
        if first >= at:
            shown += line[at:first] + MASK
        at = max(at, last)
    return shown + line[at:]
