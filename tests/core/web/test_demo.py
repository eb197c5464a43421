"""``/demo/``: events are played by its form, messages show how they came out, and troubles are seen and survived."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deskbell.languages import LANGUAGES, catalogue
from deskbell.starter.play import KINDS
from deskbell.web.channels import MOST_MESSAGES

from .conftest import Open, Page, Site

CHANNELS = (
    "webhooks:\n"
    '  - {name: desk, url: "demo:discord", action: "*", retry: 60s, message: "**%subject%** %content% %url%"}\n'
    '  - {name: shop, url: "demo:slack", action: [Submit], retry: 60s, message: "%subject%"}\n'
)


def event(**values: str) -> dict[str, str]:
    return {"action": "Submit", "subject": "Hello", "content": "World", "ticket": "7", **values}


def channel(page: Page, name: str) -> str:
    """The part of the page that shows it."""
    parts = page.html.split('<section class="channel" id="')
    return next(part for part in parts if part.startswith(f'{name}"'))


def arrived(page: Page, name: str) -> int:
    return channel(page, name).count("<article ")


def both_settled(page: Page) -> bool:
    """Each channel has a message of ours, and knows how it came out: an answer is saved after the message arrived."""
    return page.text.count(" characters") == 2


async def switch(site: Site, name: str, trouble: str) -> None:
    answer = await site.send("/demo/troubles", {"channel": name, "trouble": trouble}, at="/demo/")
    assert (answer.status, answer.headers["location"]) == (303, f"/demo/#{name}")


async def play(site: Site, **values: str) -> str:
    answer = await site.send("/demo/events", event(**values), at="/demo/")
    assert answer.status == 303
    return answer.headers["location"]


async def test_the_form_has_every_variable_and_what_it_sends_arrives_in_each_channel(open_site: Open) -> None:
    site = await open_site(CHANNELS)
    page = await site.page("/demo/")
    fields = {each["name"]: each.get("value", "") for each in page.all("input") if "name" in each}
    assert {
        "subject",
        "username",
        "userid",
        "email",
        "departmentName",
        "priority",
        "created_at",
    } <= fields.keys()
    assert {"url", "ticket", "related", "relatedUrl", "relatedId"} <= fields.keys()
    assert page.all("textarea", name="content")
    assert [each["value"] for each in page.all("option")] == ["Submit", "Reply", "StaffReply", "Close"]

    assert await play(site, **{**fields, "subject": "From the form"}) == "/demo/?sample=usual&said=played"
    page = await site.until("/demo/", both_settled)
    assert "The event" in (await site.page("/demo/?said=played")).words
    assert page.html.count("From the form") >= 4  # each picture, and each request
    for number in ("1", "2"):
        detail = await site.page(f"/deliveries/{number}")
        assert "clientxcms" in detail.words, "it came from the source that is configured"
        assert "delivered" in detail.words


async def test_a_message_tells_its_length_and_what_was_cut_and_defused(open_site: Open) -> None:
    site = await open_site(CHANNELS)
    await play(site, subject="@everyone **now**", content="x" * 3000, url="https://desk.example/1")
    page = await site.until("/demo/", both_settled)
    discord, slack = channel(page, "discord"), channel(page, "slack")
    assert "2000 of 2000 characters" in discord
    assert "%content% is cut to fit the limit." in discord
    assert "%subject% holds marks" in discord
    assert "<code><bdi>@everyone</bdi></code>" in discord
    assert "<code><bdi>**now**</bdi></code>" in discord
    assert "of 4000 characters" in slack
    assert "cut to fit" not in slack


async def test_a_message_of_another_template_does_not_tell_the_length_of_todays(open_site: Open) -> None:
    site = await open_site(CHANNELS)
    await play(site)
    await site.until("/demo/", both_settled)
    path = site.folder / "config.yaml"
    path.write_text(
        path.read_text("utf-8").replace('message: "%subject%"', 'message: "New: %subject%"'), "utf-8"
    )
    assert (await site.door.reload()).ok
    page = await site.page("/demo/")
    assert "of 2000 characters" in page.html
    assert "of 4000 characters" not in page.html


@pytest.mark.parametrize(
    ("trouble", "answer"),
    [("down", "503 Service Unavailable"), ("rate_limited", "rate limited"), ("deleted", "Unknown Webhook")],
)
async def test_a_message_waits_as_long_as_the_service_is_in_trouble(
    open_site: Open, trouble: str, answer: str
) -> None:
    """And the other channel does not wait for it."""
    site = await open_site(CHANNELS)
    await switch(site, "discord", trouble)
    page = await site.page("/demo/")
    pressed = page.all("button", **{"aria-pressed": "true"})
    assert [each["id"] for each in pressed] == [f"discord-{trouble}"]
    await play(site)
    page = await site.until("/demo/", lambda page: answer in page.text and page.all("ul", class_="waiting"))
    assert arrived(page, "discord") == 0
    assert page.all("button", id="resume-desk")

    await switch(site, "discord", "")
    assert (await site.send("/webhooks/desk/resume", {"back": "/demo/"}, at="/demo/")).status == 303
    await site.until("/demo/", lambda page: arrived(page, "discord") == arrived(page, "slack") == 1)
    await site.until("/demo/", lambda page: not page.all("ul", class_="waiting"))


async def test_an_event_that_no_channel_takes_is_told(open_site: Open) -> None:
    site = await open_site(CHANNELS.replace('action: "*"', "action: Reply"))
    location = await play(site, action="Close")
    assert location == "/demo/?sample=usual&said=played_none"
    assert "no webhook of these channels takes it" in (await site.page(location)).words
    assert "Nothing was sent yet" in (await site.page("/")).words


async def test_what_is_played_never_reaches_a_real_webhook_nor_a_tickets_memory(open_site: Open) -> None:
    real = '  - {name: real, url: "http://127.0.0.1:9/hook", transport: webhook, action: "*", message: "%priority%"}\n'
    site = await open_site(CHANNELS + real)
    await play(site, ticket="7", priority="Low")
    await site.until("/demo/", lambda page: arrived(page, "discord") == 1)
    assert "No delivery is like this." in (await site.page("/?webhook=real")).words
    await site.post_event(action="helpdesk_answered_customer", ticketid="7", message="when?")
    await site.until("/demo/", lambda page: arrived(page, "discord") == 2)
    assert "Low" not in (await site.until("/deliveries/4", lambda page: "real" in page.words)).words


async def test_without_a_played_channel_the_page_says_how_to_get_one(open_site: Open) -> None:
    site = await open_site("webhooks: []\n")
    page = await site.page("/demo/")
    assert "demo:discord" in page.words
    assert "deskbell demo" in page.words
    assert not page.all("form", action="/demo/events")


@pytest.mark.parametrize(
    "fields", [{"channel": "telex", "trouble": "down"}, {"channel": "slack", "trouble": "asleep"}]
)
async def test_an_unknown_channel_or_trouble_changes_nothing(open_site: Open, fields: dict[str, str]) -> None:
    site = await open_site(CHANNELS)
    answer = await site.send("/demo/troubles", fields, at="/demo/")
    assert answer.status == 404
    assert 'aria-pressed="true"' not in (await site.page("/demo/")).html


async def test_an_event_without_an_action_is_refused(open_site: Open) -> None:
    site = await open_site(CHANNELS)
    answer = await site.send("/demo/events", {"subject": "x"}, at="/demo/")
    assert answer.status == 400


async def test_any_value_is_inert(open_site: Open) -> None:
    """In the picture, in the request and among the defused words; half of a surrogate pair is no failure either."""
    site = await open_site(CHANNELS)
    await play(site, subject="<script>alert(1)</script>", content="<img src=x onerror=alert(1)> \x00 \u202e")
    page = await site.until("/demo/", both_settled)
    assert len(page.all("script")) == 1  # our own
    assert not [each for each in page.all("img") if each.get("src") == "x"]


async def test_a_channel_shows_the_newest_messages_and_no_more_than_a_reader_wants(open_site: Open) -> None:
    site = await open_site(
        'webhooks:\n  - {name: any, url: "demo:webhook", action: "*", rate: none, message: "%subject%"}\n'
    )
    for number in range(MOST_MESSAGES + 2):
        await play(site, subject=f"number {number:02}", ticket=str(number))
    page = await site.until("/demo/", lambda page: f"number {MOST_MESSAGES + 1:02}" in page.text)
    shown = re.findall(r"<pre>number (\d+)", page.html)
    assert shown == sorted(shown, reverse=True)
    assert len(shown) == arrived(page, "webhook") == MOST_MESSAGES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_sample_fills_the_form_in_the_readers_language(
    open_site: Open, kind: str, language: str
) -> None:
    site = await open_site(CHANNELS)
    page = (await site.get(f"/demo/?sample={kind}", Accept_Language=language)).page
    words: Any = catalogue(language)
    subject = words.get(f"story.{kind}.subject", words["sample.subject"])
    assert page.all("input", name="subject")[0]["value"] == subject
    assert words["demo.play.go"] in page.words
