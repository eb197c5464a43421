"""The page of the sources: what to paste into the help desk, how long it has been silent, and what was refused."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from tests.faults.shelf import Past, Shelf

from deskbell.arrivals import MOST_REFUSALS
from deskbell.plugins import Plugins, load_plugins
from deskbell.refusals import MOST_FAILURES

from .conftest import HEAD, TOKEN, Open, Page, Site

NAUGHTY = Path(__file__).parents[4] / "shared" / "data" / "corpora" / "naughty-strings" / "blns.json"
HOSTILE = [
    "<script>alert(1)</script>",
    "\u202e</bdi><b>",
    "{{ 7 * 7 }}",
    "'\" onclick=x",
    "\ud800",
    "\x00\x1b[31m",
]
DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%", rate: none}\n'
CANARY = "canary-canary-canary-0001"
SIGNING = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LTAwMDI="
START = (
    'version: 1\nserver: {listen: "127.0.0.1:0"}\negress: {allow: [127.0.0.0/8]}\ntimezone: UTC\nsources:\n'
)
ODD = """
import time
import deskbell

class Odd(deskbell.Source):
    name = "odd"
    actions = ("Submit",)
    setup = {"es": "<img src=x onerror=alert(1)> {{ 7 * 7 }}"}
    def parse(self, request):
        raise deskbell.EventError("no event: " + request.json_object().get("said", ""))
    def sample(self, action):
        raise SystemExit("no sample")

class Stuck(Odd):
    name = "stuck"
    setup = {}
    def sample(self, action):
        time.sleep(60)

class Torn(Odd):
    name = "torn"
    def sample(self, action):
        return {"half of a surrogate pair": "\\ud83d"}

@deskbell.hookimpl
def deskbell_sources():
    return [Odd, Stuck, Torn]
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    """With a stranger's two adapters, whose samples fail."""
    folder = tmp_path_factory.mktemp("plugins.d")
    (folder / "odd.py").write_text(ODD, "utf-8")
    return load_plugins(plugins_dir=folder)


def code_of(page: Page, id_: str) -> str:
    """The text of a ``<pre>``."""
    return unescape(page.html.partition(f' id="{id_}">')[2].partition("</pre>")[0])


async def test_the_front_page_leads_to_the_url_and_its_place_in_the_help_desk(open_site: Open) -> None:
    site = await open_site(DEMO)
    (link,) = (await site.page("/")).all("a", class_="button main")
    page = await site.page(link["href"])
    assert code_of(page, "url-clientxcms") == f"{site.door.address}/events/clientxcms/YOUR-TOKEN"
    assert "Help Center settings. Paste the URL into the field “Webhook URL”" in page.words
    assert "Last event none yet" in page.words
    assert "set, from sources.clientxcms.token" in page.words
    assert TOKEN not in page.html


async def test_the_url_begins_as_the_browser_asked_for_it(open_site: Open) -> None:
    site = await open_site(DEMO)
    port = site.door.address.rpartition(":")[2]
    page = (await site.get("/sources", Host=f"localhost:{port}")).page
    assert code_of(page, "url-clientxcms") == f"http://localhost:{port}/events/clientxcms/YOUR-TOKEN"


async def test_the_url_begins_as_the_config_says(open_site: Open) -> None:
    public = START.replace('"127.0.0.1:0"', '"127.0.0.1:0", public_url: "https://desk.example"')
    site = await open_site(DEMO, f"{public}  - {{name: deskbell, token: {TOKEN}}}\n")
    page = await site.page("/sources")
    assert code_of(page, "url-deskbell") == "https://desk.example/events/deskbell/YOUR-TOKEN"
    assert "curl -X POST https://desk.example/events/deskbell" in code_of(page, "curl-line-deskbell")
    assert "which only this machine can reach" not in page.words


async def test_a_token_of_this_start_alone_is_in_the_url_and_it_works(open_site: Open) -> None:
    site = await open_site(DEMO, START + "  - {name: deskbell}\n")
    page = await site.page("/sources")
    url = code_of(page, "fresh-url-deskbell")
    assert url.startswith(f"{site.door.address}/events/deskbell/")
    assert "this start made one" in page.words
    answer = await site.ask("POST", url, json={"action": "Submit", "ticket": 7})
    assert answer.status == 202
    await site.until("/sources", lambda page: "New ticket, Ticket 7" in page.words)


async def test_once_the_config_has_a_token_the_fresh_one_is_gone(open_site: Open) -> None:
    site = await open_site(DEMO, START + "  - {name: deskbell}\n")
    fresh = code_of(await site.page("/sources"), "fresh-url-deskbell").rpartition("/")[2]
    (site.folder / "config.yaml").write_text(
        START + f"  - {{name: deskbell, token: {CANARY}}}\n" + DEMO, "utf-8"
    )
    assert (await site.door.reload()).ok
    page = await site.page("/sources")
    assert "set, from sources.deskbell.token" in page.words
    assert fresh not in page.html
    assert CANARY not in page.html


async def test_how_a_sender_proves_itself_is_told_without_any_secret(open_site: Open, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(CANARY, "utf-8")
    site = await open_site(
        DEMO,
        START
        + "  - {name: filed, token_file: token}\n"
        + f"  - {{name: two, token: [{CANARY}-old, {CANARY}-new]}}\n"
        + f"  - {{name: signed, signing_secret: {SIGNING}}}\n"
        + f"  - {{name: both, token: {CANARY}, signing_secret: {SIGNING}}}\n",
    )
    page = await site.page("/sources")
    assert "set, from sources.filed.token_file Signature not required" in page.words
    assert "set, from sources.two.token (two: the old one and the new one)" in page.words
    assert "none: the signature is enough Signature required" in page.words
    assert "set, from sources.both.token Signature required" in page.words
    assert code_of(page, "url-signed").endswith("/events/signed")
    assert page.all("details", id="curl-filed")
    assert not page.all("details", id="curl-signed"), "curl alone cannot sign"
    assert "canary" not in page.html.lower()
    assert SIGNING.removeprefix("whsec_") not in page.html


async def test_silence_is_told_over_a_restart(open_site: Open, tmp_path: Path) -> None:
    head = START + f"  - {{name: clientxcms, token: {TOKEN}}}\n  - {{name: deskbell, token: {TOKEN}}}\n"
    (tmp_path / "config.yaml").write_text(head + DEMO, "utf-8")
    await Shelf(tmp_path).fill(
        Past(ticket="6", ago=timedelta(days=9)), Past(ticket="7", ago=timedelta(days=3, hours=1))
    )
    site = await open_site(DEMO, head)
    page = await site.page("/sources")
    assert "Ticket 7 Silence nothing for 3 days" in page.words
    assert page.words.count("none yet") == 1
    await site.post_event(ticketid="8")
    page = await site.until("/sources", lambda page: "Ticket 8 Silence nothing for" in page.words)
    assert "Taken since the start 1" in page.words


async def test_what_was_refused_is_told_but_neither_token_nor_body(open_site: Open) -> None:
    site = await open_site(DEMO)
    wrong = {"Authorization": f"Bearer {CANARY}", "Content-Type": "application/json"}
    right = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    for headers, body, status in (
        (wrong, "{}", 401),
        (right, f'{{"{CANARY}', 400),
        (right, json.dumps({"payload": {"action": [CANARY], CANARY: 1}}), 422),
        (right, json.dumps({CANARY: CANARY}), 422),
    ):
        answer = await site.ask("POST", "/events/clientxcms", data=body, headers=headers)
        assert answer.status == status, answer.text
    await site.ask("POST", f"/events/clientxcms/{CANARY}", json={})
    page = await site.page("/sources")
    assert "Refused since the start 5" in page.words
    for reason in (
        "the token or the signature is missing or wrong",
        "not an event of ClientXCMS; payload.action: must be a string, a number or null",
        "payload: is required (or a top-level action)",
    ):
        assert reason in page.words
    assert CANARY not in page.html
    assert TOKEN not in page.html


async def test_a_url_that_names_no_source_is_noticed(open_site: Open) -> None:
    site = await open_site(DEMO)
    assert "named no source" not in (await site.page("/sources")).words
    for _ in range(2):
        await site.ask("POST", f"/events/{CANARY}/{TOKEN}", json={})
    page = await site.page("/sources")
    assert "Requests that named no source of the config: 2" in page.words
    assert CANARY not in page.html


async def test_all_refusals_are_counted_and_the_last_that_are_told_are_kept(open_site: Open) -> None:
    """Strangers who go on are told of no more; but they are counted."""
    site = await open_site(DEMO)
    for _ in range(MOST_FAILURES + 5):
        await site.ask("POST", "/events/clientxcms/wrong", json={})
    page = await site.page("/sources")
    assert f"Refused since the start {MOST_FAILURES + 5}" in page.words
    assert page.html.count("<td data-label") == 2 * MOST_REFUSALS
    assert page.words.count("429") == 1


async def test_what_a_strangers_adapter_says_is_inert_and_holds_up_no_page(open_site: Open) -> None:
    site = await open_site(
        DEMO, START + "".join(f"  - {{name: {name}, token: {CANARY}}}\n" for name in ("odd", "stuck", "torn"))
    )
    for said in (*HOSTILE, f"your token is {CANARY}"):
        body = json.dumps({"said": said})
        await site.ask(
            "POST", f"/events/odd/{CANARY}", data=body, headers={"Content-Type": "application/json"}
        )
    page = await site.page("/sources")
    assert "<img src=x onerror=alert(1)> {{ 7 * 7 }}" in page.text
    assert all(f"no event: {said}" in page.text for said in HOSTILE if said.isprintable())
    assert "your token is •••" in page.text
    assert CANARY not in page.html
    assert [
        each for each in page.elements if each[0] in ("img", "script", "b") and "onerror" in each[1]
    ] == []
    assert not page.all("details", id="curl-odd"), "its sample fails"
    assert not page.all("details", id="curl-stuck"), "its sample hangs"
    assert not page.all("details", id="curl-torn"), "no shell could send it"


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the naughty strings are not beside this checkout")
async def test_naughty_tickets_are_inert(open_site: Open) -> None:
    site = await open_site(DEMO)
    for text in json.loads(NAUGHTY.read_text("utf-8")):
        if text.strip():
            await site.post_event(ticketid=text)
            assert text.strip() in (await site.page("/sources")).text


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("sh")), reason="no curl, or no sh")
async def test_the_curl_line_posts_a_sample(open_site: Open) -> None:
    site = await open_site(DEMO)
    line = code_of(await site.page("/sources"), "curl-line-clientxcms")
    assert line.startswith("# Set TOKEN to the token of the source clientxcms first.\ncurl ")
    shell = await asyncio.create_subprocess_exec(
        "sh", "-c", line, env={"TOKEN": TOKEN, "PATH": "/usr/bin:/bin"}, stdout=-1, stderr=-3
    )
    said, _ = await shell.communicate()
    assert json.loads(said)["deliveries"] == 1
    await site.until("/sources", lambda page: "Taken since the start 1" in page.words)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", ["L’URL pour votre centre d’aide", "/events/clientxcms/VOTRE-JETON", "« URL du webhook »"]),
        ("es", ["La URL para su centro de ayuda", "/events/clientxcms/SU-TOKEN", "«Webhook URL»"]),
    ],
)
async def test_it_speaks_the_readers_language(open_site: Open, language: str, words: list[str]) -> None:
    site = await open_site(DEMO)
    page = (await site.get("/sources", Accept_Language=language)).page
    assert [each for each in words if each not in page.words] == []


async def test_without_sources_it_says_what_to_do(open_site: Open) -> None:
    site: Site = await open_site(DEMO, HEAD.partition("sources:")[0])
    assert "There are no sources" in (await site.page("/sources")).words
