"""A help desk's body, read field by field: whatever is wrong with it is told at once, by its path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import EventError, Fault
from .source import scalar_text


class Fields:
    """Reads a decoded body by dotted paths, as in ``ticket.customer.email``, and keeps what is wrong with it."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._faults = dict[str, str]()

    def text(self, path: str, *, required: bool = False) -> str:
        """The text there, as it was sent. Missing or null is empty, and a fault where it is ``required``.

        An object or a list is a fault, and empty.
        """
        value: Any = self._body
        keys = path.split(".")
        for depth, key in enumerate(keys):
            if value is None:
                break
            if not isinstance(value, Mapping):
                return self._fault(".".join(keys[:depth]), "must be an object")
            value = value.get(key)
        if isinstance(value, dict | list):
            return self._fault(path, "must be a text, a number or null")
        text = scalar_text(value)
        return self._fault(path, "is required") if required and not text.strip() else text

    def refuse_faults(self, detail: str) -> None:
        """``EventError`` with every fault so far, if there is one. ``detail`` says what the body is not."""
        if self._faults:
            raise EventError(detail, faults=[Fault(*fault) for fault in self._faults.items()])

    def _fault(self, path: str, message: str) -> str:
        self._faults.setdefault(path, message)
        return ""
