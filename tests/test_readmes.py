"""The three READMEs say the same: a translation that falls behind is found by what no language changes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORIGINAL = ROOT / "README.md"
TRANSLATIONS = [ROOT / "README.fr.md", ROOT / "README.es.md"]
ALL = [ORIGINAL, *TRANSLATIONS]
BLOCK = re.compile(r"^ *```\w*\n.*?^ *```$", re.DOTALL | re.MULTILINE)

each_translation = pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def prose(page: Path) -> str:
    """Without its blocks of code."""
    return BLOCK.sub("", text_of(page))


def links(page: Path) -> list[str]:
    """Where links and pictures lead, in order; without the line that leads to the other languages."""
    found = re.findall(r"\]\(([^)\s]+)\)|<(https?://[^>\s]+)>", re.sub(r"`[^`\n]*`", "", prose(page)))
    places = [inside or bare for inside, bare in found]
    return [place for place in places if place not in {other.name for other in ALL}]


def code(page: Path) -> Counter[str]:
    """Every word of code in the sentences; their order is the language's affair."""
    return Counter(re.findall(r"`([^`\n]+)`", prose(page)))


def shape(page: Path) -> list[str]:
    """Headings, list items and rows, as their first signs."""
    return re.findall(r"^ *(#+|-|\d+\.|\|)(?= |-)", prose(page), re.MULTILINE)


@each_translation
def test_the_blocks_of_code_are_the_same(page: Path) -> None:
    blocks = BLOCK.findall(text_of(page))
    assert blocks == BLOCK.findall(text_of(ORIGINAL))
    assert len(blocks) > 3


@each_translation
def test_the_links_are_the_same(page: Path) -> None:
    assert links(page) == links(ORIGINAL)
    assert len(links(page)) > 10


@each_translation
def test_the_commands_and_names_in_the_sentences_are_the_same(page: Path) -> None:
    missing, added = code(ORIGINAL) - code(page), code(page) - code(ORIGINAL)
    assert (missing, added) == (Counter(), Counter())


@each_translation
def test_headings_lists_and_tables_are_the_same(page: Path) -> None:
    assert shape(page) == shape(ORIGINAL)


@each_translation
def test_no_sentence_was_left_in_english(page: Path) -> None:
    """No line of prose with words that stands in the original as well."""
    mine, its = set(prose(page).splitlines()), set(prose(ORIGINAL).splitlines())
    assert {line for line in mine & its if len(re.findall(r"[a-z]{3,}", line)) > 4} == set()


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_each_leads_to_the_others_at_its_top(page: Path) -> None:
    top = "\n".join(text_of(page).splitlines()[:4])
    assert set(re.findall(r"\]\((README[.\w]*)\)", top)) == {other.name for other in ALL if other != page}
