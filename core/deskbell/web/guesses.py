"""How often a password may be guessed: not so often that guessing pays, nor that it keeps the processor busy."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from deskbell.password import Password

WINDOW = 600.0
"""Seconds in which wrong guesses are counted."""
MOST_FROM_ONE = 10
MOST_IN_ALL = 100
"""From elsewhere: they keep nobody out who sits at this machine, or comes through a tunnel."""
HERE = "this machine"


class TooManyGuessesError(Exception):
    """``wait`` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many wrong guesses; wait {wait:.0f} s")
        self.wait = wait


class Guesses:
    """Remembers the wrong ones for a while: never more than the limits let through."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wrong = deque[tuple[float, str]]()
        self._turn = asyncio.Lock()

    async def is_right(self, guess: str, password: Password, origin: str) -> bool:
        """Compare, one guess at a time and beside the event loop. ``TooManyGuessesError`` says nothing of this one."""
        if wait := self._wait(origin):
            raise TooManyGuessesError(wait)
        mark = (self._clock(), origin)
        self._wrong.append(mark)  # until it turns out right: guesses sent all at once count as well
        async with self._turn:
            right = await asyncio.to_thread(password.matches, guess)
        if right and mark in self._wrong:
            self._wrong.remove(mark)
        return right

    def _wait(self, origin: str) -> float:
        """Seconds until a guess from ``origin`` is compared again; 0 when it is now."""
        now = self._clock()
        while self._wrong and self._wrong[0][0] <= now - WINDOW:
            self._wrong.popleft()
        own = [at for at, who in self._wrong if who == origin]
        others = [at for at, who in self._wrong if who != HERE]
        limits = [(own, MOST_FROM_ONE), *([(others, MOST_IN_ALL)] if origin != HERE else [])]
        return max((times[-most] + WINDOW - now for times, most in limits if len(times) >= most), default=0.0)
