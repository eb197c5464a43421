"""What holds for every page: nothing complains, nothing is loaded from elsewhere, it fits, it works by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Serve

DEMO = (
    "webhooks:\n"
    '  - {name: desk, url: "demo:discord", action: "*", message: "**%subject%** %username%"}\n'
    '  - {name: shop, url: "demo:slack", action: Submit, message: "*%subject%* %content%"}\n'
)
PAGES = [
    "/",
    "/?state=dead",
    "/deliveries/replay",
    "/webhooks",
    "/webhooks/new",
    "/webhooks/desk/edit",
    "/webhooks/desk/delete",
    "/sources",
    "/plugins",
    "/health",
    "/demo/",
]


@pytest.fixture
def address(config_file: Callable[..., Path], serve: Serve) -> str:
    config_file(DEMO)
    return serve().address


@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_fits_and_nothing_complains(address: str, visit: Any, width: int) -> None:
    owner = visit(address, viewport={"width": width, "height": 800})
    for path in PAGES:
        page = owner.open(path)
        assert page.locator("h1").count() == 1, path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px too wide at {width}"


@pytest.mark.parametrize(("locale", "language"), [("fr-FR", "fr"), ("es-ES", "es"), ("de-DE", "en")])
def test_every_page_speaks_the_browsers_language(
    address: str, visit: Any, locale: str, language: str
) -> None:
    owner = visit(address, locale=locale)
    for path in PAGES:
        assert owner.open(path).locator("html").get_attribute("lang") == language


def test_the_reader_may_choose_another_language(address: str, visit: Any) -> None:
    page = visit(address).open("/health")
    page.get_by_role("button", name="Français").click()
    page.wait_for_url("**/health")
    assert page.locator("h1").inner_text() == "Santé"


def test_every_page_can_be_walked_through_by_keyboard(address: str, visit: Any) -> None:
    """From the link that skips the navigation to the last control, each has a visible focus."""
    owner = visit(address)
    for path in PAGES:
        page = owner.open(path)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: url.endswith("#main"))
        reached = set()
        for _ in range(200):
            page.keyboard.press("Tab")
            where = page.evaluate(
                "[...document.querySelectorAll('a, button, input, select, textarea, summary')]"
                ".indexOf(document.activeElement)"
            )
            if where in reached or where == -1:
                break
            reached.add(where)
        assert reached, path


def test_every_control_has_a_name(address: str, visit: Any) -> None:
    owner = visit(address)
    for path in PAGES:
        page = owner.open(path)
        nameless = page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button')]"
            ".filter((each) => !(each.labels?.length || each.ariaLabel || each.textContent.trim()))"
            ".map((each) => each.outerHTML)"
        )
        assert nameless == [], path


def test_without_a_script_every_page_is_there(address: str, visit: Any) -> None:
    owner = visit(address, java_script_enabled=False)
    for path in PAGES:
        assert owner.open(path).locator("main").inner_text().strip()


def test_what_is_to_be_pasted_can_be_copied(address: str, visit: Any) -> None:
    owner = visit(address)
    owner.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = owner.open("/sources")
    page.locator("button[data-copy^=url-]").first.click()
    page.locator("button[data-copied]").wait_for()
    url = page.locator("pre[id^=url-]").first.inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == url


def test_without_a_clipboard_what_is_to_be_pasted_is_selected(address: str, visit: Any) -> None:
    """Browsers give none to plain http from another machine."""
    page = visit(address).open("/sources")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.locator("button[data-copy^=url-]").first.click()
    assert page.evaluate("getSelection().toString()") == page.locator("pre[id^=url-]").first.inner_text()
