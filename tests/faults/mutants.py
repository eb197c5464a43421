"""Broken servers, to prove the judge: ``python -m tests.faults.mutants NAME serve`` is ``serve`` with one defect.

Each mutant replaces one thing inside the program and then runs its own command line. It names the invariants that
must catch it, one of them at least, and the scenario that provokes it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import deskbell
import deskbell.cli
from deskbell.delivery import Attempt, Delivery, Destination, Settled, State
from deskbell.outcome import Delivered, TemporaryFailure
from deskbell.store import Added


@dataclass(frozen=True)
class Mutant:
    """``caught_by``: the invariants one of which must turn red in ``scenario`` (``scenarios.py``)."""

    apply: Callable[[], None]
    scenario: str
    caught_by: tuple[str, ...]


MUTANTS: dict[str, Mutant] = {}


def breaks(*caught_by: str, scenario: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a mutant under its function's name."""

    def register(apply: Callable[[], None]) -> Callable[[], None]:
        MUTANTS[apply.__name__] = Mutant(apply, scenario, caught_by)
        return apply

    return register


def patch(place: str, replacement: Callable[[Any], Any]) -> None:
    """Replace ``module:name`` or ``module:class.name`` by what ``replacement`` makes of it. It must be there."""
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(f"deskbell.{module}")
    *between, name = path.split(".")
    for part in between:
        owner = getattr(owner, part)
    setattr(owner, name, replacement(getattr(owner, name)))


_background = set[asyncio.Task[Any]]()


def _in_background(work: Coroutine[Any, Any, Any]) -> None:
    task = asyncio.create_task(work)
    _background.add(task)
    task.add_done_callback(_background.discard)


@breaks("I11", scenario="traced")
def accepts_before_commit() -> None:
    """The 202 is sent while the event is still on its way to the disk."""

    def early(add: Callable[..., Coroutine[Any, Any, Added]]) -> Any:
        async def mutated(store: Any, event: Any, raw: bytes, *, webhooks: Any, **more: Any) -> Added:
            _in_background(add(store, event, raw, webhooks=webhooks, **more))
            return Added(event.id, len(webhooks))

        return mutated

    patch("store.sqlite:SqliteStore.add", early)


@breaks("I11", scenario="traced")
def syncs_rarely() -> None:
    """With a write-ahead log, ``synchronous=NORMAL`` syncs at checkpoints only: a power cut takes what came since."""
    patch(
        "store.database:_WRITER_SETTINGS",
        lambda settings: tuple(
            setting.replace("synchronous = FULL", "synchronous = NORMAL") for setting in settings
        ),
    )


@breaks("I5", scenario="rough")
def counts_no_attempt() -> None:
    """A claim does not count, so that a message that kills the process is tried for ever."""

    def uncounted(_: Any) -> Any:
        return lambda delivery, **more: replace(delivery, state=State.SENDING, **more)

    patch("store.claiming:claim", uncounted)


@breaks("I1", scenario="rough")
def settles_before_send() -> None:
    """The row is delivered first, and sent then."""

    def early(attempt: Callable[..., Coroutine[Any, Any, Attempt]]) -> Any:
        async def mutated(sender: Any, claimed: Any, *arguments: Any) -> Attempt:
            _in_background(attempt(sender, claimed, *arguments))
            delivery = claimed.delivery
            return Attempt(
                delivery_id=delivery.id, event_id=delivery.event_id, webhook=delivery.webhook, number=delivery.attempts,
                transport=delivery.transport, started_at=delivery.due_from, seconds=0, outcome=Delivered(), payload="",
            )  # fmt: skip

        return mutated

    patch("sender:Sender.attempt", early)


@breaks("I1", scenario="rough")
def swallows_failed_sends() -> None:
    """``except Exception: pass`` around the send: what failed counts as delivered."""

    def swallowing(attempt: Callable[..., Coroutine[Any, Any, Attempt]]) -> Any:
        async def mutated(*arguments: Any) -> Attempt:
            made = await attempt(*arguments)
            return replace(made, outcome=Delivered()) if isinstance(made.outcome, TemporaryFailure) else made

        return mutated

    patch("sender:Sender.attempt", swallowing)


@breaks("I1", scenario="full")
def swallows_failed_commits() -> None:
    """``except StoreError: pass`` around the commit: the row is lost, and the sender has its 202."""

    def swallowing(add: Callable[..., Coroutine[Any, Any, Added]]) -> Any:
        async def mutated(store: Any, event: Any, raw: bytes, *, webhooks: Any, **more: Any) -> Added:
            try:
                return await add(store, event, raw, webhooks=webhooks, **more)
            except deskbell.errors.StoreError:
                return Added(event.id, len(webhooks))

        return mutated

    patch("store.sqlite:SqliteStore.add", swallowing)


@breaks("I2", scenario="rough")
def follows_redirects() -> None:
    """A sink decides where the next request goes."""

    def following(request: Callable[..., Any]) -> Any:
        return lambda *arguments, **more: request(*arguments, **{**more, "allow_redirects": True})

    patch("client:aiohttp.ClientSession.request", following)


@breaks("I4", scenario="rough")
def takes_the_latest_first() -> None:
    """The order is that of time, backwards, and not that of acceptance."""
    patch("store.claiming:_READY", lambda query: query.replace("ORDER BY id", "ORDER BY id DESC"))


@breaks("I4", scenario="rough")
def hides_gaps() -> None:
    """What follows a dead delivery does not tell so."""
    patch("store.claiming:claim", lambda claim: lambda delivery, **_: claim(delivery))


@breaks("I9", scenario="rough")
def asks_the_gone_again() -> None:
    """A destination that is gone is not paused."""

    def pressing(settle: Callable[..., Settled]) -> Any:
        def mutated(delivery: Delivery, *arguments: Any, now: Any, **more: Any) -> Settled:
            settled = settle(delivery, *arguments, now=now, **more)
            soon = Destination(until=now + timedelta(seconds=0.05))
            return replace(settled, destination=soon) if settled.destination.paused else settled

        return mutated

    patch("lane:settle", pressing)


@breaks("I9", scenario="rough")
def waits_for_nobody() -> None:
    """Who said ``Retry-After`` is asked again at once."""
    patch("delivery:Destination.wait", lambda _: lambda *_: 0.0)


@breaks("I10", scenario="pressed")
def queues_without_end() -> None:
    """However slow the disk is, everything is taken into memory."""
    patch("store.sqlite:MAX_WAITING", lambda _: sys.maxsize)


@breaks("I7", scenario="rough")
def shows_secrets() -> None:
    """What a sink says is stored as it came, with our URL in it."""
    patch("redaction:Redactor.__call__", lambda _: lambda _, text: text)


@breaks("I3", scenario="killed")
def hides_doubles() -> None:
    """What was in flight at a crash is sent again without a mark."""

    def silent(recover: Callable[..., int]) -> Any:
        def mutated(connection: Any, *arguments: Any) -> int:
            sending = [
                number for (number,) in connection.execute("SELECT id FROM delivery WHERE state = 'sending'")
            ]
            count = recover(connection, *arguments)
            connection.executemany(
                "UPDATE delivery SET maybe_duplicate = 0 WHERE id = ?", [(number,) for number in sending]
            )
            return count

        return mutated

    patch("store.settling:recover", silent)


def main() -> None:
    """Break it, then run its own command line with what is left of the arguments."""
    mutant = MUTANTS[sys.argv.pop(1)]
    mutant.apply()
    deskbell.cli.main()


if __name__ == "__main__":
    main()
