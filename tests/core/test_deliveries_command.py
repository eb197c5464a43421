"""``deskbell deliveries``: what waits, why, until when; and that scripts and people are told the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from tests.faults.shelf import Past, Shelf, now

from deskbell import Delivered, DestinationGone, PermanentFailure, TemporaryFailure, Throttled
from deskbell.store import open_store

if TYPE_CHECKING:
    from tests.conftest import Run

CONFIG = """\
timezone: Asia/Tokyo
webhooks:
  - {name: desk, url: "http://127.0.0.1:9/desk", transport: slack, action: "*", message: "%subject%"}
  - {name: shop, url: "http://127.0.0.1:9/shop", transport: slack, action: "*", message: "%subject%"}
"""
TOKYO = ZoneInfo("Asia/Tokyo")
AT_SLACK = "https://hooks.slack.com/services/T0000000/B0000000/AnAddressNobodyHas"
GONE, BUSY = DestinationGone("404 no_service"), TemporaryFailure("503 busy", retry_after=600)


@pytest.fixture
def shelf(tmp_path: Path, config_file: Callable[[str], Path]) -> Shelf:
    config_file(CONFIG)
    return Shelf(tmp_path)


def as_json(run: Run, *words: str) -> list[dict[str, Any]]:
    """The rows, the oldest first."""
    listed = run("deliveries", "--json", *words)
    assert listed.returncode == 0, listed.stderr
    return [json.loads(line) for line in reversed(listed.stdout.splitlines())]


async def test_a_paused_webhook_is_told_apart_from_the_rows_with_what_to_do(run: Run, shelf: Shelf) -> None:
    await shelf.fill(Past(GONE), Past(ticket="2"), Past(Delivered(), webhook="shop"))
    for words in (["--json"], [], ["--webhook", "desk"]):
        told = run("deliveries", *words)
        assert told.stderr == (
            "webhook desk is PAUSED: 404 no_service. Give it a working URL, or `deskbell resume desk`\n"
        )
        assert "PAUSED" not in told.stdout
    assert run("deliveries", "--webhook", "shop").stderr == ""
    rows = as_json(run)
    assert [row["reason"] for row in rows] == ["paused: 404 no_service"] * 2 + [""]
    assert [row["next_at"] for row in rows] == [None] * 3


async def test_what_waits_behind_the_failure_of_another_says_so(run: Run, shelf: Shelf) -> None:
    await shelf.fill(Past(BUSY), Past(ticket="2"))
    failed, behind = as_json(run)
    assert (failed["reason"], behind["reason"]) == ("503 busy", "waits: 503 busy")
    assert failed["next_at"] == behind["next_at"]
    until = datetime.fromisoformat(behind["next_at"]).astimezone(TOKYO)
    assert timedelta(seconds=500) < until - now() <= timedelta(seconds=600)
    told = run("deliveries")
    assert f"waits: 503 busy; next try {until:%H:%M:%S}\n" in told.stdout
    assert f"desk waits until {until:%Y-%m-%d %H:%M:%S} (Asia/Tokyo): 503 busy. It then tries" in told.stderr


async def test_what_is_over_holds_nothing_up(run: Run, shelf: Shelf) -> None:
    """Nor does the wait after a success: it is only the pace that the service asked for."""
    await shelf.fill(Past(BUSY, ago=timedelta(hours=1)), Past(Delivered(wait=600), webhook="shop"))
    told = run("deliveries")
    assert (told.stderr, "next try" in told.stdout) == ("", False)


async def test_a_closed_service_holds_up_the_webhooks_at_its_own_host(
    run: Run, config_file: Callable[[str], Path], shelf: Shelf
) -> None:
    config_file(CONFIG.replace("http://127.0.0.1:9/shop", AT_SLACK))
    closed = Throttled(600, "service", "429 rate_limited")
    await shelf.fill(Past(closed, webhook="shop", service=True), Past())
    told = run("deliveries").stderr
    assert "webhook shop waits until" in told
    assert "throttled: 429 rate_limited" in told
    assert "webhook desk" not in told
    assert AT_SLACK not in told


@pytest.mark.parametrize(
    ("pasts", "marks"),
    [
        ([Past(TemporaryFailure("timed out", maybe_received=True))], "timed out (maybe a duplicate)"),
        (
            [Past(PermanentFailure("400 no_text")), Past(Delivered(detail="200 ok"))],
            "200 ok (an earlier one of this ticket was dead)",
        ),
        ([Past(PermanentFailure("400 no_text")), Past(Delivered(detail="200 ok"), ticket="2")], "200 ok"),
        ([Past(PermanentFailure("400 no_text"))], "400 no_text"),
        ([Past()], ""),
    ],
)
async def test_the_answer_carries_its_marks(run: Run, shelf: Shelf, pasts: list[Past], marks: str) -> None:
    await shelf.fill(*(Past(past.outcome, ticket=past.ticket, ago=timedelta(hours=1)) for past in pasts))
    newest = run("deliveries").stdout.splitlines()[1]
    answer = re.fullmatch(r"\d+ +.{19} +\d +Submit +desk +\w+ +\d+ *(.*)", newest)
    assert answer, newest
    assert answer[1] == marks
    (row,) = as_json(run, "--limit", "1")
    assert row["maybe_duplicate"] == ("duplicate" in marks)
    assert row["gap"] == ("earlier" in marks)
    assert (row["ended_at"] is None) == (row["state"] == "ready")


async def test_a_replayed_delivery_is_marked_and_its_old_answer_is_not_its_answer(
    run: Run, shelf: Shelf
) -> None:
    await shelf.fill(Past(PermanentFailure("400 no_text")))
    assert run("replay", "1").returncode == 0
    table = run("deliveries").stdout
    assert "(replayed)" in table
    assert "400 no_text" not in table
    (row,) = as_json(run)
    assert (row["replays"], row["reason"], row["ended_at"], row["answer"]) == (1, "", None, "400 no_text")


async def test_held_deliveries_say_what_they_wait_for(
    run: Run, config_file: Callable[[str], Path], shelf: Shelf
) -> None:
    await shelf.fill(Past())
    config_file(CONFIG.replace("name: desk,", "name: desk, enabled: false,"))
    await shelf.fill()
    (row,) = as_json(run)
    assert (row["state"], row["reason"]) == ("held", "its webhook is disabled, or not in the config")


async def test_all_times_are_the_configs_and_the_zone_is_named_once(run: Run, shelf: Shelf) -> None:
    await shelf.fill(Past(Delivered()))
    (row,) = as_json(run)
    assert datetime.fromisoformat(row["received_at"]).utcoffset() == timedelta()
    received_at = datetime.fromisoformat(row["received_at"]).astimezone(TOKYO)
    headings, first = run("deliveries").stdout.splitlines()
    assert headings.split()[:4] == ["ID", "TIME", "(Asia/Tokyo)", "TICKET"]
    assert first.startswith(f"1   {received_at:%Y-%m-%d %H:%M:%S}  ")


async def test_since_takes_a_duration_or_a_time(run: Run, shelf: Shelf) -> None:
    await shelf.fill(*(Past(ago=timedelta(hours=hours), ticket=str(hours)) for hours in (50, 5, 1)))
    in_tokyo = (now() - timedelta(hours=2)).astimezone(TOKYO)
    for since, expected in {
        "1min": [],
        "2h": ["1"],
        "1.5d": ["5", "1"],
        f"{in_tokyo:%Y-%m-%dT%H:%M}": ["1"],
        in_tokyo.astimezone(UTC).isoformat(): ["1"],
        "2020-01-01": ["50", "5", "1"],
    }.items():
        assert [row["ticket"] for row in as_json(run, "--since", since)] == expected, since
    refused = run("deliveries", "--since", "yesterday")
    assert (refused.returncode, "like 2h or 3d, or a time like 2026-11-22T18:00" in refused.stderr) == (
        2,
        True,
    )


async def test_what_a_service_said_drives_no_terminal(run: Run, shelf: Shelf) -> None:
    await shelf.fill(Past(DestinationGone("404 \x1b[2J\nforged")))
    told = run("deliveries")
    assert "\x1b" not in told.stderr + told.stdout
    assert len(told.stderr.splitlines()) == 1


async def test_a_damaged_store_ends_with_1(run: Run, shelf: Shelf) -> None:
    await open_store(shelf.folder / "deskbell.db").close()
    (shelf.folder / "deskbell.db").write_bytes(b"SQLite format 3\0" + b"\xa5" * 5000)
    ended = run("deliveries")
    assert (ended.returncode, "cannot be read" in ended.stderr) == (1, True)
