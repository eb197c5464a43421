"""The program's words in the languages of its owners: a folder of flat JSON files each, beside this module."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES: Mapping[str, str] = {"en": "English", "fr": "Français", "es": "Español"}
"""Each language's code, and its own name."""
DEFAULT = "en"
_MOST_RANGES = 20
_QUALITY = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)", re.IGNORECASE | re.ASCII)
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def text(language: str, key: str, **values: Any) -> str:
    """The words of ``key`` with ``{name}`` replaced by ``values``, which are never expanded again.

    ``KeyError`` for an unknown key: each catalogue has every key, which a test sees to.
    """
    return catalogue(language)[key].format_map(values)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All words of one of ``LANGUAGES``, by key."""
    if language not in LANGUAGES:
        raise KeyError(language)
    words: dict[str, str] = {}
    for part in (files(__package__) / "catalogue" / language).iterdir():
        words |= json.loads(part.read_text("utf-8"))
    return words


def accepted_language(header: str) -> str:
    """The language of ours that an ``Accept-Language`` likes best (RFC 9110 §12.5.4); English where it likes none."""
    wanted = [_weighed(part) for part in header.split(",")[:_MOST_RANGES]]
    liked = [(quality, code) for quality, code in wanted if quality > 0 and code in LANGUAGES]
    return max(liked, key=lambda each: each[0])[1] if liked else DEFAULT


def _weighed(part: str) -> tuple[float, str]:
    """``fr-CA;q=0.8`` as (0.8, "fr"); one that cannot be read counts nothing."""
    tag, _, weight = part.partition(";")
    found = _QUALITY.fullmatch(weight.strip() or "q=1")
    return (float(found[1]) if found else 0.0), tag.strip().partition("-")[0].casefold()


def language_of_locale(environ: Mapping[str, str]) -> str:
    """The language that a terminal is set to, as in ``LANG=fr_FR.UTF-8``; English where it is none of ours."""
    locale = next(filter(None, map(environ.get, _LOCALE_VARIABLES)), "")
    code = locale.partition(".")[0].partition("_")[0].casefold()
    return code if code in LANGUAGES else DEFAULT
