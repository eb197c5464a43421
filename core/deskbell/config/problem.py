"""What is wrong with a config file, and how it is shown: place, line, caret, what to do."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

KeyPath = tuple[str | int, ...]
"""Where in the configuration: ``("webhooks", 0, "message")``."""

_GUTTER = 5
_WINDOW = 120


class Severity(StrEnum):
    """An error keeps deskbell from starting, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A character of the file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Note:
    """A problem as it is found, before its line is looked up. Without a place it concerns the whole file."""

    place: Place | None
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    path: KeyPath = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem as it is shown; ``str()`` gives the whole of it.

    ``shown`` is the line with its secrets masked and ``caret`` the column of the problem in it, which a mask
    may have moved away from ``column``. ``line`` is 0 for a problem of the whole file.
    """

    file: str
    line: int
    column: int
    severity: Severity
    message: str
    hint: str
    key: str
    shown: str
    caret: int

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return "\n".join([f"{where}: {self.severity}: {self.message}", *self._picture(), *self._advice()])

    def _picture(self) -> list[str]:
        if not self.line:
            return []
        shown, caret = _window(self.shown, self.caret - 1)
        return [f"{self.line:>{_GUTTER}} | {shown}", f"{'':{_GUTTER}} | {_blank(shown[:caret])}^"]

    def _advice(self) -> list[str]:
        first, *others = self.hint.split("\n")
        return (
            [f"{'':{_GUTTER}} = {first}", *(f"{'':{_GUTTER}}   {line}" for line in others)] if first else []
        )


def dotted(path: KeyPath) -> str:
    """``webhooks[0].message``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def report(problems: Sequence[Problem], then: str = "Nothing was started.") -> str:
    """All problems; where there is an error among them their number, and what became of it."""
    texts = [str(problem) for problem in problems]
    if any(problem.severity is Severity.ERROR for problem in problems):
        texts.append(f"{counted(len(problems), 'problem')}. {then}")
    return "\n".join(texts)


def to_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """The problems as JSON-able objects: ``file, line, column, severity, message, hint, key, shown, caret``."""
    return [asdict(problem) for problem in problems]


def counted(number: int, word: str) -> str:
    """``1 problem``, ``2 problems``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _window(line: str, caret: int) -> tuple[str, int]:
    """The part of a long line that holds the caret."""
    if len(line) <= _WINDOW:
        return line, caret
    start = max(0, caret - _WINDOW // 2)
    shown = line[start : start + _WINDOW]
    before, after = "…" if start else "", "…" if start + _WINDOW < len(line) else ""
    return f"{before}{shown}{after}", caret - start + len(before)


def _blank(text: str) -> str:
    """White space as wide as ``text`` is on a terminal."""
    return "".join("\t" if char == "\t" else " " * _width(char) for char in text)


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
