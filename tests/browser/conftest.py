"""A real browser (Debian's Chromium, driven by Playwright) in front of the real program."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",  # root, in CI, has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",  # it would look for its maker's hosts at each start
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 20_000
"""Milliseconds: longer than anything takes that works."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test of this folder needs a browser; without one it is skipped, with the reason."""
    reason = _missing()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def _missing() -> str:
    if CHROMIUM is None:
        return "there is no Chromium on this machine (Debian: apt-get install chromium)"
    try:
        import playwright.sync_api  # noqa: F401 - asked whether it is there
    except ImportError:
        return "Playwright is not installed (pip install 'deskbell[browser]')"
    return ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the tests of a module. Playwright keeps an event loop running meanwhile, so it must end with them."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@dataclass
class Witness:
    """What no page may cause: errors in the console, breaches of the policy, requests to anybody else."""

    address: str
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", self._see)
        page.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " (event) => console.error('CSP', event.violatedDirective, event.blockedURI))"
        )

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"console: {text}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((f"{self.address}/", "data:", "blob:")):
            self.complaints.append(f"request to {request.url}")


@dataclass
class Owner:
    """Somebody with a browser in front of a running deskbell."""

    address: str
    context: BrowserContext
    page: Page
    witness: Witness

    def open(self, path: str) -> Page:
        """Go there; the page must be there."""
        answer = self.page.goto(self.address + path)
        assert answer
        assert answer.ok, f"{path}: {answer.status}"
        return self.page


@pytest.fixture
def visit(browser: Browser) -> Iterator[Any]:
    """``visit(address, locale=…, **context)``: an owner with a fresh browser; at the end nothing may have complained."""
    owners: list[Owner] = []

    def begin(address: str, *, locale: str = "en-GB", **settings: Any) -> Owner:
        context = browser.new_context(locale=locale, **settings)
        context.set_default_timeout(WAIT)
        page, witness = context.new_page(), Witness(address)
        witness.watch(page)
        owners.append(Owner(address, context, page, witness))
        return owners[-1]

    yield begin
    for owner in owners:
        owner.context.close()
    assert [owner.witness.complaints for owner in owners] == [[] for _ in owners]
