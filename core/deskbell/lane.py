"""One lane: serves one destination, first in, first out, one in flight. A task exists only while there is work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from .delivery import Attempt, Delivery, Destination, Settled, State, release, settle
from .errors import StoreError
from .outcome import Delivered, DestinationGone, Outcome, Throttled
from .outlook import worst
from .pace import Pace, Rate
from .secret import Secret
from .sender import Sender
from .settings import Webhook
from .store import Claimed, Store

STORE_RETRY = 1.0
"""Seconds until a lane asks a store that failed again."""
RESTART = 60.0
"""Seconds until a lane that met a bug of ours goes on: it must neither sleep for ever nor fill the log."""

_log = logging.getLogger(__name__)


class Service:
    """What all destinations of one service share: its waits, its rate, and how many refusals it bears.

    ``identity`` names it in the store, so that a wait survives a restart; empty for a single server of somebody's own,
    whose one destination waits by itself.
    """

    def __init__(self, identity: str, *, pace: Pace, refusals: Pace, health: Destination) -> None:
        self.identity = identity
        self.pace = pace
        self.health = health
        self._refusals = refusals

    def wait(self, now: datetime) -> float:
        """Seconds until any lane of this service may send."""
        return self.health.wait(now)

    def hear(self, outcome: Outcome, settled: Destination, now: datetime) -> bool:
        """Judge whether an answer closes the whole service for a while; true when it does, or for longer."""
        if not isinstance(outcome, Throttled | DestinationGone):
            return False
        self._refusals.note(_tick())
        if isinstance(outcome, Throttled) and outcome.scope == "service":
            return self._close(settled.until, settled.reason, now)
        until = now + timedelta(seconds=self._refusals.wait(_tick()))
        # Services ban an address that goes on asking in vain: better to wait before they do.
        return self._close(until, f"too many refused requests: {outcome.detail}", now)

    def _close(self, until: datetime | None, reason: str, now: datetime) -> bool:
        """No lane sends before ``until``, nor before an earlier call's."""
        if until is None or until <= max(now, self.health.until or now):
            return False
        self.health = Destination(until=until, reason=reason)
        return True


@dataclass(frozen=True, slots=True)
class Engine:
    """What every lane works with. ``noise`` gives a number in [-1, 1]; ``settled`` hears of saved attempts.

    ``store_retry``: seconds until a store that failed is asked again. ``restart``: until a bug is met again.
    """

    store: Store
    sender: Sender
    clock: Callable[[], datetime]
    noise: Callable[[], float]
    settled: Callable[[Delivery, Attempt], None]
    store_retry: float = STORE_RETRY
    restart: float = RESTART


@dataclass(frozen=True, slots=True)
class _Saving:
    """An outcome on its way into the store."""

    delivery: Delivery
    attempt: Attempt
    destinations: Mapping[str, Destination]
    done: asyncio.Future[bool]


class Lane:
    """Claims, sends and settles the deliveries of one destination."""

    def __init__(
        self,
        destination: str,
        webhooks: Mapping[str, Webhook],
        *,
        url: Secret,
        pace: Pace,
        service: Service,
        health: Destination,
        engine: Engine,
    ) -> None:
        self.destination = destination
        self.health = health
        self._pace = pace
        self.take(webhooks)
        self._url = url
        self._service = service
        self._engine = engine
        self._task: asyncio.Task[None] | None = None
        self._saving: _Saving | None = None
        self._nudge = asyncio.Event()
        self._hands = asyncio.Lock()
        self._news = False
        self._broken = False
        self._resting = False
        self._stopping = False

    def take(self, webhooks: Mapping[str, Webhook], pace: Pace | None = None) -> None:
        """Serve these webhooks from now on, at this pace if it is another one. What is in flight ends as it began."""
        self.webhooks = webhooks
        self._max_ages = {name: webhook.retry.max_age for name, webhook in webhooks.items()}
        # Waiting belongs to the destination: where its webhooks disagree, the most patient one decides.
        self._retry = max(webhooks.values(), key=lambda webhook: webhook.patience).retry
        self._pace = pace or self._pace

    @property
    def rates(self) -> frozenset[Rate]:
        """What it keeps to."""
        return frozenset(self._pace.rates)

    def trouble(self, now: datetime) -> Destination | None:
        """What holds it up: its destination, or the whole service."""
        return worst((self.health, self._service.health), now)

    def wake(self) -> None:
        """There may be a ready delivery."""
        self._news = True
        if not self._stopping and self._task is None and not self._resting:
            self._task = asyncio.create_task(self._run(), name=f"lane {', '.join(self.webhooks)}")

    async def resume(self) -> None:
        """Forget a pause or a wait, and go on."""
        before = self.health
        await self._engine.store.resume(self.destination, tuple(self.webhooks), now=self._engine.clock())
        # Unless an answer came meanwhile: what it says is newer, in the store, too.
        if self.health is before:
            self.health = Destination()
        self._nudge.set()
        self.wake()

    async def put_down(self) -> None:
        """Wait until what was in hand when this was called is saved."""
        async with self._hands:
            await self._confirm()

    async def stop(self, grace: float) -> None:
        """Claim nothing more; let what is in flight end, and be saved, within ``grace`` seconds."""
        self._stopping = True
        self._nudge.set()
        if task := self._task:
            await asyncio.wait({task}, timeout=grace)
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        # Between the end of this loop and the end of the task nothing is awaited: no call of `wake` is lost.
        try:
            await self._recover()
            while not self._stopping and not self.health.paused:
                if (wait := self._wait()) > 0:
                    await self._sleep(wait)
                elif not await self._serve_next():
                    break
        except BaseException:  # a bug of ours must not silence a destination, not even a stray cancellation
            if self._stopping:
                raise
            restart = self._engine.restart
            _log.exception("the lane of %s stopped; it goes on in %g s", ", ".join(self.webhooks), restart)
            self._broken = self._resting = True
            asyncio.get_running_loop().call_later(restart, self._go_on)
        finally:
            self._task = None

    def _go_on(self) -> None:
        """After a bug of ours the lane rests for a while: whatever wakes it meanwhile would only meet it again."""
        self._resting = False
        self.wake()

    async def _recover(self) -> None:
        """After a bug of ours the row that was in flight may still be `sending`: nobody else would take it up."""
        if self._broken:
            await self._confirm()  # what came of an earlier one is known
            await self._engine.store.recover(tuple(self.webhooks))
            self._broken = False

    def _wait(self) -> float:
        now, tick = self._engine.clock(), _tick()
        paces = max(self._pace.wait(tick), self._service.pace.wait(tick))
        return max(self.health.wait(now), self._service.wait(now), paces)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not through a stop or a resume, nor through one that came since the last sleep."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        self._nudge.clear()

    async def _serve_next(self) -> bool:
        """Serve the next delivery; false when there is none."""
        self._news = False
        if (turn := await self._take_turn()) is None:
            return True
        async with self._hands:
            return await self._serve_claimed(turn)

    async def _serve_claimed(self, turn: float) -> bool:
        claimed = await self._claim()
        await self._confirm()
        if claimed is None:
            self._service.pace.forget(turn)
            return self._news
        webhook = self.webhooks.get(claimed.delivery.webhook)
        # A stop, a new config or the service's own wait may have come while the claim was committed.
        if webhook is None or self._stopping or self._service.wait(self._engine.clock()) > 0:
            self._service.pace.forget(turn)
            await self._give_back(claimed.delivery)
        else:
            await self._serve(claimed, webhook, turn)
        return True

    async def _claim(self) -> Claimed | None:
        engine = self._engine
        try:
            return await engine.store.claim(self._max_ages, now=engine.clock(), avoid=self.health.avoids())
        except StoreError:  # the store has logged it
            self._news = True
            await self._sleep(engine.store_retry)
            return None

    async def _take_turn(self) -> float | None:
        """When it is the turn of this lane, among those of its service; None when it is not for longer than a moment.

        Before the claim: a row that is `sending` while its lane queues would count as sent after a crash.
        """
        while not self._stopping and not self._service.wait(self._engine.clock()):
            if (wait := self._service.pace.wait(_tick())) <= 0:
                self._service.pace.note(turn := _tick())
                return turn
            await self._sleep(wait)
        return None

    async def _give_back(self, delivery: Delivery) -> None:
        while True:
            try:
                return await self._engine.store.release(release(delivery))
            except StoreError:
                await self._sleep(self._engine.store_retry)

    async def _serve(self, claimed: Claimed, webhook: Webhook, turn: float) -> None:
        engine = self._engine
        attempt = await engine.sender.attempt(claimed, webhook, self._url)
        # Not when it began: the service counts it at some time between then and now.
        self._pace.note(_tick())
        self._service.pace.move(turn, _tick())
        now = engine.clock()
        settled = settle(
            claimed.delivery, self.health, attempt.outcome, now=now, policy=self._retry, noise=engine.noise()
        )
        self._report(settled, attempt.outcome)
        changed = dict[str, Destination]()
        if settled.destination != self.health:
            changed[self.destination] = self.health = settled.destination
        was_closed = self._service.wait(now) > 0
        if self._service.hear(attempt.outcome, settled.destination, now):
            if not was_closed:  # else what was in flight meanwhile would say it once more for each lane
                self._report_service()
            if self._service.identity:
                changed[self._service.identity] = self._service.health
        self._save(settled.delivery, attempt, changed)
        # What is to be sent again is saved before the next claim, which would else find a later one of its ticket. After
        # all else the claim follows at once, and shares the commit.
        if self._stopping or settled.delivery.state is State.READY or self._wait() > 0:
            await self._confirm()

    def _save(self, delivery: Delivery, attempt: Attempt, destinations: Mapping[str, Destination]) -> None:
        done = self._engine.store.save(delivery, attempt, destinations)
        self._saving = _Saving(delivery, attempt, destinations, done)

    async def _confirm(self) -> None:
        """Wait until the last outcome is saved, and tell of it. While the store fails, nothing more is sent."""
        while saving := self._saving:
            self._saving = None
            delivery, attempt = saving.delivery, saving.attempt
            try:
                # Shielded: a stop whose grace is over must not take the outcome out of the store's queue.
                saved = await asyncio.shield(saving.done)
            except StoreError:  # the store has logged it
                await self._sleep(self._engine.store_retry)
                self._save(delivery, attempt, self._as_they_fare(saving.destinations))
                continue
            if saved:
                self._engine.settled(delivery, attempt)
            else:
                _log.error("delivery %d: was settled by somebody else; this outcome is dropped", delivery.id)

    def _as_they_fare(self, destinations: Iterable[str]) -> dict[str, Destination]:
        """Now: while the store failed, one may have been resumed."""
        return {
            name: self.health if name == self.destination else self._service.health for name in destinations
        }

    def _report(self, settled: Settled, outcome: Outcome) -> None:
        """Say once that a destination is down or paused, and once that it is back; dead deliveries each."""
        delivery, health = settled.delivery, settled.destination
        if health.paused:
            _log.error(
                "webhook %s is PAUSED, its deliveries wait: %s. Give it a working URL, or `deskbell resume %s`",
                delivery.webhook, health.reason, delivery.webhook,
            )  # fmt: skip
        elif delivery.state is State.DEAD:
            _log.error(
                "delivery %d to webhook %s is dead: %s", delivery.id, delivery.webhook, delivery.reason
            )
        elif isinstance(outcome, Delivered):
            if self.health.failures or self.health.refusals:
                _log.warning("webhook %s is back", delivery.webhook)
        elif not (self.health.failures or self.health.refusals):
            _log.warning("webhook %s: %s; its deliveries wait", delivery.webhook, delivery.reason)

    def _report_service(self) -> None:
        health, now = self._service.health, self._engine.clock()
        _log.error(
            "webhook %s and all others of its service wait for %.3g s: %s",
            ", ".join(self.webhooks), health.wait(now), health.reason,
        )  # fmt: skip


def _tick() -> float:
    return asyncio.get_running_loop().time()
