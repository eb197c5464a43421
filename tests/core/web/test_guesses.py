"""How often a password may be guessed."""

from __future__ import annotations

import asyncio

import pytest
from tests.kit import Clock

from deskbell.password import Password
from deskbell.secret import Secret
from deskbell.web.guesses import HERE, MOST_FROM_ONE, MOST_IN_ALL, WINDOW, Guesses, TooManyGuessesError

WORDS = "correct horse battery staple"
OWNERS = Password(Secret(WORDS))


async def guess(guesses: Guesses, words: str, origin: str) -> bool | float:
    """Whether it was right, or how long to wait."""
    try:
        return await guesses.is_right(words, OWNERS, origin)
    except TooManyGuessesError as error:
        return error.wait


async def test_one_address_waits_after_so_many_and_no_other() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    for _ in range(MOST_FROM_ONE):
        assert await guess(guesses, "wrong", "203.0.113.9") is False
        clock.now += 1
    assert await guess(guesses, WORDS, "203.0.113.9") == WINDOW - MOST_FROM_ONE
    assert await guess(guesses, WORDS, "198.51.100.1") is True
    clock.now += WINDOW - MOST_FROM_ONE
    assert await guess(guesses, WORDS, "203.0.113.9") is True


async def test_all_that_come_from_elsewhere_wait_after_so_many_together() -> None:
    guesses = Guesses(Clock())
    for number in range(MOST_IN_ALL):
        assert await guess(guesses, "wrong", f"address {number}") is False
    assert await guess(guesses, WORDS, "one more") == WINDOW
    assert await guess(guesses, WORDS, HERE) is True


async def test_what_is_right_does_not_count() -> None:
    guesses = Guesses(Clock())
    for _ in range(3 * MOST_FROM_ONE):
        assert await guess(guesses, WORDS, "203.0.113.9") is True


@pytest.mark.parametrize("times", [MOST_FROM_ONE, 3 * MOST_FROM_ONE])
async def test_guesses_that_come_all_at_once_count_as_well(times: int) -> None:
    guesses = Guesses(Clock())
    found = await asyncio.gather(*(guess(guesses, "wrong", "203.0.113.9") for _ in range(times)))
    assert found.count(False) == MOST_FROM_ONE
