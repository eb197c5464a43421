"""The checks for transports: a good one meets every rule, and each seeded fault breaks exactly its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.testing.seeded import OF_THE_CLASS, OF_THE_MODULE, Change, broken
from tests.testing.sites import BELL, install

from deskbell.testing.checks import Verdict, judge
from deskbell.testing.import_report import import_report
from deskbell.testing.stage import CANARY, Reply, TransportCase
from deskbell.testing.transport_checks import TRANSPORT_CHECKS

URL = f"https://bell.example/hooks/{CANARY}"
HOSTILE = ("@room", "*bold*", "<a href=x>")
ZOO = "deskbell_zoo"
ALSO = {
    "name_of_deskbells_own": ["class_is_usable"],
    "unavailable_raises": ["plugin_is_found"],
    "redact_raises": ["plugin_is_found"],
    "redact_gives_nothing": ["plugin_is_found"],
}
"""What else a fault turns red: deskbell itself takes no such class."""
GENERATED = "format_takes_generated_text"
"""It has tests of its own."""


def faults(table: Any) -> list[Any]:
    """As parameters: the check that must turn red, the fault's name, its changes."""
    return [
        pytest.param(check, name, changes, id=name)
        for check, seeded in table.items()
        for name, *changes in seeded
    ]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A package with the whole transport and one module a fault: its import is looked at once."""
    site = tmp_path_factory.mktemp("zoo")
    modules = {ZOO: "deskbell_api_version = 1\n", f"{ZOO}.bell": BELL}
    for seeded in OF_THE_CLASS.values():
        for name, *changes in seeded:
            modules[f"{ZOO}.{name}"] = broken(BELL, name, changes)
    install(site, ZOO, modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        import_report.cache_clear()
        yield
    for name in [*modules, ZOO]:
        sys.modules.pop(name, None)


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of payloads; they are taken as they are, for many a fault changes them."""
    monkeypatch.setenv("DESKBELL_UPDATE_GOLDEN", "1")
    return tmp_path / "golden"


def verdicts_of(module: str, golden: Path | None) -> dict[str, Verdict]:
    """Every check's verdict on the transport in ``module``, but for the one that takes long."""
    transport = import_module(module).Bell
    case = TransportCase(
        transport=transport(),
        url=URL,
        given={"room": "desk", "token": CANARY},
        ok_reply=Reply(200, {"ok": True, "id": "m1"}),
        refusals=(Reply(200, {"ok": False, "why": "closed"}),),
        hostile=HOSTILE,
        golden=golden,
        module=module,
        by_author=True,
    )
    return {check.name: judge(check, case) for check in TRANSPORT_CHECKS if check.name != GENERATED}


def test_every_check_has_a_fault_that_it_finds() -> None:
    elsewhere = {GENERATED, "golden_payloads_match", "live_message_arrives", "package_is_typed"}
    assert {check.name for check in TRANSPORT_CHECKS} == {*OF_THE_CLASS, *OF_THE_MODULE, *elsewhere}


def red(verdicts: dict[str, Verdict]) -> dict[str, str]:
    return {name: verdict.why for name, verdict in verdicts.items() if verdict.met is False}


@pytest.mark.usefixtures("zoo")
def test_a_good_transport_meets_every_rule_of_every_level(golden: Path) -> None:
    verdicts = verdicts_of(f"{ZOO}.bell", golden)
    assert red(verdicts) == {}
    left_out = {name for name, verdict in verdicts.items() if verdict.met is None}
    assert left_out == {"live_message_arrives"}


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize(("check", "name", "changes"), faults(OF_THE_CLASS))
def test_each_fault_of_a_transport_turns_its_own_check_red_and_no_other(
    check: str, name: str, changes: Sequence[Change], golden: Path
) -> None:
    assert changes
    found = red(verdicts_of(f"{ZOO}.{name}", golden))
    assert list(found) == [*ALSO.get(name, []), check], found


@pytest.mark.parametrize(("check", "name", "changes"), faults(OF_THE_MODULE))
def test_each_fault_of_a_module_turns_its_own_check_red_and_no_other(
    check: str,
    name: str,
    changes: Sequence[Change],
    golden: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = f"deskbell_{name}"
    install(tmp_path, module, {module: broken(BELL, name, changes)})
    monkeypatch.syspath_prepend(tmp_path)
    found = red(verdicts_of(module, golden))
    if loop := getattr(sys.modules[module], "loop", None):
        loop.close()
    assert list(found) == [check], found
