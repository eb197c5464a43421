"""Collects what is wrong with one file, from all who look at it, and turns it into problems."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .document import Document, shown_word
from .exhibit import Exhibit
from .masking import Masks, hide_urls
from .problem import KeyPath, Note, Place, Problem, Severity, dotted

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Findings:
    """The notes about one document. ``path`` says which value each of them is about."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.notes = list[Note]()
        self._spoilt = set[KeyPath]()

    def add(self, note: Note) -> None:
        """Take a note; an error spoils its value: nobody need complain of it again."""
        self.notes.append(note)
        if note.severity is Severity.ERROR:
            self._spoilt.add(note.path)

    def error(self, path: KeyPath, message: str, hint: str = "", *, place: Place | None = None) -> None:
        """At the value of ``path``, or at ``place``."""
        self.add(Note(place or self._document.spot(path).start, message, hint, path=path))

    def error_at_key(self, path: KeyPath, message: str, hint: str = "") -> None:
        """At the key of ``path``."""
        self.error(path, message, hint, place=self._document.spot(path).key)

    def warning(self, path: KeyPath, message: str, hint: str = "", *, place: Place | None = None) -> None:
        """As ``error``, but deskbell starts nevertheless."""
        self.add(Note(place or self._document.spot(path).start, message, hint, Severity.WARNING, path))

    def spoil(self, path: KeyPath) -> None:
        """The value of ``path`` cannot be used, and that was said."""
        self._spoilt.add(path)

    def spoilt(self, path: KeyPath) -> bool:
        """True when the value of ``path``, or one that it is part of, was called wrong already."""
        return any(path[:length] in self._spoilt for length in range(len(path) + 1))

    def written(self, path: KeyPath) -> bool:
        """True when ``path`` is in the file."""
        return path in self._document.spots

    def line(self, path: KeyPath) -> int:
        """The line of the value of ``path``."""
        return self._document.spot(path).start.line

    def find(self, path: KeyPath, words: str, offset: int) -> Place:
        """Where ``words`` stand in the text of ``path``."""
        return self._document.find(path, words, offset)

    def word(self, path: KeyPath) -> str:
        """The value in quotes, as it stands in the file: what comes from the environment is not shown."""
        return shown_word(hide_urls(self._document.spot(path).text or ""))

    @property
    def failed(self) -> bool:
        """True when there is an error."""
        return any(note.severity is Severity.ERROR for note in self.notes)


def problems(file: str, notes: Iterable[Note], masks: Masks, exhibit: Exhibit) -> tuple[Problem, ...]:
    """Look up each note's line, without secrets; in the order of the file, each only once."""
    ordered = sorted(dict.fromkeys(notes), key=_order)
    return tuple(_problem(file, note, masks.scrub, exhibit) for note in ordered)


def _order(note: Note) -> tuple[Place, str]:
    return note.place or Place(0, 0), note.message


def _problem(file: str, note: Note, scrub: Callable[[str], str], exhibit: Exhibit) -> Problem:
    column, shown, caret = exhibit(note.place) if note.place else (0, "", 0)
    return Problem(
        file=file,
        line=note.place.line if note.place else 0,
        column=column,
        severity=note.severity,
        message=_UNPRINTABLE.sub("\ufffd", scrub(note.message)),
        hint=_UNPRINTABLE.sub("\ufffd", scrub(note.hint)),
        key=dotted(note.path),
        shown=_UNPRINTABLE.sub("\ufffd", shown),
        caret=caret,
    )
