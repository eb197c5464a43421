"""What the tests of the engine share: a transport, webhooks, events, a service on a real socket, a store that fails."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, TypeVar

from aiohttp import web

import deskbell
from deskbell.client import Client
from deskbell.delivery import Attempt, Delivery, Destination, RetryPolicy, settle
from deskbell.egress import EgressPolicy
from deskbell.errors import StoreError
from deskbell.lane import Engine
from deskbell.outcome import Outcome
from deskbell.sender import Sender
from deskbell.settings import Webhook, When
from deskbell.store import Backlog, Claimed, Horizon, Store
from deskbell.store.sqlite import SqliteStore
from deskbell.template import Template

T = TypeVar("T")

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
PATIENCE = 10.0
"""Seconds until a test that waits for something gives up."""
FOR_EVER = 1e9
"""Seconds: an age that no row of a test reaches."""
QUICK = RetryPolicy(ladder=(0.002,), jitter=0.0, shortest_throttle=0.01)
_NOBODY = 65534
_numbers = itertools.count()


class Bell(deskbell.Transport):
    """Posts plain text; the answer is its receipt. A service has its own hosts where ``/own/`` is in the URL.

    Headers of an answer: ``X-Wait`` asks for a wait before the next message, ``X-Global`` throttles the whole service.
    """

    name = "bell"
    max_length = 1000

    def format(self, notice: deskbell.Notice, _: deskbell.Options) -> deskbell.Payload:
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[deskbell.Options]
    ) -> deskbell.Outcome:
        response = await context.post(payload)
        match outcome := deskbell.classify_response(response):
            case deskbell.Delivered():
                return replace(
                    outcome, receipt=response.text(), wait=float(response.headers.get("x-wait", 0))
                )
            case deskbell.Throttled() if "x-global" in response.headers:
                return replace(outcome, scope="service")
        return outcome

    @classmethod
    def recognises(cls, url: str) -> bool:
        return "/own/" in url


def webhook(
    name: str = "w",
    url: str = "http://127.0.0.1/",
    transport: deskbell.Transport[Any] | None = None,
    **changes: Any,
) -> Webhook:
    """A webhook that takes every event, and shows its content."""
    hook = Webhook(
        name=name, enabled=True, url=deskbell.Secret(url), transport=transport or Bell(),
        options=deskbell.Options(), actions=None, when=When(),
        template=Template.parse("%content%", deskbell.VARIABLES), rates=(), retry=QUICK,
    )  # fmt: skip
    return replace(hook, **changes)


def event(ticket: str = "1", text: str = "hé", **changes: Any) -> deskbell.TicketEvent:
    """An event with an id of its own."""
    sent = deskbell.TicketEvent(
        id=f"event{next(_numbers)}", source="s", action="Reply", ticket=ticket,
        variables={"content": text}, received_at=NOW,
    )  # fmt: skip
    return replace(sent, **changes)


def attempt_of(delivery: Delivery, outcome: Outcome, *, payload: str = "{}", at: datetime = NOW) -> Attempt:
    """An attempt of ``delivery`` that ended in ``outcome``."""
    return Attempt(
        delivery_id=delivery.id, event_id=delivery.event_id, webhook=delivery.webhook,
        transport=delivery.transport, number=delivery.attempts, started_at=at, seconds=0.25, outcome=outcome,
        payload=payload,
    )  # fmt: skip


async def take(store: Store, *webhooks: str, now: datetime = NOW, **how: Any) -> Claimed:
    """Claim the next delivery, which there must be, however old."""
    claimed = await store.claim(dict.fromkeys(webhooks or ["w"], FOR_EVER), now=now, **how)
    assert claimed is not None
    return claimed


async def conclude(
    store: Store, claimed: Claimed, outcome: Outcome, *, payload: str = "{}", at: datetime = NOW
) -> Delivery:
    """Settle a claimed delivery by the rules, and save it."""
    settled = settle(claimed.delivery, Destination(), outcome, now=at, policy=RetryPolicy(), noise=0.0)
    attempt = attempt_of(claimed.delivery, outcome, payload=payload, at=at)
    assert await store.save(settled.delivery, attempt, {})
    return settled.delivery


class ShakyStore(SqliteStore):
    """The real store. A method fails when ``shakes`` says so of its name.

    ``after_claim`` comes once, and ``after_resume``, between what is done and the answer.
    """

    shakes: Callable[[str], bool] = staticmethod(lambda _: False)
    after_claim: Callable[[Claimed | None], Awaitable[object]] | None = None
    after_resume: Callable[[], Awaitable[object]] | None = None
    at_save: Callable[[], object] = staticmethod(lambda: None)

    def _shake(self, method: str) -> None:
        if self.shakes(method):
            raise StoreError("database or disk is full")

    async def claim(
        self, max_ages: Mapping[str, float], *, now: datetime, avoid: int | None = None
    ) -> Claimed | None:
        self._shake("claim")
        claimed = await super().claim(max_ages, now=now, avoid=avoid)
        if hook := self.after_claim:
            self.after_claim = None
            await hook(claimed)
        return claimed

    def save(
        self, delivery: Delivery, attempt: Attempt, destinations: Mapping[str, Destination]
    ) -> asyncio.Future[bool]:
        try:
            self._shake("save")
        except StoreError as error:
            failed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed
        self.at_save()
        return super().save(delivery, attempt, destinations)

    async def release(self, delivery: Delivery) -> None:
        self._shake("release")
        await super().release(delivery)

    async def resume(self, destination: str, webhooks: Sequence[str], *, now: datetime) -> None:
        await super().resume(destination, webhooks, now=now)
        if hook := self.after_resume:
            await hook()

    async def backlog(self) -> Mapping[str, Backlog]:
        self._shake("backlog")
        return await super().backlog()

    async def prune(self, horizon: Horizon) -> int:
        self._shake("prune")
        return await super().prune(horizon)


def loopback_client() -> Client:
    """The one client, allowed to reach the services of tests."""
    return Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),)))


def engine(store: Store, client: Client, **changes: Any) -> Engine:
    """What lanes work with: the real things, quick and without noise."""
    sender = Sender(client.request, timezone=UTC, date_format="%H:%M", clock=now, timeout=5)
    real = Engine(
        store=store, sender=sender, clock=now, noise=lambda: 0.0, settled=lambda *_: None,
        store_retry=0.005, restart=0.01,
    )  # fmt: skip
    return replace(real, **changes)


@asynccontextmanager
async def serving(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """A service on this machine for whose every path ``handle`` answers; its address."""
    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answer(status: int, text: str = "", **headers: str) -> web.Response:
    """An answer of a service; ``headers`` by their names with ``_``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=status, text=text, headers=named)


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user whom the modes of files stop: root is stopped by none, and becomes nobody for the while."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def within(awaited: Awaitable[T]) -> T:
    """What is awaited, unless it takes longer than a test may."""
    return await asyncio.wait_for(awaited, PATIENCE)
