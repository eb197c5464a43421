"""The stream that tells pages of changes."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from deskbell.web import live

from .conftest import Open, Site

DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'


async def listen(site: Site) -> aiohttp.ClientResponse:
    """A stream that has said hello."""
    response = await site.session.get(f"{site.door.address}/live")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream")
    assert await response.content.readuntil(b"\n\n") == b": hello\n\n"
    return response


async def test_an_event_and_its_delivery_are_told_once_each_at_most(open_site: Open) -> None:
    site = await open_site(DEMO)
    async with asyncio.timeout(10), await listen(site) as response:
        for _ in range(20):
            await site.post_event(subject="x")
        assert await response.content.readuntil(b"\n\n") == b"data: changed\n\n"


async def test_what_is_silent_gives_a_sign_of_life(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SIGN_OF_LIFE", 0.01)
    site = await open_site(DEMO)
    async with asyncio.timeout(10), await listen(site) as response:
        assert await response.content.readuntil(b"\n\n") == b": still here\n\n"


async def test_only_so_many_pages_are_served_and_a_closed_one_makes_room(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_LISTENERS", 1)
    site = await open_site(DEMO)
    async with await listen(site):
        refused = await site.get("/live")
        assert (refused.status, refused.headers["retry-after"]) == (503, "30")
    async with asyncio.timeout(10):
        while True:  # who left is found to be gone when he is told something
            await site.post_event(subject="x")
            async with site.session.get(f"{site.door.address}/live") as response:
                if response.status == 200:
                    return


async def test_a_stop_lets_every_listener_go() -> None:
    hub = live.Live()
    changes = hub._changes()  # the stream without the socket
    assert await anext(changes) == b": hello\n\n"
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    hub.close()
    assert await waiting == b"data: changed\n\n"
    with pytest.raises(StopAsyncIteration):
        await anext(changes)


async def test_what_changes_while_a_page_was_just_told_is_told_as_well() -> None:
    """An event that is accepted is told; its delivery, a moment later, is a further change."""
    hub = live.Live()
    changes = hub._changes()
    assert await anext(changes) == b": hello\n\n"
    hub.ring()
    assert await anext(changes) == b"data: changed\n\n"
    again = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)  # it pauses now
    hub.ring()
    assert await asyncio.wait_for(again, 10) == b"data: changed\n\n"
