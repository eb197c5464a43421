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
HALL = ("--option", "room=the great hall")
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
    bronze, of_bronze, silver, of_silver, gold, of_gold = sums(checked.stdout)
    assert (bronze, silver, gold) == (of_bronze, of_silver, of_gold)
    assert (bronze > 10, silver > 10, gold > 5) == (True, True, True)


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
        (
            ["bell", *HALL, "--url", "https://[::1"],
            "Invalid value for --url: it is no URL that could be asked",
        ),
        (["bell", *HALL, "--url", "service.example/hooks"], "--url: it is no URL that could be asked: write"),
        (["bell", "--option", "room=[", "--option", "token=x"], "option room: String should have at least 8"),
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


LISTS = """token: deskbell.Secret = Field(description="The token.")
    topics: list[str] = Field(description="The topics.")
    floors: dict[str, int] = Field(default={}, description="The floors.")
    loud: bool = Field(default=False, description="Loud or not.")
    name: str = Field(default="", description="A name.")
"""


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (['topics=["a"]'], 0, ""),
        (["topics=[a, b]", "floors={ground: 0}", "loud=yes", "name=[5]"], 0, ""),
        (["topics=a"], 2, "option topics: Input should be a valid list"),
        (["topics=[a", "loud=true"], 2, "option topics: Input should be a valid list"),
        (["topics=[a]", "floors={ground: x}"], 2, "option floors.ground: Input should be a valid integer"),
    ],
)
def test_options_that_are_no_text_are_written_as_in_the_config(
    run: Run, bell: Path, given: list[str], code: int, said: str
) -> None:
    bell.write_text(
        BELL.replace('token: deskbell.Secret = Field(description="The token.")\n', LISTS), "utf-8"
    )
    options = [word for pair in ("room=the great hall", *given) for word in ("--option", pair)]
    checked = run("plugin-check", "bell", *options)
    assert (checked.returncode, said in checked.stderr) == (code, True), checked.stdout + checked.stderr
    assert "Traceback" not in checked.stderr


GOOD = ("plugin-check", "bell", *HALL)
FAKES = {
    "async def fake(cls): return None": "Bell.fake is async: write def",
    "def fake(cls): raise OSError('no room')": "fake() raised OSError: no room (plugins.d/bell.py, line ",
    "def fake(cls): return 5": "fake() returned 5: return an instance of a subclass of deskbell.FakeService",
}


@pytest.mark.parametrize(("fake", "said"), FAKES.items())
def test_a_fake_that_cannot_be_had_is_a_sentence(run: Run, bell: Path, fake: str, said: str) -> None:
    bell.write_text(BELL.replace("    max_length", f"    @classmethod\n    {fake}\n    max_length"), "utf-8")
    checked = run(*GOOD)
    assert said in checked.stdout + checked.stderr
    assert "Traceback" not in checked.stderr


def test_a_format_that_raises_is_a_line_of_the_table(run: Run, bell: Path) -> None:
    fake = """
    @classmethod
    def fake(cls):
        class Played(deskbell.FakeService):
            path = "/hooks/1"
            async def handle(self, request): raise OSError
        return Played()
"""
    text = BELL.replace("        return {", "        raise OSError\n        return {")
    bell.write_text(text.replace("    max_length = 500\n", f"    max_length = 500\n{fake}"), "utf-8")
    checked = run(*GOOD)
    assert (checked.returncode, "Traceback" in checked.stderr) == (1, False)
    assert "  bronze  NO  format_gives_json\n              format() raised OSError" in checked.stdout


def test_what_the_plugin_prints_does_not_run_through_the_table(run: Run, bell: Path) -> None:
    loud = """        import logging, sys
        print("tick")
        print("tock", file=sys.stderr)
        logging.getLogger("bell").warning("cuckoo")
        return {"""
    bell.write_text(BELL.replace("        return {", loud), "utf-8")
    checked = run(*GOOD)
    assert not re.search("tick|tock|cuckoo", checked.stdout)
    assert re.fullmatch(
        r"deskbell: bell printed \d+ lines meanwhile, which are not shown; the first: tick\n", checked.stderr
    )


@pytest.mark.usefixtures("bell")
def test_a_config_that_is_no_yaml_is_said_to_be_the_reason(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("plugins_dir: plugins.d\nwebhooks: [\n", "utf-8")
    checked = run(*GOOD)
    first, second, *rest = checked.stderr.splitlines()
    assert first.startswith("deskbell: config.yaml cannot be read, and so no plugin of its plugins_dir: ")
    assert second.startswith("deskbell: there is no transport and no source bell")
    assert (checked.returncode, rest) == (2, [])


def test_a_config_that_is_not_there_is_missed_only_where_it_is_named(run: Run) -> None:
    assert run("plugin-check", "webhook").stderr == ""
    named = run("plugin-check", "webhook", "--config", "other.yaml")
    assert (named.returncode, named.stderr.startswith("deskbell: other.yaml cannot be read, ")) == (0, True)
