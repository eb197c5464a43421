"""Declared rates, and that what they allow never exceeds them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell.pace import Pace, Rate, parse_rates


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("5/2s, 30/60s", (Rate(5, 2), Rate(30, 60))),
        ("1/s", (Rate(1, 1),)),
        (" 1 / 1.5 s ", (Rate(1, 1.5),)),
        ("30/min,100/2m, 1000/h", (Rate(30, 60), Rate(100, 120), Rate(1000, 3600))),
        ("50/1sec", (Rate(50, 1),)),
        ("none", ()),
        (" None ", ()),
        ("", ()),
    ],
)
def test_rates_are_read(text: str, rates: tuple[Rate, ...]) -> None:
    assert parse_rates(text) == rates


@pytest.mark.parametrize(
    "text",
    ["5", "5/2", "0/s", "5/0s", "-1/s", "5/s,", "fast", "5 per 2s", "1/1e9s", "٣/s", "9" * 5000 + "/s",
     "1/" + "9" * 400 + "s"],
)  # fmt: skip
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no rate; write it like 5/2s"):
        parse_rates(text)


def test_sends_wait_until_the_window_moves_on() -> None:
    pace = Pace(parse_rates("2/2s, 3/10s"))
    waits = []
    for now in (0.0, 0.5, 1.0, 2.0, 9.9, 10.0):
        waits.append(pace.wait(now))
        if not waits[-1]:
            pace.note(now)
    assert waits == [0, 0, 1.0, 0, pytest.approx(0.1), 0]


def test_without_a_rate_nothing_waits() -> None:
    pace = Pace(())
    for _ in range(100):
        assert pace.wait(0.0) == 0.0
        pace.note(0.0)


RATES = st.lists(st.builds(Rate, st.integers(1, 6), st.integers(1, 20).map(float)), min_size=1, max_size=3)


@given(RATES, st.lists(st.integers(0, 30), min_size=1, max_size=40))
def test_no_window_ever_holds_more_sends_than_its_rate(rates: list[Rate], pauses: list[int]) -> None:
    pace, now, sent = Pace(rates), 0.0, list[float]()
    for pause in pauses:
        now += pause / 4
        now += pace.wait(now)
        assert pace.wait(now) == 0.0, "waiting as told is enough"
        pace.note(now)
        sent.append(now)
    for rate in rates:
        assert all(
            later - first >= rate.seconds for first, later in zip(sent, sent[rate.count :], strict=False)
        )


@given(RATES)
def test_a_fresh_pace_lets_a_whole_burst_through_at_once(rates: list[Rate]) -> None:
    pace = Pace(rates)
    for _ in range(min(rate.count for rate in rates)):
        assert pace.wait(5.0) == 0.0
        pace.note(5.0)
    assert pace.wait(5.0) > 0
