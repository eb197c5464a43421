"""The rules of ``delivery.py`` against every engine: whatever is done, in whatever order, both hold the same.

The model is plain dicts that only the pure functions of ``delivery.py`` move. ``DESKBELL_R_TIER=1`` makes it long.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.contract.engines import ENGINES, Engine, Shop
from tests.kit import NOW, attempt_of, event, webhook

from deskbell import TicketEvent
from deskbell.delivery import (
    Delivery,
    Destination,
    RetryPolicy,
    State,
    claim,
    expire,
    hold,
    may_replay,
    recover,
    release,
    renew,
    replay,
    settle,
)
from deskbell.outcome import (
    Delivered,
    DestinationGone,
    Outcome,
    PermanentFailure,
    TemporaryFailure,
    Throttled,
)
from deskbell.store import SERVICE, Added, Backlog, Claimed, Horizon, KeyReusedError, Store, TicketFacts

T = TypeVar("T")

LONG = os.environ.get("DESKBELL_R_TIER") == "1"
EXAMPLES, STEPS = (20_000, 50) if LONG else (100, 40)
IN_MEMORY, ENOUGH = Path("/dev/shm"), 2**30

HOUR, DAY = 3600.0, 86_400.0
PATIENCE = {"w": 2 * HOUR, "v": DAY, "u": 3 * DAY}
"""The webhooks, and for how many seconds the deliveries of each live."""
HOME = {"w": "home", "v": "home", "u": "away"}
CONFIGS = [
    *[HOME] * 4,
    {**HOME, "w": "new"},
    {**HOME, "v": "away"},
    {"w": "home", "u": "away"},
    {"v": "new", "u": "new"},
    {},
]
"""What the config may say: where each webhook goes. Two share a place; some are elsewhere, or gone."""
TICKETS = ["1", "2", ""]
POLICY = RetryPolicy()
ACTIVE = Destination()
WAITING = (State.READY, State.SENDING, State.HELD)

OUTCOMES = st.one_of(
    st.builds(Delivered, st.sampled_from(["", "99"]), st.sampled_from([0.0, 1.5])),
    st.builds(Throttled, st.sampled_from([0.5, 60.0]), st.sampled_from(["destination", "service"])),
    st.builds(TemporaryFailure, st.just("503"), st.sampled_from([None, 600.0]), st.booleans()),
    st.builds(PermanentFailure, st.just("400")),
    st.builds(DestinationGone, st.just("403"), st.booleans(), st.booleans()),
)


@dataclass
class Known:
    """An event that is in the store."""

    event: TicketEvent
    added: Added
    key: str | None = None
    raw: bytes = b""


@dataclass
class Model:
    """What should be in the store. ``flights``: the destination whose lane has a row in flight."""

    now: datetime = NOW
    rows: dict[int, Delivery] = field(default_factory=dict)
    events: dict[str, Known] = field(default_factory=dict)
    facts: dict[str, tuple[TicketFacts, datetime]] = field(default_factory=dict)
    attempts: Counter[int] = field(default_factory=Counter)
    health: dict[str, Destination] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    flights: dict[int, str] = field(default_factory=dict)

    def where(self, *states: State, webhooks: Iterable[str] = PATIENCE) -> list[Delivery]:
        """The rows in these states, oldest first."""
        names = set(webhooks)
        return [row for row in self.rows.values() if row.state in states and row.webhook in names]

    def put(self, *rows: Delivery) -> None:
        """These rows are so now."""
        self.rows.update({row.id: row for row in rows})

    def sharing(self, place: str) -> list[str]:
        """The webhooks that go there."""
        return [name for name, goes_to in self.places.items() if goes_to == place]

    def free_places(self) -> list[str]:
        """Where something waits and nothing is in flight: a lane sends one after the other."""
        busy = {*self.flights.values(), *(self.places.get(row.webhook) for row in self.where(State.SENDING))}
        waiting = {self.places[row.webhook] for row in self.where(State.READY, webhooks=self.places)}
        return sorted(waiting - busy)

    def too_old(self, row: Delivery) -> bool:
        return (self.now - row.due_from).total_seconds() > PATIENCE[row.webhook]

    def order(self, row: Delivery) -> str:
        """What the rows of one ticket share; a row without a ticket shares it with none."""
        return (row.ticket and f"ticket {row.ticket}") or row.event_id

    def next_of(self, webhooks: Iterable[str], avoid: int | None) -> Delivery | None:
        """Whose turn it is: the oldest's; after a failure that of another ticket, round and round."""
        living = [row for row in self.where(State.READY, webhooks=webhooks) if not self.too_old(row)]
        if avoid is None or not living:
            return next(iter(living), None)
        heads = {self.order(row): row for row in reversed(living)}
        avoided = self.order(self.rows[avoid]) if avoid in self.rows else None
        others = sorted((row for order, row in heads.items() if order != avoided), key=lambda row: row.id)
        behind = [row for row in others if row.id > avoid]
        return next(iter(behind or others or living))

    def has_gap(self, row: Delivery) -> bool:
        return any(
            earlier.id < row.id and self.order(earlier) == self.order(row)
            for earlier in self.where(State.DEAD, webhooks=[row.webhook])
        )

    def backlog(self) -> dict[str, Backlog]:
        """How much waits, by webhook."""
        found = {}
        for name in PATIENCE:
            states = Counter(row.state for row in self.rows.values() if row.webhook == name)
            counts = {state.value: states[state] for state in (*WAITING, State.DEAD)}
            came = (
                self.events[row.event_id].event.received_at for row in self.where(*WAITING, webhooks=[name])
            )
            if any(counts.values()):
                found[name] = Backlog(**counts, oldest_at=next(came, None))
        return found

    def forget(self, horizon: Horizon) -> int:
        """Prune; how much went."""
        ends = {State.DELIVERED: horizon.delivered, State.DEAD: horizon.dead}
        rows = [row for row in self.rows.values() if row.ended_at and row.ended_at < ends[row.state]]
        for row in rows:
            del self.rows[row.id], self.attempts[row.id]
        kept = {row.event_id for row in self.rows.values()}
        events = [
            name
            for name, known in self.events.items()
            if known.event.received_at < horizon.events and name not in kept
        ]
        for name in events:
            del self.events[name]
        tickets = [ticket for ticket, (_, told_at) in self.facts.items() if told_at < horizon.tickets]
        for ticket in tickets:
            del self.facts[ticket]
        return len(rows) + len(events) + len(tickets)


def in_memory() -> Path | None:
    """Where no step waits for a disk, if there is such a place: what a disk does is proven elsewhere."""
    return IN_MEMORY if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ENOUGH else None


class StoreMachine(RuleBasedStateMachine):
    """Does one thing after another to the model and to the store."""

    engine: ClassVar[Engine]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=in_memory()))
        self.shop = Shop(self.engine, self.folder)
        self.runner = asyncio.Runner()
        self.model = Model()
        self.store = self.run(self.open())

    def teardown(self) -> None:
        try:
            self.nothing_else_is_there()
        finally:
            self.run(self.store.close())
            self.runner.close()
            shutil.rmtree(self.folder)

    def run(self, awaited: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(awaited)

    async def open(self) -> Store:
        return self.engine.open(self.folder)

    async def hurried(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What is not urgent rides along with what is."""
        waiting = asyncio.ensure_future(ask())
        while not waiting.done():
            await self.store.recall("s", "nobody")
        return await waiting

    # -- what is done

    @initialize(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self.configure(HOME)
        self.receive(data)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """The usual more often than the rest. As rules of their own most would be switched off in most runs, which
        finds more where each is of use by itself; here it left stores in which nothing ever happened."""
        happens = data.draw(st.sampled_from(list(self.what_may_happen())), label="happens")
        getattr(self, happens)(data)

    def what_may_happen(self) -> Iterator[str]:
        model = self.model
        yield from ("receive", "receive_with_more", "time_passes", "adopt")
        if model.free_places():
            yield from ("serve", "serve", "serve", "serve", "send")
        if model.flights:
            yield from ("save", "save", "release", "recover_one_lane", "crash")
        if model.where(State.DEAD, State.DELIVERED):
            yield from ("replay", "prune", "save_too_late")
        if model.health:
            yield "resume"

    def receive(self, data: st.DataObject) -> None:
        model = self.model
        tickets = data.draw(st.lists(st.sampled_from(TICKETS), min_size=1, max_size=4))
        names = (
            data.draw(st.lists(st.sampled_from(sorted(model.places)), unique=True)) if model.places else []
        )
        for ticket in tickets:
            sent = event(ticket, received_at=model.now)
            added = self.run(self.store.add(sent, b"", webhooks=list(map(webhook, names))))
            assert added == Added(sent.id, len(names))
            model.events[sent.id] = Known(sent, added)
        self.take_in(names, len(tickets))

    def take_in(self, names: list[str], count: int) -> None:
        """The new rows have numbers that the engine chose: one after the other, behind all that are there."""
        last = max(self.model.rows, default=0)
        numbers = [row.id for row in self.shop.deliveries() if row.id > last]
        events = [known.event for known in list(self.model.events.values())[-count:]]
        for number, (sent, name) in zip(numbers, itertools.product(events, names), strict=True):
            self.model.put(
                Delivery(
                    id=number, event_id=sent.id, webhook=name, transport="bell", ticket=sent.ticket,
                    action=sent.action, state=State.READY, due_from=sent.received_at,
                )
            )  # fmt: skip

    def receive_with_more(self, data: st.DataObject) -> None:
        """With an idempotency key, and news of the ticket; for nobody."""
        model, ticket = self.model, data.draw(st.sampled_from(TICKETS))
        key, raw = data.draw(
            st.sampled_from([(None, b""), ("a", b"1"), ("a", b"1"), ("a", b"2"), ("b", b"1")])
        )
        told, sent = data.draw(st.sampled_from(["", "High", "Low"])), event(ticket, received_at=model.now)
        facts = TicketFacts(told) if told else None
        adding = self.store.add(sent, raw, webhooks=[], key=key, facts=facts)
        known = next((each for each in model.events.values() if key and each.key == key), None)
        if known and known.raw != raw:
            with pytest.raises(KeyReusedError):
                self.run(adding)
        elif known:
            assert self.run(adding) == replace(known.added, replayed=True)
        else:
            model.events[sent.id] = Known(sent, self.run(adding), key, raw)
            if facts:
                model.facts[ticket] = (facts, model.now)

    def serve(self, data: st.DataObject) -> None:
        """As a lane does it, waits and all."""
        place = data.draw(st.sampled_from(self.model.free_places()))
        for outcome in data.draw(st.lists(OUTCOMES, min_size=1, max_size=6)):
            self.model.now = max(self.model.now, self.model.health.get(place, ACTIVE).until or NOW)
            if self.claim(place, self.model.health.get(place, ACTIVE).avoids()):
                self.settle(max(self.model.flights), outcome, noise=1.0)

    def send(self, data: st.DataObject) -> None:
        """Something is in flight from now on."""
        place = data.draw(st.sampled_from(self.model.free_places()))
        self.claim(place, data.draw(st.sampled_from([None, 10**9, *self.model.rows])))

    def claim(self, place: str, avoid: int | None) -> bool:
        model, names = self.model, self.model.sharing(place)
        ages = {name: PATIENCE[name] for name in names}
        claimed = self.run(self.store.claim(ages, now=model.now, avoid=avoid))
        chosen = model.next_of(names, avoid)
        self.bury(names, chosen)
        if chosen is None:
            assert claimed is None
            return False
        taken = claim(chosen, gap=model.has_gap(chosen))
        assert claimed == Claimed(taken, model.events[taken.event_id].event)
        model.put(taken)
        model.flights = {**model.flights, taken.id: place}
        return True

    def bury(self, names: list[str], chosen: Delivery | None) -> None:
        """What is too old dies when its turn comes; an engine may find it sooner."""
        old = list(filter(self.model.too_old, self.model.where(State.READY, webhooks=names)))
        found = {row.id: row.state for row in self.shop.deliveries()} if old else {}
        for row in old:
            if chosen is None or row.id < chosen.id or found[row.id] is State.DEAD:
                self.model.put(expire(row, now=self.model.now))

    def save(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.flights)))
        self.settle(number, data.draw(OUTCOMES), noise=data.draw(st.sampled_from([-1.0, 0.0])))

    def settle(self, number: int, outcome: Outcome, noise: float) -> None:
        model = self.model
        row, place = model.rows[number], model.flights.pop(number)
        before = model.health.get(place, ACTIVE)
        settled = settle(row, before, outcome, now=model.now, policy=POLICY, noise=noise)
        changed = {place: settled.destination}
        if isinstance(outcome, Throttled) and outcome.scope == "service":
            changed[f"{SERVICE}bell"] = Destination(until=settled.destination.until, reason="429")
        attempt = attempt_of(row, outcome, at=model.now)
        assert self.run(self.hurried(lambda: self.store.save(settled.delivery, attempt, changed)))
        model.put(settled.delivery)
        model.attempts[row.id] += 1
        self.fare(changed)

    def fare(self, changed: Mapping[str, Destination]) -> None:
        """Destinations fare so now; what is simply active needs no word."""
        health = {**self.model.health, **changed}
        self.model.health = {name: each for name, each in health.items() if each != ACTIVE}

    def save_too_late(self, data: st.DataObject) -> None:
        """An outcome for a row that is not in flight any more changes nothing."""
        row = self.model.rows[data.draw(st.sampled_from(sorted(self.model.rows)))]
        if row.state is not State.SENDING:
            late = replace(row, state=State.DELIVERED, receipt="late", ended_at=self.model.now)
            troubles = {"home": Destination(paused=True, reason="late")}
            attempt = attempt_of(row, Delivered())
            assert not self.run(self.hurried(lambda: self.store.save(late, attempt, troubles)))

    def release(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.flights)))
        del self.model.flights[number]
        back = release(self.model.rows[number])
        self.run(self.store.release(back))
        self.model.put(back)

    def recover_one_lane(self, data: st.DataObject) -> None:
        names = self.model.sharing(data.draw(st.sampled_from(sorted(self.model.flights.values()))))
        found = self.model.where(State.SENDING, webhooks=names)
        assert self.run(self.store.recover(names)) == len(found)
        self.back(found)

    def crash(self, _: st.DataObject) -> None:
        """What was in flight is nobody's any more; then the next start."""
        self.run(self.store.close())
        self.store = self.run(self.open())
        found = self.model.where(State.SENDING)
        assert self.run(self.store.recover()) == len(found)
        self.back(found)

    def back(self, found: list[Delivery]) -> None:
        self.model.put(*map(recover, found))
        for row in found:
            self.model.flights.pop(row.id, None)

    def adopt(self, data: st.DataObject) -> None:
        """Webhooks are removed or disabled, come back, move to another URL."""
        self.configure(data.draw(st.sampled_from(CONFIGS)))

    def configure(self, places: dict[str, str]) -> None:
        model, now = self.model, self.model.now
        held = self.run(self.store.adopt(places, now=now))
        moved = [name for name, place in places.items() if model.places.get(name, place) != place]
        back = model.where(State.HELD, webhooks=places)
        model.put(*map(hold, model.where(State.READY, webhooks=set(PATIENCE) - set(places))))
        model.put(*(renew(row, now=now) for row in [*back, *model.where(State.READY, webhooks=moved)]))
        model.places = places
        stay = {*places.values(), f"{SERVICE}bell"}
        model.health = {name: each for name, each in model.health.items() if name in stay}
        assert held == len(model.where(State.HELD))

    def resume(self, data: st.DataObject) -> None:
        model, place = self.model, data.draw(st.sampled_from(sorted(self.model.health)))
        names = model.sharing(place)
        self.run(self.store.resume(place, names, now=model.now))
        model.health.pop(place, None)
        model.put(*(renew(row, now=model.now) for row in model.where(State.READY, webhooks=names)))

    def replay(self, data: st.DataObject) -> None:
        model = self.model
        ended = [row.id for row in model.where(State.DEAD, State.DELIVERED)]
        ids = data.draw(st.lists(st.sampled_from([*ended, *model.rows, 0]), min_size=1, max_size=6))
        replayed = self.run(self.store.replay(ids, now=model.now))
        may = [n for n in dict.fromkeys(ids) if n in model.rows and may_replay(model.rows[n].state)]
        assert replayed.ids == tuple(may)
        assert replayed.webhooks == {model.rows[number].webhook for number in may}
        assert set(replayed.refused) == set(ids) - set(may)
        assert all(replayed.refused.values())
        for number in may:
            again = replay(model.rows[number], now=model.now)
            model.put(again if again.webhook in model.places else hold(again))

    def time_passes(self, data: st.DataObject) -> None:
        """Some, or until the patience with some row ends."""
        ends = [row.due_from + timedelta(seconds=PATIENCE[row.webhook]) for row in self.model.where(*WAITING)]
        self.model.now = max(self.model.now, data.draw(st.sampled_from([self.model.now, *ends])))
        self.model.now += timedelta(seconds=data.draw(st.sampled_from([0.0, 1.0, HOUR])))

    def prune(self, data: st.DataObject) -> None:
        """Up to the very moments at which something ended, or came."""
        model = self.model
        ends = [row.ended_at for row in model.rows.values() if row.ended_at]
        came = [known.event.received_at for known in model.events.values()]
        told = [told_at for _, told_at in model.facts.values()]
        delivered, dead, events, tickets = (
            data.draw(st.sampled_from([model.now, *times])) for times in (ends, ends, came, told)
        )
        horizon, forgotten = Horizon(delivered=delivered, dead=dead, events=events, tickets=tickets), 0
        while helping := self.run(self.hurried(lambda: self.store.prune(horizon))):
            forgotten += helping
        assert forgotten == model.forget(horizon)
        self.nothing_else_is_there()

    def nothing_else_is_there(self) -> None:
        kept = self.shop.select("SELECT delivery, count(*) FROM attempt GROUP BY delivery")
        assert dict(kept) == {number: count for number, count in self.model.attempts.items() if count}
        events = [name for (name,) in self.shop.select("SELECT id FROM event ORDER BY seq")]
        assert events == list(self.model.events)

    # -- what holds after each step

    @invariant()
    def both_hold_the_same(self) -> None:
        model, names = self.model, [ticket for ticket in TICKETS if ticket]
        assert self.shop.deliveries() == [model.rows[number] for number in sorted(model.rows)]

        async def look() -> list[Any]:
            recalled = (self.store.recall("s", ticket) for ticket in names)
            return await asyncio.gather(self.store.destinations(), self.store.backlog(), *recalled)

        destinations, backlog, *facts = self.run(look())
        assert destinations == model.health
        assert backlog == model.backlog()
        assert facts == [model.facts.get(ticket, (TicketFacts(),))[0] for ticket in names]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_whatever_is_done_the_store_holds_what_the_rules_say(engine: Engine) -> None:
    checks = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    machine = type("Machine", (StoreMachine,), {"engine": engine})
    run_state_machine_as_test(machine, settings=checks)
