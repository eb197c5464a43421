"""Durations, declared rates, and when rates allow the next send. Pure: the time is handed in."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

_RATE = re.compile(r"\s*(\d{1,6})\s*/\s*(\d{1,6}(?:\.\d{1,6})?)?\s*(s|sec|m|min|h)\s*", re.ASCII)
_DURATION = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*(s|sec|m|min|h|d)?\s*", re.ASCII)
_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_MOST_DAYS = 3650
"""Ten years: who writes more has mistaken the unit."""


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


def parse_duration(text: str) -> float:
    """Read ``90s``, ``15min``, ``1.5h`` or ``30d``: seconds, more than 0. ``ValueError`` says what to write instead.

    It never repeats ``text``, which may be a secret in the wrong place.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError("write a number and its unit, like 30s, 15min, 96h or 30d")
    if not found[2]:
        raise ValueError("which unit? write s, min, h or d behind the number, like 30s or 96h")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if not 0 < seconds <= _MOST_DAYS * _SECONDS["d"]:
        raise ValueError(f"write more than nothing, and at most {_MOST_DAYS}d")
    return seconds


class Pace:
    """A sliding window for each rate: remembers only as many sends as the largest count."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        self.rates = tuple(rates)
        self._sent: deque[float] = deque(maxlen=max((rate.count for rate in self.rates), default=1))

    def wait(self, now: float) -> float:
        """Seconds until one more send keeps every rate; 0 when it may go now."""
        return max((self._wait_for(rate, now) for rate in self.rates), default=0.0)

    def _wait_for(self, rate: Rate, now: float) -> float:
        if len(self._sent) < rate.count:
            return 0.0
        return max(0.0, self._sent[-rate.count] + rate.seconds - now)

    def note(self, now: float) -> None:
        """One send counts from now."""
        self._sent.append(now)

    def move(self, noted: float, now: float) -> None:
        """The send that was noted at ``noted`` counts from ``now``, when its answer came.

        The service counted it at some time between the two, and its window may be open for as much longer.
        """
        self.forget(noted)
        self._sent.append(now)

    def forget(self, noted: float) -> None:
        """The send that was noted at ``noted`` did not take place."""
        with suppress(ValueError):
            self._sent.remove(noted)
