"""Services that keep their limits, at addresses on this machine, and a deskbell that posts to them out of a real store.

Time is made short by limits that are scaled, and with them the seconds in the services' answers.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from tests.kit import engine, event, loopback_client, now, serving, webhook

import deskbell
from deskbell.delivery import Attempt, Delivery, RetryPolicy
from deskbell.dispatcher import Dispatcher
from deskbell.pace import parse_rates
from deskbell.settings import Webhook
from deskbell.store import Store, open_store
from deskbell.store.reading import Filter, list_deliveries
from deskbell_discord import Discord
from deskbell_discord.fake import FakeDiscord, Window
from deskbell_slack import Slack
from deskbell_slack.fake import FakeSlack

PATIENCE = 40.0
"""Seconds until a test that waits for something gives up."""
QUICK = RetryPolicy(ladder=(0.01,), jitter=0.0, shortest_throttle=0.001)
ROOMY = 10**6, 1.0
"""(messages, seconds) that nothing here reaches."""


@dataclass(frozen=True)
class Request:
    """What a service was asked, what it answered, the wait it told, and when (seconds of the loop) it did."""

    text: str
    status: int
    told: float
    at: float


@dataclass
class Place:
    """A service at an address on this machine. ``way``: seconds to it, and again back. ``broken``: it answers 503.

    While ``gate`` is clear, no answer comes.
    """

    fake: FakeDiscord | FakeSlack
    way: Callable[[], float] = lambda: 0.0
    broken: Callable[[], bool] = lambda: False
    url: str = ""
    seen: list[Request] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        payload = await request.json()
        await asyncio.sleep(self.way())  # a way takes time
        await self.gate.wait()
        answer = web.Response(status=503) if self.broken() else await self.fake.answer(request)
        text = payload.get("content") or payload["text"]
        self.seen.append(Request(text, answer.status, _told(answer), tick()))
        await asyncio.sleep(self.way())  # and back
        return answer

    @property
    def refused(self) -> int:
        return sum(request.status == 429 for request in self.seen)

    @property
    def taken(self) -> list[str]:
        """The texts that it took, in the order in which it did."""
        return [request.text for request in self.seen if request.status == 200]

    def gaps(self) -> list[float]:
        """Seconds from each request to the next, beyond the wait that its answer told."""
        pairs = zip(self.seen, self.seen[1:], strict=False)
        return [then.at - first.at - first.told for first, then in pairs]


def _told(answer: web.StreamResponse) -> float:
    if answer.status != 429 or not isinstance(answer, web.Response) or not answer.text:
        return 0.0
    return float(json.loads(answer.text)["retry_after"])


@asynccontextmanager
async def places(
    *fakes: FakeDiscord | FakeSlack, way: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[list[Place]]:
    """Each at an address of its own, with its gate open."""
    async with AsyncExitStack() as stack:
        found = [Place(fake, way) for fake in fakes]
        for place in found:
            place.gate.set()
            place.url = await stack.enter_async_context(serving(place.handle)) + place.fake.path
        yield found


def discord(
    webhook: tuple[int, float] = ROOMY,
    channel: tuple[int, float] | Window = ROOMY,
    address: Window | None = None,
) -> FakeDiscord:
    """Discord with these limits, which two may share as a ``Window``."""
    window = channel if isinstance(channel, Window) else Window(*channel)
    return FakeDiscord(webhook=Window(*webhook), channel=window, address=address or Window(*ROOMY))


def slack(limit: tuple[int, float] = ROOMY) -> FakeSlack:
    """Slack with a burst of so many, which come back in so many seconds."""
    count, seconds = limit
    return FakeSlack(per_second=count / seconds, burst=count)


def hook(
    name: str,
    place: Place,
    rates: str = "none",
    *,
    query: str = "",
    transport: deskbell.Transport[Any] | None = None,
    retry: RetryPolicy = QUICK,
) -> Webhook:
    """A webhook that posts to ``place``; with another ``query`` it is another destination."""
    kind = transport or (Discord() if isinstance(place.fake, FakeDiscord) else Slack())
    return webhook(
        name, place.url + query, kind, rates=parse_rates(rates), retry=retry, options=kind.options_type()
    )


@dataclass
class Run:
    """One life of deskbell."""

    store: Store
    dispatcher: Dispatcher
    saved: asyncio.Queue[Attempt]

    async def post(self, texts: Iterable[str], *hooks: Webhook, tickets: int = 7) -> None:
        """Store an event for each text at once, then tell the lanes."""
        events = [event(str(n % tickets), text, received_at=now()) for n, text in enumerate(texts)]
        await asyncio.gather(*(self.store.add(each, b"{}", webhooks=hooks) for each in events))
        self.dispatcher.wake(hook.name for hook in hooks)

    async def attempts(self, count: int) -> list[Attempt]:
        """The next saved attempts."""
        async with asyncio.timeout(PATIENCE):
            return [await self.saved.get() for _ in range(count)]

    async def delivered(self, count: int) -> None:
        """Wait until so many more deliveries are."""
        while count:
            count -= isinstance((await self.attempts(1))[0].outcome, deskbell.Delivered)


@asynccontextmanager
async def running(path: Path, *hooks: Webhook, grace: float = 5.0) -> AsyncIterator[Run]:
    """Without ``grace`` it ends as in a crash: what is in flight stays so."""
    store, saved = open_store(path), asyncio.Queue[Attempt]()
    async with loopback_client() as client:
        lives = engine(store, client, settled=lambda _, attempt: saved.put_nowait(attempt))
        dispatcher = Dispatcher(hooks, lives, locate=lambda hook: hook.url)
        await dispatcher.start()
        try:
            yield Run(store, dispatcher, saved)
        finally:
            await dispatcher.stop(grace)
            await store.close()


def rows(path: Path) -> list[Delivery]:
    """Every delivery, the oldest first."""
    return [listed.delivery for listed in reversed(list_deliveries(path, Filter(limit=None)))]


def fates(path: Path) -> Counter[tuple[str, int, bool]]:
    """How many deliveries are in which state, after how many attempts, perhaps doubled."""
    return Counter((str(row.state), row.attempts, row.maybe_duplicate) for row in rows(path))


def tick() -> float:
    return asyncio.get_running_loop().time()


def numbers(count: int) -> list[str]:
    return [f"n{number}" for number in range(count)]
