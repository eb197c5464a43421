"""Outcomes are plain values: equal when they say the same, unchangeable, and modest in what they assume."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import get_args

import pytest

from deskbell import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure, Throttled

EACH: tuple[Outcome, ...] = (
    Delivered(),
    Throttled(1.5),
    TemporaryFailure("503"),
    PermanentFailure("400"),
    DestinationGone("410"),
)


def test_there_are_five_outcomes() -> None:
    assert {type(outcome) for outcome in EACH} == set(get_args(Outcome))


@pytest.mark.parametrize("outcome", EACH, ids=lambda outcome: type(outcome).__name__)
def test_an_outcome_cannot_change(outcome: Outcome) -> None:
    with pytest.raises(FrozenInstanceError):
        outcome.detail = "x"  # type: ignore[misc]  # what the test is about


def test_nothing_is_assumed_that_the_service_did_not_say() -> None:
    assert Delivered() == Delivered(receipt="", wait=0.0, detail="")
    assert Throttled(1).scope == "destination"
    assert TemporaryFailure("x").retry_after is None
    assert DestinationGone("x").certain
