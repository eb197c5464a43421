"""What an owner does with webhooks, in a real browser: add, look, save, test, edit, disable, delete, resume, replay."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.conftest import Serve, Sink

ConfigFile = Callable[..., Path]
OWNED = """\
webhooks:   # where it goes
  # For the team.
  - name: desk   # the first
    url: demo:discord
    action: Submit   # new ones
    message: "**%subject%** %username%"

timezone: UTC   # ours
"""


@pytest.fixture
def config(config_file: ConfigFile) -> Path:
    return config_file(OWNED)


def fill_in(page: Page, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("URL", exact=True).fill("demo:slack")
    page.get_by_label("Transport", exact=True).select_option("slack")
    page.get_by_label("Customer's reply").check()


def test_an_owner_adds_a_webhook_tries_it_and_takes_it_away_again(
    config: Path, serve: Serve, visit: Any
) -> None:
    from playwright.sync_api import expect

    before = config.read_text("utf-8")
    page = visit(serve().address).open("/webhooks")
    page.get_by_role("link", name="Add a webhook").click()
    preview = page.locator("[data-preview-here]")
    expect(page.get_by_role("group", name="Options of discord")).to_be_visible()
    fill_in(page, "replies")
    expect(page.get_by_role("group", name="Options of discord")).to_be_hidden()
    expect(page.get_by_role("group", name="Options of slack")).to_be_visible()

    page.get_by_label("Message", exact=True).fill("*News* of ")
    expect(preview.locator(".slack")).to_contain_text("News of")
    page.get_by_role("button", name="Insert %username%").click()
    expect(preview.locator(".slack")).to_contain_text("News of Martin Dev")
    expect(preview).to_contain_text("of 4000 characters")
    page.keyboard.type(": %usrname%")
    expect(preview).to_contain_text("did you mean %username%?")
    page.get_by_label("Message", exact=True).fill("*News* of %username%")
    expect(preview).not_to_contain_text("did you mean")

    page.get_by_role("button", name="Review the change").click()
    expect(page.locator(".diff .added").first).to_contain_text("- name: replies")
    assert page.locator(".diff .removed").count() == 0
    assert config.read_text("utf-8") == before
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("saved")
    expect(page.get_by_role("heading", name="replies active")).to_be_visible()
    assert _without_the_new_one(config) == before

    page.locator("#test-replies").click()
    expect(page.get_by_role("status")).to_contain_text("the real queue")
    expect(page.locator("#delivery h1 .tag")).to_have_text("delivered")
    expect(page.locator("#delivery .slack")).to_contain_text("News of Martin Dev")
    expect(page.locator(".timeline")).to_contain_text("200 ok")

    page.get_by_role("link", name="Webhooks", exact=True).click()
    page.locator("#disable-replies").click()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("heading", name="replies disabled")).to_be_visible()
    page.locator("#delete-replies").click()
    expect(page.locator(".diff .removed").first).to_contain_text("- name: replies")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("deleted")
    assert page.get_by_role("heading", name="replies").count() == 0
    assert config.read_text("utf-8") == before


def _without_the_new_one(config: Path) -> str:
    return re.sub(r"\n  - name: replies\n(?:    .*\n)+", "", config.read_text("utf-8"))


def test_an_edited_message_is_in_force_at_once_and_comments_stay(
    config: Path, serve: Serve, visit: Any
) -> None:
    from playwright.sync_api import expect

    page = visit(serve().address).open("/webhooks")
    page.locator("#edit-desk").click()
    page.get_by_label("Message", exact=True).fill("Now: %subject%")
    page.get_by_role("button", name="Review the change").click()
    page.get_by_role("button", name="Save").click()
    page.locator("#test-desk").click()
    expect(page.locator("#delivery .discord")).to_contain_text("Now: Refund")
    kept = config.read_text("utf-8")
    assert all(
        words in kept
        for words in ("# where it goes", "# For the team.", "# the first", "# new ones", "# ours")
    )
    assert config.with_name("config.yaml.bak").read_text("utf-8").endswith(OWNED)


def test_without_a_script_a_webhook_is_added_as_well(config: Path, serve: Serve, visit: Any) -> None:
    page = visit(serve().address, java_script_enabled=False).open("/webhooks/new")
    assert page.get_by_role("group", name="Options of discord").is_visible()
    assert page.get_by_role("button", name="Insert %username%").count() == 0
    fill_in(page, "replies")
    page.get_by_label("Message", exact=True).fill("*Hello* %username%")
    page.get_by_role("button", name="Preview").click()
    assert "Hello Martin Dev" in page.locator("[data-preview-here]").inner_text()
    page.get_by_role("button", name="Review the change").click()
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("heading", name="replies active").is_visible()
    assert "name: replies" in config.read_text("utf-8")


def test_a_message_that_came_too_fast_arrives_before_the_readers_eyes(
    config: Path, serve: Serve, visit: Any
) -> None:
    """The played service is told to refuse; meanwhile the page of the delivery stays open."""
    from playwright.sync_api import expect

    assert config.exists()
    owner = visit(serve().address)
    demo = owner.open("/demo/")
    demo.get_by_role("button", name="Rate limited").click()
    page = owner.context.new_page()
    owner.witness.watch(page)
    page.goto(owner.address + "/webhooks")
    page.locator("#test-desk").click()
    expect(page.locator(".timeline")).to_contain_text("Too fast: asked to wait")
    expect(page.locator("#delivery h1 .tag")).to_have_text("waiting")
    demo.get_by_role("button", name="Rate limited").click()
    expect(page.locator("#delivery h1 .tag")).to_have_text("delivered")


def test_a_dead_message_is_replayed(config_file: ConfigFile, serve: Serve, sink: Sink, visit: Any) -> None:
    from playwright.sync_api import expect

    config_file(
        f'webhooks:\n  - {{name: desk, url: "{sink.url}", transport: slack, action: Submit, message: "%subject%"}}\n'
    )
    sink.answers.append((400, "invalid_blocks"))
    page = visit(serve().address).open("/webhooks")
    page.locator("#test-desk").click()
    expect(page.locator("#delivery h1 .tag")).to_have_text("dead")
    expect(page.locator(".timeline")).to_contain_text("400 invalid_blocks")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#delivery h1 .tag")).to_have_text("delivered")
    assert sink.texts == ["Refund", "Refund"]
