"""``:pushpin:`` of a template -> the emoji itself, for every transport.

No service knows every name of another (Slack has no ``:e_mail:``), some names mean different emoji there, and
Discord renders codes only in some places: so deskbell writes the emoji. A name means what it means in Discord;
names that only Slack has come second. The table ships in the wheel (``data/shortcodes.json``, made by
``scripts/build_shortcodes.py``) and is read on first use.

What only looks like a code stays as it is: custom emoji (``<:name:id>``), timestamps, URLs, times
(``12:30:45``) and addresses (``fe80:ab:1``). Skin tones are a rule, not entries: ``:wave_tone3:``,
``:wave_medium_skin_tone:`` and ``:wave::skin-tone-3:``. Steps 1 to 5 count as in Discord (Slack counts the same
tones from 2); 6, which only Slack has, is the darkest in both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

_NEXT = re.compile(
    r"(?P<literal><a?:\w+:\d+>|<t:-?\d+(?::\w)?>|https?://[^\s<>|]*)"
    r"|:(?P<name>[\w+-]+):(?::skin-tone-(?P<tone>[1-6]):)?"
)
_TONE_IN_NAME = re.compile(r"_(?:tone([1-5])|((?:medium_)?(?:light|dark)|medium)_skin_tone)", re.ASCII)
_TONE_WORDS = ("light", "medium_light", "medium", "medium_dark", "dark")
_TONE_CHARACTERS = tuple(map(chr, range(0x1F3FB, 0x1F400)))  # from light to dark, as Discord numbers them
_HEX_GROUP = re.compile(r"[0-9a-f]{1,4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text with its emoji, and each code that no table knows: its name and its offset in the source."""

    text: str
    unknown: tuple[tuple[str, int], ...] = ()


def expand(text: str) -> Expanded:
    """Write the emoji for each shortcode of ``text``; unknown ones stay and are reported."""
    parts, unknown = list[str](), list[tuple[str, int]]()
    done = at = 0
    while found := _NEXT.search(text, at):
        if found["literal"]:
            at = found.end()
            continue
        emoji, end = _resolve(found)
        if emoji:
            parts += (text[done : found.start()], emoji)
            done = at = end
            continue
        at = found.end("name")  # the sign that ends an unknown code may begin the next one
        if _means_a_code(found):
            unknown.append((found["name"], found.start()))
    return Expanded("".join((*parts, text[done:])), tuple(unknown))


def names() -> Mapping[str, str]:
    """Every name without its skin tones -> the emoji: for suggestions."""
    return _table().names


def _resolve(found: re.Match[str]) -> tuple[str, int]:
    """The emoji (or nothing) and where its code ends."""
    if _inside_a_word(found) and _HEX_GROUP.fullmatch(found["name"]):
        return "", 0  # 10:100:30, fe80:ab:1
    if found["tone"] and (emoji := _toned(found["name"], int(found["tone"]))):
        return emoji, found.end()
    return _named(found["name"]), found.end("name") + 1


def _named(name: str) -> str:
    emoji = names().get(name, "")
    tones = _TONE_IN_NAME.findall(name)
    if emoji or len(tones) != 1:
        return emoji
    step, word = tones[0]
    return _toned(_TONE_IN_NAME.sub("", name), int(step) if step else _TONE_WORDS.index(word) + 1)


def _toned(name: str, step: int) -> str:
    """The emoji in a skin tone; nothing when there is none."""
    tone = _TONE_CHARACTERS[min(step, len(_TONE_CHARACTERS)) - 1]
    emoji, people = _table().tonable.subn(rf"\1{tone}", names().get(name, ""))
    return emoji if people else ""


def _means_a_code(found: re.Match[str]) -> bool:
    """False for ``9:00-18:00`` and ``std:vector:x``: nobody meant an emoji there."""
    return any(map(str.isalpha, found["name"])) and not _inside_a_word(found)


def _inside_a_word(found: re.Match[str]) -> bool:
    """True when a letter or digit touches the code on both sides."""
    text, start, end = found.string, found.start(), found.end("name") + 1
    return all(side.isascii() and side.isalnum() for side in (text[start - 1 : start], text[end : end + 1]))


@dataclass(frozen=True, slots=True)
class _Table:
    names: Mapping[str, str]
    tonable: re.Pattern[str]


@cache
def _table() -> _Table:
    from importlib.resources import files  # here: it costs more than all the rest of this import

    data = json.loads(files(__package__).joinpath("data", "shortcodes.json").read_text("utf-8"))
    # The tone replaces the variation selector; two people who hold hands have tones, their hands have none.
    tonable = re.compile(f"(?!(?<=\u200d)\U0001f91d)([{data['toned']}])\ufe0f?")
    return _Table(MappingProxyType(data["names"]), tonable)
