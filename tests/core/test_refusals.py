"""Who fails how often: counted by whose address it is, in windows, and forgotten in time."""

from __future__ import annotations

import pytest
from tests.kit import Clock

from deskbell.refusals import MOST_ADDRESSES, MOST_FAILURES, WINDOW, Refusals, owner_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> Refusals:
    return Refusals(clock=clock)


def test_twenty_failures_are_forgiven_and_the_next_is_told_once(refusals: Refusals) -> None:
    for _ in range(MOST_FAILURES):
        failures = refusals.fail("203.0.113.9")
        assert (failures.too_many, failures.worth_telling) == (False, True)
    seen = [refusals.fail("203.0.113.9") for _ in range(1)]
    assert [(each.too_many, each.worth_telling) for each in seen] == [(True, True)]
    failures = refusals.fail("203.0.113.9")
    assert (failures.too_many, failures.worth_telling) == (True, False)


def test_another_address_is_not_touched(refusals: Refusals) -> None:
    for _ in range(MOST_FAILURES * 2):
        refusals.fail("203.0.113.9")
    assert refusals.fail("203.0.113.10").count == 1


def test_a_window_ends(refusals: Refusals, clock: Clock) -> None:
    for _ in range(MOST_FAILURES * 2):
        failures = refusals.fail("203.0.113.9")
    clock.now += WINDOW - 0.3
    assert refusals.fail("203.0.113.9").too_many
    assert refusals.seconds_left(failures) == 1
    clock.now += 0.3
    assert refusals.fail("203.0.113.9").count == 1


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(refusals: Refusals) -> None:
    first, second = "a", "b"
    refusals.fail(first)
    refusals.fail(second)
    for number in range(MOST_ADDRESSES - 1):
        refusals.fail(str(number))
    assert len(refusals._failures) == MOST_ADDRESSES
    assert refusals.fail(second).count == 2
    assert refusals.fail(first).count == 1


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_of_ipv6_a_whole_network_is_one_owner(address: str, owner: str) -> None:
    assert owner_of(address) == owner
