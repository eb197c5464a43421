"""The page of the plugins: a good stranger, odd ones, broken ones, and one that is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deskbell.plugins import Plugins, load_plugins

from .conftest import HEAD, TOKEN, Open, Page

NAUGHTY = (
    Path(__file__).resolve().parents[4] / "shared" / "data" / "corpora" / "naughty-strings" / "blns.json"
)
CANARY = "canary-canary-canary-0001"
DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'
BELL = """
import time
from typing import Literal
from pydantic import Field
import deskbell

class Texts(deskbell.Options):
    topic: str = Field(description="<script>alert(1)</script> {{{{ 7 * 7 }}}}")
    volume: int | None = 3
    mood: Literal["calm", "loud"] = "calm"
    password: deskbell.Secret = deskbell.Secret("{canary}")

class Bell(deskbell.Transport[Texts]):
    '''Ring a <b>bell</b>.

    And this is for authors.
    '''
    name = "bell"
    max_length = 100
    def format(self, notice, options):
        return {{"text": notice.text(escape=deskbell.plain, limit=self.max_length)}}

@deskbell.hookimpl
def deskbell_transports():
    return [Bell]

@deskbell.hookimpl
def deskbell_attempt_finished(attempt):
    pass
"""
ODD = """
import time
import deskbell

class Gong:
    def __str__(self):
        raise SystemExit("no words")

class Bell:
    def __str__(self):
        time.sleep(60)

class Odd(deskbell.Options):
    model_config = {"arbitrary_types_allowed": True}
    gong: Gong = Gong()

class Slow(deskbell.Options):
    model_config = {"arbitrary_types_allowed": True}
    bell: Bell = Bell()

class First(deskbell.Transport[Odd]):
    name = "odd"
    max_length = 9
    def format(self, notice, options):
        return {}

class Second(deskbell.Transport[Slow]):
    name = "slow"
    max_length = 9
    def format(self, notice, options):
        return {}
    @classmethod
    def unavailable(cls):
        return "there is no <gong> here"

@deskbell.hookimpl
def deskbell_transports():
    return [First, Second]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins.d")
    (folder / "bell.py").write_text(BELL.format(canary=CANARY), "utf-8")
    (folder / "lost.py").write_text("import not_there_at_all", "utf-8")
    (folder / "rude.py").write_text(f"raise OSError('<img src=x> {TOKEN}')", "utf-8")
    (folder / "away.py").write_text("raise SystemExit", "utf-8")
    return folder


@pytest.fixture(scope="module")
def plugins(folder: Path) -> Plugins:
    return load_plugins(plugins_dir=folder, disabled=["away"])


def section(page: Page, name: str) -> str:
    """What is said of one plugin."""
    (found,) = [
        each for each in page.html.split("<section")[1:] if f">{name}<" in f"{each.partition('</h2>')[0]}<"
    ]
    return Page("<section" + found.partition("</section>")[0] + "</section>").words


async def test_a_plugin_is_shown_with_its_file_what_it_provides_and_its_options(open_site: Open) -> None:
    site = await open_site(DEMO)
    page = await site.page("/plugins")
    bell = section(page, "bell")
    assert "/bell.py Transport bell Ring a <b>bell</b>." in bell
    assert "And this is for authors" not in bell
    assert "Used by nobody" in bell
    assert "topic required text <script>alert(1)</script> {{ 7 * 7 }}" in bell
    assert "volume a number 3" in bell
    assert 'mood calm, loud "calm"' in bell
    assert "password secret text •••" in bell
    assert "Is told of events by deskbell_attempt_finished" in bell
    assert CANARY not in page.html
    assert not page.all("b")
    assert len(page.all("script")) == 1


async def test_who_uses_a_plugin_is_a_link_to_it(open_site: Open) -> None:
    site = await open_site(DEMO)
    page = await site.page("/plugins")
    assert (
        "Transport slack Post ticket events to a Slack channel, through an incoming webhook. Used by desk"
        in (section(page, "slack"))
    )
    assert "Actions Submit, Reply, StaffReply, Close, checkout_completed" in section(page, "clientxcms")
    for link in ("/webhooks#webhook-desk", "/sources#source-clientxcms"):
        assert page.all("a", href=link)
        path, _, id_ = link.partition("#")
        assert (await site.page(path)).all("h2", id=id_)


async def test_what_is_broken_comes_first_with_its_reason_and_what_to_do(open_site: Open) -> None:
    site = await open_site(DEMO)
    page = await site.page("/plugins")
    lost, rude = section(page, "lost"), section(page, "rude")
    assert "not loaded" in lost
    assert "No module named 'not_there_at_all'" in lost
    assert "What to do pip install not_there_at_all" in lost
    assert "DESKBELL_DISABLE_PLUGINS=lost" in lost
    assert "OSError: <img src=x> •••" in rude
    assert TOKEN not in page.html
    headings = page.html.split("<h2")[1:]
    assert [name for each in headings for name in ("lost", "rude") if f">{name}<" in each] == ["lost", "rude"]
    assert all("not loaded" in each for each in headings[:2])


async def test_what_is_left_out_comes_last(open_site: Open) -> None:
    site = await open_site(DEMO)
    page = await site.page("/plugins")
    assert "left out" in page.html.split("<h2")[-1]
    assert "away" in page.html.split("<h2")[-1]


async def test_it_tells_what_the_command_tells(open_site: Open, plugins: Plugins) -> None:
    site = await open_site(DEMO)
    page = await site.page("/plugins")
    for origin in (*plugins.loaded, *plugins.broken, *plugins.disabled):
        assert str(origin) in section(page, origin.name)


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the naughty strings are not beside this checkout")
async def test_naughty_reasons_are_inert(
    open_site: Open, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is raised by a plugin of its own."""
    naughty = [text for text in json.loads(NAUGHTY.read_text("utf-8")) if text.strip()]
    for number, text in enumerate(naughty):
        (tmp_path / f"n{number}.py").write_text(f"raise OSError({text!a})", "utf-8")
    broken = load_plugins(plugins_dir=tmp_path, entry_points=[]).broken
    monkeypatch.setattr(plugins, "broken", broken)
    site = await open_site(DEMO)
    page = await site.page("/plugins")
    for plugin in broken:
        assert plugin.reason in page.text
    assert len(page.all("script")) == 1
    assert [each for each in page.all("img") if each.get("src", "") == "x"] == []


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", ["non chargé", "Utilisé par", "un nombre"]),
        ("es", ["no cargado", "Lo usan", "un número"]),
    ],
)
async def test_it_speaks_the_readers_language(open_site: Open, language: str, words: list[str]) -> None:
    site = await open_site(DEMO, HEAD)
    page = (await site.get("/plugins", Accept_Language=language)).page
    assert [each for each in words if each not in page.words] == []


class TestOddOptions:
    """Of a plugin whose own types fail, and of one whose types hang."""

    @pytest.fixture
    def plugins(self, tmp_path: Path) -> Plugins:
        (tmp_path / "plugins.d").mkdir()
        (tmp_path / "plugins.d" / "odd.py").write_text(ODD, "utf-8")
        return load_plugins(plugins_dir=tmp_path / "plugins.d")

    async def test_the_rest_is_shown_all_the_same(self, open_site: Open) -> None:
        site = await open_site(DEMO)
        odd = section(await site.page("/plugins"), "odd")
        assert "Transport odd" in odd
        assert "Transport slow" in odd
        assert odd.count("Its plugin cannot say which options it has.") == 2
        assert "It cannot be used here: there is no <gong> here" in odd
