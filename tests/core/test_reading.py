"""What people look up: on the real file, beside the running store and after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deskbell import VARIABLES, Options, Payload, Secret, TicketEvent, Transport
from deskbell.delivery import Attempt, Destination, RetryPolicy, State, settle
from deskbell.errors import StoreError
from deskbell.outcome import Delivered, Outcome, PermanentFailure, TemporaryFailure
from deskbell.settings import Webhook, When
from deskbell.store import Claimed, Listed, Store, open_store
from deskbell.store.database import connect
from deskbell.store.reading import Filter, list_deliveries
from deskbell.template import Template

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
DAMAGED_FROM = 4096 * 3


class Bell(Transport):
    name = "bell"
    max_length = 100

    def format(self, notice: object, options: object) -> Payload:  # noqa: ARG002 - nothing is formatted here
        return {}


def webhook(name: str) -> Webhook:
    return Webhook(
        name=name, enabled=True, url=Secret("http://127.0.0.1/"), transport=Bell(), options=Options(),
        actions=None, when=When(), template=Template.parse("x", VARIABLES), rates=(),
    )  # fmt: skip


async def conclude(store: Store, name: str, outcome: Outcome, *, at: datetime = NOW) -> Claimed:
    """Claim the oldest row of the webhook, and settle it."""
    claimed = await store.claim([name], oldest=NOW - timedelta(hours=1))
    assert claimed is not None
    row = claimed.delivery
    settled = settle(row, Destination(), outcome, now=at, policy=RetryPolicy(), noise=0.0)
    attempt = Attempt(
        delivery_id=row.id, event_id=row.event_id, webhook=name, transport="bell", number=row.attempts,
        started_at=at, seconds=0.1, outcome=outcome, payload="{}",
    )  # fmt: skip
    assert await store.save(settled.delivery, attempt, None)
    return replace(claimed, delivery=settled.delivery)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deskbell.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """Four events for two webhooks. Of w: delivered, dead, sending, ready; of v: all held."""
    opened = open_store(path)
    for number, ticket in enumerate(["1", "2", "1", ""]):
        event = TicketEvent(
            id=f"e{number}", source="s", action="Reply", ticket=ticket, received_at=NOW + timedelta(number)
        )
        await opened.add(event, b"{}", webhooks=[webhook("w"), webhook("v")])
    await conclude(opened, "w", Delivered("99", detail="200 ok"))
    await conclude(opened, "w", PermanentFailure("400 too long"))
    await opened.claim(["w"], oldest=NOW)
    await opened.hold_all_but(["w"])
    yield opened
    await opened.close()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), "3v 3w 2v 2w 1v 1w 0v 0w"),
        (Filter(limit=3), "3v 3w 2v"),
        (Filter(webhook="w"), "3w 2w 1w 0w"),
        (Filter(state=State.READY), "3w"),
        (Filter(state=State.SENDING), "2w"),
        (Filter(state=State.DELIVERED), "0w"),
        (Filter(state=State.DEAD), "1w"),
        (Filter(state=State.HELD, limit=2), "3v 2v"),
        (Filter(ticket="1"), "2v 2w 0v 0w"),
        (Filter(ticket=""), "3v 3w"),
        (Filter(State.HELD, "v", "1"), "2v 0v"),
        (Filter(State.DEAD, "v"), ""),
        (Filter(ticket="' OR 1=1 --"), ""),
        (Filter(webhook="w' OR '1"), ""),
    ],
)
def test_what_is_asked_for_is_listed_newest_first(path: Path, wanted: Filter, expected: str) -> None:
    found = [listed.delivery for listed in list_deliveries(path, wanted)]
    assert " ".join(each.event_id[1:] + each.webhook for each in found) == expected


async def test_a_delivery_comes_with_its_latest_answer(path: Path, store: Store) -> None:
    """Whole: its state, when the event came, when it was tried last, and what was said then."""
    await store.recover()
    first_try, last_try = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    await conclude(store, "w", TemporaryFailure("500 first"), at=first_try)
    failed = await conclude(store, "w", TemporaryFailure("503 last"), at=last_try)
    (listed,) = list_deliveries(path, Filter(webhook="w", ticket="1", limit=1))
    assert listed == Listed(failed.delivery, NOW + timedelta(2), last_try, "503 last")
    assert (failed.delivery.attempts, failed.delivery.maybe_duplicate) == (3, True)
    assert failed.delivery.next_at == last_try + timedelta(seconds=1)


@pytest.mark.usefixtures("store")
def test_what_was_never_tried_has_no_answer(path: Path) -> None:
    (listed,) = list_deliveries(path, Filter(state=State.READY))
    assert (listed.attempted_at, listed.detail) == (None, "")
    assert listed.received_at == NOW + timedelta(3)


async def test_it_works_when_no_server_runs(path: Path) -> None:
    await open_store(path).close()
    assert list_deliveries(path, Filter()) == []


def test_a_store_that_is_not_there_is_an_error_and_is_not_made(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store yet"):
        list_deliveries(path, Filter())
    assert not path.exists()


def test_a_damaged_store_is_an_error(path: Path) -> None:
    """Damaged beyond the schema, so that only the look-up itself meets it."""
    connect(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:DAMAGED_FROM] + b"\xa5" * (len(whole) - DAMAGED_FROM))
    with pytest.raises(StoreError, match=r"deskbell\.db: the store cannot be read: .*malformed"):
        list_deliveries(path, Filter())
