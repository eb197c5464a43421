"""The demo in a real browser: a ticket is played and its message appears; one waits for a service, and arrives."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.conftest import Serve

CHANNELS = (
    "webhooks:\n"
    '  - {name: desk, url: "demo:discord", action: "*", retry: "1s, 2s", message: "**%subject%** %content%"}\n'
    '  - {name: shop, url: "demo:slack", action: "*", retry: "1s, 2s", message: "*%subject%* %content%"}\n'
)


@pytest.fixture
def address(config_file: Callable[..., Path], serve: Serve) -> str:
    config_file(CHANNELS)
    return serve().address


def play(page: Page, subject: str) -> None:
    page.get_by_label("%subject%").fill(subject)
    page.get_by_role("button", name="Play it").click()


def switch(page: Page, channel: str, trouble: str) -> None:
    """Press the button; the page then comes anew."""
    button = page.locator(f"#{channel}").get_by_role("button", name=trouble, exact=True)
    before = button.get_attribute("aria-pressed")
    button.click()
    page.locator(
        f"#{channel} button[aria-pressed={'false' if before == 'true' else 'true'}]", has_text=trouble
    ).wait_for()


def test_a_ticket_that_is_played_appears_in_both_channels_by_itself(address: str, visit: Any) -> None:
    owner, other = visit(address), visit(address)
    watching = other.open("/demo/")
    play(owner.open("/demo/"), "Server unreachable")
    for page in (owner.page, watching):
        for channel in ("discord", "slack"):
            message = page.locator(f"#{channel} article", has_text="Server unreachable")
            message.get_by_text("characters").wait_for()
    watching.locator("#discord article summary").click()
    assert '"content": "**Server unreachable**' in watching.locator("#discord article pre").inner_text()


def show(page: Page, state: str) -> None:
    """As if the owner turned to another tab, or back: without a window, every tab is seen."""
    page.evaluate(
        "(state) => { Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        state,
    )


def test_tabs_in_the_background_leave_room_for_more_and_catch_up(address: str, visit: Any) -> None:
    """A browser has six connections to a host."""
    owner = visit(address)
    first = owner.open("/demo/")
    for _ in range(6):
        show(owner.page, "hidden")
        owner.page = owner.context.new_page()
        owner.open("/demo/")
    play(owner.page, "Server unreachable")
    owner.page.locator("#slack article", has_text="Server unreachable").wait_for()
    assert first.locator("#slack article").count() == 0
    show(first, "visible")
    first.locator("#slack article", has_text="Server unreachable").wait_for()


def test_a_message_waits_for_a_service_that_is_rate_limited_and_then_arrives(
    address: str, visit: Any
) -> None:
    page = visit(address).open("/demo/")
    switch(page, "discord", "Rate limited")
    play(page, "Too fast")
    page.locator("#slack article", has_text="Too fast").wait_for()
    waiting = page.locator("#discord ul.waiting li")
    waiting.get_by_text("waiting").wait_for()
    assert page.locator("#discord article").count() == 0
    switch(page, "discord", "Rate limited")
    page.locator("#discord article", has_text="Too fast").wait_for()
    waiting.wait_for(state="detached")


def test_a_webhook_that_was_deleted_is_resumed_from_here(address: str, visit: Any) -> None:
    page = visit(address).open("/demo/")
    switch(page, "slack", "Deleted")
    play(page, "Gone")
    resume = page.locator("#slack").get_by_role("button", name="Resume")
    resume.wait_for()
    switch(page, "slack", "Deleted")
    resume.click()
    page.locator("#slack article", has_text="Gone").wait_for()


def test_what_one_types_stays_while_messages_arrive(address: str, visit: Any) -> None:
    typing, other = visit(address).open("/demo/?sample=hostile"), visit(address).open("/demo/")
    typing.get_by_label("%subject%").fill("half a sen")
    play(other, "Meanwhile")
    typing.locator("#discord article", has_text="Meanwhile").wait_for()
    assert typing.get_by_label("%subject%").input_value() == "half a sen"
    assert typing.evaluate("document.activeElement.id") == "value-subject"


def test_without_a_script_it_works_as_well(address: str, visit: Any) -> None:
    page = visit(address, java_script_enabled=False).open("/demo/")
    play(page, "By hand")
    settled = page.locator("#slack article", has_text="By hand").get_by_text("characters")
    limit = time.monotonic() + 20
    while not settled.count():
        assert time.monotonic() < limit
        page.reload()
