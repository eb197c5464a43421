"""The page of an operator: troubles first, then the backlog, the config and the store, with what to do about them."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from tests.faults.shelf import Past, Shelf

from deskbell import DestinationGone, PermanentFailure, Throttled
from deskbell.plugins import Plugins, load_plugins

from .conftest import HEAD, TOKEN, Open, Page

DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'
TWO = DEMO + '  - {name: shop, url: "demo:discord", action: Submit, message: "%subject%"}\n'


def row(page: Page, webhook: str) -> str:
    """The words of its row in the backlog."""
    (found,) = [each for each in page.html.split("<tr>") if f">{webhook}</a></td>" in each]
    return Page(f"<table><tr>{found.partition('</tr>')[0]}</tr></table>").words


async def fill(folder: Path, webhooks: str, *pasts: Past) -> None:
    """What an earlier run left."""
    (folder / "config.yaml").write_text(HEAD + webhooks, "utf-8")
    await Shelf(folder).fill(*pasts)


async def test_all_is_well_until_a_config_is_refused_with_what_check_says(open_site: Open) -> None:
    site = await open_site(DEMO)
    page = await site.page("/health")
    assert "All is well." in page.words
    assert "Last reload none since the start" in page.words
    (site.folder / "config.yaml").write_text(HEAD + DEMO.replace("message", "mesage"), "utf-8")
    answer = await site.send("/reload")
    assert (answer.status, answer.headers["location"]) == (303, "/health")
    page = await site.page("/health")
    assert "All is well." not in page.words
    assert page.words.index("The new config was not loaded") < page.words.index("What is left, by webhook")
    assert "did you mean 'message'?" in page.words
    assert "refused, the one before is in force" in page.words
    assert TOKEN not in page.html


async def test_the_button_loads_the_config_anew_and_tells_its_warnings(open_site: Open) -> None:
    site = await open_site(DEMO)
    unheard = TWO.replace("action: Submit", "action: Reopen")
    (site.folder / "config.yaml").write_text(HEAD + unheard, "utf-8")
    answer = await site.send("/reload")
    assert answer.headers["location"] == "/health?said=reloaded"
    page = await site.page(answer.headers["location"])
    assert "The config is loaded anew." in page.words
    assert ": in force" in page.words
    assert "What the last reload of the config said" in page.words
    assert "warning: action: no source sends Reopen today" in page.words
    assert row(page, "shop") == "shop 0 0 0 0"


async def test_what_only_a_restart_changes_is_told(open_site: Open) -> None:
    site = await open_site(DEMO)
    elsewhere = "store: sqlite:///other.db\n"
    (site.folder / "config.yaml").write_text(HEAD + elsewhere + DEMO, "utf-8")
    await site.send("/reload")
    assert "Only a restart changes store." in (await site.page("/health")).words


async def test_a_get_reloads_nothing(open_site: Open) -> None:
    site = await open_site(DEMO)
    assert (await site.get("/reload")).status in (404, 405)
    assert "none since the start" in (await site.page("/health")).words


async def test_the_backlog_by_webhook_leads_to_the_deliveries(open_site: Open, tmp_path: Path) -> None:
    gone = '  - {name: gone, url: "demo:slack", action: "*", message: "x"}\n'
    await fill(
        tmp_path,
        TWO + gone,
        *(Past(PermanentFailure("400"), ticket=str(n)) for n in range(3)),
        Past(webhook="gone"),
        Past(webhook="gone"),
    )
    site = await open_site(TWO)
    page = await site.until("/health", lambda page: ">gone</a></td>" in page.html)
    assert row(page, "desk") == "desk 0 0 0 3"
    assert row(page, "shop") == "shop 0 0 0 0"
    assert row(page, "gone").startswith("gone 0 0 2 0 ")
    assert "All is well." not in page.words
    links = {link["href"] for link in page.all("a")}
    assert {"/?webhook=desk&state=dead", "/?webhook=gone&state=held"} <= links
    assert "/?webhook=desk&state=held" not in links
    assert (await site.page("/?webhook=desk&state=dead")).words.count("400") == 3


async def test_what_is_paused_is_resumed_here(open_site: Open, tmp_path: Path) -> None:
    await fill(tmp_path, DEMO, Past(DestinationGone("404 no_service <b>")))
    site = await open_site(DEMO)
    page = await site.until("/health", lambda page: "404 no_service <b>" in page.text)
    assert "The webhook desk is PAUSED" in page.words
    assert not page.all("b")
    answer = await site.send("/webhooks/desk/resume", {"back": "/health"})
    assert answer.headers["location"] == "/health?said=resumed"
    await site.until("/health", lambda page: "All is well." in page.words)


async def test_a_service_that_asked_everybody_to_wait_is_named(open_site: Open, tmp_path: Path) -> None:
    real = DEMO.replace(
        "demo:slack", "https://hooks.slack.com/services/T00000000/B00000000/canarycanarycanary"
    )
    wait = Throttled(600, scope="service", detail="429 slow down")
    await fill(tmp_path, real, Past(wait, service=True, ago=timedelta(seconds=1)))
    site = await open_site(real)
    page = await site.page("/health")
    assert "The service slack waits until" in page.words
    assert "429 slow down" in page.words
    assert "canarycanary" not in page.html


async def test_the_store_is_measured(open_site: Open) -> None:
    site = await open_site(DEMO)
    page = await site.page("/health")
    assert "File deskbell.db Size 0." in page.words
    disk = os.statvfs(site.folder)
    assert ("GiB" if disk.f_bavail * disk.f_frsize >= 1024**3 else "MiB") in page.words
    assert "are kept for outcomes" in page.words


async def test_it_leads_to_what_machines_read(open_site: Open) -> None:
    site = await open_site(DEMO)
    page = await site.page("/health")
    assert "Running since" in page.words
    for link in page.all("a"):
        if link["href"] in ("/metrics", "/readyz", "/healthz"):
            assert (await site.get(link["href"])).status == 200
    assert json.loads((await site.get("/readyz")).text)["status"] == "ready"


@pytest.mark.parametrize(
    ("language", "words"),
    [("fr", ["Recharger la configuration", "Libre sur son disque"]), ("es", ["Recargar la configuración"])],
)
async def test_it_speaks_the_readers_language(open_site: Open, language: str, words: list[str]) -> None:
    site = await open_site(DEMO)
    page = (await site.get("/health", Accept_Language=language)).page
    assert [each for each in words if each not in page.words] == []


SULKY = """
import deskbell

class Sulky(deskbell.Transport):
    name = "sulky"
    max_length = 100
    def format(self, notice, options):
        return {}
    def fake(self):
        raise RuntimeError("no play today")

@deskbell.hookimpl
def deskbell_transports():
    return [Sulky]
"""


class TestWithAServiceThatCannotBePlayed:
    @pytest.fixture
    def plugins(self, tmp_path: Path) -> Plugins:
        folder = tmp_path / "plugins.d"
        folder.mkdir()
        (folder / "sulky.py").write_text(SULKY, "utf-8")
        return load_plugins(plugins_dir=folder)

    async def test_the_config_before_stays_in_force(self, open_site: Open) -> None:
        site = await open_site(DEMO)
        config = site.folder / "config.yaml"
        config.write_text(config.read_text("utf-8").replace("demo:slack", "demo:sulky"), "utf-8")
        assert (await site.send("/reload")).headers["location"] == "/health"
        page = await site.page("/health")
        assert "plugin of transport sulky" in page.words
        assert "fake failed: RuntimeError: no play today (plugins.d/sulky.py, line 10)" in page.words
        assert "slack" in (await site.page("/demo/")).words
