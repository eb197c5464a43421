"""Collects what is wrong inside one option, so that each fault is told at its own line of the config."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Path = tuple[str | int, ...]
"""Keys and indexes that lead from the option's own value to a part of it."""


class Faults:
    """The faults of one option."""

    def __init__(self) -> None:
        self._found: list[InitErrorDetails] = []

    def add(self, path: Path, sentence: str) -> None:
        """``sentence`` says what is wrong and what to write. The value itself is kept out: it may be a secret."""
        error = PydanticCustomError("value_error", "{sentence}", {"sentence": sentence})
        self._found.append(InitErrorDetails(type=error, loc=path, input=None))

    def raise_any(self) -> None:
        """As pydantic's own error, which puts the option's place before each path."""
        if self._found:
            raise ValidationError.from_exception_data("option", self._found, hide_input=True)
