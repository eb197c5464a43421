"""Which deliveries a reader looks for: the fields of the filter, in a query or in a form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from deskbell.delivery import State
from deskbell.store.reading import Filter

FIELDS = ("webhook", "action", "state", "ticket", "text")
"""The names of its fields; an empty one asks for nothing."""
_ID = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Sought:
    """``given``: what the fields say. ``ignored``: the fields that say what cannot be, and count as empty."""

    given: Mapping[str, str]
    before: int | None
    ignored: tuple[str, ...]

    @classmethod
    def of(cls, field: Callable[[str], str]) -> Sought:
        """As ``field`` tells the value of each."""
        given = {name: field(name) for name in FIELDS}
        ignored = [] if given["state"] in ("", *State) else ["state"]
        before = number(field("before"))
        if before is None and field("before"):
            ignored.append("before")
        meant = {name: value for name, value in given.items() if value and name not in ignored}
        return cls(meant, before, tuple(ignored))

    def filter(self, state: State | None = None, *, limit: int | None = None) -> Filter:
        """For the store; ``state`` instead of the one that is given."""
        given = self.given
        said = State(given["state"]) if "state" in given else None
        return Filter(
            state or said,
            given.get("webhook"),
            given.get("ticket"),
            limit=limit,
            action=given.get("action"),
            text=given.get("text"),
            before=self.before,
        )

    def link(self, path: str = "/", *, before: int | None = None) -> str:
        """The address of a page that looks for the same; its next page begins below ``before``."""
        query = urlencode({**self.given, **({"before": str(before)} if before else {})})
        return f"{path}?{query}" if query else path


def number(text: str) -> int | None:
    """``text`` as the id of a delivery; None where it is none."""
    return int(text) if _ID.fullmatch(text) and int(text) > 0 else None
