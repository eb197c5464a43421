"""When a session ends."""

from __future__ import annotations

import pytest
from tests.kit import Clock

from deskbell.password import Password
from deskbell.secret import Secret
from deskbell.web.sessions import IDLE, LIFETIME, MOST_SESSIONS, Sessions

OWNERS = Password(Secret("correct horse battery staple"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def test_it_lives_on_by_being_used_until_its_life_is_over(sessions: Sessions, clock: Clock) -> None:
    cookie, began = sessions.begin(OWNERS), clock.now
    while clock.now + IDLE - 1 < began + LIFETIME:
        clock.now += IDLE - 1
        assert sessions.find(cookie, OWNERS)
    clock.now = began + LIFETIME
    assert sessions.find(cookie, OWNERS) is None


def test_it_ends_when_it_is_not_used(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.begin(OWNERS)
    clock.now += IDLE
    assert sessions.find(cookie, OWNERS) is None


def test_it_belongs_to_its_password_and_its_start(sessions: Sessions) -> None:
    cookie = sessions.begin(OWNERS)
    assert sessions.find(cookie, Password(Secret("another password"))) is None
    assert Sessions().find(cookie, OWNERS) is None
    assert sessions.find(cookie, OWNERS)


@pytest.mark.parametrize("cookie", ["", ".", "a.b", "é.é", "\ud800", "x" * 10_000])
def test_what_we_did_not_sign_names_none(sessions: Sessions, cookie: str) -> None:
    sessions.begin(OWNERS)
    assert sessions.find(cookie, OWNERS) is None


def test_there_are_only_so_many_and_the_one_unused_for_longest_goes(sessions: Sessions, clock: Clock) -> None:
    cookies = []
    for _ in range(MOST_SESSIONS):
        clock.now += 1
        cookies.append(sessions.begin(OWNERS))
    clock.now += 1
    assert sessions.find(cookies[0], OWNERS)
    sessions.begin(OWNERS)
    lasting = [bool(sessions.find(cookie, OWNERS)) for cookie in cookies]
    assert lasting == [True, False] + [True] * (MOST_SESSIONS - 2)


def test_one_that_ended_makes_room_before_one_that_lives(sessions: Sessions, clock: Clock) -> None:
    for _ in range(MOST_SESSIONS):
        sessions.begin(OWNERS)
    clock.now += IDLE
    cookies = [sessions.begin(OWNERS) for _ in range(MOST_SESSIONS)]
    assert all(sessions.find(cookie, OWNERS) for cookie in cookies)
