"""The page of troubles."""

from __future__ import annotations

from .conftest import HEAD, Open

DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'


async def test_all_is_well_until_it_is_not(open_site: Open) -> None:
    site = await open_site(DEMO)
    assert "All is well." in (await site.page("/health")).words
    (site.folder / "config.yaml").write_text(HEAD + DEMO.replace("message", "mesage"), "utf-8")
    assert not (await site.door.reload()).ok
    page = await site.page("/health")
    assert "All is well." not in page.words
    assert "did you mean 'message'?" in page.words
