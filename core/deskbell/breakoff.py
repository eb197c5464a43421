"""How long a plugin may hold up the event loop, and the last resort: its call is broken off."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

BLOCKED = 0.5
"""Seconds for which one call may hold up the loop; all other destinations wait meanwhile."""
LONGEST_BLOCK = 3.0
"""Seconds after which a plugin's call is broken off: before the connections of others time out meanwhile."""

F = TypeVar("F", bound=Callable[..., Any])

_breakable = set[CodeType]()
_FRAGILE = frozenset({"aiohttp", "asyncio"})
_FRAGILE_IN_CORE = "deskbell.client"


class BrokenOff(BaseException):
    """Raised inside a plugin's call, wherever that is at the moment. Like a cancellation it is no ``Exception``.

    ``exclusive``: it let no other thread run either, as the engine of ``re`` does, so that a thread would not help.
    """

    def __init__(self, *, exclusive: bool = False) -> None:
        super().__init__("it held up the event loop, and everything else with it")
        self.exclusive = exclusive


def breakable(function: F) -> F:
    """Marks a function that calls a plugin and copes with ``BrokenOff`` coming out of it."""
    _breakable.add(function.__code__)
    return function


def may_break(frame: FrameType | None) -> bool:
    """True when what runs in ``frame`` was called by a breakable function, with nothing between that would suffer.

    A connection of the client that is interrupted at just any place would leave its pool in disorder.
    """
    called = False
    while frame is not None:
        if frame.f_code in _breakable:
            return called
        module = str(frame.f_globals.get("__name__", ""))
        if module == _FRAGILE_IN_CORE or module.partition(".")[0] in _FRAGILE:
            return False
        called = True
        frame = frame.f_back
    return False
