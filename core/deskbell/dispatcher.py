"""Owns the lanes: one for each destination of the config."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .delivery import Attempt, Delivery, Destination, State
from .errors import StoreError
from .lane import Engine, Lane, Service
from .pace import Pace, Rate, parse_rates
from .secret import Secret
from .settings import Webhook
from .store import SERVICE, Replayed

STOP_GRACE = 16.0
"""Seconds that attempts in flight have at a stop: one attempt's limit, and a little to save what came of it."""

_log = logging.getLogger(__name__)

Watcher = Callable[[Delivery, Attempt], None]


class Dispatcher:
    """``locate`` gives the URL to post to: the webhook's own, or that of the channel played here."""

    def __init__(
        self, webhooks: Iterable[Webhook], engine: Engine, *, locate: Callable[[Webhook], Secret]
    ) -> None:
        self._webhooks = {webhook.name: webhook for webhook in webhooks}
        self._engine = replace(engine, settled=self._settled)
        self._observe = engine.settled
        self._locate = locate
        self._services: dict[str, Service] = {}
        self._lanes: dict[str, Lane] = {}
        self._watchers: set[Watcher] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, wake: Callable[[Webhook], bool] = lambda _: True) -> None:
        """Recover what a crash left, and go on where the last run stopped, with the webhooks ``wake`` chooses."""
        store = self._engine.store
        if recovered := await store.recover():
            _log.warning("%d deliveries were in flight when deskbell died: they are sent again", recovered)
        if held := await store.adopt(self._places(), now=self._engine.clock()):
            _log.warning("%d deliveries are held: their webhooks are not in the config, or disabled", held)
        self._open_lanes(await store.destinations())
        for name, reason in self.paused().items():
            _log.error(
                "webhook %s is still PAUSED: %s. Its deliveries wait; `deskbell resume %s`",
                name,
                reason,
                name,
            )
        await self._wake_ready(wake)

    async def reload(self, webhooks: Iterable[Webhook]) -> None:
        """Serve these webhooks from now on. The lanes of destinations that stay go on, with all that they know.

        What is in flight ends first, so that a ticket keeps its order where its webhook moves to another lane: it may
        take as long as an attempt. Deliveries to a webhook that is gone are held, those of one that is back are freed,
        and those of one that goes elsewhere are renewed.
        """
        wanted = {webhook.name: webhook for webhook in webhooks}
        await self._take_away(wanted)
        self._webhooks = wanted
        for destination, lane in self._lanes.items():
            sharing = self._sharing(destination)
            rates = _strictest(webhook.rates for webhook in sharing.values())
            lane.take(sharing, None if lane.rates == frozenset(rates) else Pace(rates))
        self._open_lanes(await self._engine.store.destinations())
        await self._sort()

    async def _take_away(self, wanted: Mapping[str, Webhook]) -> None:
        """From each lane the webhooks that leave it, and wait for what it has in hand."""
        stay = {
            name: webhook
            for name, webhook in self._webhooks.items()
            if name in wanted and wanted[name].destination == webhook.destination
        }
        losing = [lane for lane in self._lanes.values() if not lane.webhooks.keys() <= stay.keys()]
        self._webhooks = stay
        ends = list[Coroutine[Any, Any, None]]()
        for lane in losing:
            if sharing := self._sharing(lane.destination):
                lane.take(sharing)
                ends.append(lane.put_down())
            else:
                ends.append(self._lanes.pop(lane.destination).stop(STOP_GRACE))
        await asyncio.gather(*ends)

    def wake(self, names: Iterable[str]) -> None:
        """These webhooks have new deliveries."""
        for name in names:
            if name in self._webhooks:
                self._lane_of(name).wake()
            else:  # it left the config while its event was being stored
                self._sort_soon()

    def health(self, name: str) -> Destination:
        """How the destination of the webhook ``name`` fares."""
        webhook = self._webhooks.get(name)
        lane = self._lanes.get(webhook.destination) if webhook else None
        return lane.health if lane else Destination()

    def troubles(self) -> dict[str, Destination]:
        """The webhooks that are held up, and by what: their destination, or its whole service."""
        now, lanes = self._engine.clock(), self._lanes
        found = {
            name: lanes[webhook.destination].trouble(now)
            for name, webhook in self._webhooks.items()
            if webhook.destination in lanes
        }
        return {name: trouble for name, trouble in found.items() if trouble}

    def paused(self) -> dict[str, str]:
        """The webhooks whose destination is paused, and why."""
        return {name: health.reason for name in self._webhooks if (health := self.health(name)).paused}

    def services(self) -> dict[str, Destination]:
        """The services that are closed for a while, by transport. One server's wait is that of its webhooks."""
        now = self._engine.clock()
        return {
            name: service.health
            for name, service in self._services.items()
            if service.identity and service.wait(now) > 0
        }

    async def replay(self, ids: Sequence[int], *, state: State | None = None) -> Replayed:
        """Deliver again what ended; where ``state`` is given, what is still in it."""
        replayed = await self._engine.store.replay(ids, now=self._engine.clock(), state=state)
        self.wake(replayed.webhooks & self._webhooks.keys())
        return replayed

    async def resume(self, name: str) -> Destination:
        """Go on with the destination of the webhook ``name``, if anything holds it up; what that was."""
        before = self.health(name)
        if before.paused or before.reason:
            await self._lane_of(name).resume()
        return before

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` for each saved attempt until the returned function is called."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Claim nothing more, and let what is in flight end within ``grace`` seconds."""
        await asyncio.gather(*(lane.stop(grace) for lane in self._lanes.values()))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)

    def _places(self) -> dict[str, str]:
        return {name: webhook.destination for name, webhook in self._webhooks.items()}

    def _sharing(self, destination: str) -> dict[str, Webhook]:
        return {name: each for name, each in self._webhooks.items() if each.destination == destination}

    def _open_lanes(self, known: Mapping[str, Destination]) -> None:
        """One for each destination that has none."""
        for webhook in self._webhooks.values():
            if webhook.destination not in self._lanes:
                self._lanes[webhook.destination] = self._lane(webhook, known)

    def _sort_soon(self) -> None:
        self._begin(self._sort())

    async def _sort(self) -> None:
        """Hold what belongs to no webhook, free what belongs to one again, and wake the lanes that have work."""
        try:
            await self._engine.store.adopt(self._places(), now=self._engine.clock())
            await self._wake_ready(lambda _: True)
        except StoreError as error:
            _log.error("deliveries of webhooks that left the config are not held yet: %s", error)

    async def _wake_ready(self, chosen: Callable[[Webhook], bool]) -> None:
        backlog = await self._engine.store.backlog()
        ready = [name for name, waiting in backlog.items() if waiting.ready and name in self._webhooks]
        self.wake(name for name in ready if chosen(self._webhooks[name]))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)

    def _lane_of(self, name: str) -> Lane:
        return self._lanes[self._webhooks[name].destination]

    def _lane(self, webhook: Webhook, known: Mapping[str, Destination]) -> Lane:
        sharing = self._sharing(webhook.destination)
        return Lane(
            webhook.destination,
            sharing,
            url=self._locate(webhook),
            pace=Pace(_strictest(other.rates for other in sharing.values())),
            service=self._service(webhook, known),
            health=known.get(webhook.destination, Destination()),
            engine=self._engine,
        )

    def _service(self, webhook: Webhook, known: Mapping[str, Destination]) -> Service:
        """A service's own rate counts only calls to its own hosts, so a proxy or a fake has a service to itself."""
        own_host, transport = _at_own_host(webhook), webhook.transport
        name = transport.name if own_host else webhook.destination
        if name not in self._services:
            identity = f"{SERVICE}{name}" if own_host else ""
            self._services[name] = Service(
                identity,
                pace=Pace(parse_rates(transport.service_rate if own_host else "")),
                refusals=Pace(parse_rates(transport.most_refusals)),
                health=known.get(identity, Destination()),
            )
        return self._services[name]

    def _settled(self, delivery: Delivery, attempt: Attempt) -> None:
        for watcher in (self._observe, *self._watchers):
            try:
                watcher(delivery, attempt)
            except Exception:  # noqa: BLE001 - what is saved is saved, and the others want to hear of it
                _log.exception("an observer of attempts failed")


def _at_own_host(webhook: Webhook) -> bool:
    """A plugin that cannot say keeps its own lanes apart, and no other from starting."""
    try:
        return bool(webhook.transport.recognises(webhook.url.reveal()))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - its text may hold the URL
        _log.error("transport %s: recognises failed: %s", webhook.transport.name, type(error).__name__)
        return False


def _strictest(rates: Iterable[tuple[Rate, ...]]) -> tuple[Rate, ...]:
    """Webhooks that share a destination share its rate: every limit that one of them names holds."""
    return tuple({rate for of_one in rates for rate in of_one})
