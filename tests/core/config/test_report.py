"""How a problem looks: the line, the caret under its place, the hint; and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from deskbell.config import Loaded, Problem, Severity, report, to_json
from deskbell.config.problem import dotted

Load = Callable[..., Loaded]


def problem(shown: str, caret: int, **changes: object) -> Problem:
    values: dict[str, object] = {
        "file": "config.yaml", "line": 8, "column": caret, "severity": Severity.ERROR, "message": "what is wrong",
        "hint": "", "key": "", "shown": shown, "caret": caret,
    }  # fmt: skip
    return Problem(**{**values, **changes})  # type: ignore[arg-type] # of the right types, above


@pytest.mark.parametrize(
    ("shown", "caret", "pictured", "pointer"),
    [
        ("a: b", 4, "a: b", "   ^"),
        ("a: b", 1, "a: b", "^"),
        ("a: b", 5, "a: b", "    ^"),
        ("\ta:\tb", 5, "\ta:\tb", "\t  \t^"),
        ("a: été %x%", 8, "a: été %x%", "       ^"),
        ("a: e\u0301te\u0301 %x%", 10, "a: e\u0301te\u0301 %x%", "       ^"),
        ("a: 📌 %x%", 6, "a: 📌 %x%", "      ^"),
        ("名前: %x%", 5, "名前: %x%", "      ^"),
        ("x" * 100 + "!" + "y" * 100, 101, "…" + "x" * 60 + "!" + "y" * 59 + "…", " " * 61 + "^"),
        ("!" + "y" * 200, 1, "!" + "y" * 119 + "…", "^"),
    ],
)
def test_the_caret_stands_under_its_place(shown: str, caret: int, pictured: str, pointer: str) -> None:
    assert str(problem(shown, caret)) == (
        f"config.yaml:8:{caret}: error: what is wrong\n    8 | {pictured}\n      | {pointer}"
    )


def test_every_line_of_a_hint_is_indented() -> None:
    text = str(problem("a", 1, hint="write it as a block:\n  message: |\n    x", severity=Severity.WARNING))
    assert text.split("\n") == [
        "config.yaml:8:1: warning: what is wrong",
        "    8 | a",
        "      | ^",
        "      = write it as a block:",
        "          message: |",
        "            x",
    ]


def test_a_problem_of_the_whole_file_has_no_line() -> None:
    assert str(problem("", 0, line=0, hint="do this")) == "config.yaml: error: what is wrong\n      = do this"


def test_a_report_counts_where_nothing_was_started() -> None:
    error, warning = problem("a", 1), problem("a", 1, severity=Severity.WARNING)
    assert report([]) == ""
    assert report([warning]) == str(warning)
    assert report([error]).endswith("^\n1 problem. Nothing was started.")
    assert report([warning, error]).endswith("^\n2 problems. Nothing was started.")


def test_problems_are_in_the_order_of_the_file_and_come_at_once(load: Load, good: str) -> None:
    """One of each stage: types, environment, YAML, meaning."""
    text = good.replace("clientxcms", "'${UNSET}'").replace("version: 1", "version: one")
    text = text + "    enabled: yes\n    enabled: true\n    rate: x\n"
    places = [(one.line, one.column) for one in load(text).problems]
    assert places == [(1, 10), (3, 12), (12, 5), (13, 11)]


def test_signs_that_could_steer_a_terminal_are_not_printed(load: Load, good: str) -> None:
    text = good + '    "rate\\e[2J\\u202e": \u202e\u2066x\x85\n'
    for one in load(text).problems:
        assert not set("\x1b\u202e\u2066\x85") & set(str(one))


def test_json_tells_the_same(load: Load, good: str) -> None:
    (found,) = json.loads(json.dumps(to_json(load(good.replace("Submit", "Submt")).problems)))
    assert found == {
        "file": "config.yaml",
        "line": 8,
        "column": 13,
        "severity": "error",
        "message": "action: 'Submt' is not one of checkout_completed, Close, Reopen, Reply, StaffReply, Submit",
        "hint": "did you mean 'Submit'?",
        "key": "webhooks[0].action[0]",
        "shown": "    action: Submt",
        "caret": 13,
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("store",), "store"),
        (("webhooks", 0, "when", "priority", 1), "webhooks[0].when.priority[1]"),
    ],
)
def test_a_key_as_it_is_written_in_json(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text
