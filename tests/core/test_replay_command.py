"""``deskbell replay``: a second chance for what ended, beside a running server and without one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.shelf import Past, Shelf

from deskbell import Delivered, DestinationGone, PermanentFailure
from deskbell.outlook import HELPING
from deskbell.store import open_store

if TYPE_CHECKING:
    from tests.conftest import Run, Serve, Sink

REFUSED = PermanentFailure("400 no_text")


@pytest.fixture
def shelf(tmp_path: Path, config_file: Callable[[str], Path], sink: Sink) -> Shelf:
    """Two webhooks, of one service that answers."""
    config_file(both(sink))
    return Shelf(tmp_path)


def both(sink: Sink) -> str:
    of_one = f'url: "{sink.url}", transport: slack, action: "*", rate: none, message: "%subject%"'
    of_other = of_one.replace("/sink", "/other")
    return f"webhooks:\n  - {{name: desk, {of_one}}}\n  - {{name: shop, {of_other}}}\n"


def rows(run: Run, *words: str) -> list[dict[str, Any]]:
    """The deliveries, the oldest first."""
    listed = run("deliveries", "--json", "--limit", "5000", *words)
    return [json.loads(line) for line in reversed(listed.stdout.splitlines())]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "or say --dead"),
        (["1", "--dead"], "one of the two"),
        (["1", "--webhook", "desk"], "say --dead instead"),
        (["1", "--since", "2h"], "say --dead instead"),
        (["one"], "not a valid integer"),
        (["0"], "not in the range"),
        (["--dead", "--since", "soon"], "like 2h or 3d"),
        (["--dead", "--webhook", "desc"], "did you mean 'desk'?"),
    ],
)
async def test_wrong_usage_ends_with_2_and_changes_nothing(
    run: Run, shelf: Shelf, words: list[str], hint: str
) -> None:
    await shelf.fill(Past(REFUSED))
    refused = run("replay", *words)
    assert (refused.returncode, hint in refused.stderr) == (2, True), refused.stderr
    assert [row["replays"] for row in rows(run)] == [0]


async def test_what_goes_again_without_a_server_keeps_its_place_in_the_order(
    run: Run, serve: Serve, sink: Sink, shelf: Shelf
) -> None:
    await shelf.fill(Past(REFUSED, subject="1st"), Past(REFUSED, subject="2nd"), Past(subject="3rd"))
    replayed = run("replay", "2", "1")
    assert (replayed.returncode, replayed.stderr) == (0, "")
    assert "2 deliveries go again, once `deskbell serve` runs\n" in replayed.stdout
    assert [(row["id"], row["state"], row["replays"]) for row in rows(run)] == [
        (1, "ready", 1), (2, "ready", 1), (3, "ready", 0),
    ]  # fmt: skip
    serve()
    assert sink.wait_for(3) == ["1st", "2nd", "3rd"]


async def test_hundreds_go_again_beside_a_running_server_in_order_and_once(
    run: Run, serve: Serve, sink: Sink, shelf: Shelf
) -> None:
    """More than one helping: the first flows while the next is asked for."""
    subjects = [f"s{number}" for number in range(HELPING + 100)]
    await shelf.bury(subjects)
    server = serve()
    replayed = run("replay", "--dead")
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.splitlines()[-1] == f"{len(subjects)} deliveries go again"
    assert re.search(rf"^desk +{len(subjects)} +", replayed.stdout, re.MULTILINE)
    sink.wait_for(len(subjects), seconds=60)
    assert server.end() == 0
    assert sink.texts == subjects
    assert {(row["state"], row["replays"], row["maybe_duplicate"]) for row in rows(run)} == {
        ("delivered", 1, False)
    }


async def test_a_delivered_one_can_be_sent_again_by_its_number(
    run: Run, serve: Serve, sink: Sink, shelf: Shelf
) -> None:
    await shelf.fill(Past(Delivered(), subject="again"))
    serve()
    assert run("replay", "1").stdout.splitlines()[-1] == "1 delivery goes again"
    assert sink.wait_for(1) == ["again"]


async def test_a_dry_run_shows_them_and_changes_nothing(run: Run, shelf: Shelf) -> None:
    await shelf.fill(Past(REFUSED, ticket="77"), Past(Delivered()))
    before = rows(run)
    shown = run("replay", "--dead", "--dry-run")
    assert (shown.returncode, rows(run)) == (0, before)
    assert re.search(r"^1 .* 77 .* desk +dead .*400 no_text$", shown.stdout, re.MULTILINE)
    assert shown.stdout.endswith("\n1 delivery would go again; nothing is changed\n")
    assert run("replay", "9", "--dry-run").returncode == 1


async def test_each_that_cannot_go_has_its_reason_and_the_others_go(run: Run, shelf: Shelf) -> None:
    await shelf.fill(Past(REFUSED), Past(), Past(Delivered(), webhook="shop"))
    replayed = run("replay", "1", "2", "3", "4", "1")
    assert (replayed.returncode, "\n2 deliveries go again" in replayed.stdout) == (1, True)
    assert replayed.stderr.splitlines() == [
        "deskbell: delivery 2: it is ready, and has not ended",
        "deskbell: delivery 4: there is no such delivery",
    ]
    assert [row["replays"] for row in rows(run)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [1, 1, 0, 1]),
        (["--webhook", "shop"], [0, 1, 0, 0]),
        (["--since", "2h"], [0, 1, 0, 1]),
        (["--since", "2h", "--webhook", "desk"], [0, 0, 0, 1]),
        (["--since", "1min"], [0, 0, 0, 0]),
    ],
)
async def test_the_dead_can_be_chosen_by_webhook_and_time(
    run: Run, shelf: Shelf, words: list[str], expected: list[int]
) -> None:
    hour = timedelta(hours=1)
    await shelf.fill(
        Past(REFUSED, ago=3 * hour),
        Past(REFUSED, ago=hour, webhook="shop"),
        Past(Delivered(), ago=hour),
        Past(REFUSED, ago=hour),
    )
    replayed = run("replay", "--dead", *words)
    assert replayed.returncode == 0
    assert f"{sum(expected)} deliver" in replayed.stdout
    assert [row["replays"] for row in rows(run)] == expected


async def test_what_cannot_flow_yet_is_told(
    run: Run, serve: Serve, config_file: Callable[[str], Path], sink: Sink, shelf: Shelf
) -> None:
    await shelf.fill(Past(REFUSED), Past(REFUSED, webhook="shop"), Past(DestinationGone("404 gone"), "shop"))
    config_file(both(sink).replace("name: desk,", "name: desk, enabled: false,"))
    serve()
    told = run("replay", "--dead")
    assert "webhook desk is disabled, or not in the config: what is for it is held" in told.stderr
    assert "webhook shop is PAUSED: 404 gone" in told.stderr
    assert [row["state"] for row in rows(run)] == ["held", "ready", "ready"]


async def test_a_server_that_cannot_be_reached_is_told_of(run: Run, serve: Serve, shelf: Shelf) -> None:
    """It holds the store's lock, so nobody else may write."""
    await shelf.fill(Past(REFUSED))
    serve()
    (shelf.folder / "deskbell.db.sock").unlink()
    for words in (["replay", "1"], ["replay", "--dead"]):
        ended = run(*words)
        assert ended.returncode == 1
        assert "no running deskbell answers at" in ended.stderr
        assert "another deskbell uses this store; stop it first" in ended.stderr
        assert "go again" not in ended.stdout


async def test_without_a_store_or_without_anything_dead_there_is_nothing_to_do(
    run: Run, shelf: Shelf
) -> None:
    absent = run("replay", "--dead")
    assert (absent.returncode, "there is no store yet" in absent.stderr) == (1, True)
    await open_store(shelf.folder / "deskbell.db").close()
    assert (run("replay", "--dead").stdout, run("replay", "--dead").returncode) == (
        "0 deliveries go again\n",
        0,
    )
