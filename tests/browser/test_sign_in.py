"""Signing in and out, as an owner sees it."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Serve, Server

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect

PASSWORD = "correct horse battery staple"
DESK = 'webhooks:\n  - {name: desk, url: "demo:discord", action: "*", message: "%subject%"}\n'


@pytest.fixture
def server(config_file: Callable[..., Path], serve: Serve, tmp_path: Path) -> Server:
    (tmp_path / "admin").write_text(PASSWORD)
    path = config_file(DESK)
    text = path.read_text("utf-8")
    path.write_text(text.replace('"127.0.0.1:0"', '"127.0.0.1:0", admin_password_file: admin'), "utf-8")
    return serve()


def enter(page: Any, password: str) -> None:
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def test_an_owner_signs_in_and_out(server: Server, visit: Any) -> None:
    page = visit(server.address).open("/health")
    page.wait_for_url(re.compile(r"/login\?next="))
    expect(page.get_by_label("Password")).to_be_focused()
    enter(page, PASSWORD)
    page.wait_for_url(f"{server.address}/health")
    cookie = next(each for each in page.context.cookies() if each["name"] == "deskbell_session")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You are signed out.")
    page.go_back()
    page.wait_for_url(re.compile(r"/login\?next="))


def test_a_wrong_password_is_told_where_it_was_typed(server: Server, visit: Any) -> None:
    owner = visit(server.address)
    page = owner.open("/login?next=/demo/")
    enter(page, "not this one")
    expect(page.get_by_role("alert")).to_have_text("This is not the password.")
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_value("")
    owner.witness.complaints[:] = [each for each in owner.witness.complaints if "403" not in each]
    enter(page, PASSWORD)
    page.wait_for_url(f"{server.address}/demo/")


def test_the_language_is_chosen_before_the_password(server: Server, visit: Any) -> None:
    page = visit(server.address, locale="es-ES").open("/health")
    expect(page.get_by_label("Contraseña")).to_be_visible()
    page.get_by_role("button", name="Français").click()
    page.get_by_label("Mot de passe").fill(PASSWORD)
    page.get_by_role("button", name="Se connecter").click()
    page.wait_for_url(f"{server.address}/health")
    expect(page.locator("h1")).to_have_text("Santé")


def test_a_live_page_leads_to_the_password_when_its_session_is_over(server: Server, visit: Any) -> None:
    """Another tab signs out; the next change sends this one to the page to sign in."""
    owner = visit(server.address)
    page = owner.open("/login")
    enter(page, PASSWORD)
    page.wait_for_url(f"{server.address}/")
    other = owner.context.new_page()
    other.goto(f"{server.address}/health")
    with page.expect_navigation(url=re.compile("/login")):
        other.get_by_role("button", name="Sign out").click()
        other.wait_for_url(re.compile("/login"))
        body = b'{"payload": {"action": "helpdesk_created", "ticketid": "1"}}'
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(server.events_url, body, headers)).close()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits(server: Server, visit: Any, width: int, scheme: str) -> None:
    viewport = {"width": width, "height": 700}
    owner = visit(server.address, viewport=viewport, color_scheme=scheme, locale="fr-FR")
    page = owner.open("/login")
    for _ in ("empty", "wrong"):
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert (page.locator("h1").count(), wide <= 0) == (1, True)
        page.get_by_label("Mot de passe").fill("pas celui-ci")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
    page.get_by_label("Mot de passe").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server.address}/")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    owner.witness.complaints[:] = [each for each in owner.witness.complaints if "403" not in each]
