"""Every source that deskbell ships keeps the contract that strangers are held to."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from deskbell.plugins import load_plugins
from deskbell.source import NativeSource
from deskbell.testing import SourceContract
from deskbell.testing.checks import Level, judge
from deskbell.testing.source_checks import SOURCE_CHECKS, SourceCase
from deskbell_clientxcms import ClientXCMS

CAPTURES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "clientxcms"
"""Requests as the CMS's own code sent them; they lie beside the checkout, or are missing."""


class TestNativeSource(SourceContract):
    source = NativeSource
    level = Level.GOLD


class TestClientXCMS(SourceContract):
    source = ClientXCMS
    level = Level.GOLD
    recordings: ClassVar[Path | None] = CAPTURES if CAPTURES.is_dir() else None


def test_no_source_is_left_out() -> None:
    contracts = {TestNativeSource.source, TestClientXCMS.source}
    assert {type(source) for source in load_plugins(disabled=()).sources.values()} == contracts


def test_nothing_is_passed_over_but_what_cannot_be_asked() -> None:
    passed_over = dict[str, set[str]]()
    for contract in (TestNativeSource, TestClientXCMS):
        case = SourceCase(
            source=contract.source(), recordings=contract.recordings, module=contract.source.__module__
        )
        verdicts = [judge(check, case) for check in SOURCE_CHECKS]
        passed_over[case.source.name] = {verdict.name for verdict in verdicts if verdict.met is None}
    assert passed_over == {
        "deskbell": {"api_version_is_declared", "recordings_are_events"},
        "clientxcms": set() if CAPTURES.is_dir() else {"recordings_are_events"},
    }
