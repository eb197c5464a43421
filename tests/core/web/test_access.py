"""The table of docs/access.md holds: every route, for everybody who may ask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deskbell.receiver import Receiver, _only_get
from deskbell.refusals import Refusals
from deskbell.web.site import ROUTES

from .conftest import HEAD, PASSWORD, Open, Site, with_password

PAGE = (Path(__file__).parents[3] / "docs" / "access.md").read_text("utf-8")
PUBLIC = "desk.example"
WEBHOOKS = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'
PARTS = {"source": "clientxcms", "name": "style.css", "id": "1", "path": "nothing-of-ours"}
FROM_HERE: dict[str, str] = {}
THROUGH_THE_PROXY = {"Host": PUBLIC, "X-Forwarded-For": "203.0.113.9"}
ELSEWHERE = [
    {"Host": PUBLIC},
    {"Host": "evil.example"},
    {"X-Forwarded-For": "203.0.113.9"},
    {"Via": "1.1 proxy"},
]


def table() -> tuple[list[str], dict[str, dict[str, str]]]:
    """The names of the columns, and each route's cells by them."""
    head, *rows = re.findall(r"^\| (route .*|[`].*) \|$", PAGE, re.MULTILINE)
    columns = [cell.strip() for cell in head.split("|")][1:]
    cells = {
        route: dict(zip(columns, (cell.strip() for cell in row.split("|")[1:]), strict=True))
        for row in rows
        for route in re.findall(r"`([^`]+)`", row.split("|")[0])
    }
    return columns, cells


COLUMNS, TABLE = table()


def test_the_table_has_every_route_and_no_other() -> None:
    async def accept(*_: Any, **__: Any) -> Any:
        raise AssertionError

    app = Receiver({}, accept=accept, ready=dict, metrics=lambda: (b"", ""), refusals=Refusals()).app()
    routes = {
        f"{each.method} {each.resource.canonical}"
        for each in app.router.routes()
        if each.resource and each.handler is not _only_get  # which answers 405, whoever asks
    }
    routes |= {f"{route.method} {route.path}" for route in ROUTES} | {"* /{path}"}
    assert set(TABLE) == {route for route in routes if not route.startswith("HEAD ")}


def test_only_what_has_no_form_leaves_a_cell_empty() -> None:
    for route, cells in TABLE.items():
        empty = {column for column, cell in cells.items() if cell == "–"}
        assert empty == ({"other site", "no token"} if route.startswith("GET ") else set()), route


@dataclass
class Visitor:
    """Somebody who asks: with which headers, and the token in their forms."""

    headers: Mapping[str, str]
    form_token: str = ""


async def guest(site: Site, headers: Mapping[str, str]) -> Visitor:
    answer = await site.ask("GET", "/login", headers=dict(headers))
    return Visitor(headers, answer.page.form_token)


async def owner(site: Site) -> Visitor:
    """Somebody who signed in through the proxy."""
    before = await guest(site, THROUGH_THE_PROXY)
    fields = {"form_token": before.form_token, "password": PASSWORD}
    answer = await site.ask("POST", "/login", headers=dict(before.headers), data=fields)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    headers = {**THROUGH_THE_PROXY, "Cookie": cookie}
    page = (await site.ask("GET", "/health", headers=headers)).page
    return Visitor(headers, page.form_token)


async def signed_out(site: Site) -> Visitor:
    """Somebody with a copy of all that an owner's browser knew."""
    visitor = await owner(site)
    fields = {"form_token": visitor.form_token}
    answer = await site.ask("POST", "/logout", headers=dict(visitor.headers), data=fields)
    assert answer.status == 303
    return visitor


async def visitor_of(column: str, site: Site) -> Visitor:
    match column:
        case "from here":
            return Visitor(FROM_HERE, (await site.page("/health")).form_token)
        case "from here, guest":
            return await guest(site, FROM_HERE)
        case "guest":
            return await guest(site, THROUGH_THE_PROXY)
        case "signed out":
            return await signed_out(site)
    known = await owner(site)
    more = {"other host": {"Host": "evil.example"}, "other site": {"Origin": "https://evil.example"}}
    token = "" if column == "no token" else known.form_token
    return Visitor({**known.headers, **more.get(column, {})}, token)


async def outcome(site: Site, route: str, visitor: Visitor) -> str:
    """In the words of the table."""
    method, _, path = route.partition(" ")
    path = re.sub(r"\{(\w+)\}", lambda found: PARTS.get(found[1], "x"), path)
    form = {"form_token": visitor.form_token, "password": PASSWORD, "language": "fr"}
    method, data = ("POST", form) if method == "*" else (method, form if method == "POST" else None)
    async with site.session.request(
        method, site.door.address + path, headers=visitor.headers, data=data, allow_redirects=False
    ) as answer:  # its head is enough: the body of /live has no end
        if answer.headers.get("Location", "").startswith("/login?next="):
            return "login"
        refused = answer.content_type == "application/problem+json" or answer.status == 403
        return str(answer.status) if refused else "yes"


@pytest.mark.parametrize("route", TABLE)
async def test_without_a_password(open_site: Open, route: str) -> None:
    site = await open_site(WEBHOOKS)
    here = await visitor_of("from here", site)
    found = {await outcome(site, route, Visitor(headers, here.form_token)) for headers in ELSEWHERE}
    assert (await outcome(site, route, here), found) == (
        TABLE[route]["from here"],
        {TABLE[route]["elsewhere"]},
    )


@pytest.mark.parametrize("route", TABLE)
async def test_with_a_password(open_site: Open, route: str) -> None:
    site = await open_site(WEBHOOKS, head=with_password(HEAD, f"https://{PUBLIC}"))
    expected = {column: cell for column, cell in TABLE[route].items() if cell != "–"}
    found = {
        column: await outcome(site, route, await visitor_of(column, site))
        for column in expected
        if column not in ("from here", "elsewhere")
    }
    assert found == {column: expected[column] for column in found}
    assert len(found) >= len(COLUMNS) - 4
