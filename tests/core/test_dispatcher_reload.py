"""New webhooks beside the traffic: what is in flight ends, nothing is lost, doubled or sent where it does not belong."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.core.test_dispatcher import World, world
from tests.kit import answer, within

from deskbell.delivery import State

__all__ = ["world"]  # the fixture


def states(world: World) -> dict[str, list[str]]:
    """Of each webhook's deliveries, the oldest first."""
    found = dict[str, list[str]]()
    for delivery in world.rows():
        found.setdefault(delivery.webhook, []).append(delivery.state)
    return found


async def test_a_new_webhook_gets_what_comes_from_now_on(world: World) -> None:
    old, new = world.webhook("old"), world.webhook("new")
    async with world.running(old) as run:
        await run.post("a", old)
        await run.outcomes(1)
        await run.dispatcher.reload([old, new])
        await run.post("b", old, new)
        assert await run.outcomes(2) == {"old Delivered": 1, "new Delivered": 1}
    assert world.chat.texts("/new") == ["b"]


async def test_what_is_in_flight_to_a_removed_webhook_ends_and_the_rest_is_held(world: World) -> None:
    gone, stays = world.webhook("gone"), world.webhook("stays")
    async with world.running(gone, stays) as run:
        gate = world.chat.close("/gone")
        for text in "abc":
            await run.post(text, gone, ticket=text)
        await within(world.chat.arrived.get())
        reloading = asyncio.create_task(run.dispatcher.reload([stays]))
        await run.post("d", stays)
        assert await run.outcomes(1) == {"stays Delivered": 1}, "nobody else waits for that"
        gate.set()
        assert await run.outcomes(1) == {"gone Delivered": 1}
        await within(reloading)
    assert states(world) == {"gone": ["delivered", "held", "held"], "stays": ["delivered"]}
    assert world.chat.texts("/gone") == ["a"]


async def test_what_failed_in_flight_to_a_removed_webhook_is_held_too(world: World) -> None:
    gone = world.webhook("gone")
    async with world.running(gone) as run:
        gate = world.chat.close("/gone")
        world.chat.answers["/gone"].append(answer(503))
        await run.post("a", gone)
        await within(world.chat.arrived.get())
        reloading = asyncio.create_task(run.dispatcher.reload([]))
        await asyncio.sleep(0)
        gate.set()
        assert await run.outcomes(1) == {"gone TemporaryFailure": 1}
        await within(reloading)
    assert states(world) == {"gone": ["held"]}


async def test_a_webhook_that_is_back_gets_what_was_held(world: World) -> None:
    hook = world.webhook("hook")
    async with world.running(hook) as run:
        await run.dispatcher.reload([])
        await run.post("a", hook)  # routed before the reload, stored after it
        await run.dispatcher.reload([])
        assert states(world) == {"hook": ["held"]}
        await run.dispatcher.reload([hook])
        assert await run.outcomes(1) == {"hook Delivered": 1}


async def test_a_new_url_gets_what_waited_for_the_deleted_one(world: World) -> None:
    deleted = world.webhook("hook", "/deleted")
    async with world.running(deleted) as run:
        world.chat.answers["/deleted"].append(answer(410))
        await run.post("a", deleted)
        await run.post("b", deleted)
        assert await run.outcomes(1) == {"hook DestinationGone": 1}
        assert run.dispatcher.paused()
        fresh = world.webhook("hook", "/fresh")
        await run.dispatcher.reload([fresh])
        assert await run.outcomes(2) == {"hook Delivered": 2}
        assert run.dispatcher.paused() == {}
    assert world.chat.texts("/fresh") == ["a", "b"]


async def test_a_destination_that_stays_keeps_its_pause(world: World) -> None:
    hook, other = world.webhook("hook"), world.webhook("other")
    async with world.running(hook) as run:
        world.chat.answers["/hook"].append(answer(410))
        await run.post("a", hook)
        await run.outcomes(1)
        await run.dispatcher.reload([replace(hook, actions=frozenset({"reply"})), other])
        assert list(run.dispatcher.paused()) == ["hook"]
        await run.dispatcher.resume("hook")
        assert await run.outcomes(1) == {"hook Delivered": 1}


async def test_a_ticket_keeps_its_order_when_its_webhook_moves(world: World) -> None:
    before, after = world.webhook("hook", "/before"), world.webhook("hook", "/after")
    async with world.running(before) as run:
        gate = world.chat.close("/before")
        await run.post("a", before)
        await within(world.chat.arrived.get())
        reloading = asyncio.create_task(run.dispatcher.reload([after]))
        await run.post("b", after)
        gate.set()
        assert await run.outcomes(2) == {"hook Delivered": 2}
        await within(reloading)
    assert world.chat.accepted == [("/before", "a"), ("/after", "b")]


async def test_one_of_two_webhooks_of_a_lane_moves(world: World) -> None:
    stays, moves = world.webhook("stays", "/x"), world.webhook("moves", "/x")
    async with world.running(stays, moves) as run:
        gate = world.chat.close("/x")
        await run.post("a", moves)
        await within(world.chat.arrived.get())
        reloading = asyncio.create_task(run.dispatcher.reload([stays, world.webhook("moves", "/y")]))
        await run.post("b", moves, stays)
        gate.set()
        assert await run.outcomes(3) == {"moves Delivered": 2, "stays Delivered": 1}
        await within(reloading)
    assert sorted(world.chat.accepted) == [("/x", "a"), ("/x", "b"), ("/y", "b")]


async def test_new_settings_of_a_lane_count_from_the_next_attempt_on(world: World) -> None:
    hook = world.webhook("hook")
    strict = replace(hook, retry=replace(hook.retry, setbacks_to_die=1))
    async with world.running(hook) as run:
        await run.post("a", hook)
        await run.outcomes(1)
        await run.dispatcher.reload([strict])
        world.chat.answers["/hook"].append(answer(503))
        await run.post("b", strict)
        assert await run.outcomes(1) == {"hook TemporaryFailure": 1}
    assert [delivery.state for delivery in world.rows()] == [State.DELIVERED, State.DEAD]


@pytest.mark.parametrize("rounds", [12])
async def test_many_reloads_under_load_lose_and_double_nothing(world: World, rounds: int) -> None:
    """The webhook moves, leaves and comes back, while events for it are stored and sent."""
    here, there = world.webhook("hook", "/here"), world.webhook("hook", "/there")
    async with world.running(here) as run:
        for number in range(rounds):
            await run.post(f"{number}a", here, ticket=str(number % 3))
            await run.dispatcher.reload([[there], [], [here]][number % 3])
            await run.post(f"{number}b", here, ticket=str(number % 3))
        await run.dispatcher.reload([here])
        assert await run.outcomes(2 * rounds) == {"hook Delivered": 2 * rounds}
    texts = [text for _, text in world.chat.accepted]
    assert sorted(texts) == sorted(f"{number}{letter}" for number in range(rounds) for letter in "ab")
    for ticket in range(3):
        mine = [text for text in texts if int(text[:-1]) % 3 == ticket]
        assert mine == sorted(mine, key=lambda text: (int(text[:-1]), text[-1]))
