"""Text that YAML cuts off silently: what follows ' #' is a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deskbell.secret import MASK

from .document import Document, Spot, shown_word
from .masking import hide_urls
from .problem import KeyPath, Note, Severity
from .traps import in_quotes

_VARIABLE = re.compile(r"%\s*\w+\s*%", re.ASCII)
_TEXTS = {"message", "options"}
"""Keys whose values are the owner's own words: a sign lost there is a mistake, elsewhere it may be a remark."""


def cut_texts(document: Document) -> Iterator[Note]:
    """A note for each value that probably lost what follows ' #'."""
    for path, spot in document.spots.items():
        comment = _comment_behind(document, spot)
        if comment and (_no_remark(comment) or ("message" in path and _VARIABLE.search(comment))):
            yield _note(document, path, spot)


def _comment_behind(document: Document, spot: Spot) -> str:
    """What follows the '#' on the line where a plain scalar ends."""
    if spot.text is None or spot.style:
        return ""
    rest = document.lines[spot.end.line - 1][spot.end.column - 1 :]
    return rest.lstrip()[1:] if rest[:1].isspace() and rest.lstrip().startswith("#") else ""


def _no_remark(comment: str) -> bool:
    """A remark has a space behind its '#', or is a line of signs."""
    return comment[0].isalnum() or comment[0] in "%{$<"


def _note(document: Document, path: KeyPath, spot: Spot) -> Note:
    key = next((part for part in reversed(path) if isinstance(part, str)), "this")
    if document.is_secret(key):
        became, whole = "cut short", MASK
    else:
        became = shown_word(spot.text) if spot.text else "empty"
        whole = document.lines[spot.end.line - 1][_begin(spot) - 1 :].strip()
    severity = Severity.ERROR if _TEXTS & set(path) else Severity.WARNING
    message = f"everything after '#' on this line is a YAML comment, so {key} is {became}"
    hint = f"put quotes round it:  {key}: {in_quotes(whole if key == 'message' else hide_urls(whole))}"
    if severity is Severity.WARNING:
        hint += "\nor, if it is a remark, put a space behind the '#'"
    return Note(spot.end, message, hint, severity, path)


def _begin(spot: Spot) -> int:
    """The column where the value begins on its last line."""
    return spot.start.column if spot.start.line == spot.end.line else 1
