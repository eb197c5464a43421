"""One delivery in detail, as a page shows it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from tests.kit import NOW, conclude, event, take, webhook

from deskbell.delivery import State
from deskbell.outcome import Delivered, PermanentFailure, TemporaryFailure
from deskbell.store import Store, open_store, searching
from deskbell.store.looking import NEIGHBOURS, Neighbour, Neighbours, Try, find_delivery


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deskbell.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    opened = open_store(path)
    yield opened
    await opened.close()


async def add(store: Store, *tickets: str, source: str = "s") -> None:
    """One event for each, to w and v: the deliveries 1 and 2, 3 and 4, and so on."""
    for ticket in tickets:
        await store.add(event(ticket, source=source), b"{}", webhooks=[webhook("w"), webhook("v")])


async def test_a_delivery_is_shown_with_its_event_and_every_attempt(path: Path, store: Store) -> None:
    sent = event("7", "hé \ud800", action="Close", source="cms", received_at=NOW + timedelta(1))
    await store.add(sent, '{"ticket": 7, "é": 1}'.encode(), webhooks=[webhook("w")])
    first, second = NOW + timedelta(2), NOW + timedelta(3)
    await conclude(store, await take(store), TemporaryFailure("500 no"), payload='{"text": "1"}', at=first)
    settled = await conclude(
        store, await take(store), Delivered("9", detail="200 ok"), payload='{"text": "é"}', at=second
    )
    detail = find_delivery(path, settled.id)
    assert detail is not None
    assert (detail.delivery, detail.event) == (settled, sent)
    assert detail.body == '{"ticket": 7, "é": 1}'
    assert detail.tries == (
        Try(1, first, 0.25, "TemporaryFailure", "500 no", '{"text": "1"}'),
        Try(2, second, 0.25, "Delivered", "200 ok", '{"text": "é"}'),
    )
    assert detail.earlier == detail.later == Neighbours()


async def test_a_body_that_is_no_text_is_shown_all_the_same(path: Path, store: Store) -> None:
    await store.add(event(), b'{"a": "\xff\x00"}', webhooks=[webhook("w")])
    detail = find_delivery(path, 1)
    assert detail is not None
    assert (detail.body, detail.tries) == ('{"a": "\ufffd\x00"}', ())


@pytest.mark.parametrize("number", [0, -1, 3, 2**63 - 1, 2**63, -(2**80)])
async def test_what_is_not_there_is_none(path: Path, store: Store, number: int) -> None:
    await add(store, "1")
    assert find_delivery(path, number) is None


async def test_neighbours_are_of_the_same_ticket_source_and_webhook(path: Path, store: Store) -> None:
    """The nearest first, with their states."""
    await add(store, "7", "8", "7", "", "7", "77")
    await add(store, "7", source="other")
    await add(store, "7")
    await conclude(store, await take(store), PermanentFailure("400"))
    detail = find_delivery(path, 9)
    assert detail is not None
    assert detail.earlier == Neighbours((Neighbour(5, State.READY), Neighbour(1, State.DEAD)))
    assert detail.later == Neighbours((Neighbour(15, State.READY),))


async def test_a_delivery_without_a_ticket_has_no_neighbours(path: Path, store: Store) -> None:
    await add(store, "", "", "")
    detail = find_delivery(path, 3)
    assert detail is not None
    assert detail.earlier == detail.later == Neighbours()


async def test_of_many_neighbours_the_nearest_are_shown(
    path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "SLICE", 3)
    await add(store, *["7"] * (NEIGHBOURS * 2 + 2))
    for number, earlier, later in ((13, 6, 5), (11, 5, 6)):
        detail = find_delivery(path, number, patience=60)
        assert detail is not None
        before, after = range(number - 2, 0, -2), range(number + 2, NEIGHBOURS * 4 + 4, 2)
        assert (len(before), len(after)) == (earlier, later)
        assert [found.id for found in detail.earlier.found] == list(before)[:NEIGHBOURS]
        assert [found.id for found in detail.later.found] == list(after)[:NEIGHBOURS]
        assert (detail.earlier.further, detail.later.further) == (earlier > NEIGHBOURS, later > NEIGHBOURS)


async def test_neighbours_beyond_patience_are_said_not_to_be_looked_for(
    path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "SLICE", 3)
    await add(store, "7", "1", "2", "7", "3", "4", "7")
    hasty, patient = find_delivery(path, 7, patience=0), find_delivery(path, 7, patience=60)
    assert hasty is not None
    assert patient is not None
    assert hasty.earlier == hasty.later == Neighbours((), further=True)
    assert patient.earlier == Neighbours((Neighbour(1, State.READY),))
    assert patient.later == Neighbours((Neighbour(13, State.READY),))


async def test_a_delivery_that_was_forgotten_leaves_a_gap_that_is_leapt_over(
    path: Path, store: Store
) -> None:
    await add(store, "7", "7")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE delivery SET id = id + 1000000 WHERE id > 2")
    detail = find_delivery(path, 1, patience=60)
    assert detail is not None
    assert detail.later == Neighbours((Neighbour(1_000_003, State.READY),))
