"""One lane: serves one destination, first in, first out, one in flight. A task exists only while there is work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .delivery import Attempt, Delivery, Destination, RetryPolicy, Settled, release, settle
from .errors import StoreError
from .outcome import Delivered, Outcome, Throttled
from .pace import Pace
from .secret import Secret
from .sender import Sender
from .settings import Webhook
from .store import Claimed, Store

_STORE_RETRY = 1.0
"""Seconds until a lane asks a store that failed again."""

_log = logging.getLogger(__name__)


class Service:
    """What all destinations of one transport share: the waits and the rate of the service as a whole."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.until: datetime | None = None

    def wait(self, now: datetime) -> float:
        """Seconds until any lane of this service may send."""
        return max(0.0, (self.until - now).total_seconds()) if self.until else 0.0


@dataclass(frozen=True, slots=True)
class Engine:
    """What every lane works with. ``noise`` gives a number in [-1, 1]; ``settled`` hears of saved attempts."""

    store: Store
    sender: Sender
    policy: RetryPolicy
    clock: Callable[[], datetime]
    noise: Callable[[], float]
    settled: Callable[[Delivery, Attempt], None]


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
        """Claim nothing more; let what is in flight end within ``grace`` seconds."""
        self._stopping = True
        self._nudge.set()
        if task := self._task:
            await asyncio.wait([task], timeout=grace)
            task.cancel()

    async def _run(self) -> None:
        try:
            while not self._stopping and not self.health.paused:
                if (wait := self._wait()) > 0:
                    await self._sleep(wait)
                elif not await self._serve_next():
                    break
        except Exception:
            _log.exception("the lane of %s stopped; the next event starts it again", ", ".join(self.webhooks))
        finally:
            self._task = None

    def _wait(self) -> float:
        now = self._engine.clock()
        tick = asyncio.get_running_loop().time()
        paces = max(self._pace.wait(tick), self._service.pace.wait(tick))
        return max(self.health.wait(now), self._service.wait(now), paces)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not through a stop or a resume."""
        self._nudge.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        except TimeoutError:
            pass

    async def _serve_next(self) -> bool:
        """Serve the next delivery; false when there is none."""
        engine = self._engine
        self._news = False
        oldest = engine.clock() - timedelta(seconds=engine.policy.max_age)
        try:
            claimed = await engine.store.claim(
                tuple(self.webhooks), oldest=oldest, avoid=self.health.avoids()
            )
        except StoreError:
            await self._sleep(_STORE_RETRY)
            return True
        if claimed is None:
            return self._news
        if self._stopping:
            await engine.store.release(release(claimed.delivery))
            return False
        await self._serve(claimed)
        return True

    async def _serve(self, claimed: Claimed) -> None:
        tick = asyncio.get_running_loop().time()
        self._pace.note(tick)
        self._service.pace.note(tick)
        webhook = self.webhooks[claimed.delivery.webhook]
        attempt = await self._engine.sender.attempt(claimed, webhook, self._url)
        now = self._engine.clock()
        settled = settle(
            claimed.delivery,
            self.health,
            attempt.outcome,
            now=now,
            policy=self._engine.policy,
            noise=self._engine.noise(),
        )
        if isinstance(attempt.outcome, Throttled) and attempt.outcome.scope == "service":
            self._service.until = settled.destination.until
        changed = settled.destination != self.health
        self._report(settled, attempt.outcome)
        self.health = settled.destination
        self._save(settled, attempt, changed=changed)

    def _save(self, settled: Settled, attempt: Attempt, *, changed: bool) -> None:
        """Not awaited: the next claim queues behind it and shares its commit."""
        destination = (self.destination, settled.destination) if changed else None
        saving = self._engine.store.save(settled.delivery, attempt, destination)
        saving.add_done_callback(lambda done: self._saved(done, settled, attempt, changed=changed))

    def _saved(
        self, saving: asyncio.Future[bool], settled: Settled, attempt: Attempt, *, changed: bool
    ) -> None:
        if saving.cancelled():
            return
        if error := saving.exception():
            _log.error("delivery %d: its outcome is not saved yet: %s", settled.delivery.id, error)
            if not self._stopping:
                later = asyncio.get_running_loop().call_later
                later(_STORE_RETRY, lambda: self._save(settled, attempt, changed=changed))
        elif saving.result():
            self._engine.settled(settled.delivery, attempt)
        else:
            _log.error(
                "delivery %d: was settled by somebody else; this outcome is dropped", settled.delivery.id
            )

    def _report(self, settled: Settled, outcome: Outcome) -> None:
        """Say once that a destination is down or paused, and once that it is back; dead deliveries each."""
        delivery, health = settled.delivery, settled.destination
        if health.paused:
            _log.error(
                "webhook %s is PAUSED, its deliveries wait: %s. Give it a working URL, or `deskbell resume %s`",
                delivery.webhook, health.reason, delivery.webhook,
            )  # fmt: skip
        elif delivery.reason and delivery.state == "dead":
            _log.error(
                "delivery %d to webhook %s is dead: %s", delivery.id, delivery.webhook, delivery.reason
            )
        elif isinstance(outcome, Delivered):
            if self.health.failures or self.health.refusals:
                _log.warning("webhook %s is back", delivery.webhook)
        elif not (self.health.failures or self.health.refusals):
            _log.warning("webhook %s: %s; its deliveries wait", delivery.webhook, delivery.reason)
