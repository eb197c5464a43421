"""A check: one rule for plugins, its level, and what it says when the rule is broken. Needs no pytest."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Generic, TypeVar

from deskbell.blame import in_words

SubjectT = TypeVar("SubjectT")


class Level(StrEnum):
    """How good a plugin is: it loads and is honest; it loses nothing and harms nobody; it is a pleasure."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"

    def is_above(self, other: Level) -> bool:
        """Whether it asks for more than ``other``."""
        levels = list(Level)
        return levels.index(self) > levels.index(other)


class NotMet(AssertionError):  # noqa: N818 - what a check says, read in pytest's own words
    """The plugin breaks the rule. The text says what it did, and what to change."""


class NotApplicable(Exception):  # noqa: N818 - likewise
    """The check cannot be made here. The text says why."""


@dataclass(frozen=True, slots=True)
class Check(Generic[SubjectT]):
    """One rule. ``run`` gets what is checked; it raises ``NotMet`` or ``NotApplicable``, or is content."""

    name: str
    level: Level
    rule: str
    run: Callable[[SubjectT], Awaitable[None] | None]

    def perform(self, subject: SubjectT) -> None:
        """Make the check, in an event loop of its own where it needs one."""
        result = self.run(subject)
        if inspect.isawaitable(result):
            # With a factory, the thread's current loop stays what it is: other tests may count on theirs.
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                runner.run(_awaited(result))


async def _awaited(result: Awaitable[None]) -> None:
    await result


class Checks(Generic[SubjectT]):
    """All rules for one kind of plugin, in the order in which they are written down: first those of ``parts``."""

    def __init__(self, *parts: Checks[SubjectT]) -> None:
        self._checks = {check.name: check for part in parts for check in part}

    def __iter__(self) -> Iterator[Check[SubjectT]]:
        return iter(self._checks.values())

    def bronze(self, run: Callable[[SubjectT], Awaitable[None] | None]) -> Check[SubjectT]:
        """Decorates a function that checks a rule of the first level: its name is the rule's, its docstring the rule."""
        return self._add(Level.BRONZE, run)

    def silver(self, run: Callable[[SubjectT], Awaitable[None] | None]) -> Check[SubjectT]:
        """Likewise, of the second."""
        return self._add(Level.SILVER, run)

    def gold(self, run: Callable[[SubjectT], Awaitable[None] | None]) -> Check[SubjectT]:
        """Likewise, of the third."""
        return self._add(Level.GOLD, run)

    def _add(self, level: Level, run: Callable[[SubjectT], Awaitable[None] | None]) -> Check[SubjectT]:
        rule = " ".join((inspect.getdoc(run) or "").split())
        check = self._checks[run.__name__] = Check(run.__name__, level, rule, run)
        return check

    def wrong_skips(self, skip: Mapping[str, str]) -> Iterator[str]:
        """What is wrong with the checks that an author leaves out."""
        for name, reason in skip.items():
            if name not in self._checks:
                near = get_close_matches(name, self._checks, n=1)
                yield f"skip names {name!r}, which is no check{f'; did you mean {near[0]!r}?' if near else ''}"
            elif not reason.strip():
                yield f"skip leaves {name!r} out without a reason: say why"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a check: ``met`` (None: it was not made), and why."""

    name: str
    level: Level
    met: bool | None
    why: str = ""


def judge(check: Check[SubjectT], subject: SubjectT) -> Verdict:
    """Make one check; whatever the plugin does becomes a verdict."""
    try:
        check.perform(subject)
    except NotMet as error:
        return Verdict(check.name, check.level, met=False, why=str(error))
    except NotApplicable as error:
        return Verdict(check.name, check.level, met=None, why=str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's own code
        return Verdict(check.name, check.level, met=False, why=in_words(error))
    return Verdict(check.name, check.level, met=True)
