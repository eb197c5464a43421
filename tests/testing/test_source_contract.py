"""The contract for sources: a good adapter meets every rule, and each fault breaks exactly its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

import pytest

from deskbell.testing.checks import Level, Verdict, judge
from deskbell.testing.import_report import import_report
from deskbell.testing.source_checks import SOURCE_CHECKS, SourceCase

PIGEON = (Path(__file__).parent / "pigeon.py").read_text("utf-8")
RECORDED = """POST /events/pigeon HTTP/1.1\r\nX-Pigeon-Desk: north\r\nContent-Length: 60\r\n\r\n\
{"kind": "opened", "case": {"id": 7, "severity": "some day"}, "mood": "calm"}"""
MODULE = "deskbell_pigeon"
Judge = Callable[..., dict[str, Verdict]]


@pytest.fixture
def verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """The kit's verdicts, by check, on a module that is installed as the distribution deskbell-pigeon."""

    def judge_all(
        text: str = PIGEON, *, without: Iterable[str] = (), typed: bool = True
    ) -> dict[str, Verdict]:
        install(text, tmp_path)
        if not typed:
            (tmp_path / MODULE / "py.typed").unlink()
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, MODULE, raising=False)
        import_report.cache_clear()
        module = import_module(MODULE)
        monkeypatch.setitem(sys.modules, MODULE, module)
        case = SourceCase(source=module.Pigeon(), recordings=tmp_path / "recordings", module=MODULE)
        return {check.name: judge(check, case) for check in SOURCE_CHECKS if check.name not in without}

    return judge_all


def install(text: str, site: Path) -> None:
    """As pip does it, and a recording beside it."""
    files = {
        f"{MODULE}/__init__.py": text,
        f"{MODULE}/py.typed": "",
        "deskbell_pigeon-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: deskbell-pigeon\nVersion: 1.0\n",
        "deskbell_pigeon-1.0.dist-info/entry_points.txt": f"[deskbell]\npigeon = {MODULE}\n",
        "recordings/opened.http": RECORDED,
    }
    for name, content in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(content, "utf-8")


def red(verdicts: dict[str, Verdict]) -> dict[str, str]:
    return {name: verdict.why for name, verdict in verdicts.items() if verdict.met is False}


def test_a_good_adapter_meets_every_rule(verdicts: Judge) -> None:
    found = verdicts()
    assert {name: verdict.why for name, verdict in found.items() if not verdict.met} == {}
    assert {verdict.level for verdict in found.values()} == set(Level)


READ = "        body = request.json_object()\n"
RETURN = "        log.debug("
ANY = "any_json_is_an_event_or_an_error"
SLOW = {"import_is_quiet", "time_grows_with_the_body"}
"""Checks that are left out where they are not what a fault is about."""
WITH = "\nimport re, time\nADA = {'name': 'Ada', 'number': 4}\nSHARED: dict[str, str] = {}\n"
"""What some faults need beside their own line."""
FAULTS: dict[str, tuple[str, str, set[str], str]] = {
    "an upper-case name": (
        'name = "pigeon"', 'name = "Pigeon"', {"class_is_usable", "plugin_is_found"}, "must be like 'my_service'"
    ),
    "deskbell's own name": (
        'name = "pigeon"', 'name = "deskbell"', {"name_is_free", "plugin_is_found"}, "is deskbell's own"
    ),
    "a word of deskbell's": (
        'name = "pigeon"', 'name = "demo"', {"name_is_free"}, "is deskbell's own"
    ),
    "no hook": (
        "@deskbell.hookimpl", "", {"plugin_is_found"}, "put @deskbell.hookimpl above it"
    ),
    "a word on stdout": (
        "deskbell_api_version = 1", 'deskbell_api_version = 1\nprint("hello")', {"import_is_quiet"}, "prints"
    ),
    "no API version": (
        "deskbell_api_version = 1", "", {"api_version_is_declared"}, "deskbell_api_version = 1 in deskbell_pigeon"
    ),
    "an alias among the actions": (
        '("Submit", "Reply"', '("ticket.created", "Submit", "Reply"',
        {"actions_are_declared", "samples_are_their_actions"}, "write 'Submit'",
    ),
    "a variable without a sample": (
        '{"mood": "angry"}\n    priorities', '{"mood": ""}\n    priorities', {"variables_have_samples"},
        "mood has no sample",
    ),
    "a sample for known actions only": (
        "if known == action), action)", "if known == action))", {"samples_are_json"}, "raised StopIteration"
    ),
    "a sample that is shared": (
        '"person": {"name": "Ada", "number": 4}', '"person": ADA', {"samples_are_json"}, "return a copy"
    ),
    "a sample of another action": (
        '            "kind": word,', '            "kind": word if word != "shut" else "opened",',
        {"samples_are_their_actions"}, "makes 'Submit' of sample('Close')",
    ),
    "a counter": (
        READ, READ + "        self.count = getattr(self, 'count', 0) + 1\n", {"parse_is_pure"}, "keeps something in count"
    ),
    "the clock": (
        RETURN, "        variables['created_at'] = str(time.perf_counter_ns())\n" + RETURN,
        {"parse_is_pure", "requests_share_nothing"}, "two different events",
    ),
    "a number as a variable": (
        RETURN, "        variables['userid'] = len(variables)\n" + RETURN,
        {"events_carry_text", "any_json_is_an_event_or_an_error"}, "make it text",
    ),
    "camel case": (
        RETURN, "        variables['departmentName'] = 'Roofs'\n" + RETURN, {"events_carry_text"}, "in lower case"
    ),
    "no ticket": (
        "ticket=ticket", "ticket=''", {"tickets_are_told", "recordings_are_events"}, "has no ticket"
    ),
    "one ticket for all": (
        "ticket=ticket", "ticket='1'", {"ticket_is_that_of_the_event"}, "read the ticket's id from the body"
    ),
    "a loose decoder": (
        READ, "        import json\n" + READ.replace("request.json_object()", "json.loads(request.body)"),
        {
            "no_json_is_400", "deep_json_is_400", "numbers_keep_their_digits",
        },
        "request.json_object()",
    ),
    "a list that is taken for an event": (
        READ, READ.replace("json_object()", "json()") + "        body = body[0] if isinstance(body, list) else body\n",
        {"other_json_is_422", "any_json_is_an_event_or_an_error"}, "raised IndexError",
    ),
    "400 for a wrong field": (
        'faults=faults)', 'faults=faults, status=400)',
        {"other_json_is_422", "wrong_fields_are_named", "missing_fields_are_named"}, "leave status at 422",
    ),
    "a fault without a path": (
        "deskbell.Fault(path, ", "deskbell.Fault('', ", {"wrong_fields_are_named"}, "add deskbell.Fault('kind', …)"
    ),
    "Python's text of an object": (
        "    if isinstance(value, dict | list):\n", "    if isinstance(value, list):\n", {"wrong_fields_are_named"},
        "that is Python's text",
    ),
    "int() of what was sent": (
        RETURN, "        int(variables['userid'] or 0)\n" + RETURN,
        {"wrong_fields_are_named"}, "raised ValueError",
    ),
    "a key that must be there": (
        RETURN, "        variables['mood'] = deskbell.scalar_text(body['mood'])\n" + RETURN,
        {"missing_fields_are_named"}, "raised KeyError",
    ),
    "no further keys": (
        READ, READ + "        if 'kit4d7a91' in body: raise deskbell.EventError('what is this?')\n",
        {"further_fields_are_welcome"}, "which it does not know",
    ),
    "stripped text": (
        "return deskbell.scalar_text(value)", "return deskbell.scalar_text(value).strip()",
        {"text_stays_as_it_was_sent"}, "spaces at both ends",
    ),
    "text without its markup": (
        "return deskbell.scalar_text(value)", "return deskbell.scalar_text(value).replace('<b>', '')",
        {"text_stays_as_it_was_sent"}, "keep it as it was sent",
    ),
    "a default for every action": (
        "deskbell.action_named(word))", "deskbell.Action.REPLY)",
        {"unknown_actions_are_not_known_ones"}, "becomes Reply",
    ),
    "a header in camel case": (
        "x-pigeon-desk", "X-Pigeon-Desk", {"headers_are_asked_in_lower_case"}, "write 'x-pigeon-desk'"
    ),
    "the body in an error": (
        '"no event of Pigeon"', 'f"no event of Pigeon: {body}"', {"errors_and_logs_keep_secrets"}, "never the value"
    ),
    "the body in the log": (
        '"an event of a Pigeon desk")', '"an event: %s", body)', {"errors_and_logs_keep_secrets"}, "logs or prints"
    ),
    "a regular expression that looks back again and again": (
        RETURN, "        re.search(r'(x+)y', variables['content'])\n" + RETURN,
        {"time_grows_with_the_body"}, "times as long",
    ),
    "what is shared by all requests": (
        "ticket=ticket, variables=variables", "ticket=ticket, variables=SHARED",
        {"requests_share_nothing"}, "local variables",
    ),
    "a priority without a level": (
        '"pressing": "high", ', "", {"priorities_have_levels"}, "add 'pressing' to priorities"
    ),
    "an own variable that is not declared": (
        '{"mood": "angry"}\n    priorities', "{}\n    priorities", {"own_variables_are_documented"}, "%mood%"
    ),
    "an action that is not declared": (
        '("Submit", "Reply", ', '("Reply", ', {"recordings_are_events"}, "add it to actions"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_breaks_its_own_rule_and_says_what_to_change(verdicts: Judge, fault: str) -> None:
    right, wrong, checks, advice = FAULTS[fault]
    text = PIGEON.replace(right, wrong)
    assert text != PIGEON
    if "SHARED" in wrong:
        text = text.replace(RETURN, "        SHARED.clear()\n        SHARED.update(variables)\n" + RETURN)
    without = SLOW - checks | ({ANY} if "int(" in wrong else set())  # where only luck finds it
    found = red(verdicts(text.replace("import logging\n", "import logging" + WITH), without=without))
    assert set(found) == checks, found
    assert any(advice in why for why in found.values()), found


def test_a_package_without_types_is_told_of(verdicts: Judge) -> None:
    assert red(verdicts(typed=False, without=SLOW)) == {
        "package_is_typed": "add an empty file py.typed beside deskbell_pigeon/__init__.py"
    }


def test_there_is_a_fault_for_every_rule() -> None:
    broken = {check for _, _, checks, _ in FAULTS.values() for check in checks}
    assert {check.name for check in SOURCE_CHECKS} - broken == {"package_is_typed"}
