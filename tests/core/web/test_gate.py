"""Who sees the pages, whose forms count, and what every answer carries."""

from __future__ import annotations

import asyncio

import pytest
from yarl import URL

from deskbell.web import visit
from deskbell.web.gate import HEADERS

from .conftest import Open, Site

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


@pytest.mark.parametrize("path", [*PAGES, "/live"])
async def test_a_page_answers_those_who_ask_for_its_head_alone(open_site: Open, path: str) -> None:
    site = await open_site(DEMO)
    answer = await site.ask("HEAD", path)
    assert (answer.status, answer.text) == (200, "")
    assert {name: answer.headers[name.lower()] for name in HEADERS} == HEADERS


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


async def test_an_origin_that_is_none_is_not_ours(open_site: Open, caplog: pytest.LogCaptureFixture) -> None:
    site = await open_site(DEMO)
    assert (await site.ask("POST", "/language", headers={"Origin": "http://["})).status == 403
    assert caplog.messages == []


FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"
PART = b"--x\r\nContent-Disposition: form-data; name=a\r\n%b\r\n\r\n\xff\r\n--x--\r\n"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (f"{FORM}; charset=bogus", b"a=b"), (f"{FORM}; charset=utf-16", b"a=b"), (FORM, b"a=\xff"),
        (PARTS, b"a=b"), (f"{PARTS}; boundary=x", b"a=b"), (f"{PARTS}; boundary=x", b"--x\r\n\r\na\r\n--x--\r\n"),
        (f"{PARTS}; boundary=x", PART % b"A: b"), (f"{PARTS}; boundary=x", PART % b"Content-Transfer-Encoding: b"),
        (f"{PARTS}; boundary=x", PART % b"Content-Type: text/plain; charset=bogus"),
    ],
)  # fmt: skip
async def test_what_is_no_form_is_the_senders_fault(
    open_site: Open, caplog: pytest.LogCaptureFixture, kind: str, body: bytes
) -> None:
    site = await open_site(DEMO)
    answer = await site.ask("POST", "/language", data=body, headers={"Content-Type": kind})
    assert (answer.status, "set-cookie" in answer.headers) == (400, False)
    assert "no form that can be read" in answer.page.words
    assert caplog.messages == [], "nobody fills the log with it"


async def begin_form(site: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """One whose end is still to come."""
    address = URL(site.door.address)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    head = f"POST /language HTTP/1.1\r\nHost: {address.authority}\r\nContent-Type: {FORM}\r\nContent-Length: 9\r\n\r\n"
    writer.write(head.encode() + b"a=b")
    return reader, writer


async def test_a_form_that_does_not_end_is_not_waited_for(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit, "SLOWEST_BODY", 0.01)
    reader, writer = await begin_form(await open_site(DEMO))
    async with asyncio.timeout(8):
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
    writer.close()


async def test_a_form_without_its_end_is_no_defect(open_site: Open, caplog: pytest.LogCaptureFixture) -> None:
    site = await open_site(DEMO)
    _, writer = await begin_form(site)
    await site.page("/health")  # it is being read
    writer.close()
    await writer.wait_closed()
    await site.page("/health")
    assert caplog.messages == []


async def test_the_language_is_the_browsers_until_the_reader_chooses(open_site: Open) -> None:
    site = await open_site(DEMO)
    assert (await site.get("/health", Accept_Language="es")).page.all("html") == [{"lang": "es"}]
    answer = await site.send("/language", {"language": "fr", "back": "/demo/"})
    assert (answer.status, answer.headers["location"]) == (303, "/demo/")
    assert (await site.get("/health", Accept_Language="es")).page.all("html") == [{"lang": "fr"}]


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "evil",
        "/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b",
    ],
)  # fmt: skip
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
