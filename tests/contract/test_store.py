"""What every engine of the store promises. A further engine is one more entry of ``ENGINES``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deskbell import VARIABLES, Options, Payload, Secret, TicketEvent, Transport
from deskbell.delivery import Attempt, Delivery, Destination, RetryPolicy, State, recover, release, settle
from deskbell.errors import StoreError
from deskbell.outcome import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure
from deskbell.settings import Webhook, When
from deskbell.store import Added, Claimed, KeyReusedError, Listed, Store, TicketFacts, open_store
from deskbell.store.reading import Filter, list_deliveries
from deskbell.template import Template

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
NEVER_OLD = datetime.fromtimestamp(0, UTC)
ALL = ("w",)


@dataclass(frozen=True)
class Engine:
    """How a test opens a store in a folder, and looks at what lies in it beside the running store."""

    name: str
    open: Callable[[Path], Store]
    deliveries: Callable[[Path], list[Listed]]
    select: Callable[[Path, str], list[tuple[Any, ...]]]


def select_sqlite(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{folder}/x.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


ENGINES = [
    Engine(
        "sqlite",
        lambda folder: open_store(folder / "x.db"),
        lambda folder: list_deliveries(folder / "x.db", Filter(limit=10_000))[::-1],
        select_sqlite,
    )
]


@dataclass(frozen=True)
class Shop:
    """One folder with a store in it, opened as often as a test likes."""

    engine: Engine
    folder: Path

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        store = self.engine.open(self.folder)
        try:
            yield store
        finally:
            await store.close()

    def deliveries(self) -> list[Delivery]:
        """All of them, oldest first."""
        return [listed.delivery for listed in self.engine.deliveries(self.folder)]

    def select(self, query: str) -> list[tuple[Any, ...]]:
        return self.engine.select(self.folder, query)


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    return Shop(request.param, tmp_path)


@pytest.fixture
async def store(shop: Shop) -> AsyncIterator[Store]:
    async with shop.opened() as opened:
        yield opened


class Bell(Transport):
    name = "bell"
    max_length = 100

    def format(self, notice: object, options: object) -> Payload:  # noqa: ARG002 - the store never formats
        return {}


def webhook(name: str) -> Webhook:
    return Webhook(
        name=name, enabled=True, url=Secret("http://127.0.0.1/"), transport=Bell(), options=Options(),
        actions=None, when=When(), template=Template.parse("x", VARIABLES), rates=(),
    )  # fmt: skip


W, V = webhook("w"), webhook("v")
_numbers = iter(range(10**9))


def event(ticket: str = "1", **changes: Any) -> TicketEvent:
    sent = TicketEvent(
        id=f"event{next(_numbers)}", source="s", action="Reply", ticket=ticket,
        variables={"subject": "hé"}, received_at=NOW,
    )  # fmt: skip
    return replace(sent, **changes)


async def fill(store: Store, tickets: str, webhooks: Sequence[Webhook] = (W,)) -> list[str]:
    """One event for each letter, ``-`` for an event without a ticket; their ids."""
    events = [event("" if ticket == "-" else ticket) for ticket in tickets]
    for each in events:
        await store.add(each, b"{}", webhooks=webhooks)
    return [each.id for each in events]


async def take(store: Store, webhooks: Sequence[str] = ALL, **how: Any) -> Claimed:
    claimed = await store.claim(webhooks, **{"oldest": NEVER_OLD, **how})
    assert claimed is not None
    return claimed


async def drain(store: Store, webhooks: Sequence[str] = ALL) -> list[Claimed]:
    """Claim until there is none."""
    found = []
    while claimed := await store.claim(webhooks, oldest=NEVER_OLD):
        found.append(claimed)
    return found


def attempt(delivery: Delivery, outcome: Outcome, payload: str = "{}") -> Attempt:
    return Attempt(
        delivery_id=delivery.id, event_id=delivery.event_id, webhook=delivery.webhook, transport="bell",
        number=delivery.attempts, started_at=NOW, seconds=0.25, outcome=outcome, payload=payload,
    )  # fmt: skip


async def conclude(store: Store, claimed: Claimed, outcome: Outcome, payload: str = "{}") -> Delivery:
    """Settle a claimed delivery by the rules, and save it."""
    settled = settle(claimed.delivery, Destination(), outcome, now=NOW, policy=RetryPolicy(), noise=0.0)
    assert await store.save(settled.delivery, attempt(claimed.delivery, outcome, payload), None)
    return settled.delivery


class TestAdd:
    async def test_what_was_added_is_claimed_as_it_was(self, store: Store, shop: Shop) -> None:
        """One delivery for each webhook, every field of the event kept, times to the microsecond."""
        sent = event("42", action="checkout_completed", variables={"subject": "a", "empty": ""})
        assert await store.add(sent, b'{"raw":1}', webhooks=[W, V]) == Added(sent.id, 2)
        first, second = await drain(store, ["w", "v"])
        assert (first.event, second.event) == (sent, sent)
        expected = Delivery(
            id=first.delivery.id, event_id=sent.id, webhook="w", transport="bell", ticket="42",
            action="checkout_completed", state=State.SENDING, due_from=NOW, attempts=1,
        )  # fmt: skip
        assert first.delivery == expected
        assert second.delivery == replace(expected, id=second.delivery.id, webhook="v")
        assert shop.select("SELECT raw FROM event") == [(b'{"raw":1}',)]

    async def test_an_event_for_nobody_is_stored(self, store: Store, shop: Shop) -> None:
        assert (await store.add(event(), b"{}", webhooks=[])).deliveries == 0
        assert shop.select("SELECT count(*) FROM event") == [(1,)]
        assert shop.deliveries() == []

    async def test_a_known_key_with_the_same_body_changes_nothing(self, store: Store, shop: Shop) -> None:
        """The answer is the first one's, its number of deliveries too, whatever the webhooks are by now."""
        first, again = event(), event()
        facts = TicketFacts(priority="High")
        await store.add(first, b"{}", webhooks=[W, V], key="k", facts=facts)
        repeated = await store.add(again, b"{}", webhooks=[W], key="k", facts=TicketFacts(priority="Low"))
        assert repeated == Added(first.id, 2, replayed=True)
        assert [delivery.event_id for delivery in shop.deliveries()] == [first.id, first.id]
        assert await store.recall("s", "1") == facts

    async def test_a_known_key_with_another_body_is_refused(self, store: Store, shop: Shop) -> None:
        await store.add(event(), b"{}", webhooks=[W], key="k")
        with pytest.raises(KeyReusedError):
            await store.add(event(), b"{ }", webhooks=[W], key="k")
        assert len(shop.deliveries()) == 1

    async def test_a_key_belongs_to_its_source_and_no_key_to_nobody(self, store: Store) -> None:
        others = [("s", "k"), ("other", "k"), ("s", "K"), ("s", None), ("s", None)]
        added = [
            await store.add(event(source=source), b"{}", webhooks=[W], key=key) for source, key in others
        ]
        assert [each.replayed for each in added] == [False] * 5

    async def test_of_many_twins_at_once_one_is_stored(self, store: Store, shop: Shop) -> None:
        adding = [store.add(event(), b"{}", webhooks=[W], key="k") for _ in range(100)]
        added = await asyncio.gather(*adding)
        assert sum(not each.replayed for each in added) == 1
        assert len({each.id for each in added}) == len(shop.deliveries()) == 1

    async def test_senders_that_hang_up_leave_whole_events_or_nothing(self, store: Store, shop: Shop) -> None:
        """Whenever they do; and they take nobody else's event with them."""
        adding = [asyncio.create_task(store.add(event(), b"{}", webhooks=[W, V])) for _ in range(60)]
        for hanging_up in adding[::2]:
            await asyncio.sleep(0)
            hanging_up.cancel()
        done = await asyncio.gather(*adding, return_exceptions=True)
        told = {each.id for each in done if isinstance(each, Added)}
        assert len(told) >= 30
        stored = [delivery.event_id for delivery in shop.deliveries()]
        assert told <= set(stored)
        assert all(stored.count(each) == 2 for each in stored)

    async def test_what_a_ticket_said_is_recalled(self, store: Store) -> None:
        """By source and ticket; replaced as a whole; kept when an event brings nothing new."""
        told = TicketFacts("High", "Technique", "Rembours\ud800ement\x00")
        newer = TicketFacts("", "Ventes", "")
        await store.add(event("1"), b"{}", webhooks=[], facts=told)
        await store.add(event("2"), b"{}", webhooks=[], facts=told)
        await store.add(event("2"), b"{}", webhooks=[], facts=newer)
        await store.add(event("1"), b"{}", webhooks=[])
        recalled = [await store.recall(*each) for each in [("s", "1"), ("s", "2"), ("s", "3"), ("r", "1")]]
        assert recalled == [told, newer, TicketFacts(), TicketFacts()]


class TestClaim:
    async def test_the_oldest_first_over_all_webhooks_of_a_destination(self, store: Store) -> None:
        ids = [
            *await fill(store, "AB", [W]),
            *await fill(store, "A", [V, W]),
            *await fill(store, "C", [webhook("other")]),
            *await fill(store, "A", [V]),
        ]
        claimed = await drain(store, ["w", "v"])
        assert [each.delivery.event_id for each in claimed] == [ids[n] for n in (0, 1, 2, 2, 4)]
        assert sorted(each.delivery.id for each in claimed) == [each.delivery.id for each in claimed]
        assert await store.claim(["w", "v"], oldest=NEVER_OLD) is None

    async def test_a_claimed_row_is_committed_as_sending_before_anything_is_sent(
        self, store: Store, shop: Shop
    ) -> None:
        await fill(store, "A")
        claimed = await take(store)
        assert shop.deliveries() == [claimed.delivery]
        assert (claimed.delivery.state, claimed.delivery.attempts) == (State.SENDING, 1)

    @pytest.mark.parametrize(
        ("tickets", "avoid", "chosen"),
        [
            ("ABC", 0, 1),  # the next ticket's
            ("AAAB", 0, 3),  # not the same ticket's
            ("AAA", 0, 0),  # no other ticket: the oldest after all
            ("ABC", 1, 2),  # round: not back to A, which may be bad as well
            ("ABC", 2, 0),  # and round again
            ("ABA", 1, 0),
            ("ABAC", 1, 3),  # never a row whose ticket has an older one
            ("--", 0, 1),  # events without a ticket: each its own
            ("A-A", 0, 1),
        ],
    )
    async def test_a_probe_is_the_oldest_row_of_the_ticket_next_in_turn(
        self, store: Store, tickets: str, avoid: int, chosen: int
    ) -> None:
        ids = await fill(store, tickets)
        number = (await take(store)).delivery.id + avoid
        await store.recover()
        assert (await take(store, avoid=number)).delivery.event_id == ids[chosen]

    async def test_a_probe_looks_at_all_webhooks_and_tells_sources_apart(self, store: Store) -> None:
        await fill(store, "A", [W, V])
        other = event("A", source="other")
        await store.add(other, b"{}", webhooks=[V])
        avoid = (await take(store, ["w", "v"])).delivery.id
        await store.recover()
        assert (await take(store, ["w", "v"], avoid=avoid)).event == other

    async def test_a_probe_avoids_the_ticket_of_a_row_that_is_dead_by_now(self, store: Store) -> None:
        ids = await fill(store, "AAB")
        dead = await conclude(store, await take(store), PermanentFailure("400"))
        assert (await take(store, avoid=dead.id)).delivery.event_id == ids[2]

    async def test_rows_that_waited_too_long_die_when_their_turn_comes(
        self, store: Store, shop: Shop
    ) -> None:
        """With the reason of their last failure; one that is due from that very moment lives."""
        ages = [timedelta(microseconds=-1), timedelta(seconds=-9), timedelta(0), timedelta(seconds=9)]
        for age in ages:
            await store.add(event(received_at=NOW + age), b"{}", webhooks=[W])
        await conclude(store, await take(store), TemporaryFailure("503"))
        claimed = await take(store, oldest=NOW)
        assert claimed.event.received_at == NOW
        assert [(each.state, each.reason, each.next_at) for each in shop.deliveries()] == [
            (State.DEAD, "too old: not delivered in time (503)", None),
            (State.DEAD, "too old", None),
            (State.SENDING, "", None),
            (State.READY, "", None),
        ]

    @pytest.mark.parametrize("alive", [False, True])
    async def test_however_many_are_too_old_the_first_that_is_not_is_found(
        self, store: Store, caplog: pytest.LogCaptureFixture, alive: bool
    ) -> None:
        """They die a few hundred at a time, so that nobody else waits long, and not without a word."""
        old = [store.add(event(), b"{}", webhooks=[W]) for _ in range(1_100)]
        young = [store.add(event(received_at=NOW + timedelta(1)), b"{}", webhooks=[W]) for _ in range(alive)]
        await asyncio.gather(*old, *young)
        claimed = await store.claim(ALL, oldest=NOW + timedelta(hours=1))
        assert (claimed is not None and claimed.event.received_at > NOW) == alive
        assert await store.waiting(ALL) == {"w": 0}
        said = [
            int(record.getMessage().split()[0]) for record in caplog.records if "too old" in record.message
        ]
        assert sum(said) == 1_100
        assert max(said) <= 500

    async def test_a_probe_is_never_a_row_that_is_too_old(self, store: Store, shop: Shop) -> None:
        first = event("A", received_at=NOW + timedelta(1))
        for each in (first, event("B"), event("C", received_at=NOW + timedelta(1))):
            await store.add(each, b"{}", webhooks=[W])
        avoid = shop.deliveries()[0].id
        assert (await take(store, oldest=NOW + timedelta(hours=1), avoid=avoid)).delivery.ticket == "C"
        assert [each.state for each in shop.deliveries()] == [State.READY, State.DEAD, State.SENDING]


class TestSave:
    @pytest.mark.parametrize(
        "outcome",
        [
            Delivered("99", detail="200 ok"),
            PermanentFailure("400 too long"),
            TemporaryFailure("503"),
            DestinationGone("404"),
        ],
    )
    async def test_a_settled_delivery_and_its_attempt_are_kept(
        self, store: Store, shop: Shop, outcome: Outcome
    ) -> None:
        await fill(store, "A")
        claimed = await take(store)
        saved = await conclude(store, claimed, outcome, payload='{"content":"é"}')
        assert shop.deliveries() == [saved]
        kept = shop.select("SELECT number, started_at, seconds, outcome, detail, payload FROM attempt")
        expected = (1, NOW.timestamp(), 0.25, type(outcome).__name__, outcome.detail, '{"content":"é"}')
        assert kept == [expected]

    async def test_every_attempt_is_kept(self, store: Store, shop: Shop) -> None:
        await fill(store, "A")
        for words in ("500", "502"):
            await conclude(store, await take(store), TemporaryFailure(words))
        await conclude(store, await take(store), Delivered())
        kept = shop.select("SELECT number, detail FROM attempt ORDER BY id")
        assert kept == [(1, "500"), (2, "502"), (3, "")]

    @pytest.mark.parametrize("by", ["settled", "released", "recovered"])
    async def test_what_is_not_sending_any_more_is_not_settled(
        self, store: Store, shop: Shop, by: str
    ) -> None:
        """A late outcome changes no row, no attempt and no destination."""
        await fill(store, "A")
        claimed = await take(store)
        match by:
            case "settled":
                await conclude(store, claimed, Delivered("first"))
            case "released":
                await store.release(release(claimed.delivery))
            case _:
                await store.recover()
        before = shop.deliveries(), shop.select("SELECT * FROM attempt")
        late = replace(claimed.delivery, state=State.DEAD, reason="late")
        paused = ("d", Destination(paused=True))
        assert not await store.save(late, attempt(claimed.delivery, PermanentFailure("late")), paused)
        assert (shop.deliveries(), shop.select("SELECT * FROM attempt")) == before
        assert await store.destinations() == {}

    async def test_a_claim_after_a_save_sees_it_without_waiting_for_it(self, store: Store) -> None:
        """The lane does not await the save of a failed row; the next claim gets that row again, and no later one."""
        ids = await fill(store, "AA")
        claimed = await take(store)
        failed = replace(claimed.delivery, state=State.READY, reason="503")
        saving = store.save(failed, attempt(claimed.delivery, TemporaryFailure("503")), None)
        again = await take(store)
        assert (again.delivery.event_id, again.delivery.attempts) == (ids[0], 2)
        assert await saving

    async def test_a_released_delivery_is_as_if_it_had_not_been_claimed(
        self, store: Store, shop: Shop
    ) -> None:
        await fill(store, "A")
        before = shop.deliveries()
        await store.release(release((await take(store)).delivery))
        assert shop.deliveries() == before

    @pytest.mark.parametrize(
        "health",
        [
            Destination(until=NOW),
            Destination(until=NOW, reason="503 \udfff", failures=4, refusals=2, last_failed=99),
            Destination(paused=True, reason="404 Unknown Webhook (10015)"),
        ],
    )
    async def test_the_health_of_a_destination_is_kept_until_it_is_well(
        self, shop: Shop, health: Destination
    ) -> None:
        async with shop.opened() as store:
            await fill(store, "ABC")
            for name, each in [("d", health), ("other", health), ("other", Destination())]:
                claimed = await take(store)
                delivered = replace(claimed.delivery, state=State.DELIVERED)
                assert await store.save(delivered, attempt(claimed.delivery, Delivered()), (name, each))
        async with shop.opened() as store:
            printable = replace(health, reason=health.reason.replace("\udfff", "\\udfff"))
            assert await store.destinations() == {"d": printable}


class TestOperations:
    async def test_recovery_is_the_rule_applied_to_every_row_in_flight(
        self, store: Store, shop: Shop
    ) -> None:
        await fill(store, "ABCDE")
        await conclude(store, await take(store), Delivered())
        await conclude(store, await take(store), PermanentFailure("400"))
        await drain(store)
        await fill(store, "F")
        before = shop.deliveries()
        assert await store.recover() == 3
        recovered = [recover(each) if each.state is State.SENDING else each for each in before]
        assert shop.deliveries() == recovered
        assert sum(each.maybe_duplicate for each in recovered) == 3
        assert await store.recover() == 0

    async def test_a_delivery_that_was_recovered_stays_marked(self, store: Store, shop: Shop) -> None:
        await fill(store, "A")
        await take(store)
        await store.recover()
        await conclude(store, await take(store), Delivered())
        (delivery,) = shop.deliveries()
        assert (delivery.state, delivery.attempts, delivery.maybe_duplicate) == (State.DELIVERED, 2, True)

    async def test_deliveries_of_webhooks_that_left_are_held_until_they_are_back(
        self, store: Store, shop: Shop
    ) -> None:
        """Only what is ready; nothing of it is ever dropped."""
        await fill(store, "AAA", [W, V])
        await conclude(store, await take(store, ["v"]), PermanentFailure("400"))
        await take(store, ["v"])
        assert await store.hold_all_but(["w"]) == 1
        states = {each.id: each.state for each in shop.deliveries() if each.webhook == "v"}
        assert list(states.values()) == [State.DEAD, State.SENDING, State.HELD]
        assert await store.claim(["v"], oldest=NEVER_OLD) is None
        assert len(await drain(store, ["w", "v"])) == 3
        assert await store.hold_all_but([]) == 1
        assert await store.hold_all_but(["v"]) == 0
        assert (await take(store, ["v"])).delivery.id == max(states)

    async def test_resume_forgets_what_was_and_starts_the_age_anew(self, store: Store, shop: Shop) -> None:
        """Only for this destination, and only what is ready."""
        await fill(store, "ABC", [W, V])
        await conclude(store, await take(store), PermanentFailure("400"))
        failed = await take(store)
        setback = settle(
            failed.delivery, Destination(), TemporaryFailure("503"), now=NOW, policy=RetryPolicy(), noise=0
        )
        for name in ("d", "other"):
            await store.save(
                setback.delivery, attempt(failed.delivery, Delivered()), (name, setback.destination)
            )
            await take(store)
        await store.recover()
        later = NOW + timedelta(days=9)
        before = shop.deliveries()
        await store.resume("d", ALL, now=later)
        assert list(await store.destinations()) == ["other"]
        assert shop.deliveries() == [
            replace(each, due_from=later, setbacks=0, next_at=None)
            if (each.webhook, each.state) == ("w", State.READY)
            else each
            for each in before
        ]
        assert (await take(store, oldest=later)).delivery.id == failed.delivery.id

    async def test_what_is_ready_is_counted_by_webhook(self, store: Store) -> None:
        await fill(store, "ABC", [W])
        await fill(store, "A", [W, V])
        await take(store)
        assert await store.waiting(["w", "v", "new"]) == {"w": 3, "v": 1, "new": 0}

    async def test_a_closed_store_says_so(self, shop: Shop) -> None:
        async with shop.opened() as store:
            await fill(store, "A")
            claimed = await take(store)
        with pytest.raises(StoreError, match="closed"):
            await store.add(event(), b"{}", webhooks=[W])
        with pytest.raises(StoreError, match="closed"):
            await store.claim(ALL, oldest=NEVER_OLD)
        with pytest.raises(StoreError, match="closed"):
            store.save(claimed.delivery, attempt(claimed.delivery, Delivered()), None)

    async def test_what_is_saved_when_the_store_closes_is_saved(self, shop: Shop) -> None:
        async with shop.opened() as store:
            await fill(store, "A")
            claimed = await take(store)
            delivered = replace(claimed.delivery, state=State.DELIVERED)
            saving = store.save(delivered, attempt(claimed.delivery, Delivered()), None)
        assert await saving
        assert shop.deliveries() == [delivered]


HOSTILE = {
    "lone surrogates": "\ud800 a \udfff\udc00",
    "NUL and controls": "".join(map(chr, range(0x20))) + "\x7f\x80\x9f",
    "bidi, zero width, BOM, non-characters": "\u202e\u2066\u200b\ufeff\uffff\U0010ffff",
    "SQL and JSON": "'); DROP TABLE event; --\"}\\u0000%s?1:x",
    "huge": "é\x00\ud800" * 300_000,
    "empty": "",
}


class TestSurvival:
    @pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
    async def test_any_text_survives_as_it_was_sent(self, shop: Shop, text: str) -> None:
        """In the variables, in the raw body and in what a ticket said; elsewhere it does no harm."""
        raw = text.encode("utf-8", "surrogatepass") + b"\xff\xfe\x00"
        sent = event(
            f"t{text[:99]}", action=f"a{text[:99]}", variables={"content": text, f"k{text[:99]}": "x"}
        )
        facts = TicketFacts(text, text, text)
        async with shop.opened() as store:
            await store.add(sent, raw, webhooks=[W], key=f"k{text}", facts=facts)
            assert (await store.add(sent, raw, webhooks=[W], key=f"k{text}")).replayed
            await conclude(store, await take(store), TemporaryFailure(text), payload=text)
        async with shop.opened() as store:
            claimed = await take(store)
            assert claimed.event.variables == sent.variables
            assert await store.recall("s", sent.ticket) == facts
            delivered = replace(claimed.delivery, state=State.DELIVERED, receipt=text)
            health = ("d", Destination(until=NOW, reason=text))
            assert await store.save(delivered, attempt(claimed.delivery, Delivered()), health)
        assert shop.select("SELECT raw FROM event") == [(raw,)]
        assert [each.state for each in shop.deliveries()] == [State.DELIVERED]

    async def test_everything_is_there_after_a_stop_and_a_start(self, shop: Shop) -> None:
        async with shop.opened() as store:
            ids = await fill(store, "AB-A", [W, V])
            await conclude(store, await take(store), Delivered("1"))
            await conclude(store, await take(store), TemporaryFailure("503"))
            before = shop.deliveries()
        async with shop.opened() as store:
            assert shop.deliveries() == before
            assert [each.delivery.event_id for each in await drain(store)] == ids[1:]
            assert [each.delivery.event_id for each in await drain(store, ["v"])] == ids

    @pytest.mark.parametrize("acknowledged", [1, 40, 200, 500])
    async def test_kill_9_loses_nothing_that_was_acknowledged(self, shop: Shop, acknowledged: int) -> None:
        """A real process, killed by a real SIGKILL under load, in the middle of whatever it was doing."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, str(shop.folder), shop.engine.name, stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        keys = [(await child.stdout.readline()).decode().strip() for _ in range(acknowledged)]
        os.kill(child.pid, signal.SIGKILL)
        keys += (await child.stdout.read()).decode().splitlines()
        assert await child.wait() == -signal.SIGKILL
        async with shop.opened() as store:
            again = [store.add(event(), key.encode(), webhooks=[W], key=key) for key in keys]
            assert all(added.replayed and added.deliveries == 1 for added in await asyncio.gather(*again))
            assert len(set(keys)) >= acknowledged
            assert (await store.waiting(ALL))["w"] + await store.recover() >= len(keys)
            (ended,) = shop.select("SELECT count(*) FROM event WHERE seq NOT IN (SELECT event FROM delivery)")
            assert ended == (0,), "an event is never without its deliveries"


CHILD = f"""
import asyncio, importlib.util, os, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("contract_of_store", {__file__!r})
contract = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = contract
spec.loader.exec_module(contract)

async def main(folder, name):
    engine = next(each for each in contract.ENGINES if each.name == name)
    store = engine.open(Path(folder))
    async def sender(number):
        for count in range(10**9):
            key = f"{{number}}.{{count}}"
            event = contract.event(key, id=key)
            await store.add(event, key.encode(), webhooks=[contract.W], key=key)
            os.write(1, (key + "\\n").encode())
    await asyncio.gather(*(sender(number) for number in range(16)))

asyncio.run(main(*sys.argv[1:]))
"""
