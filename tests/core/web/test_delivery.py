"""The page of one delivery: its message, what was tried, the event, the request for a shell, and a second chance."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from tests.kit import answer, serving

from .conftest import Open, Page

NAUGHTY = (
    Path(__file__).resolve().parents[4] / "shared" / "data" / "corpora" / "naughty-strings" / "blns.json"
)
DEMO = 'webhooks:\n  - {name: desk, url: "demo:discord", action: "*", message: "**%subject%** %content%"}\n'
SECRET = "a-secret-part-of-the-webhooks-address"


@dataclass
class Chat:
    """A service that answers as ``answers`` says (``ok`` when it is empty)."""

    url: str = ""
    answers: list[web.Response] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        await request.read()
        return self.answers.pop(0) if self.answers else answer(200, "ok")

    def webhook(self, transport: str = "slack") -> str:
        at = f'url: "{self.url}/{SECRET}", transport: {transport}'
        return f'webhooks:\n  - {{name: desk, {at}, action: "*", message: "%subject%", rate: none}}\n'


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    chat = Chat()
    async with serving(chat.take) as chat.url:
        yield chat


def has(words: str) -> Callable[[Page], bool]:
    return lambda page: words in page.words


async def test_what_was_sent_is_drawn_and_the_request_and_the_event_stand_below(open_site: Open) -> None:
    site = await open_site(DEMO)
    await site.post_event(subject="Refund", message="Hello @everyone", priority="Haute", customername="Léa")
    page = await site.until("/deliveries/1", has("delivered"))
    assert 'class="discord message"' in page.html
    assert "<strong>Refund</strong> Hello @everyone" in page.html.replace("\u200b", "")
    assert '"allowed_mentions"' in page.words
    assert "high (Haute)" in page.words
    assert "new ticket" in page.words.casefold()
    assert "curl" in page.words


async def test_each_attempt_shows_with_the_services_words_until_it_arrives(
    open_site: Open, chat: Chat
) -> None:
    site = await open_site(chat.webhook())
    chat.answers += [answer(503, "we are busy"), answer(400, "no_text")]
    await site.post_event(subject="x")
    page = await site.until("/deliveries/1", has("no_text"))
    assert "we are busy" in page.words
    assert [tag["class"] for tag in page.all("li") if tag.get("class")] == ["bad", "bad"]
    assert SECRET not in page.html
    again = await site.send("/deliveries/1/replay", {"replays": "0"}, at="/deliveries/1")
    assert again.headers["location"] == "/deliveries/1?said=replayed"
    page = await site.until("/deliveries/1", has("delivered"))
    assert 'li class="good"' in page.html


async def test_a_second_click_is_no_second_wish(open_site: Open, chat: Chat) -> None:
    site = await open_site(chat.webhook())
    await site.post_event(subject="x")
    await site.until("/deliveries/1", has("delivered"))
    first = await site.send("/deliveries/1/replay", {"replays": "0"}, at="/deliveries/1")
    second = await site.send("/deliveries/1/replay", {"replays": "0"}, at="/deliveries/1")
    assert (first.status, second.status) == (303, 409)
    assert "only what has ended can be replayed" in second.page.words


@pytest.mark.parametrize("number", ["0", "2", "-1", "x", "9" * 30, "%00", "1e3", "٣"])
async def test_a_delivery_that_is_not_there_is_not_found(open_site: Open, number: str) -> None:
    site = await open_site(DEMO)
    await site.post_event(subject="x")
    assert (await site.get(f"/deliveries/{number}")).status == 404
    assert (await site.send(f"/deliveries/{number}/replay")).status == 404


def frame(page: Page) -> set[tuple[str, tuple[str, ...]]]:
    """Its elements and the names of their attributes; without the links that a picture makes of addresses."""
    return {(tag, tuple(sorted(names))) for tag, names in page.elements if "rel" not in names and tag != "br"}


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the naughty strings are not beside this checkout")
async def test_a_customers_text_is_inert_on_both_pages(open_site: Open, chat: Chat) -> None:
    """No element and no attribute is there that a harmless ticket's page does not have."""
    naughty = [text for text in json.loads(NAUGHTY.read_text("utf-8")) if text.strip()]
    site = await open_site(chat.webhook("discord"))
    chat.answers += [answer(200, '{"id": "1"}') for _ in naughty] + [answer(200, '{"id": "1"}')]
    await site.post_event(ticketid="0", subject="x", customername="y", message="z")
    harmless = frame(await site.until("/deliveries/1", has("Delivered")))
    listed = frame(await site.page("/"))
    for number, text in enumerate(naughty, 2):
        await site.post_event(ticketid=str(number), subject=text, customername=text, message=text)
    await site.until(f"/deliveries/{len(naughty) + 1}", has("Delivered"))
    for number, text in enumerate(naughty, 2):
        assert frame(await site.page(f"/deliveries/{number}")) <= harmless, text
    page = await site.page("/")
    assert frame(page) <= listed | {("p", ("class",))}
