"""What the documents say is true: links lead somewhere, commands and variables are all named."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import deskbell
import deskbell.testing
from deskbell.cli import COMMANDS
from deskbell.event import ACTION_WORDS, VARIABLES

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "plugins").glob("*/README.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in headings(file), f"{page.name} links to {target}"


def test_every_picture_is_there_light_and_dark_and_every_one_is_shown() -> None:
    found = {
        (page.parent / name).resolve()
        for page in PAGES
        for name in re.findall(r'(?:src|srcset)="([^":]+)"', page.read_text("utf-8"))
    }
    assert found == set((ROOT / "docs" / "pictures").glob("*.png"))
    assert {each.name.replace("-dark.", "-light.") for each in found} <= {each.name for each in found}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_pages_name_nothing_of_a_developers_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:work|root|home)/", page.read_text("utf-8"))


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in readme] == []


def test_the_configuration_page_names_every_variable_and_action() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert [name for name in VARIABLES if f"%{name}%" not in page] == []
    assert [
        word for word in {str(action) for action in ACTION_WORDS.values()} if f"`{word}`" not in page
    ] == []


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_both_commands_of_the_readme_can_be_found_by_ci() -> None:
    for program, ending in {"demo": "deskbell demo", "pytest": "pytest -q"}.items():
        script = ROOT / ".ci" / "readme_command.py"
        found = subprocess.run([sys.executable, script, program], capture_output=True, text=True, check=True)
        assert found.stdout.strip().endswith(ending)


def test_every_public_name_exists_and_is_documented() -> None:
    for name in deskbell.__all__:
        value = getattr(deskbell, name)
        assert value is not None
        if callable(value):
            assert value.__doc__, f"deskbell.{name} has no docstring"


def test_the_page_of_the_api_names_everything_that_authors_may_use() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    named = set(re.findall(r"`(?:async )?(?:\w+\.)?(\w+)", page))
    members = {
        name
        for kind in (deskbell.Transport, deskbell.Source)
        for name in dir(kind)
        if not name.startswith("_")
    }
    outcomes = {each.__name__ for each in get_args(deskbell.Outcome)}
    assert {*deskbell.__all__, *deskbell.testing.__all__, *members, *outcomes} - named - {
        "__version__"
    } == set()


def test_the_page_of_the_api_names_nothing_that_does_not_exist() -> None:
    """In the first column of its tables, where a name of the API stands at the beginning of each row."""
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    columns = re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE)
    named = {name for column in columns for name in re.findall(r"`(?:async )?(\w+)", column)}
    members = {name for kind in (deskbell.Transport, deskbell.Source) for name in dir(kind)}
    known = {*deskbell.__all__, *deskbell.testing.__all__, *members, "name", "max_length"}
    assert named - known == set()


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert version("deskbell") == deskbell.__version__
