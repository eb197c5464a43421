"""The catalogues say the same things in each language, with the same values in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import pytest

from deskbell.languages import DEFAULT, LANGUAGES, accepted_language, catalogue, language_of_locale, text

CORE = Path(__file__).resolve().parents[2] / "core" / "deskbell"
SAID = re.compile(r"""\bsay\(\s*["']([^"']+)["']\s*[,)]""")
KEY = re.compile(r"""["']((?:init|import|probe)\.[a-z_.]+)["']""")
QUOTED = re.compile(r"""["']([a-z_]+\.[a-z_.]+)["']""")
BUILT = re.compile(r"""f"([a-z_]+\.[a-z_.]*)\{|'([a-z_]+\.[a-z_.]*\.)' ~""")
LISTS = ("action.", "outcome.", "page.said.", "priority.", "sample.", "state.")
"""Groups of which a word comes from data."""


def values_of(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_catalogue_has_the_same_keys_with_the_same_values_in_them(language: str) -> None:
    words, english = catalogue(language), catalogue(DEFAULT)
    assert words.keys() == english.keys()
    assert {key: values_of(words[key]) for key in words} == {key: values_of(english[key]) for key in english}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_words_are_missing(language: str) -> None:
    assert [key for key, words in catalogue(language).items() if not words.strip()] == []


def test_each_language_has_a_folder_with_the_same_files_and_no_key_twice() -> None:
    folders = {path.name: sorted(path.iterdir()) for path in (CORE / "catalogue").iterdir()}
    assert folders.keys() == LANGUAGES.keys()
    names = {tuple(path.name for path in files) for files in folders.values()}
    assert len(names) == 1
    for files in folders.values():
        keys = [key for path in files for key in json.loads(path.read_text("utf-8"))]
        assert len(keys) == len(set(keys))


def test_the_program_uses_every_key_and_only_those_that_exist() -> None:
    sources = "\n".join(
        path.read_text("utf-8") for path in CORE.rglob("*") if path.suffix in (".py", ".html")
    )
    known = set(catalogue(DEFAULT))
    assert {*SAID.findall(sources), *KEY.findall(sources)} - known == set()
    begun = tuple("".join(found) for found in BUILT.findall(sources))
    used = set(QUOTED.findall(sources))
    assert {key for key in known - used if not key.startswith((*begun, *LISTS))} == set()


def test_a_value_is_never_expanded_again() -> None:
    shown = text("fr", "import.unreadable", file="{name}{0}", name="%s")
    assert shown.startswith("{name}{0} : %s ")


def test_an_unknown_language_or_key_is_a_defect_of_the_program() -> None:
    with pytest.raises(KeyError):
        text("de", "init.help")
    with pytest.raises(KeyError):
        text("fr", "no.such.key")


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "es_MX.UTF-8"}, "es"),
        ({"LANG": "es_ES.UTF-8", "LC_ALL": "", "LC_MESSAGES": "fr_CA"}, "fr"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_locale_says_the_language(environ: dict[str, str], language: str) -> None:
    assert language_of_locale(environ) == language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr", "fr"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("de-DE, de;q=0.9, ES;q=0.4, en;q=0.3", "es"),
        ("en;q=0.1, es;q=0.2", "es"),
        ("es;q=0, fr;q=0.001", "fr"),
        ("*", "en"),
        ("", "en"),
        ("fr;q=high, es;q=0.5", "es"),
        ("fr;q=1e9,\x00,;;,", "en"),
    ],
)
def test_a_browser_says_the_language(header: str, language: str) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4"""
    assert accepted_language(header) == language
