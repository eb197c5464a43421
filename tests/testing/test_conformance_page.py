"""docs/conformance.md names every rule there is, and no other, in the words of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from deskbell.testing import PICTURE_ATTRIBUTES, PICTURE_SCHEMES, PICTURE_TAGS, TransportContract
from deskbell.testing.checks import Checks
from deskbell.testing.source_checks import SOURCE_CHECKS
from deskbell.testing.transport_checks import TRANSPORT_CHECKS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "conformance.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("title", "checks"), [("Transports", TRANSPORT_CHECKS), ("Sources", SOURCE_CHECKS)])
def test_the_page_names_exactly_the_rules_in_their_own_words(title: str, checks: Checks[Any]) -> None:
    rows = [line for line in section(title).splitlines() if re.match(r"\| (bronze|silver|gold) ", line)]
    assert rows == [f"| {check.level} | `{check.name}` | {check.rule} |" for check in checks]


def test_levels_come_in_their_order() -> None:
    levels = [check.level for check in TRANSPORT_CHECKS]
    assert levels == sorted(levels, key=["bronze", "silver", "gold"].index)


def test_every_attribute_of_the_contract_is_explained() -> None:
    ours = {name for cls in TransportContract.__mro__ for name in getattr(cls, "__annotations__", ())}
    explained = re.findall(r"^\| `(\w+)` \|", section("What a contract may say"), re.MULTILINE)
    assert set(explained) == {name for name in ours if not name.startswith("_")}


def test_the_page_names_what_a_picture_may_hold() -> None:
    lines = [line for line in section("The HTML of a picture").splitlines() if line.startswith("- ")]
    named = [set(re.findall(r"`(\w+)`", line)) for line in lines]
    assert named == [PICTURE_TAGS, PICTURE_ATTRIBUTES, PICTURE_SCHEMES]
