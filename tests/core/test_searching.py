"""Pages of deliveries: what is on them, how they follow each other, and how much is looked through for one."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.kit import NOW, conclude, event, take, webhook, within

from deskbell.delivery import Delivery, State
from deskbell.outcome import Delivered, PermanentFailure, TemporaryFailure
from deskbell.store import Store, open_store, searching
from deskbell.store.reading import Filter, list_deliveries, look
from deskbell.store.searching import (
    LARGEST_SLICE,
    SLICE,
    Found,
    Heard,
    Page,
    Slices,
    find_latest,
    find_page,
    find_successes,
)

FEW = 3
"""Ids in a slice, where a test wants many slices of few rows."""
TEXTS = ("Refund", "50% off_now", "C:\\temp", "L'été à \U0001f525", 'two\nlines "quoted"')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deskbell.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    opened = open_store(path)
    yield opened
    await opened.close()


@pytest.fixture
async def mixed(store: Store) -> Store:
    """30 events for three webhooks: of w a third each delivered, dead and ready; of v all ready; of x all held."""
    hooks = [webhook(name) for name in "wvx"]
    for number in range(30):
        told = {
            "subject": TEXTS[number % 5],
            "username": f"User{number}",
            "content": "hé",
            "email": "a@b.example",
        }
        action = ("Submit", "Reply", "checkout_completed")[number % 3]
        sent = event(
            ("7", "8", "")[number // 2 % 3],
            action=action,
            variables=told,
            received_at=NOW + timedelta(number),
        )
        await store.add(sent, b"{}", webhooks=hooks)
    for number in range(20):
        outcome = Delivered() if number % 2 else PermanentFailure("400")
        await conclude(store, await take(store), outcome, at=NOW + timedelta(40, number))
    await store.adopt({"w": "home", "v": "home"}, now=NOW)
    return store


def ids(page: Page) -> list[int]:
    return [found.delivery.id for found in page.found]


def pages(path: Path, wanted: Filter) -> Iterator[Page]:
    """All that follow one another, with no patience at all."""
    while True:
        page = find_page(path, wanted, patience=0)
        yield page
        if page.before is None:
            return
        assert page.before < wanted.below, "each page comes nearer to the end"
        wanted = replace(wanted, before=page.before)


STATES: list[State | None] = [None, *State]
WEBHOOKS = [None, "w", "x", "nobody"]
ACTIONS = [None, "submit", "Checkout_Completed", "none"]
TICKETS = [None, "7", "", "9"]
SOUGHT = [None, "refund", "user2", "%"]
EVERY_FILTER = [
    Filter(state, hook, ticket, action=action, text=text, limit=4)
    for state, hook, ticket, action, text in itertools.product(STATES, WEBHOOKS, TICKETS, ACTIONS, SOUGHT)
]


def wants(wanted: Filter, delivery: Delivery) -> bool:
    """The same said in Python, of a delivery of ``mixed``."""
    number = (delivery.id - 1) // 3
    texts = (delivery.ticket, TEXTS[number % 5], f"User{number}", "hé")
    return (
        wanted.state in (None, delivery.state)
        and wanted.webhook in (None, delivery.webhook)
        and wanted.ticket in (None, delivery.ticket)
        and (wanted.action is None or wanted.action.lower() == delivery.action.lower())
        and (wanted.text is None or any(wanted.text.lower() in text.lower() for text in texts))
    )


@pytest.mark.usefixtures("mixed")
def test_pages_of_every_filter_hold_together_all_that_is_wanted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing twice, nothing left out, never more than asked for; the newest first."""
    monkeypatch.setattr(searching, "SLICE", FEW)
    everything = [listed.delivery for listed in list_deliveries(path, Filter(limit=None))]
    assert {delivery.state for delivery in everything} == {*State} - {State.SENDING}
    for wanted in EVERY_FILTER[:: len(SOUGHT) + 1]:
        expected = [delivery.id for delivery in everything if wants(wanted, delivery)]
        following = list(pages(path, wanted))
        assert list(itertools.chain(*map(ids, following))) == expected, wanted
        assert max(len(page.found) for page in following) <= 4
        assert ids(find_page(path, wanted, patience=60)) == expected[:4]


FOUND_BY_TEXT = {
    "refund": 6, "REFUND": 6, "fun": 6, "50%": 6, "5_%": 0, "off_n": 6, "off-n": 0, "C:\\T": 6,
    "été": 6, "ÉTÉ": 0, "\U0001f525": 6, "two\nLINES": 6, '"quoted"': 6, "user2": 11, "HÉ": 0,
    "hé": 30, "a@b": 0, "subject": 0, '": "': 0, "u00e9": 0, "8": 12, "\ud800": 0, "x" * 60_000: 0,
    "\U0001f525" * 9_000: 0, "%" * 9_000: 0, "' OR 1=1 --": 0, "": 30,
}  # fmt: skip


@pytest.mark.usefixtures("mixed")
def test_a_text_is_found_in_ticket_subject_username_and_content(path: Path) -> None:
    """As it is written, but for ASCII letters; in no other variable, nor in how they are stored."""
    for text, count in FOUND_BY_TEXT.items():
        wanted = Filter(webhook="v", text=text, limit=None)
        assert len(find_page(path, wanted, patience=60).found) == count, text[:20]
        assert len(list_deliveries(path, wanted)) == count, text[:20]


@pytest.mark.usefixtures("mixed")
def test_a_page_begins_below_the_id_it_is_given(path: Path) -> None:
    newest = {None: 90, 91: 90, 90: 89, 2: 1, 1: 0, 0: 0, -(2**80): 0, 2**80: 90}
    for before, number in newest.items():
        page = find_page(path, Filter(before=before, limit=1))
        assert ids(page) == ([number] if number else [])
        assert (page.more, page.before) == ((True, number) if number > 1 else (False, None))


@pytest.mark.usefixtures("mixed")
def test_a_page_may_be_as_long_as_it_likes_or_empty(path: Path) -> None:
    assert len(find_page(path, Filter(limit=None)).found) == 90
    assert find_page(path, Filter(text="nowhere")) == Page()
    assert find_page(path, Filter(limit=90)).before is None


async def test_a_delivery_is_shown_with_its_latest_answer_and_how_long_it_took(
    path: Path, store: Store
) -> None:
    await store.add(event(), b"{}", webhooks=[webhook("w"), webhook("v")])
    await conclude(store, await take(store), TemporaryFailure("500"))
    settled = await conclude(
        store, await take(store), Delivered(detail="200 ok"), at=NOW + timedelta(hours=1)
    )
    untried, tried = find_page(path, Filter()).found
    assert tried == Found(settled, NOW, NOW + timedelta(hours=1), "200 ok", 0.25)
    assert (untried.attempted_at, untried.detail, untried.seconds) == (None, "", None)


@pytest.mark.usefixtures("store")
def test_an_empty_store_has_no_page(path: Path) -> None:
    for state in STATES:
        assert find_page(path, Filter(state)) == Page()
    assert find_successes(path, ["w"]).at == {}


# -- how much is looked through


async def fill(store: Store, count: int) -> None:
    """Rows that ended, all but the first of which a search for the rare passes by."""
    for first in range(0, count, 1000):
        await asyncio.gather(
            *(
                store.add(
                    event(str(n), received_at=NOW + timedelta(minutes=n)), b"{}", webhooks=[webhook("w")]
                )
                for n in range(first, first + 1000)
            )
        )
    while await store.claim({"w": 1.0}, now=NOW + timedelta(days=30)):
        pass


async def test_patience_ends_and_it_is_said_how_far_it_went(path: Path, store: Store) -> None:
    await fill(store, 1000)
    page = find_page(path, Filter(text="nowhere"), patience=0)
    reached = 1000 - SLICE + 1
    assert page == Page((), False, reached, NOW + timedelta(minutes=reached - 1))
    assert page.before == reached
    successes = find_successes(path, ["w"], patience=0)
    assert (successes.at, successes.searched_since) == ({}, None), "there is no attempt to be looked at"


async def test_the_newest_event_of_each_source(path: Path, store: Store) -> None:
    """One without a delivery counts, too; and where patience ends, it is said how far it went."""
    assert find_latest(path, ["cms", "shop"]).events == {}
    for number in range(SLICE + 9):
        source = "shop" if number < 2 else "cms"
        sent = replace(event(str(number), received_at=NOW + timedelta(number)), source=source)
        await store.add(sent, b"{}", webhooks=[])
    latest = find_latest(path, ["cms", "shop", "other"])
    assert latest.events["shop"] == Heard(NOW + timedelta(1), "Reply", "1")
    assert latest.events["cms"] == Heard(NOW + timedelta(SLICE + 8), "Reply", str(SLICE + 8))
    assert (set(latest.events), latest.searched_since) == ({"cms", "shop"}, None)
    hasty = find_latest(path, ["cms", "shop"], patience=0)
    assert (set(hasty.events), hasty.searched_since) == ({"cms"}, NOW + timedelta(9))


async def test_what_has_not_ended_is_found_at_once_however_far_back(path: Path, store: Store) -> None:
    for name in ("ready", "sending", "held", "other"):
        await store.add(event(), b"{}", webhooks=[webhook(name)])
    await take(store, "sending")
    await store.adopt({"ready": "a", "sending": "b", "other": "c", "w": "d"}, now=NOW)
    await fill(store, 1000)
    for state in (State.READY, State.SENDING, State.HELD):
        for hook in (None, str(state)):
            page = find_page(path, Filter(state, hook), patience=0)
            assert [found.delivery.webhook for found in page.found][-1:] == [state], (state, hook)
            assert page.before is None


async def test_a_page_costs_no_more_in_a_larger_store(
    path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in steps of SQLite's machine, for filters that nothing matches: what one slice takes, and no more."""
    counted = count_steps(monkeypatch)
    choices = itertools.product(STATES, [None, "no"], [None, "no"], [None, "no"], [None, "no"])
    filters = [
        Filter(state, hook, ticket, action=action, text=text) for state, hook, ticket, action, text in choices
    ]

    def steps_of(wanted: Filter) -> int:
        counted.clear()
        find_page(path, wanted, patience=0)
        return len(counted)

    await fill(store, 2000)
    small = {wanted: steps_of(wanted) for wanted in filters}
    await fill(store, 4000)
    assert min(small.values()) > 0
    for wanted, steps in small.items():
        assert steps_of(wanted) <= steps * 1.1 + 20, wanted


def test_slices_cover_every_id_once_and_never_grow_large() -> None:
    """However quick the last ones were: the next may be full of rows."""
    slices = Slices(lambda below: below - 1 if below > 1 else None, patience=60.0)
    ends = list(slices.back_from(1_000_001))
    assert slices.until is None
    assert ends[0][1] == 1_000_000
    assert ends[-1][0] <= 1
    assert all(later[0] == earlier[1] + 1 for later, earlier in itertools.pairwise(ends))
    assert max(last - first + 1 for first, last in ends) == LARGEST_SLICE


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one for each ten steps of a search."""
    counted: list[None] = []

    @contextmanager
    def look_and_count(path: Path) -> Iterator[sqlite3.Connection]:
        with look(path) as connection:
            connection.set_progress_handler(lambda: counted.append(None), 10)
            yield connection

    monkeypatch.setattr(searching, "look", look_and_count)
    return counted


# -- beside the server


async def test_pages_are_looked_up_in_a_thread_while_events_come(path: Path, store: Store) -> None:
    """Neither waits for the other: what was acknowledged before is there, and events go on being taken."""
    acknowledged, many = list[str](), asyncio.Event()

    async def send() -> None:
        while True:
            sent = event(variables={"content": "x" * 500})
            await store.add(sent, b"{}", webhooks=[webhook("w")])
            acknowledged.append(sent.id)
            if len(acknowledged) == 300:
                many.set()

    sender = asyncio.create_task(send())
    looks = 0
    while not many.is_set():
        before = list(acknowledged)
        page = await asyncio.to_thread(find_page, path, Filter(text="xxx", limit=None), patience=60.0)
        assert set(before) <= {found.delivery.event_id for found in page.found}
        looks += 1
    await within(many.wait())
    sender.cancel()
    await asyncio.wait([sender])
    assert looks >= 1


# -- the last success


async def test_the_last_success_of_each_webhook_is_that_of_its_newest_delivered_attempt(
    path: Path, mixed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the time of the attempt: an old delivery that was replayed counts when it got through."""
    monkeypatch.setattr(searching, "SLICE", FEW)
    await conclude(mixed, await take(mixed, "v"), Delivered(), at=NOW + timedelta(50))
    for names in (["w", "v"], ["w", "v", "x"]):
        found = find_successes(path, names, patience=60)
        assert found.at == {"w": NOW + timedelta(40, 19), "v": NOW + timedelta(50)}
    (oldest,) = list_deliveries(path, Filter(State.DELIVERED, "w", before=5))
    await mixed.replay([oldest.delivery.id], now=NOW)
    await conclude(mixed, await take(mixed), Delivered(), at=NOW + timedelta(60))
    await conclude(mixed, await take(mixed), TemporaryFailure("500"), at=NOW + timedelta(70))
    assert find_successes(path, ["w"]).at["w"] == NOW + timedelta(60)


@pytest.mark.usefixtures("mixed")
def test_a_success_beyond_patience_is_said_not_to_be_looked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "SLICE", FEW)
    searched = find_successes(path, ["x"], patience=0)
    assert searched.searched_since == NOW + timedelta(40, 17), "three attempts were looked at"
    assert find_successes(path, ["x"], patience=60).searched_since is None
