"""``deskbell plugin-check``, as an author runs it on what is installed and on one file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.conftest import Run

BELL = """
import deskbell
from pydantic import Field

deskbell_api_version = 1

class BellOptions(deskbell.Options):
    room: str = Field(description="The room.", min_length=8)
    token: deskbell.Secret = Field(description="The token.")

class Bell(deskbell.Transport[BellOptions]):
    name = "bell"
    max_length = 500
    def format(self, notice: deskbell.Notice, options: BellOptions) -> deskbell.Payload:
        return {"room": options.room, "text": notice.text(escape=deskbell.plain, limit=self.max_length)}

@deskbell.hookimpl
def deskbell_transports() -> deskbell.Transports:
    return [Bell]
"""
SUM = re.compile(r"bronze (\d+)/(\d+)  silver (\d+)/(\d+)  gold (\d+)/(\d+)")


@pytest.fixture
def bell(tmp_path: Path) -> Path:
    """A transport in one file, which owners of this folder have."""
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "config.yaml").write_text("version: 1\nplugins_dir: plugins.d\n", "utf-8")
    path = tmp_path / "plugins.d" / "bell.py"
    path.write_text(BELL, "utf-8")
    return path


def sums(printed: str) -> list[int]:
    """Rules met and rules checked, for each level."""
    found = SUM.search(printed)
    assert found, printed
    return [int(number) for number in found.groups()]


@pytest.mark.parametrize("name", ["discord", "slack", "webhook"])
def test_what_comes_with_deskbell_meets_every_rule_of_bronze_and_silver(run: Run, name: str) -> None:
    checked = run("plugin-check", name)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith(f"transport {name}, from deskbell ")
    bronze, of_bronze, silver, of_silver, *_ = sums(checked.stdout)
    assert (bronze, silver) == (of_bronze, of_silver)
    assert bronze > 10 < silver


def test_a_source_is_checked_by_the_rules_for_sources(run: Run) -> None:
    checked = run("plugin-check", "clientxcms")
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.startswith("source clientxcms, from deskbell ")


@pytest.mark.usefixtures("bell")
def test_a_good_file_with_its_options(run: Run) -> None:
    checked = run("plugin-check", "bell", "--option", "room=the great hall")
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.startswith("transport bell, from plugins.d/bell.py")
    assert re.search(r"  bronze  -   plugin_is_found\n +\S", checked.stdout), (
        "why it was not checked stands below"
    )


def test_a_rule_that_is_broken_is_named_with_what_to_change(run: Run, bell: Path) -> None:
    bell.write_text(BELL.replace("limit=self.max_length", "limit=900"), "utf-8")
    checked = run("plugin-check", "bell", "--option", "room=the great hall")
    assert checked.returncode == 1
    assert "  bronze  NO  format_keeps_to_max_length\n" in checked.stdout
    assert "use notice.text(..., limit=self.max_length)" in checked.stdout
    bronze, of_bronze, *_ = sums(checked.stdout)
    assert bronze == of_bronze - 1


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["slak"], "there is no transport and no source slak (did you mean slack?)"),
        (["bell"], "option room: String should have at least 8 characters; give one:  --option room=…"),
        (["bell", "--option", "room"], "'room' is not KEY=VALUE"),
        (["bell", "--option", "colour=blue"], "option colour: Extra inputs are not permitted"),
        (["apprise"], "give its URL with {server} for host and port"),
    ],
)
def test_what_cannot_be_checked_ends_with_2_and_what_to_write(
    run: Run, arguments: list[str], said: str
) -> None:
    checked = run("plugin-check", *arguments)
    assert (checked.returncode, said in checked.stderr) == (2, True), checked.stderr


def test_a_plugin_that_does_not_load_ends_with_1_and_the_fix(run: Run, bell: Path) -> None:
    bell.write_text("import not_there_at_all", "utf-8")
    checked = run("plugin-check", "bell")
    assert checked.returncode == 1
    assert "the plugin bell (plugins.d/bell.py) is not loaded: ModuleNotFoundError" in checked.stderr
    assert "fix: pip install not_there_at_all" in checked.stderr
