"""The program's words in the languages of its owners: flat catalogues, one JSON file each, beside this module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES: Mapping[str, str] = {"en": "English", "fr": "Français", "es": "Español"}
"""Each language's code, and its own name."""
DEFAULT = "en"
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
    words: dict[str, str] = json.loads(
        (files(__package__) / "catalogue" / f"{language}.json").read_text("utf-8")
    )
    return words


def language_of_locale(environ: Mapping[str, str]) -> str:
    """The language that a terminal is set to, as in ``LANG=fr_FR.UTF-8``; English where it is none of ours."""
    locale = next(filter(None, map(environ.get, _LOCALE_VARIABLES)), "")
    code = locale.partition(".")[0].partition("_")[0].casefold()
    return code if code in LANGUAGES else DEFAULT
