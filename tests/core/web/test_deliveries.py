"""The front page: what was sent, what is looked for, what holds anything up, and second chances for what is dead."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web
from tests.faults.shelf import Past, Shelf
from tests.kit import NOW, answer, event, serving, webhook

from deskbell import Delivered, DestinationGone, PermanentFailure, TemporaryFailure, Throttled, outlook
from deskbell.plugins import Plugins
from deskbell.store import open_store
from deskbell.store.searching import SLICE
from deskbell.web import deliveries

from .conftest import HEAD, Open, Page, Site, rows_of

DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%", rate: none}\n'
REFUSED = PermanentFailure("400 no_text")
LATER = 600.0


@dataclass
class Chat:
    """A service that answers as ``answers`` says (``ok`` when it is empty), and keeps what it got."""

    url: str = ""
    answers: list[web.Response] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.texts.append((await request.json())["text"])
        return self.answers.pop(0) if self.answers else answer(200, "ok")

    @property
    def webhook(self) -> str:
        """A config of one webhook that posts here."""
        at = f'url: "{self.url}/desk", transport: slack'
        return f'webhooks:\n  - {{name: desk, {at}, action: "*", message: "%subject%", rate: none}}\n'


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    chat = Chat()
    async with serving(chat.take) as chat.url:
        yield chat


async def shelf_of(folder: Path, webhooks: str, *pasts: Past) -> None:
    """What an earlier run left in the store."""
    (folder / "config.yaml").write_text(HEAD + webhooks, "utf-8")
    await Shelf(folder).fill(*pasts)


def table(page: Page) -> list[str]:
    """The deliveries on it, by their numbers."""
    links = [link["href"] for link in page.all("a")]
    return [
        link.removeprefix("/deliveries/")
        for link in links
        if link.startswith("/deliveries/") and "replay" not in link
    ]


def tags(page: Page) -> list[str]:
    """The states and marks on it."""
    return re.findall(r'<span class="tag[^"]*">([^<]*)</span>', page.html)


async def test_an_empty_front_page_says_what_to_do_next(open_site: Open) -> None:
    page = await (await open_site(DEMO)).page("/")
    assert page.all("a", href="/sources")
    assert "deskbell send desk" in page.words
    assert (table(page), page.all("table")) == ([], [])


async def test_a_row_says_what_became_of_an_event_in_the_readers_language(open_site: Open) -> None:
    site = await open_site(DEMO)
    await site.post_event(ticketid="77", subject="x")
    page = await site.until("/", lambda page: "delivered" in tags(page))
    assert (table(page), rows_of(page)) == (["1"], 1)
    assert all(words in page.words for words in ("77", "New ticket", "desk", "200 ok", " ms"))
    french = (await site.get("/", Accept_Language="fr")).page
    assert all(words in french.words for words in ("Nouveau ticket", "Essais"))
    assert tags(french) == ["livré"]
    assert page.all("div", id="deliveries", **{"data-live": ""})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "54321"),
        ("webhook=&action=&state=&ticket=&text=", "54321"),
        ("webhook=shop", "4"),
        ("webhook=nobody", ""),
        ("action=submit", "54321"),
        ("action=Reply", ""),
        ("action=none-such", ""),
        ("state=dead", "32"),
        ("state=delivered&webhook=desk", "51"),
        ("ticket=8", "43"),
        ("text=refund", "31"),
        ("text=%25", "5"),
        ("text=refund&state=dead&ticket=8&webhook=desk&action=Submit", "3"),
        ("before=3", "21"),
    ],
)
async def test_each_part_of_the_filter_leaves_out_what_is_not_like_it(
    open_site: Open, tmp_path: Path, query: str, found: str
) -> None:
    other = DEMO + DEMO.replace("webhooks:\n", "").replace("desk", "shop")
    await shelf_of(
        tmp_path, other,
        Past(Delivered(), subject="A refund"), Past(REFUSED, subject="other"),
        Past(REFUSED, subject="my REFUND", ticket="8"), Past(Delivered(), "shop", ticket="8"),
        Past(Delivered(), subject="50% off", ticket="9"),
    )  # fmt: skip
    page = await (await open_site(other)).page(f"/?{query}")
    assert "".join(table(page)) == found
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in ("ticket", "text") and value and value != "%25":
            assert page.all("input", name=name, value=value)
        if name in ("webhook", "action", "state") and value:
            assert [each["value"].lower() for each in page.all("option", selected="")].count(
                value.lower()
            ) == 1


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("state=lost", "no such state"),
        ("state=DEAD", "no such state"),
        ("before=x", "number of the page"),
        ("before=-1", "number of the page"),
        ("before=0", "number of the page"),
        (f"before={'9' * 5000}", "number of the page"),
        ("before=%D9%A3", "number of the page"),
    ],
)
async def test_what_cannot_be_meant_is_left_out_and_said(open_site: Open, query: str, note: str) -> None:
    site = await open_site(DEMO)
    await site.post_event(subject="x")
    page = await site.page(f"/?{query}")
    assert (table(page), note in page.words) == (["1"], True)


@pytest.mark.parametrize("field", ["webhook", "action", "state", "ticket", "text", "before", "said"])
@pytest.mark.parametrize(
    "value",
    [
        "%00",
        "%ff%fe",
        "%ED%A0%80",
        "'%22;--",
        "x" * 7000,
        "%F0%9F%94%A5",
        "%25%5C_",
        "[]",
        "%0d%0aSet-Cookie:x=1",
    ],
)
async def test_any_query_is_answered(open_site: Open, field: str, value: str) -> None:
    site = await open_site(DEMO)
    for path in ("/", "/deliveries/replay"):
        assert (await site.get(f"{path}?{field}={value}&{field}=2")).status == 200


async def test_pages_lead_to_older_ones_and_back(
    open_site: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "ON_A_PAGE", 2)
    await shelf_of(tmp_path, DEMO, *(Past(Delivered(), subject="é&=") for _ in range(5)))
    site = await open_site(DEMO)
    seen, path = list[list[str]](), f"/?text={quote('é&=')}"
    while path:
        page = await site.page(path)
        seen.append(table(page))
        path = next((link["href"] for link in page.all("a", rel="next")), "")
    assert seen == [["5", "4"], ["3", "2"], ["1"]]
    assert page.all("a", href=f"/?text={quote('é&=')}", class_="button")


async def test_a_search_that_finds_nothing_ends_says_how_far_it_looked_and_goes_on(
    open_site: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no patience at all, each page looks through one slice; what is sought lies behind two of them."""
    monkeypatch.setattr(deliveries, "PATIENCE", 0.0)
    count = 2 * SLICE + 1
    store = open_store(tmp_path / "deskbell.db")
    for number in range(count):
        told = {"subject": "a needle" if number == 0 else "hay"}
        sent = event(str(number), variables=told, received_at=NOW + timedelta(hours=number))
        await store.add(sent, b"{}", webhooks=[webhook("gone")])
    await store.close()
    site = await open_site(DEMO)
    path, pages = "/?text=needle", list[Page]()
    while not table(page := await site.page(path)):
        pages.append(page)
        (path,) = [link["href"] for link in page.all("a") if "before=" in link["href"]]
    assert table(page) == ["1"]
    assert len(pages) == math.ceil(count / SLICE) - 1
    since = [f"{NOW + timedelta(hours=count - (nth + 1) * SLICE):%Y-%m-%d %H:%M:%S}" for nth in range(2)]
    assert [f"Looked back to {at}" in page.words for at, page in zip(since, pages, strict=True)] == [
        True,
        True,
    ]
    assert not any("No delivery is like this" in page.words for page in pages)
    assert "No delivery is like this" in (await site.page("/?text=needles&before=100")).words


async def test_what_its_readers_should_know_is_marked(open_site: Open, tmp_path: Path) -> None:
    lost = TemporaryFailure("no answer", maybe_received=True)
    await shelf_of(
        tmp_path, DEMO, Past(REFUSED), Past(Delivered()), Past(REFUSED, ticket="2"), Past(lost, ticket="3")
    )
    site = await open_site(DEMO)
    page = await site.page("/")
    assert tags(page) == [
        "waiting",
        "maybe a duplicate",
        "dead",
        "delivered",
        "an earlier one of this ticket is dead",
        "dead",
    ]
    await site.send("/deliveries/3/replay", {"replays": "0"}, at="/")
    page = await site.until("/?ticket=2", lambda page: "delivered" in tags(page))
    assert tags(page) == ["delivered", "replayed: 1"]


async def test_a_paused_webhook_is_told_loudly_and_resumed_with_a_button(open_site: Open, chat: Chat) -> None:
    site = await open_site(chat.webhook)
    chat.answers.append(answer(404, "no_service"))
    await site.post_event(subject="first")
    page = await site.until("/?webhook=desk", lambda page: "paused: 404 no_service" in page.words)
    assert "The webhook desk is PAUSED" in page.words
    (form,) = page.all("form", action="/webhooks/desk/resume")
    assert form["method"] == "post"
    back = page.all("input", name="back")[0]["value"]
    resumed = await site.send("/webhooks/desk/resume", {"back": back}, at="/")
    assert (resumed.status, resumed.headers["location"]) == (303, "/?webhook=desk&said=resumed")
    page = await site.until(resumed.headers["location"], lambda page: "delivered" in tags(page))
    assert ("PAUSED" in page.words, "The webhook goes on." in page.words) == (False, True)
    assert chat.texts == ["first", "first"]
    again = await site.send("/webhooks/desk/resume", {"back": "//evil.example"}, at="/")
    assert again.headers["location"] == "/?said=not_paused"


async def test_a_wait_can_be_ended_and_says_until_when_it_lasts(open_site: Open, chat: Chat) -> None:
    site = await open_site(chat.webhook)
    chat.answers.append(answer(503, "busy", Retry_After="600"))
    await site.post_event(subject="first")
    page = await site.until("/", lambda page: "Next try" in page.words)
    assert "The webhook desk waits until" in page.words
    assert "503 busy" in page.words
    await site.send("/webhooks/desk/resume", at="/")
    await site.until("/", lambda page: "delivered" in tags(page))


@pytest.mark.parametrize("name", ["nobody", "off", "%2e%2e", "a%2fb"])
async def test_only_a_webhook_in_use_is_resumed(open_site: Open, name: str) -> None:
    site = await open_site(
        DEMO + DEMO.replace("webhooks:\n", "").replace("name: desk", "name: off, enabled: false")
    )
    assert (await site.send(f"/webhooks/{name}/resume", at="/")).status == 404


async def test_a_service_that_asks_all_to_wait_is_told_without_a_button(
    open_site: Open, plugins: Plugins, tmp_path: Path
) -> None:
    url = plugins.transports["slack"].example_url
    slack = f'webhooks:\n  - {{name: desk, url: "{url}", action: "*", message: "%subject%"}}\n'
    throttled = Throttled(LATER, scope="service", detail="429 slow down")
    await shelf_of(tmp_path, slack, Past(throttled, service=True))
    page = await (await open_site(slack)).page("/")
    assert "The service slack waits until" in page.words
    assert "429 slow down" in page.words
    assert not page.all("form", action="/webhooks/desk/resume")
    assert url.rpartition("/")[2] not in page.html


async def test_what_is_held_for_a_webhook_that_is_gone_is_shown(open_site: Open, tmp_path: Path) -> None:
    await shelf_of(tmp_path, DEMO, Past(), Past())
    site = await open_site(DEMO.replace("name: desk", "name: other"))
    page = await site.until("/", lambda page: "disabled or not in the config: 2" in page.words)
    assert page.all("a", href="/?webhook=desk&state=held")
    assert table(await site.page("/?webhook=desk&state=held")) == ["2", "1"]


async def test_trouble_with_the_config_is_told(open_site: Open) -> None:
    site = await open_site(DEMO)
    (site.folder / "config.yaml").write_text("version: 2\n", "utf-8")
    await site.door.reload()
    assert "The new config was not loaded" in (await site.page("/")).words


async def dead_site(open_site: Open, chat: Chat, folder: Path, *pasts: Past) -> Site:
    await shelf_of(folder, chat.webhook, *pasts)
    return await open_site(chat.webhook)


async def test_all_dead_go_again_in_order_after_a_look_at_how_many(
    open_site: Open, chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one helping."""
    monkeypatch.setattr(outlook, "HELPING", 2)
    subjects = [f"s{number}" for number in range(5)]
    pasts = [Past(REFUSED, subject=each, ticket=each) for each in subjects]
    site = await dead_site(open_site, chat, tmp_path, Past(Delivered()), *pasts)
    page = await site.page("/")
    assert page.all("a", href="/deliveries/replay")
    asked = await site.page("/deliveries/replay")
    assert "dead5" in asked.words
    assert "Replay: 5" in asked.words
    assert chat.texts == [], "to ask changes nothing"
    gone = await site.send("/deliveries/replay", at="/deliveries/replay")
    assert (gone.status, gone.headers["location"]) == (303, "/?said=replayed_all")
    await site.until("/?state=delivered", lambda page: len(table(page)) == 6)
    assert chat.texts == subjects
    assert (await site.send("/deliveries/replay", at="/")).headers["location"] == "/?said=replayed_none"


async def test_only_the_dead_that_the_filter_asks_for_go_again(
    open_site: Open, chat: Chat, tmp_path: Path
) -> None:
    one, other = Past(REFUSED, subject="one", ticket="1"), Past(REFUSED, subject="two", ticket="2")
    site = await dead_site(open_site, chat, tmp_path, one, other)
    page = await site.page("/?ticket=2&state=dead&before=3")
    (link,) = [link["href"] for link in page.all("a") if "/replay" in link["href"]]
    asked = await site.page(link)
    assert "dead1" in asked.words
    fields = {each["name"]: each["value"] for each in asked.all("input", type="hidden")}
    del fields["form_token"], fields["back"]
    assert fields == {"ticket": "2", "state": "dead"}
    await site.send("/deliveries/replay", fields, at=link)
    await site.until("/?ticket=2", lambda page: "delivered" in tags(page))
    assert chat.texts == ["two"]
    assert tags(await site.page("/?ticket=1")) == ["dead"]


@pytest.mark.parametrize("query", ["state=delivered", "state=dead&webhook=nobody"])
async def test_nothing_is_offered_where_nothing_can_be_dead(
    open_site: Open, tmp_path: Path, query: str
) -> None:
    await shelf_of(tmp_path, DEMO, Past(REFUSED))
    site = await open_site(DEMO)
    page = await site.page(f"/?{query}")
    assert not [link for link in page.all("a") if "/replay" in link["href"]]
    assert "there is nothing to replay" in (await site.page("/deliveries/replay?webhook=x")).words


async def test_what_waits_is_said_before_it_is_replayed(open_site: Open, tmp_path: Path) -> None:
    gone = Past(DestinationGone("404 gone"), ticket="2")
    await shelf_of(tmp_path, DEMO, Past(REFUSED), gone)
    page = await (await open_site(DEMO)).page("/deliveries/replay?webhook=desk")
    assert "The webhook desk is held up" in page.words


async def test_two_readers_at_once_replay_each_only_once(open_site: Open, chat: Chat, tmp_path: Path) -> None:
    site = await dead_site(
        open_site, chat, tmp_path, *(Past(REFUSED, ticket=str(each)) for each in range(20))
    )
    await asyncio.gather(*(site.send("/deliveries/replay", at="/") for _ in range(3)))
    await site.until("/?state=delivered", lambda page: len(table(page)) == 20)
    assert len(chat.texts) == 20
