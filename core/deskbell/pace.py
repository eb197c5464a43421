"""Declared rates, and when they allow the next send. Pure: the time is handed in."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

_RATE = re.compile(r"\s*(\d{1,6})\s*/\s*(\d{1,6}(?:\.\d{1,6})?)?\s*(s|sec|m|min|h)\s*", re.ASCII)
_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` sends in any ``seconds``."""

    count: int
    seconds: float


def parse_rates(text: str) -> tuple[Rate, ...]:
    """Read ``5/2s, 30/60s``; ``none`` (or nothing) means no limit. ``ValueError`` says what is wrong."""
    if text.strip().casefold() in ("", "none"):
        return ()
    return tuple(_parse(part) for part in text.split(","))


def _parse(part: str) -> Rate:
    found = _RATE.fullmatch(part)
    if not found or int(found[1]) < 1 or float(found[2] or 1) <= 0:
        raise ValueError(f"'{part.strip()}' is no rate; write it like 5/2s or 30/60s, or none")
    return Rate(int(found[1]), float(found[2] or 1) * _SECONDS[found[3]])


class Pace:
    """A sliding window for each rate: remembers only as many sends as the largest count."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        self._rates = tuple(rates)
        self._sent: deque[float] = deque(maxlen=max((rate.count for rate in self._rates), default=1))

    def wait(self, now: float) -> float:
        """Seconds until one more send keeps every rate; 0 when it may go now."""
        return max((self._wait_for(rate, now) for rate in self._rates), default=0.0)

    def _wait_for(self, rate: Rate, now: float) -> float:
        if len(self._sent) < rate.count:
            return 0.0
        return max(0.0, self._sent[-rate.count] + rate.seconds - now)

    def note(self, now: float) -> None:
        """One send starts now."""
        self._sent.append(now)
