"""What people look up: on the real file, beside the running store and after it."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.kit import NOW, attempt_of, conclude, event, take, webhook, within, without_rights

from deskbell.delivery import Delivery, Destination, State
from deskbell.errors import StoreError
from deskbell.outcome import Delivered, PermanentFailure, TemporaryFailure
from deskbell.store import Listed, Store, TicketFacts, open_store
from deskbell.store.looking import find_delivery
from deskbell.store.reading import Filter, back_up, count_backlog, list_deliveries, list_troubles
from deskbell.store.searching import find_page, find_successes

DAMAGED_FROM = 4096 * 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deskbell.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """Four events for two webhooks. Of w: delivered, dead, sending, ready; of v: all held."""
    opened = open_store(path)
    for number, ticket in enumerate(["1", "2", "1", ""]):
        sent = event(ticket, f"Hello {number}", id=f"e{number}", received_at=NOW + timedelta(number))
        await opened.add(sent, b"{}", webhooks=[webhook("w"), webhook("v")])
    await conclude(opened, await take(opened), Delivered("99", detail="200 ok"))
    await conclude(opened, await take(opened), PermanentFailure("400 too long"))
    await take(opened)
    await opened.adopt({"w": "home"}, now=NOW)
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
        (Filter(limit=None), "3v 3w 2v 2w 1v 1w 0v 0w"),
        (Filter(since=NOW + timedelta(2)), "3v 3w 2v 2w"),
        (Filter(since=NOW + timedelta(2, microseconds=1), webhook="w"), "3w"),
        (Filter(since=NOW + timedelta(9)), ""),
        (Filter(ids=[1, 8, 2, 999, -1]), "3v 0v 0w"),
        (Filter(ids=[1, 2, 8], webhook="v", limit=1), "3v"),
        (Filter(ids=[]), ""),
        (Filter(action="rEPLY", limit=1), "3v"),
        (Filter(action="Repl"), ""),
        (Filter(text="HELLO 2"), "2v 2w"),
        (Filter(text="hello _"), ""),
        (Filter(text="1", webhook="w"), "2w 1w 0w"),
        (Filter(before=4), "1w 0v 0w"),
    ],
)
def test_what_is_asked_for_is_listed_newest_first(path: Path, wanted: Filter, expected: str) -> None:
    found = [listed.delivery for listed in list_deliveries(path, wanted)]
    assert " ".join(each.event_id[1:] + each.webhook for each in found) == expected


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("look", [list_deliveries, find_page])
def test_a_state_that_is_none_never_gets_into_a_query(
    path: Path, look: Callable[[Path, Filter], object]
) -> None:
    """It is the one value that is spelled out there."""
    with pytest.raises(ValueError, match="is not a valid State"):
        look(path, Filter(cast("State", "dead' OR '1")))


async def test_a_delivery_comes_with_its_latest_answer(path: Path, store: Store) -> None:
    """Whole: its state, when the event came, when it was tried last, and what was said then."""
    await store.recover()
    first_try, last_try = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    await conclude(store, await take(store), TemporaryFailure("500 first"), at=first_try)
    failed = await conclude(store, await take(store), TemporaryFailure("503 last"), at=last_try)
    (listed,) = list_deliveries(path, Filter(webhook="w", ticket="1", limit=1))
    assert listed == Listed(failed, NOW + timedelta(2), last_try, "503 last")
    assert (failed.attempts, failed.maybe_duplicate) == (3, True)
    assert failed.next_at == last_try + timedelta(seconds=1)


@pytest.mark.usefixtures("store")
def test_what_was_never_tried_has_no_answer(path: Path) -> None:
    (listed,) = list_deliveries(path, Filter(state=State.READY))
    assert (listed.attempted_at, listed.detail) == (None, "")
    assert listed.received_at == NOW + timedelta(3)


async def test_it_works_when_no_server_runs(path: Path) -> None:
    await open_store(path).close()
    assert list_deliveries(path, Filter()) == []


async def test_troubles_of_destinations_are_listed(path: Path, store: Store) -> None:
    trouble = Destination(paused=True, reason="404")
    (sending,) = [listed.delivery for listed in list_deliveries(path, Filter(State.SENDING))]
    await store.save(sending, attempt_of(sending, TemporaryFailure("x")), {"home": trouble})
    assert list_troubles(path) == {"home": trouble}


LOOKS: list[Callable[[Path], object]] = [
    lambda path: list_deliveries(path, Filter()),
    list_troubles,
    count_backlog,
    lambda path: find_page(path, Filter()),
    lambda path: find_successes(path, ["w"]),
    lambda path: find_delivery(path, 1),
    lambda path: back_up(path, path.with_name("copy.db")),
]


@pytest.mark.parametrize("look", LOOKS)
def test_a_store_that_is_not_there_is_an_error_and_nothing_is_made(
    path: Path, look: Callable[[Path], object]
) -> None:
    with pytest.raises(StoreError, match="there is no store yet"):
        look(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("look", LOOKS)
async def test_a_damaged_store_is_an_error(path: Path, look: Callable[[Path], object]) -> None:
    """Damaged beyond the schema, so that only the look-up itself meets it."""
    await open_store(path).close()
    damage(path)
    with pytest.raises(StoreError, match=r"\.db: .* cannot be (read|written): .*malformed"):
        look(path)
    assert not {"copy.db", "copy.db.part"} & {each.name for each in path.parent.iterdir()}


def damage(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:DAMAGED_FROM] + b"\xa5" * (len(whole) - DAMAGED_FROM))


# -- the copy


def rows_of(path: Path) -> list[Delivery]:
    return [listed.delivery for listed in list_deliveries(path, Filter(limit=None))]


def is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return sound and connection.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.usefixtures("store")
def test_a_copy_is_a_whole_private_store(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy é.db"
    back_up(path, target)
    assert rows_of(target) == rows_of(path) != []
    assert is_sound(target)
    assert target.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir() if "copy" in each.name] == [target.name]


async def test_a_copy_made_while_events_come_holds_all_that_came_before(path: Path) -> None:
    """And the drill: it is put in the place of a lost store, and goes on from there."""
    store = open_store(path)
    await store.add(event(id="first"), b"{}", webhooks=[webhook("w")])
    await take(store)
    acknowledged, many, target = list[str](), asyncio.Event(), path.with_name("copy.db")

    async def send(ticket: str) -> None:
        while True:
            told = TicketFacts(subject=ticket)
            sent = event(ticket)
            await store.add(sent, bytes(500), webhooks=[webhook("w")], key=sent.id, facts=told)
            acknowledged.append(sent.id)
            if len(acknowledged) == 100:
                many.set()

    senders = [asyncio.create_task(send(f"t{number}")) for number in range(8)]
    await within(many.wait())
    before, earlier = list(acknowledged), rows_of(path)
    await asyncio.to_thread(back_up, path, target)
    copied = {each.event_id for each in rows_of(target)}
    for each in senders:
        each.cancel()
    await asyncio.wait(senders)
    assert set(before) <= copied
    assert {each.id for each in earlier} <= {each.id for each in rows_of(target)}
    assert is_sound(target)
    await store.close()
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    target.replace(path)
    restored = open_store(path)
    assert await restored.recover() == 1
    await restored.adopt({"w": "home"}, now=NOW)
    again = [await restored.add(event(), bytes(500), webhooks=[], key=key) for key in before]
    assert all(added.replayed for added in again)
    assert (await restored.recall("s", "t0")).subject == "t0"
    assert (await take(restored)).delivery.event_id == "first", "the one that was in flight"
    await restored.close()


def file(target: Path) -> None:
    target.write_text("precious")


def folder(target: Path) -> None:
    target.mkdir()


def link(target: Path) -> None:
    file(target.with_name("precious"))
    target.symlink_to("precious")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("what", [file, folder, link])
def test_a_copy_is_never_made_over_anything(path: Path, what: Callable[[Path], None]) -> None:
    target = path.with_name("copy.db")
    what(target)
    names = {each.name for each in path.parent.iterdir()}
    with pytest.raises(StoreError, match=r"copy\.db: exists already; name a new file"):
        back_up(path, target)
    assert {each.name for each in path.parent.iterdir()} == names
    assert target.is_dir() or target.read_text() == "precious"


@pytest.mark.usefixtures("store")
def test_what_a_copy_that_was_cut_short_left_is_no_obstacle(path: Path) -> None:
    target = path.with_name("copy.db")
    path.with_name("copy.db.part").write_bytes(b"half a copy" * 1000)
    back_up(path, target)
    assert rows_of(target) == rows_of(path)
    assert not path.with_name("copy.db.part").exists()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("target", ["missing/copy.db", "file/copy.db", "file/deeper/copy.db"])
def test_a_place_where_no_copy_can_be_is_an_error(path: Path, target: str) -> None:
    path.with_name("file").touch()
    with pytest.raises(StoreError, match=r"copy\.db: the copy cannot be written: "):
        back_up(path, path.parent / target)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that a user without rights can reach: pytest's own folders are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.usefixtures("store")
async def test_a_store_whose_log_was_taken_away_is_not_copied_as_if_it_were_whole(path: Path) -> None:
    """After a crash, that is, which the open store stands for; its owner's first thought may be to make a backup."""
    before = list_deliveries(path, Filter())
    log = path.with_name(f"{path.name}-wal")
    log.rename(log.with_name("aside"))
    for look in (lambda: back_up(path, path.with_name("copy.db")), lambda: list_deliveries(path, Filter())):
        with pytest.raises(StoreError, match="-wal is gone, and with it the events"):
            look()
    assert not path.with_name("copy.db").exists()
    log.with_name("aside").rename(log)
    assert list_deliveries(path, Filter()) == before


async def test_a_place_without_permission_is_an_error(public: Path) -> None:
    path, locked = public / "deskbell.db", public / "locked"
    await open_store(path).close()
    path.chmod(0o644)
    locked.mkdir(mode=0o700)
    with without_rights():
        for target in (public / "copy.db", locked / "copy.db"):
            with pytest.raises(StoreError, match=r"copy\.db: .*Permission denied"):
                back_up(path, target)


async def test_a_store_in_a_read_only_place_can_be_copied_elsewhere(public: Path) -> None:
    """A disk that was mounted so after trouble: it is left as it is."""
    home, elsewhere = public / "home", public / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    store = open_store(home / "deskbell.db")
    await store.add(event(id="e1"), b"{}", webhooks=[webhook("w")])
    await store.close()
    (home / "deskbell.db").chmod(0o444)
    home.chmod(0o555)
    before = {each.name: each.read_bytes() for each in home.iterdir()}
    with without_rights():
        back_up(home / "deskbell.db", elsewhere / "copy.db")
        assert [each.event_id for each in rows_of(elsewhere / "copy.db")] == ["e1"]
    assert {each.name: each.read_bytes() for each in home.iterdir()} == before
