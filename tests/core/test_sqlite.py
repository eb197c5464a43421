"""What only the SQLite engine can promise: what its statements look at, how large its file is, older schemas."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
from tests.kit import NOW, attempt_of, conclude, event, take, webhook

from deskbell.delivery import Destination, State
from deskbell.errors import StoreError
from deskbell.outcome import Delivered, PermanentFailure
from deskbell.store import Horizon, Listed, TicketFacts, pruning
from deskbell.store.reading import _COUNT, Filter, list_deliveries
from deskbell.store.sqlite import SqliteStore

MIGRATIONS = resources.files("deskbell.store") / "migrations"
OURS = 0x6465736B
"""The application id of every store."""
W = webhook("w")
PAGE = 4096
DAMAGED_FROM = PAGE * 3
EVERYTHING = Horizon(delivered=NOW, dead=NOW, events=NOW, tickets=NOW)
BEFORE = NOW - timedelta(hours=1)
"""When what is forgotten ended."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deskbell.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore.open(path)
    yield opened
    await opened.close()


# -- what is looked at


async def work(store: SqliteStore) -> None:
    """Everything that a store is asked while events flow."""
    await store.adopt({"w": "home"}, now=NOW)
    for ticket in ("1", "1", "2", ""):
        await store.add(event(ticket), b"{}", webhooks=[W], key=f"k{ticket}", facts=TicketFacts("High"))
    dead = await conclude(store, await take(store), PermanentFailure("400"))
    claimed = await take(store, avoid=dead.id)
    trouble = {"home": Destination(paused=True)}
    assert await store.save(claimed.delivery, attempt_of(claimed.delivery, Delivered()), trouble)
    assert await store.claim({"w": 1.0}, now=NOW + timedelta(hours=1)) is None
    await store.recover(["w"])
    await store.recover()
    await store.resume("home", ["w"], now=NOW)
    await store.replay([dead.id], now=NOW)
    await store.adopt({}, now=NOW)
    await store.adopt({"w": "elsewhere"}, now=NOW)
    await store.destinations()


def plan(connection: sqlite3.Connection, statement: str) -> Iterator[str]:
    """How SQLite does it, as far as it looks for deliveries."""
    for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
        if re.search(r"\b(delivery|d)\b", step):
            yield step


async def test_work_looks_only_at_what_has_not_ended_however_much_has(store: SqliteStore) -> None:
    """By the indexes that hold no finished row, or by the number of the row."""
    connection, statements = store._database.connection, set[str]()
    connection.set_trace_callback(lambda said: statements.add(re.sub(r"\b\d{10}\.\d+|'event\d+'", "0", said)))
    await work(store)
    connection.set_trace_callback(None)
    statements |= {_COUNT.format(state) for state in State if state is not State.DELIVERED}
    partial = {
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%WHERE state = %'"
        )
    }
    steps = {
        step: statement
        for statement in statements
        if re.match("SELECT|UPDATE|DELETE|INSERT", statement)
        for step in plan(connection, statement)
    }
    assert len(steps) > len(partial) == 5
    for step, statement in steps.items():
        found = re.search(r"USING (?:COVERING )?(INTEGER PRIMARY KEY|INDEX (\w+))", step)
        assert found, f"{step}: {statement}"
        assert found[2] is None or found[2] in partial, f"{step}: {statement}"


async def test_finished_rows_do_not_slow_a_claim(store: SqliteStore) -> None:
    """Counted in steps of SQLite's machine, not in noisy milliseconds: as many as in an empty store."""
    steps: list[int] = []
    counted = 0

    def tick() -> int:
        nonlocal counted
        counted += 1
        return 0

    for finished in (0, 3_000):
        await asyncio.gather(*(store.add(event(str(n)), b"{}", webhooks=[W]) for n in range(finished)))
        await store.claim({"w": 1.0}, now=NOW + timedelta(days=1))
        await store.add(event("x"), b"{}", webhooks=[W])
        counted = 0
        store._database.connection.set_progress_handler(tick, 1)
        claimed = await take(store)
        steps.append(counted)
        store._database.connection.set_progress_handler(None, 0)
        await conclude(store, claimed, Delivered())
    assert steps[1] <= steps[0] * 1.1


# -- how large the file is


async def test_the_file_shrinks_when_what_ended_is_forgotten(path: Path) -> None:
    store, raw = SqliteStore.open(path), bytes(1_000)
    await asyncio.gather(
        *(store.add(event(str(n), received_at=BEFORE), raw, webhooks=[W]) for n in range(2_000))
    )
    await store.claim({"w": 1.0}, now=BEFORE + timedelta(minutes=1))
    await store.add(event("kept"), raw, webhooks=[W])
    large = pages(store)
    while await store.prune(EVERYTHING):
        pass
    await store.close()
    assert large * PAGE > 2_000 * len(raw)
    assert size(path) < large * PAGE / 10
    assert [each.delivery.ticket for each in everything(path)] == ["kept"]


def pages(store: SqliteStore) -> int:
    return int(store._database.connection.execute("PRAGMA page_count").fetchone()[0])


def size(path: Path) -> int:
    return path.stat().st_size


def everything(path: Path) -> list[Listed]:
    return list_deliveries(path, Filter(limit=None))


async def test_what_came_to_life_between_the_look_and_the_end_stays(store: SqliteStore, path: Path) -> None:
    """A delivery that was replayed, and its event; a ticket of which something new was told."""
    await store.adopt({"w": "home"}, now=NOW)
    for ticket in ("1", "2"):
        told = event(ticket, received_at=BEFORE)
        await store.add(told, b"{}", webhooks=[W], facts=TicketFacts(subject=ticket))
        await conclude(store, await take(store), Delivered(), at=BEFORE)
    old = store._find_old(EVERYTHING)
    assert (len(old.deliveries), len(old.tickets)) == (2, 2)
    await store.replay([old.deliveries[0]], now=NOW)
    await store.add(event("1"), b"{}", webhooks=[], facts=TicketFacts(subject="news"))
    assert await store._writer.submit(lambda connection: pruning.forget(connection, old, EVERYTHING)) == 2
    assert [(each.delivery.ticket, each.delivery.state) for each in everything(path)] == [("1", State.READY)]
    assert [(await store.recall("s", ticket)).subject for ticket in "12"] == ["news", ""]


async def test_a_store_that_cannot_be_read_says_so(store: SqliteStore, path: Path) -> None:
    damage(path)
    for look in (store.backlog(), store.prune(EVERYTHING)):
        with pytest.raises(StoreError, match="the store cannot be read"):
            await look


def damage(path: Path) -> None:
    """Everything beyond the schema."""
    whole = path.read_bytes()
    path.write_bytes(whole[:DAMAGED_FROM] + b"\xa5" * (len(whole) - DAMAGED_FROM))
    path.with_name("deskbell.db-wal").write_bytes(b"\xa5")  # one that were gone would be another error


# -- older schemas


def make_first_schema(path: Path) -> None:
    """A store as the first deskbell left it: a row in every state."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((MIGRATIONS / "0001_initial.sql").read_text("utf-8"))
        for number, state in enumerate(State, 1):
            connection.execute(
                "INSERT INTO event VALUES (?, ?, 's', ?, ?, ?, 'Reply', '7', '{}', ?, 1)",
                (number, f"e{number}", f"k{number}", b"digest", b"{}", NOW.timestamp()),
            )
            connection.execute(
                "INSERT INTO delivery (id, event, webhook, transport, order_key, state, due_from, attempts)"
                " VALUES (?, ?, 'w', 'bell', ?, ?, ?, 3)",
                (number, number, "s\n7", state, NOW.timestamp()),
            )
        connection.execute("INSERT INTO attempt VALUES (1, 3, 1, 1.0, 0.5, 'Delivered', '', '{}')")
        connection.execute("""INSERT INTO ticket VALUES ('s', '7', '{"priority": "High"}')""")
        connection.executescript(f"PRAGMA application_id = {OURS}; PRAGMA user_version = 1;")


async def test_a_store_of_the_first_schema_is_brought_up_to_date_with_all_that_is_in_it(path: Path) -> None:
    make_first_schema(path)
    began = datetime.now(UTC)
    store = SqliteStore.open(path)
    rows = {each.delivery.state: each.delivery for each in everything(path)}
    assert set(rows) == set(State)
    for state, row in rows.items():
        ended = state in (State.DELIVERED, State.DEAD)
        assert (row.attempts, row.ended_at, row.gap) == (3, NOW if ended else None, False)
    assert (await store.recall("s", "7")).priority == "High"
    assert await store.recover() == 1
    assert await store.adopt({"w": "home"}, now=began) == 0
    assert {each.delivery.due_from for each in everything(path) if each.delivery.id < 5} == {NOW}
    replayed = await store.replay([rows[State.DEAD].id], now=began)
    assert replayed.ids == (rows[State.DEAD].id,)
    a_month_ago = began - timedelta(days=30)
    horizon = Horizon(delivered=a_month_ago, dead=a_month_ago, events=a_month_ago, tickets=a_month_ago)
    assert await store.prune(horizon) == 1, "what was delivered; the ticket is young, as nobody knows its age"
    assert await store.prune(horizon) == 1, "its event"
    assert (await store.recall("s", "7")).priority == "High"
    assert [await take(store) for _ in range(4)]
    await store.close()


async def test_old_and_new_stores_end_with_one_schema(path: Path) -> None:
    make_first_schema(path)
    schemas = []
    for each in (path, path.with_name("new.db")):
        store = SqliteStore.open(each)
        connection = store._database.connection
        found = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
        schemas.append((found, connection.execute("PRAGMA user_version").fetchone()))
        await store.close()
    assert schemas[0] == schemas[1]
    assert schemas[0][1] == (len([each for each in MIGRATIONS.iterdir() if each.name.endswith(".sql")]),)
