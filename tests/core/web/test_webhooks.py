"""The webhooks of the config: how each fares, and switching one on or off or deleting it, at a running service."""

from __future__ import annotations

import asyncio
from pathlib import Path

from .conftest import HEAD, Open, Page, Site

SECRET = "https://hooks.example.test/services/T0SECRET/B0SECRET/a-very-secret-part"
WEBHOOKS = f"""
webhooks:
  # For the team.
  - name: desk   # the first
    url: demo:slack
    action: Submit   # new ones
    when: {{priority: [high], department: [Ventes]}}
    message: "%subject%"

  # For the shop.
  - name: shop
    enabled: false
    url: {SECRET}
    transport: slack
    action: [Reply, checkout_completed]
    rate: none
    message: |
      *%subject%*
"""


def states(page: Page) -> list[str]:
    """How the webhooks fare, in their order."""
    tags = page.html.split('<span class="tag')[1:]
    return [tag.partition(">")[2].partition("<")[0] for tag in tags]


def configs_in(folder: Path) -> list[str]:
    """No file that was being written is left over."""
    return sorted(path.name for path in folder.iterdir() if "config.yaml" in path.name)


async def test_the_list_tells_of_each_webhook_how_it_fares(open_site: Open) -> None:
    page = await (await open_site(WEBHOOKS)).page("/webhooks")
    assert states(page) == ["active", "disabled"]
    for words in ("New ticket, high, ventes", "5/5s", "none yet", "Customer's reply, Order paid"):
        assert words in page.words, words
    assert "not limited" in page.words
    assert page.all("a", href="/webhooks/desk/disable")
    assert page.all("a", href="/webhooks/shop/enable")
    assert "SECRET" not in page.html


async def test_the_list_tells_when_a_message_last_got_through(open_site: Open) -> None:
    site = await open_site(WEBHOOKS.replace("when: {priority: [high], department: [Ventes]}", ""))
    await site.post_event(subject="x")
    page = await site.until("/webhooks", lambda page: page.all("time"))
    assert len(page.all("time")) == 1


async def test_a_config_without_webhooks_is_told(open_site: Open) -> None:
    page = await (await open_site("webhooks: []\n")).page("/webhooks")
    assert "no webhooks yet" in page.words


async def ask(site: Site, path: str) -> tuple[Page, dict[str, str]]:
    """The page that asks, and the fields of its form."""
    page = await site.page(path)
    return page, {"revision": page.all("input", name="revision")[0]["value"]}


async def test_disabling_shows_the_lines_first_then_changes_them_and_no_other(
    open_site: Open, tmp_path: Path
) -> None:
    site = await open_site(WEBHOOKS)
    page, fields = await ask(site, "/webhooks/desk/disable")
    assert [line.strip() for line in page.text.splitlines() if line.startswith("+ ")] == [
        "+    enabled: false"
    ]
    answer = await site.send("/webhooks/desk/disable", fields)
    assert (answer.status, answer.headers["location"]) == (303, "/webhooks?said=disabled")
    text = (tmp_path / "config.yaml").read_text("utf-8")
    assert text == HEAD + WEBHOOKS.replace("# the first\n", "# the first\n    enabled: false\n")
    assert (tmp_path / "config.yaml.bak").read_text("utf-8") == HEAD + WEBHOOKS
    page = await site.page("/webhooks?said=disabled")
    assert states(page) == ["disabled", "disabled"]
    assert "The webhook is disabled." in page.words


async def test_what_waits_is_held_by_a_deletion_and_goes_when_the_webhook_is_back(
    open_site: Open, tmp_path: Path
) -> None:
    """The played Slack is slow enough at 1 message in 10 minutes."""
    site = await open_site(WEBHOOKS.replace("when: {priority: [high], department: [Ventes]}", "rate: 1/600s"))
    for ticket in ("1", "2", "3"):
        await site.post_event(ticketid=ticket, subject="x")
    page = await site.until(
        "/webhooks/desk/delete", lambda page: "Deliveries that wait for it: 2." in page.words
    )
    fields = {"revision": page.all("input", name="revision")[0]["value"]}
    assert (await site.send("/webhooks/desk/delete", fields)).status == 303
    text = (tmp_path / "config.yaml").read_text("utf-8")
    assert "name: desk" not in text
    assert "# For the shop." in text
    assert (await site.get("/webhooks/desk/delete")).status == 404
    page = await site.page("/?webhook=desk&state=held")
    assert page.html.count('<a id="delivery-') == 2


async def test_enabling_goes_the_same_way(open_site: Open) -> None:
    site = await open_site(WEBHOOKS.replace(SECRET, "demo:slack"))
    _, fields = await ask(site, "/webhooks/shop/enable")
    assert (await site.send("/webhooks/shop/enable", fields)).status == 303
    assert states(await site.page("/webhooks")) == ["active", "active"]


async def test_no_secret_is_in_a_diff(open_site: Open) -> None:
    page = await (await open_site(WEBHOOKS)).page("/webhooks/shop/delete")
    assert "-    url: •••" in page.text
    assert "SECRET" not in page.html


async def test_of_two_who_save_at_once_the_second_is_told(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(WEBHOOKS)
    _, fields = await ask(site, "/webhooks/desk/disable")
    answers = await asyncio.gather(
        site.send("/webhooks/desk/disable", fields), site.send("/webhooks/desk/delete", fields)
    )
    assert sorted(answer.status for answer in answers) == [303, 409]
    (told,) = (answer for answer in answers if answer.status == 409)
    assert "changed by somebody else meanwhile" in told.page.words
    assert configs_in(tmp_path) == ["config.yaml", "config.yaml.bak"]


async def test_what_check_would_refuse_is_not_saved(open_site: Open, tmp_path: Path) -> None:
    """Here the owner broke another line since the start."""
    site = await open_site(WEBHOOKS)
    path = tmp_path / "config.yaml"
    path.write_text(HEAD + WEBHOOKS.replace("[Reply,", "[Replly,"), "utf-8")
    page = await site.page("/webhooks/desk/disable")
    assert "action: 'Replly' is not" in page.words
    assert page.all("button", id="do") == []
    before = path.read_bytes()
    answer = await site.send("/webhooks/desk/disable")
    assert (answer.status, path.read_bytes()) == (422, before)


async def test_a_file_that_cannot_be_edited_says_why(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(WEBHOOKS)
    path = tmp_path / "config.yaml"
    path.write_text("{" + "webhooks: []}", "utf-8")
    assert "edit it by hand" in (await site.page("/webhooks/desk/disable")).words
    path.unlink()
    assert (await site.get("/webhooks/desk/disable")).status == 200


async def test_a_file_that_cannot_be_written_is_told_with_the_lines_to_write_by_hand(
    open_site: Open, tmp_path: Path
) -> None:
    site = await open_site(WEBHOOKS)
    _, fields = await ask(site, "/webhooks/desk/disable")
    (tmp_path / "config.yaml.bak").mkdir()  # no file can take its place, not even by root
    answer = await site.send("/webhooks/desk/disable", fields)
    assert answer.status == 422
    assert "cannot be written" in answer.page.words
    assert "+    enabled: false" in answer.page.text
    assert (tmp_path / "config.yaml").read_text("utf-8") == HEAD + WEBHOOKS


async def test_a_webhook_that_is_not_there_has_no_such_page(open_site: Open) -> None:
    site = await open_site(WEBHOOKS)
    assert (await site.get("/webhooks/nobody/delete")).status == 404
    assert (await site.send("/webhooks/nobody/delete")).status == 404


async def test_a_config_that_could_not_be_loaded_is_told_above_the_one_in_force(
    open_site: Open, tmp_path: Path
) -> None:
    site = await open_site(WEBHOOKS)
    (tmp_path / "config.yaml").write_text("webhooks: 1\n", "utf-8")
    await site.door.reload()
    page = await site.page("/webhooks")
    assert "could not be loaded" in page.words
    assert states(page) == ["active", "disabled"]
