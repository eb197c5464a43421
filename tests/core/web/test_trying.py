"""The button that sends a test: through the real queue, with the service's own answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from tests.kit import answer, serving

from deskbell.plugins import Plugins, load_plugins
from deskbell.web import trying

from .conftest import Open

DEMO = """
webhooks:
  - {name: desk, url: "demo:slack", action: checkout_completed, message: "%subject% %basketid%"}
  - {name: shop, url: "demo:slack", action: Submit, message: "%subject%", enabled: false}
"""


async def test_a_test_goes_through_the_queue_and_its_delivery_has_the_answer(open_site: Open) -> None:
    site = await open_site(DEMO)
    assert [
        each["id"] for each in (await site.page("/webhooks")).all("button") if "test" in each.get("id", "")
    ] == ["test-desk"]
    sent = await site.send("/webhooks/desk/test")
    assert (sent.status, sent.headers["location"]) == (303, "/deliveries/1?said=tested")
    page = await site.page(sent.headers["location"])
    assert "A sample event went through the real queue" in page.words
    assert "Delivered" in page.words
    assert "200 ok" in page.words
    assert "checkout_completed" in page.words


@pytest.mark.parametrize(
    ("language", "subject"), [("en", "Refund"), ("fr", "Remboursement"), ("es", "Reembolso")]
)
async def test_the_test_speaks_the_readers_language_as_its_preview_does(
    open_site: Open, language: str, subject: str
) -> None:
    site = await open_site(
        'webhooks:\n  - {name: desk, url: "demo:slack", action: Submit, message: "%subject%"}\n'
    )
    site.headers["Accept-Language"] = language
    sent = await site.send("/webhooks/desk/test")
    page = await site.page(sent.headers["location"])
    assert f'"text": "{subject}"' in page.words


async def test_what_the_service_refuses_is_told_in_its_words(open_site: Open) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return answer(400, "invalid_blocks")

    async with serving(refuse) as url:
        site = await open_site(
            f'webhooks:\n  - {{name: desk, url: "{url}/x", transport: slack, action: Submit, message: x}}\n'
        )
        sent = await site.send("/webhooks/desk/test")
        page = await site.page(sent.headers["location"])
    assert "400 invalid_blocks" in page.words
    assert "Refused for good" in page.words


async def test_who_gets_no_answer_in_time_sees_it_on_the_page_when_it_comes(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "PATIENCE", 0.0)
    site = await open_site(DEMO)
    sent = await site.send("/webhooks/desk/test")
    assert sent.headers["location"] == "/deliveries/1?said=tested"
    page = await site.until("/deliveries/1", lambda page: "200 ok" in page.words)
    assert "Delivered" in page.words


ODD = """
import deskbell

class Odd(deskbell.Source):
    name = "odd"
    actions = ("odd_thing",)
    def parse(self, request):
        raise deskbell.EventError("no event")
    def sample(self, action):
        raise SystemExit("no sample")

@deskbell.hookimpl
def deskbell_sources():
    return [Odd]
"""
ODD_DESK = """  - {name: odd, token: another-token-of-the-tests}
webhooks:
  - {name: desk, url: "demo:slack", action: odd_thing, message: "%subject%"}
"""


class TestWithAStrangersSource:
    @pytest.fixture
    def plugins(self, tmp_path: Path) -> Plugins:
        folder = tmp_path / "plugins.d"
        folder.mkdir()
        (folder / "odd.py").write_text(ODD, "utf-8")
        return load_plugins(plugins_dir=folder)

    async def test_a_sample_that_fails_is_the_plugins_fault_and_ends_nothing(self, open_site: Open) -> None:
        site = await open_site(ODD_DESK)
        sent = await site.send("/webhooks/desk/test")
        assert sent.status == 500
        assert "a source's sample event failed (SystemExit)" in sent.page.words
        assert "Nothing was sent yet" in (await site.page("/")).words


@pytest.mark.parametrize(("name", "status"), [("shop", 409), ("nobody", 404)])
async def test_only_a_webhook_that_is_on_can_be_tested(open_site: Open, name: str, status: int) -> None:
    site = await open_site(DEMO)
    assert (await site.send(f"/webhooks/{name}/test")).status == status
    assert "Nothing was sent yet" in (await site.page("/")).words
