"""Send one event to one webhook through the real queue, and watch what becomes of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from .delivery import Attempt, Delivery, State
from .dispatcher import Dispatcher
from .intake import Intake
from .samples import Sample
from .settings import Webhook

PATIENCE = 20.0
"""Seconds that ``send`` watches before it says that the delivery still waits."""


@dataclass(slots=True)
class Trial:
    """What happened to one delivery: plain data, so that it can cross the control socket."""

    event_id: str
    state: str = State.READY
    reason: str = ""
    receipt: str = ""
    next_at: str = ""
    attempts: list[dict[str, Any]] = field(default_factory=list)


async def try_webhook(
    intake: Intake, dispatcher: Dispatcher, webhook: Webhook, sample: Sample, *, patience: float = PATIENCE
) -> Trial:
    """Store the sample for ``webhook`` alone, and wait until it ended, or until ``patience`` does."""
    seen: asyncio.Queue[tuple[Delivery, Attempt]] = asyncio.Queue()
    forget = dispatcher.watch(lambda delivery, attempt: seen.put_nowait((delivery, attempt)))
    try:
        added = await intake.accept(sample.event, sample.raw, source=sample.source, only=[webhook])
        trial = Trial(added.id)
        await _follow(trial, seen, dispatcher, webhook, patience)
        return trial
    finally:
        forget()


async def _follow(
    trial: Trial,
    seen: asyncio.Queue[tuple[Delivery, Attempt]],
    dispatcher: Dispatcher,
    webhook: Webhook,
    patience: float,
) -> None:
    try:
        async with asyncio.timeout(patience):
            while trial.state == State.READY and not dispatcher.health(webhook.name).paused:
                delivery, attempt = await seen.get()
                if attempt.event_id == trial.event_id:
                    _note(trial, delivery, attempt)
    except TimeoutError:
        pass
    if trial.state == State.READY:
        health = dispatcher.health(webhook.name)
        trial.reason = f"paused: {health.reason}" if health.paused else trial.reason or health.reason
        trial.next_at = health.until.isoformat() if health.until and health.reason else ""


def _note(trial: Trial, delivery: Delivery, attempt: Attempt) -> None:
    trial.state = delivery.state
    trial.reason = delivery.reason
    trial.receipt = delivery.receipt
    trial.attempts.append(
        {
            "outcome": type(attempt.outcome).__name__,
            "detail": attempt.outcome.detail,
            "seconds": round(attempt.seconds, 3),
        }
    )
