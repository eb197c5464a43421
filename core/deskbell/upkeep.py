"""What is done now and then beside the traffic: the backlog is measured, and what ended long ago is forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from .errors import StoreError
from .settings import Retention
from .store import Backlog, Horizon, Store

MEASURE_EVERY = 5.0
PRUNE_EVERY = 3600.0
PRUNE_PAUSE = 0.1
"""Seconds between two helpings of what is forgotten: the traffic goes first."""
LARGEST_BACKLOG = 1_000_000
"""Ready deliveries; with more than these waiting, new events are refused until some are gone."""
KEYS_KEPT = timedelta(days=30)
TICKETS_KEPT = timedelta(days=400)
"""What a ticket said, after it last said something new: replies to old tickets still want their priority."""

_log = logging.getLogger(__name__)


class Upkeep:
    """Run it as a task beside the lanes. Times in seconds."""

    def __init__(
        self,
        store: Store,
        *,
        retention: Retention,
        clock: Callable[[], datetime],
        measure_every: float = MEASURE_EVERY,
        prune_every: float = PRUNE_EVERY,
        largest_backlog: int = LARGEST_BACKLOG,
    ) -> None:
        self._store = store
        self._retention = retention
        self._clock = clock
        self._measure_every = measure_every
        self._prune_every = prune_every
        self._largest_backlog = largest_backlog
        self._blind = False
        self.backlog: Mapping[str, Backlog] = {}

    def keep_for(self, retention: Retention) -> None:
        """From the next round on, forget what ended longer ago than this."""
        self._retention = retention

    async def run(self) -> None:
        """Until it is cancelled. A store that fails is asked again."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_again_and_again(self.measure, self._measure_every), name="measuring")
            tasks.create_task(_again_and_again(self._forget, self._prune_every), name="pruning")

    async def measure(self) -> None:
        """Look at the backlog. What was seen before stands while the store cannot tell."""
        try:
            self.backlog = await self._store.backlog()
            self._blind = False
        except StoreError as error:
            if not self._blind:
                _log.warning("the backlog cannot be measured: %s", error)
            self._blind = True

    def refusal(self) -> str:
        """Why no new event is taken; empty when there is room."""
        ready = sum(waiting.ready for waiting in self.backlog.values())
        if ready < self._largest_backlog:
            return ""
        return f"{ready:,} deliveries wait already: their services are down, or too slow for them"

    async def prune(self) -> int:
        """Forget everything that lies before the horizon, helping by helping. How many rows that were."""
        forgotten = 0
        while count := await self._store.prune(self._horizon()):
            forgotten += count
            await asyncio.sleep(PRUNE_PAUSE)
        return forgotten

    async def _forget(self) -> None:
        try:
            if forgotten := await self.prune():
                _log.info("forgot %d rows of what ended long ago", forgotten)
        except StoreError as error:
            _log.warning("what ended long ago cannot be forgotten now: %s", error)

    def _horizon(self) -> Horizon:
        now = self._clock()
        return Horizon(
            delivered=now - timedelta(seconds=self._retention.delivered),
            dead=now - timedelta(seconds=self._retention.dead),
            events=now - KEYS_KEPT,
            tickets=now - TICKETS_KEPT,
        )


async def _again_and_again(work: Callable[[], Awaitable[None]], every: float) -> None:
    """A bug of ours in one round must not be the end of all: a backlog that stands still may keep events out."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - likewise
            _log.exception("upkeep failed; it goes on in %g s", every)
        await asyncio.sleep(every)
