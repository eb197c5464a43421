"""How pages speak: in the reader's language, with the owner's time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from aiohttp import web

from deskbell.event import Action, action_named
from deskbell.languages import LANGUAGES, accepted_language, catalogue, text

LANGUAGE_COOKIE = "deskbell_language"
_MEBIBYTE, _GIBIBYTE = 1024**2, 1024**3
_UNITS = {"days": timedelta(days=1), "hours": timedelta(hours=1), "minutes": timedelta(minutes=1)}


def language_of(request: web.Request) -> str:
    """The one that the reader chose here, else the one that the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else accepted_language(request.headers.get("Accept-Language", ""))


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language; times are shown in ``timezone``."""

    language: str
    timezone: tzinfo

    def say(self, key: str, **values: Any) -> str:
        """The words of ``key``, with ``{name}`` replaced by ``values``."""
        return text(self.language, key, **values)

    def named(self, group: str, word: str, *, otherwise: str | None = None) -> str:
        """What ``word`` of a closed list (``state``, ``priority``) is called; ``otherwise`` (itself) where it is none."""
        return self._known.get(f"{group}.{word.casefold()}", word if otherwise is None else otherwise)

    def action(self, word: str) -> str:
        """What an action is called: ``Submit`` is a new ticket."""
        known = action_named(word)
        return self.named("action", known if known in tuple(Action) else word)

    def time(self, at: datetime | None) -> str:
        """A moment, to the second; empty for none."""
        return at.astimezone(self.timezone).strftime(self._known["page.time"]) if at else ""

    def seconds(self, seconds: float | None) -> str:
        """A duration, as short as it can be told; empty for none."""
        if seconds is None:
            return ""
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"

    def span(self, span: timedelta) -> str:
        """A longer one, roughly, in the largest unit of which it has two: ``3 days``, ``47 hours``, ``90 s``."""
        unit = next((unit for unit, one in _UNITS.items() if span >= 2 * one), "seconds")
        count = span // _UNITS.get(unit, timedelta(seconds=1))
        return self.say(f"page.span.{unit}", count=max(count, 0))

    def size(self, size: float) -> str:
        """Bytes, as ``df -h`` has them."""
        large = size >= _GIBIBYTE
        return f"{size / _GIBIBYTE:.1f} GiB" if large else f"{size / _MEBIBYTE:.1f} MiB"

    @property
    def _known(self) -> Mapping[str, str]:
        return catalogue(self.language)
