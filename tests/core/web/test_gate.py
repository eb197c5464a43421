"""Who sees the pages, whose forms count, and what every answer carries."""

from __future__ import annotations

import pytest

from deskbell.web.gate import HEADERS

from .conftest import Open

DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'
PAGES = ["/", "/deliveries/replay", "/sources", "/plugins", "/health", "/demo/"]


@pytest.mark.parametrize("path", PAGES)
async def test_each_answer_forbids_what_no_page_needs(open_site: Open, path: str) -> None:
    site = await open_site(DEMO)
    answer = await site.get(path)
    assert {name: answer.headers[name.lower()] for name in HEADERS} == HEADERS
    assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in answer.headers["content-security-policy"]
    page = answer.page
    assert [element for element in page.elements if "style" in element[1] or element[0] == "style"] == []
    assert all(script["src"].startswith("/static/") for script in page.all("script"))


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
    ],
)
async def test_nobody_from_elsewhere_sees_that_there_are_pages(
    open_site: Open, headers: dict[str, str]
) -> None:
    site = await open_site(DEMO)
    for path in (*PAGES, "/live", "/static/x/style.css"):
        assert (await site.ask("GET", path, headers=headers)).status == 404
    assert (await site.ask("POST", "/language", headers=headers, data={"language": "fr"})).status == 404


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({}, False),
    ],
)
async def test_a_form_of_another_site_does_not_count(
    open_site: Open, headers: dict[str, str], token: bool
) -> None:
    site = await open_site(DEMO)
    fields = {"language": "fr", "form_token": (await site.page("/health")).form_token if token else "guessed"}
    answer = await site.ask("POST", "/language", data=fields, headers=headers)
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)
    assert answer.page.all("p", role="alert")


async def test_the_language_is_the_browsers_until_the_reader_chooses(open_site: Open) -> None:
    site = await open_site(DEMO)
    assert (await site.get("/health", Accept_Language="es")).page.all("html") == [{"lang": "es"}]
    answer = await site.send("/language", {"language": "fr", "back": "/demo/"})
    assert (answer.status, answer.headers["location"]) == (303, "/demo/")
    assert (await site.get("/health", Accept_Language="es")).page.all("html") == [{"lang": "fr"}]


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil"])
async def test_the_language_switch_leads_nowhere_else(open_site: Open, back: str) -> None:
    site = await open_site(DEMO)
    answer = await site.send("/language", {"language": "fr", "back": back})
    assert answer.headers["location"] == "/"


async def test_static_files_are_there_for_ever_and_only_they(open_site: Open) -> None:
    site = await open_site(DEMO)
    page = await site.page("/health")
    (sheet,) = page.all("link", rel="stylesheet")
    answer = await site.get(sheet["href"])
    assert (answer.status, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in answer.headers["cache-control"]
    for name in ("site.py", "..%2fgate.py", "base.html"):
        assert (await site.get(f"/static/x/{name}")).status == 404


async def test_what_a_page_says_after_a_form_is_ours(open_site: Open) -> None:
    site = await open_site(DEMO)
    assert "evil words" not in (await site.page("/health?said=evil+words")).words
