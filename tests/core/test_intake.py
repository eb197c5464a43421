"""What happens to an event between its source and the durable answer, on a real store."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit import webhook as any_webhook

import deskbell
from deskbell.errors import StoreBusyError, StoreError
from deskbell.event import TicketEvent
from deskbell.intake import TICKETS_IN_MEMORY, Intake
from deskbell.settings import Webhook, When
from deskbell.store import Added, KeyReusedError, TicketFacts
from deskbell.store.sqlite import SqliteStore

LEVELS = {"high": "high", "haute": "high", "low": "low", "basse": "low"}
NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
NOTHING: Mapping[str, str] = MappingProxyType({})
CREATION = {"priority": "High", "departmentname": "Technique", "subject": "Refund"}


def webhook(name: str, *actions: str, **when: set[str]) -> Webhook:
    asked = When(**{key: frozenset(values) for key, values in when.items()})
    return any_webhook(name, actions=frozenset(actions) or None, when=asked)


URGENT = webhook("urgent", priorities={"high"}, departments={"technique"})


class WatchedStore(SqliteStore):
    """The real one; ``written`` keeps what it was given to remember of tickets."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.written: list[TicketFacts | None] = []

    async def add(
        self, event: TicketEvent, raw: bytes, *, facts: TicketFacts | None = None, **others: Any
    ) -> Added:
        self.written.append(facts)
        return await super().add(event, raw, facts=facts, **others)


@dataclass(frozen=True)
class Told:
    """What an observer heard, and the events that the file held at that moment."""

    event_id: str
    webhooks: Sequence[str]
    visible: list[Any]


@dataclass
class Desk:
    """An intake on the store at ``path``, and what it told the lanes and the observers."""

    path: Path
    store: WatchedStore
    intake: Intake
    woken: list[str]
    told: list[Told]
    full: list[str]

    async def accept(
        self,
        action: str = "Reply",
        told: Mapping[str, str] = NOTHING,
        *,
        ticket: str = "7",
        source: str = "cms",
        raw: bytes = b"{}",
        key: str | None = None,
        only: Sequence[Webhook] | None = None,
    ) -> Added:
        event = TicketEvent(action=action, ticket=ticket, variables=told)
        return await self.intake.accept(event, raw, source=source, key=key, only=only)

    def rows(self, query: str) -> list[Any]:
        return read(self.path, query)

    def variables(self) -> list[dict[str, str]]:
        """Those of every stored event, in the order of the store."""
        return [json.loads(row[0]) for row in self.rows("SELECT variables FROM event ORDER BY seq")]


def read(path: Path, query: str) -> list[Any]:
    """What another process would see in the file."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


@asynccontextmanager
async def open_desk(
    path: Path, *webhooks: Webhook, tickets_in_memory: int = TICKETS_IN_MEMORY
) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        store = WatchedStore.open(path)
        stack.push_async_callback(store.close)
        woken: list[str] = []
        told: list[Told] = []
        full: list[str] = []

        def tell(event: TicketEvent, names: Sequence[str]) -> None:
            told.append(Told(event.id, names, read(path, "SELECT id FROM event")))

        intake = Intake(
            store,
            webhooks=webhooks,
            priorities=LEVELS,
            wake=woken.extend,
            accepted=tell,
            clock=lambda: NOW,
            refusal=lambda: "".join(full),
            tickets_in_memory=tickets_in_memory,
        )
        yield Desk(path, store, intake, woken, told, full)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path / "desk.db", URGENT) as opened:
        yield opened


# -- accepting


@pytest.mark.parametrize(
    ("action", "source", "variables", "expected"),
    [
        ("Submit", "cms", {}, ["all", "creations"]),
        ("submit", "cms", {"priority": "Haute"}, ["all", "creations", "high"]),
        ("Reply", "cms", {"priority": "Basse", "departmentname": "Sales"}, ["all", "sales"]),
        ("Reply", "shop", {"departmentname": "SALES", "priority": "high"}, ["all", "shop", "high", "sales"]),
        ("checkout_completed", "shop", {}, ["all", "shop"]),
    ],
)
async def test_an_event_is_stored_for_each_webhook_that_takes_it(
    tmp_path: Path, action: str, source: str, variables: dict[str, str], expected: list[str]
) -> None:
    hooks = (
        webhook("all"),
        webhook("creations", "submit"),
        webhook("shop", sources={"shop"}),
        webhook("high", priorities={"high"}),
        webhook("sales", departments={"sales"}),
    )
    async with open_desk(tmp_path / "desk.db", *hooks) as desk:
        added = await desk.accept(action, variables, source=source)
    assert added.deliveries == len(expected)
    query = "SELECT webhook, transport, state FROM delivery ORDER BY id"
    assert desk.rows(query) == [(name, "bell", "ready") for name in expected]
    assert desk.woken == expected


async def test_an_event_that_matches_no_webhook_is_stored_all_the_same(desk: Desk) -> None:
    added = await desk.accept("Submit", {"priority": "Low"}, raw=b'{"action": "Submit"}')
    assert added == Added(added.id, deliveries=0)
    assert desk.rows("SELECT id, raw, deliveries FROM event") == [(added.id, b'{"action": "Submit"}', 0)]
    assert desk.rows("SELECT * FROM delivery") == []


async def test_id_source_and_time_are_set_here_whatever_an_adapter_wrote(desk: Desk) -> None:
    forged = TicketEvent(action="Submit", id="forged", source="forged", received_at=deskbell.event.NEVER)
    first = await desk.intake.accept(forged, b"{}", source="cms")
    second = await desk.intake.accept(forged, b"{}", source="cms")
    assert first.id != second.id
    stored = [(first.id, "cms", NOW.timestamp()), (second.id, "cms", NOW.timestamp())]
    assert desk.rows("SELECT id, source, received_at FROM event ORDER BY seq") == stored


async def test_observers_hear_of_an_event_after_its_commit_and_of_no_replay(desk: Desk) -> None:
    first = await desk.accept("Submit", CREATION, key="k", raw=b"1")
    again = await desk.accept("Submit", CREATION, key="k", raw=b"1")
    with pytest.raises(KeyReusedError):
        await desk.accept("Submit", CREATION, key="k", raw=b"2")
    assert again == Added(first.id, deliveries=1, replayed=True)
    assert desk.told == [Told(first.id, ["urgent"], [(first.id,)])]
    assert desk.woken == ["urgent"]


async def test_a_trial_goes_to_its_one_webhook_and_leaves_the_ticket_alone(desk: Desk) -> None:
    """`send` uses sample events: their ticket 7 may be a customer's."""
    await desk.accept("Submit", CREATION)
    sample = {"priority": "Low", "subject": "Sample"}
    trial = await desk.accept("Close", sample, only=[webhook("closures", "close")])
    await desk.accept("Reply")
    assert trial.deliveries == 1
    assert desk.rows("SELECT webhook FROM delivery ORDER BY id") == [("urgent",), ("closures",), ("urgent",)]
    assert desk.variables()[1:] == [sample, CREATION]


async def test_while_too_much_waits_nothing_is_taken_and_nothing_is_remembered(desk: Desk) -> None:
    """Not even a trial; the sender is told to come again."""
    desk.full.append("1,000,000 deliveries wait already")
    for only in (None, [URGENT]):
        with pytest.raises(StoreBusyError, match="1,000,000 deliveries wait already"):
            await desk.accept("Submit", CREATION, only=only)
    assert (desk.rows("SELECT * FROM event"), desk.woken, desk.told) == ([], [], [])
    desk.full.clear()
    reply = await desk.accept("Reply")
    assert (reply.deliveries, desk.variables()) == (0, [{}])


# -- the memory of tickets


@pytest.mark.parametrize("forgetful", ["", "another ticket pushed it out", "restart"])
async def test_a_reply_has_what_the_creation_said(tmp_path: Path, forgetful: str) -> None:
    """ClientXCMS sends no priority with a customer's reply; `when` and %priority% need it all the same."""
    path = tmp_path / "desk.db"
    async with open_desk(path, URGENT, tickets_in_memory=1) as desk:
        await desk.accept("Submit", CREATION)
        if forgetful == "another ticket pushed it out":
            await desk.accept("Submit", {"subject": "Other"}, ticket="8")
        if forgetful != "restart":
            reply = await desk.accept("Reply", {"content": "Thanks"})
    if forgetful == "restart":
        async with open_desk(path, URGENT) as desk:
            reply = await desk.accept("Reply", {"content": "Thanks"})
    assert reply.deliveries == 1
    assert desk.variables()[-1] == {"content": "Thanks", **CREATION}


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"priority": "Low"}, {**CREATION, "priority": "Low"}),
        ({"priority": " ", "departmentname": ""}, CREATION),
        ({"subject": "  Re: Refund\n"}, {**CREATION, "subject": "  Re: Refund\n"}),  # stays as it was sent
    ],
)
async def test_what_an_event_says_itself_wins(
    desk: Desk, told: dict[str, str], shown: dict[str, str]
) -> None:
    await desk.accept("Submit", CREATION)
    await desk.accept("StaffReply", told)
    await desk.accept("Reply")
    assert desk.variables()[1] == shown
    assert desk.variables()[2] == {name: value.strip() for name, value in shown.items()}


async def test_the_same_number_of_another_source_is_another_ticket(desk: Desk) -> None:
    await desk.accept("Submit", CREATION, source="cms")
    reply = await desk.accept("Reply", {"subject": "Mine"}, source="shop")
    assert reply.deliveries == 0
    assert desk.variables()[-1] == {"subject": "Mine"}
    assert await desk.store.recall("cms", "7") == TicketFacts("High", "Technique", "Refund")
    assert await desk.store.recall("shop", "7") == TicketFacts(subject="Mine")


async def test_events_without_a_ticket_know_nothing_of_each_other(desk: Desk) -> None:
    await desk.accept("service_renewed", CREATION, ticket="")
    await desk.accept("service_renewed", ticket="")
    assert desk.variables() == [CREATION, {}]
    assert await desk.store.recall("cms", "") == TicketFacts()


async def test_only_what_is_new_is_written(desk: Desk) -> None:
    await desk.accept("Submit", CREATION)
    await desk.accept("Reply")
    await desk.accept("StaffReply", CREATION)
    await desk.accept("StaffReply", {**CREATION, "priority": "Low"})
    await desk.accept("Submit", ticket="8")
    said = TicketFacts("High", "Technique", "Refund")
    assert desk.store.written == [said, None, None, replace(said, priority="Low"), None]


async def test_lone_surrogates_are_remembered_like_any_text(tmp_path: Path) -> None:
    """Senders that cut a text between the halves of an emoji write them, and JSON carries them."""
    told, ticket = {"priority": "é\ud800", "subject": "cut \ud83d"}, "7\udd25"
    async with open_desk(tmp_path / "desk.db") as desk:
        await desk.accept("Sub\ud83d", told, ticket=ticket)
    async with open_desk(tmp_path / "desk.db") as desk:
        await desk.accept("Reply", ticket=ticket)
    assert desk.variables() == [told, told]


async def test_an_event_that_could_not_be_stored_is_forgotten(desk: Desk) -> None:
    await desk.accept("Submit", CREATION)
    connection = desk.store._database.connection
    connection.execute("PRAGMA max_page_count = 1")  # fills the disk, for real
    with pytest.raises(StoreError, match="full"):
        await desk.accept("StaffReply", {"priority": "Low"}, raw=bytes(500_000))
    connection.execute("PRAGMA max_page_count = 1000000")
    await desk.accept("Reply")
    assert desk.variables() == [CREATION, CREATION]
    assert len(desk.told) == 2


@pytest.mark.parametrize("body", [b"first", b"another"])
async def test_a_key_that_came_again_changes_nothing_of_what_is_known(desk: Desk, body: bytes) -> None:
    await desk.accept("Submit", CREATION, key="k", raw=b"first")
    await desk.accept("StaffReply", {"priority": "Low"})
    try:
        replayed = (await desk.accept("Submit", CREATION, key="k", raw=body)).replayed
    except KeyReusedError:
        replayed = False
    await desk.accept("Reply")
    assert replayed == (body == b"first")
    assert [variables["priority"] for variables in desk.variables()] == ["High", "Low", "Low"]


async def test_a_key_that_comes_again_misleads_nobody_meanwhile(desk: Desk) -> None:
    """Events that are accepted while the store has not yet said that the key is known."""
    await desk.accept("Submit", {**CREATION, "priority": "Low"}, key="k")
    await desk.accept("StaffReply", {"priority": "High"})
    again = desk.accept("Submit", {**CREATION, "priority": "Low"}, key="k")
    await asyncio.gather(again, desk.accept("Reply", {"subject": "another"}))
    assert desk.variables()[-1]["priority"] == "High"
    assert (await desk.store.recall("cms", "7")).priority == "High"


# -- at once

WORDS = st.sampled_from(["", "High", "Low"])
EVENTS: st.SearchStrategy[list[dict[str, str]]] = st.lists(
    st.builds(dict, priority=WORDS, departmentname=WORDS, subject=WORDS), min_size=2, max_size=12
)


@settings(max_examples=40, deadline=None)
@given(first=EVENTS, second=EVENTS, size=st.sampled_from([0, 1, TICKETS_IN_MEMORY]))
def test_events_accepted_at_once_are_as_if_one_had_come_after_the_other(
    first: list[dict[str, str]], second: list[dict[str, str]], size: int
) -> None:
    """Of two tickets, before and after a restart; whatever of it the memory holds."""

    async def accept(path: Path) -> list[dict[str, str]]:
        for half in (first, second):
            async with open_desk(path, tickets_in_memory=size) as desk:
                tickets = ("7", "8")
                await asyncio.gather(
                    *(desk.accept(told=told, ticket=one) for told in half for one in tickets)
                )
        found = desk.rows("SELECT ticket, variables FROM event ORDER BY seq")
        assert [json.loads(said) for ticket, said in found if ticket == "8"] == list(
            one_by_one(first + second)
        )
        return [json.loads(said) for ticket, said in found if ticket == "7"]

    with tempfile.TemporaryDirectory() as folder:
        stored = asyncio.run(accept(Path(folder) / "desk.db"))
    assert stored == list(one_by_one(first + second))


def one_by_one(events: Iterable[dict[str, str]]) -> Iterable[dict[str, str]]:
    """What each event of one ticket should show."""
    known: dict[str, str] = {}
    for told in events:
        known |= {name: value for name, value in told.items() if value}
        yield {**told, **known}
