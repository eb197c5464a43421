"""One lane: serves one destination, first in, first out, one in flight. A task exists only while there is work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from .delivery import Attempt, Delivery, Destination, RetryPolicy, Settled, State, release, settle
from .errors import StoreError
from .outcome import Delivered, Outcome, Throttled
from .pace import Pace
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
    """What all destinations of one transport share: the waits and the rate of the service as a whole."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._until: datetime | None = None

    def close(self, until: datetime | None) -> None:
        """No lane sends before ``until``, nor before an earlier call's."""
        if until and (self._until is None or self._until < until):
            self._until = until

    def wait(self, now: datetime) -> float:
        """Seconds until any lane of this service may send."""
        return max(0.0, (self._until - now).total_seconds()) if self._until else 0.0


@dataclass(frozen=True, slots=True)
class Engine:
    """What every lane works with. ``noise`` gives a number in [-1, 1]; ``settled`` hears of saved attempts.

    ``store_retry``: seconds until a store that failed is asked again. ``restart``: until a bug is met again.
    """

    store: Store
    sender: Sender
    policy: RetryPolicy
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
    destination: tuple[str, Destination] | None
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
        self.webhooks = webhooks
        self.health = health
        self._url = url
        self._pace = pace
        self._service = service
        self._engine = engine
        self._task: asyncio.Task[None] | None = None
        self._saving: _Saving | None = None
        self._nudge = asyncio.Event()
        self._news = False
        self._stopping = False

    def wake(self) -> None:
        """There may be a ready delivery."""
        self._news = True
        if not self._stopping and self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"lane {', '.join(self.webhooks)}")

    async def resume(self) -> None:
        """Forget a pause or a wait, and go on."""
        await self._engine.store.resume(self.destination, tuple(self.webhooks), now=self._engine.clock())
        self.health = Destination()
        self._nudge.set()
        self.wake()

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
            while not self._stopping and not self.health.paused:
                if (wait := self._wait()) > 0:
                    await self._sleep(wait)
                elif not await self._serve_next():
                    break
        except Exception:  # noqa: BLE001 - a bug of ours must not silence a destination
            restart = self._engine.restart
            _log.exception("the lane of %s stopped; it goes on in %g s", ", ".join(self.webhooks), restart)
            asyncio.get_running_loop().call_later(restart, self.wake)
        finally:
            self._task = None

    def _wait(self) -> float:
        now, tick = self._engine.clock(), _tick()
        paces = max(self._pace.wait(tick), self._service.pace.wait(tick))
        waits = max(self.health.wait(now), self._service.wait(now))
        # No wait is longer when it begins: this one is, when the clock was set back since.
        return max(min(waits, self._engine.policy.longest_retry_after), paces)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not through a stop or a resume, nor through one that came since the last sleep."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        self._nudge.clear()

    async def _serve_next(self) -> bool:
        """Serve the next delivery; false when there is none."""
        self._news = False
        claimed = await self._claim()
        await self._confirm()
        if claimed is None:
            return self._news
        if await self._admitted():
            await self._serve(claimed)
        else:
            await self._give_back(claimed.delivery)
        return True

    async def _claim(self) -> Claimed | None:
        engine = self._engine
        oldest = engine.clock() - timedelta(seconds=engine.policy.max_age)
        try:
            return await engine.store.claim(tuple(self.webhooks), oldest=oldest, avoid=self.health.avoids())
        except StoreError:  # the store has logged it
            self._news = True
            await self._sleep(engine.store_retry)
            return None

    async def _admitted(self) -> bool:
        """Take the service's next turn, which its lanes share; false when there is none for longer than a moment."""
        while not self._stopping and not self._service.wait(self._engine.clock()):
            if (wait := self._service.pace.wait(_tick())) <= 0:
                self._service.pace.note(_tick())
                return True
            await self._sleep(wait)
        return False

    async def _give_back(self, delivery: Delivery) -> None:
        while True:
            try:
                return await self._engine.store.release(release(delivery))
            except StoreError:
                await self._sleep(self._engine.store_retry)

    async def _serve(self, claimed: Claimed) -> None:
        engine = self._engine
        webhook = self.webhooks[claimed.delivery.webhook]
        attempt = await engine.sender.attempt(claimed, webhook, self._url)
        # Not when it began: the service counts it at some time between then and now.
        self._pace.note(_tick())
        settled = settle(
            claimed.delivery,
            self.health,
            attempt.outcome,
            now=engine.clock(),
            policy=engine.policy,
            noise=engine.noise(),
        )
        if isinstance(attempt.outcome, Throttled) and attempt.outcome.scope == "service":
            self._service.close(settled.destination.until)
        self._report(settled, attempt.outcome)
        changed = settled.destination != self.health
        self.health = settled.destination
        self._save(settled.delivery, attempt, (self.destination, self.health) if changed else None)
        if self._stopping or self.health.paused or self._wait() > 0:
            await self._confirm()  # else the next claim follows at once, and shares the commit

    def _save(
        self, delivery: Delivery, attempt: Attempt, destination: tuple[str, Destination] | None
    ) -> None:
        done = self._engine.store.save(delivery, attempt, destination)
        self._saving = _Saving(delivery, attempt, destination, done)

    async def _confirm(self) -> None:
        """Wait until the last outcome is saved, and tell of it. While the store fails, nothing more is sent."""
        while saving := self._saving:
            self._saving = None
            delivery, attempt = saving.delivery, saving.attempt
            try:
                # Shielded: a stop whose grace is over must not take the outcome out of the store's queue.
                saved = await asyncio.shield(saving.done)
            except StoreError as error:
                _log.error("delivery %d: its outcome is not saved yet: %s", delivery.id, error)
                await self._sleep(self._engine.store_retry)
                self._save(delivery, attempt, saving.destination)
                continue
            if saved:
                self._engine.settled(delivery, attempt)
            else:
                _log.error("delivery %d: was settled by somebody else; this outcome is dropped", delivery.id)

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


def _tick() -> float:
    return asyncio.get_running_loop().time()
