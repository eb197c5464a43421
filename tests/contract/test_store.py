"""What every engine of the store promises. A further engine is one more entry of ``ENGINES``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.contract.engines import ENGINES, Shop
from tests.kit import FOR_EVER, NOW, attempt_of, conclude, event, take, webhook

from deskbell.delivery import (
    Delivery,
    Destination,
    RetryPolicy,
    State,
    hold,
    recover,
    release,
    renew,
    replay,
    settle,
)
from deskbell.errors import StoreError
from deskbell.outcome import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure
from deskbell.settings import Webhook
from deskbell.store import SERVICE, Added, Backlog, Claimed, Horizon, KeyReusedError, Store, TicketFacts

ROOT = Path(__file__).resolve().parents[2]
W, V = webhook("w"), webhook("v")
HOME = {"w": "home", "v": "home"}
"""Both webhooks, and the one destination that they share."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATER = NOW + 9 * DAY


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    return Shop(request.param, tmp_path)


@pytest.fixture
async def store(shop: Shop) -> AsyncIterator[Store]:
    async with shop.opened() as opened:
        yield opened


async def fill(store: Store, tickets: str, webhooks: Sequence[Webhook] = (W,)) -> list[str]:
    """One event for each letter, ``-`` for an event without a ticket; their ids."""
    events = [event("" if ticket == "-" else ticket) for ticket in tickets]
    for each in events:
        await store.add(each, b"{}", webhooks=webhooks)
    return [each.id for each in events]


async def drain(store: Store, *webhooks: str) -> list[Claimed]:
    """Claim until there is none."""
    found = []
    while claimed := await store.claim(dict.fromkeys(webhooks or ["w"], FOR_EVER), now=NOW):
        found.append(claimed)
    return found


async def ready(store: Store) -> dict[str, int]:
    return {name: waiting.ready for name, waiting in (await store.backlog()).items()}


class TestAdd:
    async def test_what_was_added_is_claimed_as_it_was(self, store: Store, shop: Shop) -> None:
        """One delivery for each webhook, every field of the event kept, times to the microsecond."""
        sent = event("42", action="checkout_completed", variables={"content": "a", "empty": ""})
        assert await store.add(sent, b'{"raw":1}', webhooks=[W, V]) == Added(sent.id, 2)
        first, second = await drain(store, "w", "v")
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
        claimed = await drain(store, "w", "v")
        assert [each.delivery.event_id for each in claimed] == [ids[n] for n in (0, 1, 2, 2, 4)]
        assert sorted(each.delivery.id for each in claimed) == [each.delivery.id for each in claimed]
        assert await store.claim({"w": FOR_EVER, "v": FOR_EVER}, now=NOW) is None

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
            ("ABA", 2, 1),  # round, and past its own ticket
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
        avoid = (await take(store, "w", "v")).delivery.id
        await store.recover()
        assert (await take(store, "w", "v", avoid=avoid)).event == other

    async def test_a_probe_avoids_the_ticket_of_a_row_that_is_dead_by_now(self, store: Store) -> None:
        ids = await fill(store, "AAB")
        dead = await conclude(store, await take(store), PermanentFailure("400"))
        assert (await take(store, avoid=dead.id)).delivery.event_id == ids[2]

    async def test_rows_that_waited_too_long_die_when_their_turn_comes(
        self, store: Store, shop: Shop
    ) -> None:
        """With the reason of their last failure; one whose age is just the limit lives."""
        ages = [timedelta(microseconds=-1), timedelta(seconds=-9), timedelta(0), timedelta(seconds=9)]
        for age in ages:
            await store.add(event(received_at=NOW + age), b"{}", webhooks=[W])
        await conclude(store, await take(store), TemporaryFailure("503"))
        claimed = await store.claim({"w": HOUR.total_seconds()}, now=NOW + HOUR)
        assert claimed is not None
        assert claimed.event.received_at == NOW
        assert [(each.state, each.reason, each.next_at, each.ended_at) for each in shop.deliveries()] == [
            (State.DEAD, "too old: not delivered in time (503)", None, NOW + HOUR),
            (State.DEAD, "too old", None, NOW + HOUR),
            (State.SENDING, "", None, None),
            (State.READY, "", None, None),
        ]

    async def test_each_webhook_has_a_patience_of_its_own(self, store: Store, shop: Shop) -> None:
        await fill(store, "AB", [W, V])
        claimed = await store.claim({"w": 60.0, "v": 3600.0}, now=NOW + HOUR)
        assert claimed is not None
        assert claimed.delivery.webhook == "v"
        rows = [(each.webhook, each.state) for each in shop.deliveries()]
        assert rows[:2] == [("w", State.DEAD), ("v", State.SENDING)]
        assert rows[3] == ("v", State.READY)

    @pytest.mark.parametrize("alive", [False, True])
    async def test_however_many_are_too_old_the_first_that_is_not_is_found(
        self, store: Store, caplog: pytest.LogCaptureFixture, alive: bool
    ) -> None:
        """They die a few hundred at a time, so that nobody else waits long, and not without a word."""
        old = [store.add(event(), b"{}", webhooks=[W]) for _ in range(1_100)]
        young = [store.add(event(received_at=NOW + timedelta(1)), b"{}", webhooks=[W]) for _ in range(alive)]
        await asyncio.gather(*old, *young)
        claimed = await store.claim({"w": HOUR.total_seconds()}, now=NOW + DAY)
        assert (claimed is not None and claimed.event.received_at > NOW) == alive
        assert await ready(store) == {"w": 0}
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
        claimed = await store.claim({"w": HOUR.total_seconds()}, now=NOW + DAY, avoid=avoid)
        assert claimed is not None
        assert claimed.delivery.ticket == "C"
        assert [each.state for each in shop.deliveries()] == [State.READY, State.DEAD, State.SENDING]

    @pytest.mark.parametrize(
        ("tickets", "dead", "gaps"),
        [
            ("AABA", [0], [True, False, True]),
            ("AABA", [1], [False, False, True]),  # not what came before the dead one
            ("ABB", [0], [False, False]),
            ("--", [0], [False]),  # events without a ticket have nothing in common
        ],
    )
    async def test_what_follows_a_dead_one_of_its_ticket_has_a_gap_before_it(
        self, store: Store, shop: Shop, tickets: str, dead: list[int], gaps: list[bool]
    ) -> None:
        """It is marked when it is claimed, and stays so."""
        await fill(store, tickets)
        for number, claimed in enumerate(await drain(store)):
            if number in dead:
                await conclude(store, claimed, PermanentFailure("400"))
        await store.recover()
        claims = await drain(store)
        assert [each.delivery.gap for each in claims] == gaps
        for each in claims:
            await conclude(store, each, Delivered())
        assert [each.gap for each in shop.deliveries() if each.state is State.DELIVERED] == gaps

    async def test_a_gap_is_one_webhooks_and_closes_when_the_dead_one_is_replayed(self, store: Store) -> None:
        await fill(store, "AA", [W, V])
        dead = await conclude(store, await take(store), PermanentFailure("400"))
        other = event("A", source="other")
        await store.add(other, b"{}", webhooks=[W])
        assert [each.delivery.gap for each in await drain(store, "v")] == [False, False]
        assert [each.delivery.gap for each in await drain(store)] == [True, False]
        await store.recover()
        await store.adopt(HOME, now=NOW)
        await store.replay([dead.id], now=NOW)
        assert [each.delivery.gap for each in await drain(store)] == [False, False, False]


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
        paused = {"d": Destination(paused=True), f"{SERVICE}bell": Destination(until=NOW)}
        assert not await store.save(late, attempt_of(claimed.delivery, PermanentFailure("late")), paused)
        assert (shop.deliveries(), shop.select("SELECT * FROM attempt")) == before
        assert await store.destinations() == {}

    async def test_a_claim_after_a_save_sees_it_without_waiting_for_it(self, store: Store) -> None:
        """The lane does not await the save of a failed row; the next claim gets that row again, and no later one."""
        ids = await fill(store, "AA")
        claimed = await take(store)
        failed = replace(claimed.delivery, state=State.READY, reason="503")
        saving = store.save(failed, attempt_of(claimed.delivery, TemporaryFailure("503")), {})
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
            await fill(store, "AB")
            service = f"{SERVICE}bell"
            for changed in [{"d": health, "other": health, service: health}, {"other": Destination()}]:
                claimed = await take(store)
                delivered = replace(claimed.delivery, state=State.DELIVERED)
                assert await store.save(delivered, attempt_of(claimed.delivery, Delivered()), changed)
        async with shop.opened() as store:
            printable = replace(health, reason=health.reason.replace("\udfff", "\\udfff"))
            assert await store.destinations() == {"d": printable, service: printable}


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

    async def test_one_lanes_recovery_leaves_the_others_in_flight(self, store: Store, shop: Shop) -> None:
        await fill(store, "A", [W, V, webhook("u")])
        await drain(store, "w", "v", "u")
        assert await store.recover(["w", "u"]) == 2
        states = {each.webhook: (each.state, each.maybe_duplicate) for each in shop.deliveries()}
        back, busy = (State.READY, True), (State.SENDING, False)
        assert states == {"w": back, "v": busy, "u": back}

    async def test_resume_forgets_what_was_and_starts_the_age_anew(self, store: Store, shop: Shop) -> None:
        """Only for this destination, and only what is ready."""
        await fill(store, "ABC", [W, V])
        await conclude(store, await take(store), PermanentFailure("400"))
        failed = await take(store)
        setback = settle(
            failed.delivery, Destination(), TemporaryFailure("503"), now=NOW, policy=RetryPolicy(), noise=0
        )
        troubled = dict.fromkeys(["d", "other"], setback.destination)
        await store.save(setback.delivery, attempt_of(failed.delivery, Delivered()), troubled)
        before = shop.deliveries()
        await store.resume("d", ["w"], now=LATER)
        assert list(await store.destinations()) == ["other"]
        assert shop.deliveries() == [
            renew(each, now=LATER) if (each.webhook, each.state) == ("w", State.READY) else each
            for each in before
        ]
        claimed = await store.claim({"w": 0.0}, now=LATER)
        assert claimed is not None
        assert claimed.delivery.id == failed.delivery.id

    async def test_a_closed_store_says_so(self, shop: Shop) -> None:
        async with shop.opened() as store:
            await fill(store, "A")
            claimed = await take(store)
        with pytest.raises(StoreError, match="closed"):
            await store.add(event(), b"{}", webhooks=[W])
        with pytest.raises(StoreError, match="closed"):
            await store.claim({"w": FOR_EVER}, now=NOW)
        with pytest.raises(StoreError, match="closed"):
            store.save(claimed.delivery, attempt_of(claimed.delivery, Delivered()), {})

    async def test_what_is_saved_when_the_store_closes_is_saved(self, shop: Shop) -> None:
        async with shop.opened() as store:
            await fill(store, "A")
            claimed = await take(store)
            delivered = replace(claimed.delivery, state=State.DELIVERED)
            saving = store.save(delivered, attempt_of(claimed.delivery, Delivered()), {})
        assert await saving
        assert shop.deliveries() == [delivered]


class TestAdopt:
    """What a start does with the webhooks that are in the config now."""

    async def test_deliveries_of_webhooks_that_left_are_held_until_they_are_back(
        self, store: Store, shop: Shop
    ) -> None:
        """Only what is ready; nothing of it is ever dropped. Its age starts anew when it is back."""
        await fill(store, "AAA", [W, V])
        await conclude(store, await take(store, "v"), PermanentFailure("400"))
        await take(store, "v")
        before = shop.deliveries()
        assert await store.adopt({"w": "home"}, now=LATER) == 1
        held = [hold(each) if each.id == before[-1].id else each for each in before]
        assert (held[-1].webhook, shop.deliveries()) == ("v", held)
        assert await store.claim({"v": FOR_EVER}, now=LATER) is None
        assert await store.adopt({"w": "home"}, now=LATER) == 1, "those that were held before count, too"
        assert await store.adopt(HOME, now=LATER) == 0
        assert shop.deliveries() == [*before[:-1], renew(held[-1], now=LATER)]
        assert await store.adopt({}, now=LATER) == 4

    async def test_what_waits_for_a_webhook_that_goes_elsewhere_is_renewed(
        self, store: Store, shop: Shop
    ) -> None:
        """A deleted webhook's rows must not die of the age that they reached while it was paused."""
        await store.adopt(HOME, now=NOW)
        await fill(store, "AB", [W, V])
        await conclude(store, await take(store), TemporaryFailure("404"))
        await conclude(store, await take(store, "v"), Delivered())
        before = shop.deliveries()
        await store.adopt(HOME, now=LATER)
        assert shop.deliveries() == before, "nothing moved"
        await store.adopt({"w": "new", "v": "home"}, now=LATER)
        renewed = [renew(each, now=LATER) if each.webhook == "w" else each for each in before]
        assert shop.deliveries() == renewed != before

    async def test_a_store_that_knows_no_places_yet_renews_nothing(self, store: Store, shop: Shop) -> None:
        await fill(store, "A")
        before = shop.deliveries()
        await store.adopt(HOME, now=LATER)
        assert shop.deliveries() == before

    async def test_troubles_of_places_that_are_gone_are_forgotten_but_not_a_services(
        self, store: Store
    ) -> None:
        trouble = Destination(paused=True, reason="404")
        await fill(store, "A")
        claimed = await take(store)
        troubles = dict.fromkeys(["home", "old", f"{SERVICE}bell"], trouble)
        await store.save(
            release(claimed.delivery), attempt_of(claimed.delivery, DestinationGone("404")), troubles
        )
        await store.adopt(HOME, now=NOW)
        assert await store.destinations() == {"home": trouble, f"{SERVICE}bell": trouble}


class TestReplay:
    async def test_what_ended_goes_again_in_its_old_place(self, store: Store, shop: Shop) -> None:
        """By the rule of ``delivery.replay``, oldest first, whatever the order of the wish."""
        await store.adopt(HOME, now=NOW)
        ids = await fill(store, "AAAA")
        await conclude(store, await take(store), Delivered("99"))
        await conclude(store, await take(store), PermanentFailure("400"))
        await conclude(store, await take(store), Delivered())
        before = shop.deliveries()
        again = [before[1].id, before[0].id]
        replayed = await store.replay(again, now=LATER)
        assert (replayed.ids, replayed.webhooks, replayed.refused) == (tuple(again), frozenset({"w"}), {})
        assert shop.deliveries() == [*(replay(each, now=LATER) for each in before[:2]), *before[2:]]
        claimed = await drain(store)
        assert [each.delivery.event_id for each in claimed] == [ids[0], ids[1], ids[3]]
        assert [each.delivery.attempts for each in claimed] == [2, 2, 1], "numbers go on"

    async def test_each_that_does_not_go_again_has_its_reason(self, store: Store, shop: Shop) -> None:
        """And keeps no other from going."""
        await store.adopt({"w": "home", "v": "home"}, now=NOW)
        await fill(store, "A", [W, V])
        await fill(store, "BC")
        await store.adopt({"w": "home"}, now=NOW)
        await conclude(store, await take(store), Delivered())
        await take(store)
        before = shop.deliveries()
        ended, held, sending, waiting = (each.id for each in before)
        late = await store.replay([ended], now=LATER, state=State.DEAD)
        assert (late.ids, late.refused) == ((), {ended: "it is delivered, and not dead any more"})
        replayed = await store.replay([held, sending, waiting, 10**9, ended, ended, -1], now=LATER)
        assert replayed.ids == (ended,)
        assert replayed.refused == {
            held: "it is held, and has not ended",
            sending: "it is sending, and has not ended",
            waiting: "it is ready, and has not ended",
            10**9: "there is no such delivery",
            -1: "there is no such delivery",
        }
        assert shop.deliveries() == [replay(before[0], now=LATER), *before[1:]]
        again = await store.replay([ended], now=LATER)
        assert again.refused == {ended: "it is ready, and has not ended"}

    async def test_what_goes_to_a_webhook_that_is_gone_is_held_until_it_is_back(
        self, store: Store, shop: Shop
    ) -> None:
        await store.adopt(HOME, now=NOW)
        await fill(store, "A", [W, V])
        for name in ("w", "v"):
            await conclude(store, await take(store, name), PermanentFailure("400"))
        await store.adopt({"v": "home"}, now=NOW)
        before = shop.deliveries()
        replayed = await store.replay([each.id for each in before], now=LATER)
        assert replayed.ids == tuple(each.id for each in before)
        first, second = (replay(each, now=LATER) for each in before)
        assert shop.deliveries() == [hold(first), second]
        await store.adopt(HOME, now=LATER)
        assert shop.deliveries() == [first, second]

    async def test_thousands_go_again_at_once(self, store: Store, shop: Shop) -> None:
        await store.adopt(HOME, now=NOW)
        await asyncio.gather(*(store.add(event(str(n)), b"{}", webhooks=[W]) for n in range(2_500)))
        assert await store.claim({"w": 1.0}, now=LATER) is None
        assert (await store.backlog())["w"] == Backlog(dead=2_500)
        wish = [each.id for each in shop.deliveries()]
        assert len((await store.replay(wish, now=LATER)).ids) == 2_500
        assert await ready(store) == {"w": 2_500}


class TestBacklog:
    async def test_it_counts_what_waits_and_what_is_dead_and_tells_since_when(self, store: Store) -> None:
        """By webhook. What is dead waits no more; what is held still does."""
        await store.adopt(HOME, now=NOW)
        for number in range(5):
            at = NOW + number * HOUR
            await store.add(event(str(number), received_at=at), b"{}", webhooks=[W, V, webhook("done")])
        await conclude(store, await take(store), Delivered())
        await conclude(store, await take(store), PermanentFailure("400"))
        await take(store)
        await store.adopt({"w": "home", "done": "home"}, now=NOW)
        for claimed in await drain(store, "done"):
            await conclude(store, claimed, Delivered())
        assert await store.backlog() == {
            "w": Backlog(ready=2, sending=1, dead=1, oldest_at=NOW + 2 * HOUR),
            "v": Backlog(held=5, oldest_at=NOW),
        }

    async def test_an_empty_store_has_none(self, store: Store) -> None:
        assert await store.backlog() == {}

    async def test_only_the_dead_are_no_work(self, store: Store) -> None:
        await fill(store, "A")
        await conclude(store, await take(store), PermanentFailure("400"))
        assert await store.backlog() == {"w": Backlog(dead=1)}

    async def test_it_is_looked_at_in_one_moment(self, store: Store) -> None:
        """One row that goes to and fro all the time is there once, never twice and never not at all."""
        await fill(store, "A")

        async def shuttle() -> None:
            while True:
                await store.release(release((await take(store)).delivery))

        shuttling = asyncio.create_task(shuttle())
        for _ in range(150):
            seen = (await store.backlog())["w"]
            assert (seen.ready + seen.sending, seen.oldest_at) == (1, NOW)
        shuttling.cancel()
        await asyncio.wait({shuttling})


def horizon(**changes: datetime) -> Horizon:
    """Everything that ended before ``NOW`` plus an hour goes, but for ``changes``."""
    past = NOW + HOUR
    return replace(Horizon(delivered=past, dead=past, events=past, tickets=past), **changes)


async def prune(store: Store, beyond: Horizon) -> int:
    """All of it; how much."""
    forgotten = 0
    while count := await store.prune(beyond):
        forgotten += count
    return forgotten


class TestPrune:
    async def test_what_has_not_ended_is_never_forgotten(self, store: Store, shop: Shop) -> None:
        """However old; and with it stays its event."""
        await store.adopt(HOME, now=NOW)
        await fill(store, "ABCDE", [W, V])
        for outcome in (Delivered(), PermanentFailure("400"), TemporaryFailure("503")):
            await conclude(store, await take(store), outcome)
        await store.adopt({"w": "home"}, now=NOW)
        await take(store)
        await take(store)
        before = shop.deliveries()
        assert {each.state for each in before} == set(State)
        assert (
            await prune(store, horizon(**dict.fromkeys(["delivered", "dead", "events", "tickets"], LATER)))
            == 2
        )
        assert shop.deliveries() == [each for each in before if each.ended_at is None]
        assert shop.select("SELECT count(*) FROM event") == [(5,)]

    async def test_each_kind_has_its_own_time(self, store: Store, shop: Shop) -> None:
        """What ended, or came, at the horizon itself stays."""
        for hours in range(3):
            for outcome in (Delivered(), PermanentFailure("400")):
                await store.add(event(str(hours)), b"{}", webhooks=[W])
                await conclude(store, await take(store), outcome, at=NOW + hours * HOUR)
        assert await prune(store, horizon(dead=NOW, events=NOW, tickets=NOW)) == 1
        left = [(each.state, each.ended_at) for each in shop.deliveries()]
        delivered = [(State.DELIVERED, NOW + hours * HOUR) for hours in (1, 2)]
        assert sorted(left) == sorted(delivered + [(State.DEAD, NOW + hours * HOUR) for hours in range(3)])
        assert await prune(store, horizon(delivered=NOW, dead=NOW + 2 * HOUR, events=NOW, tickets=NOW)) == 2
        assert len(shop.deliveries()) == 3

    async def test_an_event_goes_after_its_last_delivery_and_its_attempts_with_it(
        self, store: Store, shop: Shop
    ) -> None:
        await fill(store, "AB", [W, V])
        await conclude(store, await take(store), TemporaryFailure("503"))
        for claimed in await drain(store, "w"):
            await conclude(store, claimed, Delivered())
        await conclude(store, await take(store, "v"), PermanentFailure("400"))
        assert await prune(store, horizon(dead=NOW)) == 2
        assert shop.select("SELECT count(*) FROM event") == [(2,)]
        assert shop.select("SELECT count(*) FROM attempt") == [(1,)]
        assert await prune(store, horizon()) == 2
        assert [each.ticket for each in shop.deliveries()] == ["B"]
        assert shop.select("SELECT ticket FROM event") == [("B",)]
        assert shop.select("SELECT count(*) FROM attempt") == [(0,)]

    async def test_a_key_is_known_until_its_event_is_forgotten(self, store: Store) -> None:
        await store.add(event(), b"{}", webhooks=[], key="k")
        assert await prune(store, horizon(events=NOW)) == 0
        assert (await store.add(event(), b"{}", webhooks=[], key="k")).replayed
        assert await prune(store, horizon()) == 1
        assert not (await store.add(event(), b"{}", webhooks=[], key="k")).replayed

    async def test_what_a_ticket_said_is_forgotten_after_a_time_without_news(self, store: Store) -> None:
        for ticket, hours in [("1", 0), ("2", 1), ("3", 0), ("3", 2)]:
            told = TicketFacts(subject=f"{ticket} {hours}")
            received_at = NOW + hours * HOUR
            await store.add(event(ticket, received_at=received_at), b"{}", webhooks=[], facts=told)
        assert await prune(store, horizon(events=NOW)) == 1
        recalled = [(await store.recall("s", ticket)).subject for ticket in "123"]
        assert recalled == ["", "2 1", "3 2"]

    async def test_it_goes_in_helpings_that_hold_nobody_up(self, store: Store, shop: Shop) -> None:
        adding = [store.add(event(str(n)), b"{}", webhooks=[W], facts=TicketFacts("a")) for n in range(1_100)]
        await asyncio.gather(*adding)
        assert await store.claim({"w": 1.0}, now=NOW + HOUR / 2) is None
        helpings = []
        while helping := await store.prune(horizon()):
            helpings.append(helping)
            (gone,) = shop.select("SELECT 1100 - count(*) FROM delivery")
            assert gone[0] <= 1_000 * len(helpings)
        assert sum(helpings) == 3 * 1_100
        assert max(helpings) <= 3_000
        assert shop.select("SELECT count(*) FROM ticket") == [(0,)]

    async def test_what_is_replayed_meanwhile_stays(self, store: Store, shop: Shop) -> None:
        """Between the look-up of what is old and its end."""
        await store.adopt(HOME, now=NOW)
        await fill(store, "ABCDEFGH")
        for claimed in await drain(store):
            await conclude(store, claimed, Delivered())
        ids = [each.id for each in shop.deliveries()]
        pruning = asyncio.create_task(store.prune(horizon()))
        replayed = [number for each in ids for number in (await store.replay([each], now=NOW)).ids]
        assert await pruning + len(replayed) == len(ids), "each is one or the other"
        assert [(each.id, each.state) for each in shop.deliveries()] == [
            (each, State.READY) for each in replayed
        ]
        assert len(await drain(store)) == len(replayed)


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
            health = {"d": Destination(until=NOW, reason=text)}
            assert await store.save(delivered, attempt_of(claimed.delivery, Delivered()), health)
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
            assert [each.delivery.event_id for each in await drain(store, "v")] == ids

    @pytest.mark.parametrize("acknowledged", [1, 40, 200, 500])
    async def test_kill_9_loses_nothing_that_was_acknowledged(self, shop: Shop, acknowledged: int) -> None:
        """A real process, killed by a real SIGKILL under load, in the middle of whatever it was doing."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            CHILD,
            str(shop.folder),
            shop.engine.name,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
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
            assert (await ready(store))["w"] >= len(keys)
            (ended,) = shop.select("SELECT count(*) FROM event WHERE seq NOT IN (SELECT event FROM delivery)")
            assert ended == (0,), "an event is never without its deliveries"


CHILD = """
import asyncio, os, sys
from pathlib import Path
from tests.contract.engines import ENGINES
from tests.kit import event, webhook

async def main(folder, name):
    store = next(each for each in ENGINES if each.name == name).open(Path(folder))
    async def sender(number):
        for count in range(10**9):
            key = f"{number}.{count}"
            await store.add(event(key, id=key), key.encode(), webhooks=[webhook("w")], key=key)
            os.write(1, (key + "\\n").encode())
    await asyncio.gather(*(sender(number) for number in range(16)))

asyncio.run(main(*sys.argv[1:]))
"""
