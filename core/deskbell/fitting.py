"""Fit a value into a limit: share the room out, cut at a place a reader would cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

ELLIPSIS = "…"

_URL = re.compile(r"https?://\S*")
_JOINER = "\u200d"
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_FLAG_TAGS = range(0xE0020, 0xE0080)  # of the flags of Scotland, Wales, …
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_LONGEST_CLUSTER = 64  # combining marks can be stacked without end ("zalgo")


def share_out(sizes: Sequence[int], room: int) -> int:
    """The most that each of ``sizes`` may take so that all fit into ``room``.

    Small ones keep their size and leave the rest to the longest (a water level).
    """
    for index, size in enumerate(sorted(sizes)):
        share = room // (len(sizes) - index)
        if size > share:
            return share
        room -= size
    return max(sizes, default=0)


def cut(raw: str, escape: Callable[[str], str], room: int, measure: Callable[[str], int]) -> str:
    """The longest beginning of ``raw`` that, escaped and marked with ``…``, fits into ``room``."""
    if measure(ELLIPSIS) > room:
        return ""
    end = min(len(raw), room)
    while end > 0:
        text = escape(_before_break(raw, end)) + ELLIPSIS
        size = measure(text)
        if size <= room:
            return text
        end = min(end - 1, end * room // size)
    return ELLIPSIS


def _before_break(raw: str, end: int) -> str:
    """``raw[:end]`` or a little less: no half URL, no half emoji, no letter without its accents."""
    for url in _URL.finditer(raw, 0, end):
        whole = _URL.match(raw, url.start())
        if whole and whole.end() > end:
            end = url.start()
    for _ in range(min(end, _LONGEST_CLUSTER)):
        if end >= len(raw) or not _joined(raw, end):
            break
        end -= 1
    return raw[:end].rstrip()


def _joined(raw: str, at: int) -> bool:
    """True when the characters on both sides of ``at`` are one for the reader."""
    left, right = raw[at - 1], raw[at]
    if (
        _JOINER in (left, right)
        or unicodedata.combining(right)
        or unicodedata.category(right) in ("Mn", "Mc", "Me")
    ):
        return True
    if ord(right) in _SKIN_TONES or ord(right) in _FLAG_TAGS:
        return True
    return ord(right) in _FLAG_LETTERS and _flag_letters_before(raw, at) % 2 == 1


def _flag_letters_before(raw: str, at: int) -> int:
    count = 0
    while count < at and ord(raw[at - 1 - count]) in _FLAG_LETTERS:
        count += 1
    return count
