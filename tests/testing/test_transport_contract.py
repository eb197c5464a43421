"""The contract as plugin authors run it: pytest in a repository of their own, whatever its settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.testing.seeded import broken, on_status
from tests.testing.sites import BELL, BELL_TEST, Run, install, run_pytest

from deskbell.testing.checks import Level
from deskbell.testing.transport_checks import TRANSPORT_CHECKS

NAMES = {check.name for check in TRANSPORT_CHECKS}
GOLD = {check.name for check in TRANSPORT_CHECKS if check.level is Level.GOLD}
PLAIN = '''
import deskbell
from pydantic import Field

deskbell_api_version = 1


class NtfyOptions(deskbell.Options):
    topic: str = Field(description="The topic to post to.")


class Ntfy(deskbell.Transport[NtfyOptions]):
    """Sends ticket events to an ntfy topic."""

    name = "ntfy"
    max_length = 4096

    def format(self, notice: deskbell.Notice, options: NtfyOptions) -> deskbell.Payload:
        text = notice.text(escape=deskbell.plain, limit=self.max_length)
        return {"topic": options.topic, "message": text}


@deskbell.hookimpl
def deskbell_transports() -> deskbell.Transports:
    return [Ntfy]
'''
PLAIN_TEST = """
from deskbell.testing import TransportContract
from deskbell_ntfy import Ntfy


class TestNtfy(TransportContract):
    transport = Ntfy
    options = {"topic": "desk"}
"""
NO_ASYNCIO_PLUGIN = ("-p", "no:asyncio", "-p", "no:aiohttp")
STRICT = "asyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n"


WORKSHOP_TEST = f"""{BELL_TEST}
    level = Level.GOLD


class TestSkipping(TestBell):
    skip = {{"redirects_are_not_followed": "its client cannot be told"}}


class TestUnknownSkip(TestBell):
    skip = {{"format_is_pur": "a reason"}}


class TestSilentSkip(TestBell):
    skip = {{"format_is_pure": " "}}


class TestCounting(TestBell):
    measure = lambda text: 2 * len(text)


class TestLow(TestBell):
    level = Level.SILVER


from deskbell_bell.late import Bell as Late
from deskbell_bell.raising import Bell as Raising
from deskbell_bell.picky import Bell as Picky
from deskbell_bell.abstract import Bell as Abstract


class TestLate(TestBell):
    transport = Late


class TestRaising(TestBell):
    transport = Raising


class TestPicky(TestBell):
    transport = Picky


class TestAbstract(TestBell):
    transport = Abstract
"""
SEEDED = {
    "late": on_status(503, 'deskbell.PermanentFailure("503")'),
    "raising": ("text = notice", 'assert notice.event.action != "Close", "no ends"\n        text = notice'),
    "picky": (
        "text = notice",
        'assert "__" not in notice.event.variables.get("email", "")\n        text = notice',
    ),
    "abstract": ("def format(", "def formt("),
}
CHOSEN = (
    "skips or (TestSkipping and redirects) or (TestCounting and max_length) or (TestBell and golden) or "
    "(TestLow and golden) or (TestLate and temporary_answers) or (TestRaising and gives_json) or "
    "(TestPicky and format) or (TestAbstract and usable)"
)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run with a class for each thing that an author may get wrong."""
    folder = tmp_path_factory.mktemp("workshop")
    modules = {f"deskbell_bell.{name}": broken(BELL, name, [change]) for name, change in SEEDED.items()}
    install(folder, "deskbell-bell", {"deskbell_bell": BELL, **modules})
    (folder / "test_bell.py").write_text(WORKSHOP_TEST, "utf-8")
    return run_pytest(folder, "-k", CHOSEN, settings=STRICT)


def write_plain(folder: Path) -> None:
    install(folder, "deskbell-ntfy", {"deskbell_ntfy": PLAIN})
    (folder / "test_ntfy.py").write_text(PLAIN_TEST, "utf-8")


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        pytest.param((*NO_ASYNCIO_PLUGIN, "-W", "error"), "", id="without any asyncio plugin"),
        pytest.param(("-W", "error"), STRICT, id="with pytest-asyncio in strict mode"),
        pytest.param((), "", id="without any setting"),
    ],
)
def test_a_plain_plugin_is_green_in_any_repository_and_runs_each_rule_once(
    arguments: tuple[str, ...], settings: str, tmp_path: Path
) -> None:
    write_plain(tmp_path)
    run = run_pytest(tmp_path, *arguments, settings=settings)
    assert run.code == 0, run.output
    assert sorted(run.outcomes) == sorted(f"TestNtfy.{name}" for name in (*NAMES, "skips_have_reasons"))
    assert run.of("skipped") - GOLD == {"hostile_text_is_defused", "repeats_carry_the_same_key"}
    assert "for gold: picture() is empty: return HTML" in run.reasons["TestNtfy.picture_is_safe"]


def test_golden_payloads_are_written_on_demand_and_compared_from_then_on(tmp_path: Path) -> None:
    write_plain(tmp_path)
    test = f"{PLAIN_TEST}    golden = __import__('pathlib').Path(__file__).parent / 'golden'\n"
    test += "    level = __import__('deskbell.testing').testing.Level.GOLD\n"
    (tmp_path / "test_ntfy.py").write_text(test, "utf-8")
    golden = ("-k", "golden")
    written = run_pytest(tmp_path, *golden, environment={"DESKBELL_UPDATE_GOLDEN": "1"})
    assert (written.code, {path.name for path in (tmp_path / "golden").iterdir()}) == (
        0,
        {"submit.json", "reply.json", "close.json"},
    )
    assert run_pytest(tmp_path, *golden).code == 0
    reply = tmp_path / "golden" / "reply.json"
    reply.write_text(reply.read_text("utf-8").replace("Martin", "Marie"), "utf-8")
    assert (
        "is not that of reply.json" in run_pytest(tmp_path, *golden).reasons["TestNtfy.golden_payloads_match"]
    )


def test_a_plugin_that_aims_at_gold_must_reach_it_and_another_is_told_how(workshop: Run) -> None:
    check = "golden_payloads_match"
    assert (workshop.outcomes[f"TestBell.{check}"], workshop.outcomes[f"TestLow.{check}"]) == (
        "failed",
        "skipped",
    )
    assert "DESKBELL_UPDATE_GOLDEN=1" in workshop.reasons[f"TestBell.{check}"]


def test_a_check_that_is_left_out_shows_its_reason(workshop: Run) -> None:
    assert workshop.outcomes["TestSkipping.skips_have_reasons"] == "passed"
    assert workshop.outcomes["TestSkipping.redirects_are_not_followed"] == "skipped"
    assert workshop.reasons["TestSkipping.redirects_are_not_followed"] == "its client cannot be told"


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("TestUnknownSkip", "skip names 'format_is_pur', which is no check; did you mean 'format_is_pure'?"),
        ("TestSilentSkip", "skip leaves 'format_is_pure' out without a reason: say why"),
    ],
)
def test_a_check_is_left_out_by_its_name_and_for_a_reason(where: str, sentence: str, workshop: Run) -> None:
    assert workshop.outcomes[f"{where}.skips_have_reasons"] == "failed"
    assert sentence in workshop.reasons[f"{where}.skips_have_reasons"]


def told(run: Run, test: str) -> list[str]:
    """What pytest prints of a failure, from its first line on."""
    _, _, rest = run.output.partition(f" {test} _")
    return [line for line in rest.splitlines()[1:] if line.strip()]


def test_a_failure_begins_with_the_sentence(workshop: Run) -> None:
    first, second, *_ = told(workshop, "TestLate.test_temporary_answers_are_temporary")
    assert first == "HTTP 503 is temporary: return TemporaryFailure, not PermanentFailure"
    assert second.startswith("___"), "the next failure follows: nothing of the kit is shown"


def test_where_the_plugin_raised_its_own_traceback_follows_the_sentence(workshop: Run) -> None:
    first, *rest = told(workshop, "TestRaising.test_format_gives_json")
    assert re.match(r"format\(\) raised AssertionError: no ends \(.*, line \d+\) for the action Close", first)
    assert any("deskbell_bell/raising/__init__.py" in line and "in format" in line for line in rest)


def test_hypothesis_finds_the_text_that_the_other_checks_do_not_have(workshop: Run) -> None:
    failed = {name for name, found in workshop.outcomes.items() if found == "failed"}
    assert {name for name in failed if "Picky" in name} == {"TestPicky.format_takes_generated_text"}
    assert (
        "for an event whose texts are '' and '__'"
        in workshop.reasons["TestPicky.format_takes_generated_text"]
    )


def test_the_unit_of_the_service_counts(workshop: Run) -> None:
    why = workshop.reasons["TestCounting.format_keeps_to_max_length"]
    assert "bell allows 500 characters; format() produced 998 of long words" in why


def test_an_abstract_transport_says_what_it_lacks(workshop: Run) -> None:
    assert "abstract method" in workshop.reasons["TestAbstract.class_is_usable"]
