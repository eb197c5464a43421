"""What ``send`` says of an event that it sent through the real queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.kit import PATIENCE, answer, engine, loopback_client, now, serving, webhook

import deskbell
from deskbell.delivery import RetryPolicy
from deskbell.dispatcher import Dispatcher
from deskbell.intake import Intake
from deskbell.samples import sample_for
from deskbell.settings import Webhook, When
from deskbell.source import NativeSource
from deskbell.store import open_store
from deskbell.template import Template
from deskbell.trial import Trial, try_webhook

SHORT = 0.1
WAIT = 600.0


@dataclass
class Chat:
    """The service. ``answer`` gets the number of the message."""

    posted: list[str] = field(default_factory=list)
    answer: Callable[[int], Awaitable[web.Response]] = field(default=lambda _: reply(200))

    async def handle(self, request: web.Request) -> web.Response:
        self.posted.append((await request.json())["text"])
        return await self.answer(len(self.posted))


@dataclass
class Desk:
    """A running core with one webhook, and the service behind it."""

    intake: Intake
    dispatcher: Dispatcher
    webhook: Webhook
    chat: Chat

    async def send(self, patience: float = PATIENCE) -> Trial:
        sample = sample_for(self.webhook, [NativeSource()])
        return await try_webhook(self.intake, self.dispatcher, self.webhook, sample, patience=patience)


async def reply(status: int, text: str = "", **headers: str) -> web.Response:
    return answer(status, text, **headers)


def always(status: int, text: str = "", **headers: str) -> Callable[[int], Awaitable[web.Response]]:
    return lambda _: reply(status, text, **headers)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    chat, store = Chat(), open_store(tmp_path / "deskbell.db")
    async with serving(chat.handle) as url, loopback_client() as client:
        hook = webhook(
            "tickets", f"{url}/hook", actions=frozenset({"close"}), when=When(priorities=frozenset({"low"})),
            template=Template.parse("%action%", deskbell.VARIABLES),
            retry=RetryPolicy(ladder=(0.01, WAIT), jitter=0.0),
        )  # fmt: skip
        dispatcher = Dispatcher([hook], engine(store, client), locate=lambda webhook: webhook.url)
        await dispatcher.start()
        intake = Intake(
            store, webhooks=[hook], priorities={}, wake=dispatcher.wake, accepted=lambda *_: None, clock=now
        )
        yield Desk(intake, dispatcher, hook, chat)
        await dispatcher.stop(0.0)
    await store.close()


def outcomes(trial: Trial) -> list[str]:
    return [attempt["outcome"] for attempt in trial.attempts]


def seconds_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - now()).total_seconds()


async def test_a_delivered_sample_says_what_the_service_said(desk: Desk) -> None:
    desk.chat.answer = always(200, "message-7")
    trial = await desk.send()

    assert (trial.state, trial.reason, trial.receipt, trial.next_at) == ("delivered", "", "message-7", "")
    assert outcomes(trial) == ["Delivered"]
    assert trial.attempts[0]["detail"] == "200 message-7"
    assert 0 <= trial.attempts[0]["seconds"] < PATIENCE
    assert desk.chat.posted == ["Close"], "sent without asking whether the webhook would take such an event"
    assert json.loads(json.dumps(asdict(trial)))["event_id"] == trial.event_id != ""


async def test_a_sample_that_needs_a_second_try_shows_both(desk: Desk) -> None:
    desk.chat.answer = lambda nth: reply(500 if nth == 1 else 200)
    trial = await desk.send()
    assert (trial.state, outcomes(trial)) == ("delivered", ["TemporaryFailure", "Delivered"])


async def test_a_refused_message_is_dead_for_the_services_reason(desk: Desk) -> None:
    desk.chat.answer = always(400, "Cannot send an empty message")
    trial = await desk.send()
    assert (trial.state, trial.reason) == ("dead", "400 Cannot send an empty message")
    assert outcomes(trial) == ["PermanentFailure"]


async def test_a_webhook_that_is_gone_pauses_and_a_paused_one_is_not_asked(desk: Desk) -> None:
    desk.chat.answer = always(410, "Unknown Webhook")
    async with asyncio.timeout(PATIENCE):  # nobody waits for what will not come
        first, second = await desk.send(), await desk.send()
    for trial in (first, second):
        assert (trial.state, trial.reason) == ("ready", "paused: 410 Unknown Webhook")
        assert trial.next_at == ""
    assert (outcomes(first), outcomes(second)) == (["DestinationGone"], [])
    assert len(desk.chat.posted) == 1


@pytest.mark.parametrize(
    ("status", "reason", "tried"),
    [(429, "throttled: 429 slow down", ["Throttled"]), (503, "503 slow down", ["TemporaryFailure"])],
)
async def test_a_sample_that_must_wait_says_until_when(
    desk: Desk, status: int, reason: str, tried: list[str]
) -> None:
    desk.chat.answer = always(status, "slow down", Retry_After=str(WAIT))
    trial = await desk.send(patience=SHORT)
    assert (trial.state, trial.reason, outcomes(trial)) == ("ready", reason, tried)
    assert WAIT - PATIENCE < seconds_until(trial.next_at) <= WAIT


async def test_a_sample_behind_others_that_wait_says_what_they_wait_for(desk: Desk) -> None:
    desk.chat.answer = always(500)
    await desk.send(patience=SHORT)
    trial = await desk.send(patience=SHORT)
    assert (trial.state, trial.reason, trial.attempts) == ("ready", "500", [])
    assert timedelta(seconds=seconds_until(trial.next_at)) > timedelta(0)


async def test_patience_ends_when_the_service_does_not_answer(desk: Desk) -> None:
    answered = asyncio.Event()

    async def hang(_: int) -> web.Response:
        await answered.wait()
        return web.Response()

    desk.chat.answer = hang
    trial = await desk.send(patience=SHORT)
    assert (trial.state, trial.reason, trial.next_at, trial.attempts) == ("ready", "", "", [])
    answered.set()


async def test_two_trials_at_once_tell_their_attempts_apart(desk: Desk) -> None:
    desk.chat.answer = lambda nth: reply(200, f"message-{nth}")
    trials = await asyncio.gather(desk.send(), desk.send(), desk.send())
    assert [outcomes(trial) for trial in trials] == [["Delivered"]] * 3
    assert {trial.receipt for trial in trials} == {"message-1", "message-2", "message-3"}
    watchers: set[Any] = desk.dispatcher._watchers
    assert watchers == set(), "nobody listens any more"
