"""What came to a source's door since this start: how much was taken, what was refused, and why."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

MOST_REFUSALS = 10
"""Refusals that are remembered, by source; earlier ones are only counted."""
LONGEST_REASON = 2_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was not taken: the status of its answer, and why. Neither its token nor its body is in it."""

    at: datetime
    status: int
    reason: str


@dataclass(slots=True)
class Arrivals:
    """Of one source. ``refused`` counts all refusals, ``latest`` has the last that are worth telling, the newest last."""

    taken: int = 0
    refused: int = 0
    latest: deque[Refusal] = field(default_factory=lambda: deque(maxlen=MOST_REFUSALS))

    def remember(self, at: datetime, status: int, reason: str) -> None:
        """One of the refusals, to be told."""
        self.latest.append(Refusal(at, status, reason[:LONGEST_REASON]))
