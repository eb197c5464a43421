"""Fitting values into a limit: how room is shared, and where a value may be cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell.fitting import ELLIPSIS, cut, share_out


@pytest.mark.parametrize(
    ("sizes", "room", "share"),
    [
        ([], 10, 0),
        ([3, 4], 7, 4),  # all fit
        ([3, 4], 100, 4),
        ([10, 10], 10, 5),
        ([1, 10, 10], 11, 5),  # the small one leaves its rest to the others
        ([1, 1, 1], 2, 0),
        ([5], 0, 0),
    ],
)
def test_small_values_leave_their_room_to_the_longest(sizes: list[int], room: int, share: int) -> None:
    assert share_out(sizes, room) == share


@given(st.lists(st.integers(0, 100), max_size=6), st.integers(0, 200))
def test_shares_fit_and_the_room_is_used_up(sizes: list[int], room: int) -> None:
    share = share_out(sizes, room)
    taken = [min(size, share) for size in sizes]
    assert sum(taken) <= room
    if sum(sizes) > room:
        unused, wanting = room - sum(taken), sum(size > share for size in sizes)
        assert unused < wanting, "one more for each would have fitted"
    else:
        assert taken == sizes


def cut_to(raw: str, room: int) -> str:
    return cut(raw, str, room, len)


@pytest.mark.parametrize(
    ("raw", "room", "expected"),
    [
        ("bonjour", 4, "bon…"),
        ("bonjour", 1, "…"),
        ("bonjour", 0, ""),
        ("un deux trois", 9, "un deux…"),  # no space before the mark
        ("voir https://x.example/t/1 merci", 20, "voir…"),  # half a URL leads nowhere
        ("voir https://x.example/t/1 merci", 28, "voir https://x.example/t/1…"),
        ("http://x.example", 10, "…"),
        ("a" * 5 + "e\u0301" * 5, 7, "aaaaa…"),
        ("a" + "\u0301" * 500, 200, "a" + "\u0301" * 135 + "…"),  # stacked without end: gives up after 64
    ],
)
def test_values_are_cut_where_a_reader_would(raw: str, room: int, expected: str) -> None:
    assert cut_to(raw, room) == expected


GRAPHEMES = [
    "é",
    "e\u0301\u0323",
    "👍🏽",
    "👩\u200d❤\ufe0f\u200d👩",
    "👨🏿\u200d🚀",
    "🇫🇷",
    "1\ufe0f\u20e3",
    "☝\ufe0f",
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # the flag of Scotland
    "\u0928\u093f",  # Devanagari: the vowel sign is a spacing mark
    "\u0e01\u0e35\u0e48",  # Thai: vowel and tone above the letter
]


@pytest.mark.parametrize("grapheme", GRAPHEMES, ids=ascii)
@pytest.mark.parametrize("before", ["", "a", "🇪🇸", "👍🏽"], ids=ascii)
def test_what_a_reader_sees_as_one_is_never_divided(before: str, grapheme: str) -> None:
    raw = before + grapheme * 3
    whole = ["", *(before + grapheme * count for count in range(4))]
    for room in range(1, len(raw)):
        assert cut_to(raw, room).removesuffix(ELLIPSIS) in whole


@given(st.text(max_size=80), st.integers(0, 80))
def test_a_cut_value_is_a_beginning_and_fits_in_any_unit(raw: str, room: int) -> None:
    def utf8(text: str) -> int:
        return len(text.encode())

    text = cut(raw, str, room, utf8)
    assert utf8(text) <= room
    assert raw.startswith(text.removesuffix(ELLIPSIS))
    assert text.endswith(ELLIPSIS) or room < utf8(ELLIPSIS)
