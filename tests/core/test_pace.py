"""Durations; declared rates, and that what they allow never exceeds them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell.pace import Pace, Rate, parse_duration, parse_rates


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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("90sec", 90), ("15m", 900), ("15min", 900), ("96h", 345_600), ("30d", 2_592_000), ("1.5h", 5400),
     ("0.25s", 0.25), (" 2 min ", 120), ("007s", 7), ("3650d", 315_360_000), ("315360000s", 315_360_000)],
)  # fmt: skip
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("texts", "advice"),
    [
        (["90", "1.5", " 0 ", "007"], r"^which unit\? write s, min, h or d behind the number, like 30s or 96h$"),
        (["", " ", "s", "soon", "none", "-5s", "+5s", "1h30m", "1 hour", "2w", "5ms", "90S", "1,5h", ".5h", "1e3s",
          "٣s", "1s, 5s", "22:30", "inf", "nand", "9" * 5000 + "s", "0." + "1" * 400 + "s"],
         r"^write a number and its unit, like 30s, 15min, 96h or 30d$"),
        (["0s", "0.0d", "3651d", "315360001s", "9" * 15 + "d"], r"^write more than nothing, and at most 3650d$"),
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_what_to_write(texts: list[str], advice: str) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=advice):
            parse_duration(text)


@given(st.text(alphabet="0123456789. -smhdinec", max_size=12))
def test_whatever_is_read_is_a_time_that_can_be_waited(text: str) -> None:
    with suppress(ValueError):
        assert 0 < parse_duration(text) <= 3650 * 86_400


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
