"""Adding and changing a webhook: what is typed, previewed, looked at and saved, at a running service."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from deskbell.plugins import Plugins

from .conftest import HEAD, Answer, Open, Page, Site

SECRET = "https://hooks.slack.com/services/T0SECRET/B0SECRET/averysecretpart000000000"
WEBHOOKS = """
webhooks:
  # For the team.
  - name: desk   # the first
    url: ${DESK_URL:-demo:slack}   # from the environment
    action: support.submit   # new ones
    options: {unfurl_links: false}
    message: |
      *%subject%*   # no comment

  # By hand.
  - name: other
    url: https://example.com/hooks/abcdefghijklmnop
    transport: webhook
    action: "*"
    options:
      headers: {Authorization: "Bearer hunter2hunter2"}   # theirs
      markup: html
    message: "%subject%"
"""
HOSTILE = '"><script>alert(1)</script><b>%subject%</b>&amp;{{7*7}}'


def fields_of(page: Page) -> dict[str, Any]:
    """What a browser would send of the form, untouched."""
    found: dict[str, Any] = {}
    inside = page.html.partition('<form id="webhook"')[2].partition("</form>")[0]
    form = Page(f"<form{inside}</form>")
    for field in form.all("input"):
        if field.get("type") != "checkbox" or "checked" in field:
            found.setdefault(field["name"], []).append(field.get("value", ""))
    for name, body in re.findall(r'<select id="[^"]*" name="([^"]*)".*?>(.*?)</select>', inside, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', body)
        found[name] = [chosen[1] if chosen else ""]
    for name, body in re.findall(
        r'<textarea id="[^"]*" name="([^"]*)".*?>\n(.*?)</textarea>', inside, re.DOTALL
    ):
        found[name] = [Page(f"<p>{body}</p>").text.replace("\n", "\r\n")]
    found.pop("form_token")
    return found


async def opened(site: Site, path: str) -> dict[str, Any]:
    return fields_of(await site.page(path))


async def look(site: Site, path: str, fields: dict[str, Any], **typed: Any) -> Answer:
    """Type, and look at the lines that change."""
    return await site.send(path, {**fields, **_named(typed), "do": "review"})


def _named(typed: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("__", "."): value for name, value in typed.items()}


async def save(site: Site, path: str, seen: Answer, **typed: Any) -> Answer:
    """Save what ``seen`` shows."""
    assert seen.page.all("button", id="save"), seen.page.words
    return await site.send(path, {**fields_of(seen.page), **_named(typed), "do": "save"})


def config(folder: Path) -> str:
    return (folder / "config.yaml").read_text("utf-8")


def added(page: Page) -> list[str]:
    """The new lines of the diff."""
    return re.findall(r'<span class="added">(.*?)\n?</span>', page.html)


async def test_adding_one_shows_its_lines_then_writes_them_behind_the_others(
    open_site: Open, tmp_path: Path
) -> None:
    site = await open_site(WEBHOOKS)
    fields = await opened(site, "/webhooks/new")
    seen = await look(
        site, "/webhooks/new", fields, name="shop", url="demo:discord", transport="discord", action=["Reply"],
        message="Sold: %subject%\r\nat $5", options__discord__username="Till", when__priority=["high"],
    )  # fmt: skip
    assert seen.status == 200, seen.page.words
    assert [line.removeprefix("+").strip() for line in added(seen.page) if line.strip("+ ")] == [
        "- name: shop", "url: •••", "transport: discord", "action: Reply", "when: {priority: [high]}",
        "options: {username: Till}", "message: |", "Sold: %subject%", "at $5",
    ]  # fmt: skip
    assert config(tmp_path) == HEAD + WEBHOOKS
    answer = await save(site, "/webhooks/new", seen)
    assert (answer.status, answer.headers["location"]) == (303, "/webhooks?said=saved")
    assert config(tmp_path).startswith(HEAD + WEBHOOKS)
    assert "    url: demo:discord\n" in config(tmp_path)
    assert (tmp_path / "config.yaml.bak").read_text("utf-8") == HEAD + WEBHOOKS
    assert "shop active" in (await site.page("/webhooks?said=saved")).words


async def test_an_untouched_form_changes_nothing(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(WEBHOOKS)
    for name in ("desk", "other"):
        path = f"/webhooks/{name}/edit"
        seen = await look(site, path, await opened(site, path))
        assert "Nothing changes in the config." in seen.page.words
        assert seen.page.all("button", id="save") == []
    assert config(tmp_path) == HEAD + WEBHOOKS


async def test_a_changed_message_leaves_every_other_line_and_comment(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(WEBHOOKS)
    path = "/webhooks/desk/edit"
    seen = await look(site, path, await opened(site, path), message="_%subject%_")
    assert (await save(site, path, seen)).status == 303
    assert config(tmp_path) == HEAD + WEBHOOKS.replace("*%subject%*   # no comment", "_%subject%_")


async def test_what_the_form_cannot_say_is_named_and_kept(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(WEBHOOKS)
    path = "/webhooks/other/edit"
    page = await site.page(path)
    assert "options.headers" in page.words.partition("kept as it is")[2]
    assert "hunter2" not in page.html
    seen = await look(site, path, fields_of(page), options__webhook__markup="markdown", rate="1/1s")
    assert "hunter2" not in seen.text
    assert (await save(site, path, seen)).status == 303
    expected = WEBHOOKS.replace("markup: html", "markup: markdown")
    assert config(tmp_path).replace("    rate: 1/1s\n", "") == HEAD + expected


async def test_a_typed_url_is_never_shown_and_still_saved(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(WEBHOOKS)
    path = "/webhooks/desk/edit"
    page = await site.page(path)
    assert "Now: ${DESK_URL:-demo:slack}." in page.words
    seen = await look(site, path, fields_of(page), url=SECRET)
    again = await look(site, path, fields_of(seen.page))
    for answer in (seen, again):
        assert "SECRET" not in answer.text
        assert "url: •••" in answer.page.text
    assert (await save(site, path, again)).status == 303
    assert f"    url: {SECRET} # from the environment\n" in config(tmp_path)
    page = await site.page(path)
    assert "SECRET" not in page.html
    assert "Now: •••." in page.words


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"name": "sh op"}, "name", "does not fit into commands and addresses"),
        ({"url": ""}, "url", "this webhook has no url"),
        ({"url": "example.com/x"}, "url", "must begin with https://"),
        ({"action": []}, "action", "this webhook has no action"),
        ({"message": ""}, "message", "this webhook has no message"),
        ({"message": "%usrname%"}, "message", "did you mean %username%?"),
        ({"rate": "lots"}, "rate", "rate: "),
        ({"retry": "soon"}, "retry", "retry: "),
        ({"max_age": "never"}, "max_age", "max_age: "),
        ({"transport": "slack"}, "transport", "does not fit"),
        ({"options__discord__username": "discord"}, "options-discord-username", "choose another"),
    ],
)  # fmt: skip
async def test_what_check_refuses_is_said_at_its_field_and_not_saved(
    open_site: Open, tmp_path: Path, typed: dict[str, Any], field: str, words: str
) -> None:
    site = await open_site(WEBHOOKS)
    good = {
        "name": "shop",
        "url": "demo:discord",
        "transport": "discord",
        "message": "x",
        "action": ["Submit"],
    }
    fields = await opened(site, "/webhooks/new")
    seen = await look(site, "/webhooks/new", fields, **{**good, **typed})
    assert seen.status == 422
    (element,) = [
        attributes
        for _, attributes in seen.page.elements
        if f"{field}-hint" in attributes.get("aria-describedby", "").split()
    ]
    assert element["aria-invalid"] == "true"
    assert f"{field}-said-1" in element["aria-describedby"]
    assert words in seen.page.words
    assert seen.page.all("button", id="save") == []
    forged = await site.send("/webhooks/new", {**fields_of(seen.page), "do": "save"})
    assert forged.status == 422
    assert config(tmp_path) == HEAD + WEBHOOKS


@pytest.mark.parametrize(("name", "words"), [("", "needs a name"), ("DESK", "already")])
async def test_a_name_must_be_there_and_free(open_site: Open, tmp_path: Path, name: str, words: str) -> None:
    site = await open_site(WEBHOOKS)
    fields = await opened(site, "/webhooks/new")
    seen = await look(site, "/webhooks/new", fields, name=name, url="demo:slack", transport="slack")
    assert (seen.status, words in seen.page.words) == (422, True)
    assert seen.page.all("button", id="save") == []
    assert fields_of(seen.page)["url"] == ["demo:slack"]
    assert config(tmp_path) == HEAD + WEBHOOKS


async def test_what_check_only_warns_of_is_said_at_its_field_and_can_be_saved(open_site: Open) -> None:
    site = await open_site(WEBHOOKS)
    path = "/webhooks/desk/edit"
    seen = await look(site, path, await opened(site, path), message="%url%.")
    assert seen.status == 200
    (field,) = seen.page.all("textarea", id="message")
    assert (field["aria-describedby"], "aria-invalid" in field) == ("message-hint message-said-1", False)
    assert "may become a part of the link" in seen.page.words
    assert (await save(site, path, seen)).status == 303


async def test_a_secret_option_says_whether_there_is_one(open_site: Open) -> None:
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    site = await open_site(WEBHOOKS.replace("markup: html", f"signing_secret: {key}"))
    page = await site.page("/webhooks/other/edit")
    (field,) = page.all("input", name="options.webhook.signing_secret")
    assert (field["value"], field["placeholder"]) == ("", "••• (unchanged)")
    (field,) = (await site.page("/webhooks/new")).all("input", name="options.webhook.signing_secret")
    assert field["placeholder"] == ""


async def test_what_is_typed_after_the_look_is_shown_before_it_is_saved(
    open_site: Open, tmp_path: Path
) -> None:
    site = await open_site(WEBHOOKS)
    path = "/webhooks/desk/edit"
    seen = await look(site, path, await opened(site, path), message="one")
    again = await save(site, path, seen, message="two")
    assert (again.status, config(tmp_path)) == (200, HEAD + WEBHOOKS)
    assert "not what you looked at" in again.page.words
    assert "two" in "".join(added(again.page))
    assert (await save(site, path, again)).status == 303


async def test_of_two_owners_the_second_is_told_and_loses_nothing(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(WEBHOOKS)
    paths = ("/webhooks/desk/edit", "/webhooks/other/edit")
    seen = [await look(site, path, await opened(site, path), message=f"by {path}") for path in paths]
    answers = await asyncio.gather(*(save(site, path, each) for path, each in zip(paths, seen, strict=True)))
    assert sorted(answer.status for answer in answers) == [303, 409]
    second = next(index for index, answer in enumerate(answers) if answer.status == 409)
    told = answers[second]
    assert "changed by somebody else meanwhile" in told.page.words
    assert fields_of(told.page)["message"] == [f"by {paths[second]}"]
    assert (await save(site, paths[second], told)).status == 303
    assert all(f"by {path}" in config(tmp_path) for path in paths)


async def test_a_file_that_cannot_be_written_is_told_with_the_lines_to_paste(
    open_site: Open, tmp_path: Path
) -> None:
    site = await open_site(WEBHOOKS)
    path = "/webhooks/desk/edit"
    seen = await look(site, path, await opened(site, path), message="changed")
    (tmp_path / "config.yaml.bak").mkdir()
    answer = await save(site, path, seen)
    assert "cannot be written" in answer.page.words
    assert "+      changed" in answer.page.text
    assert fields_of(answer.page)["message"] == ["changed"]
    assert config(tmp_path) == HEAD + WEBHOOKS


async def test_a_file_that_cannot_be_edited_says_so_and_keeps_what_was_typed(
    open_site: Open, tmp_path: Path
) -> None:
    site = await open_site(WEBHOOKS)
    path = "/webhooks/desk/edit"
    fields = await opened(site, path)
    (tmp_path / "config.yaml").write_text("webhooks: &all []\nsources: *all\n", "utf-8")
    answer = await look(site, path, fields, message="still here")
    assert answer.status == 422
    assert answer.page.all("p", role="alert")
    assert fields_of(answer.page)["message"] == ["still here"]


async def test_what_no_page_can_write_can_be_pasted_without_its_secrets(
    open_site: Open, tmp_path: Path
) -> None:
    site = await open_site(WEBHOOKS)
    fields = await opened(site, "/webhooks/new")
    (tmp_path / "config.yaml").write_text("webhooks: &all []\nsources: *all\n", "utf-8")
    typed = {
        "name": "shop",
        "url": SECRET,
        "transport": "webhook",
        "options__webhook__signing_secret": "whsec_hunter2",
    }
    answer = await look(site, "/webhooks/new", fields, message="sold", action=["Reply"], **typed)
    assert "SECRET" not in answer.text
    assert "hunter2" not in answer.text
    assert answer.page.text.partition("below webhooks:")[2].splitlines()[1:8] == [
        "  - name: shop", '    url: "•••"', "    transport: webhook", "    action: Reply",
        '    options: {signing_secret: "•••"}', "    message: |", "      sold",
    ]  # fmt: skip


async def test_what_can_be_pasted_needs_no_transport(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(WEBHOOKS)
    (tmp_path / "config.yaml").unlink()
    answer = await look(site, "/webhooks/new", {}, name="shop", message="sold")
    assert answer.status == 422
    assert "  - name: shop" in answer.page.text


async def test_a_new_name_tells_what_becomes_of_what_waits_for_the_old_one(open_site: Open) -> None:
    site = await open_site(WEBHOOKS.replace("options: {unfurl_links: false}", "rate: 1/600s"))
    for ticket in ("1", "2", "3"):
        await site.post_event(ticketid=ticket, subject="x")
    await site.until("/webhooks/desk/disable", lambda page: "wait for it: 2." in page.words)
    path = "/webhooks/desk/edit"
    seen = await look(site, path, await opened(site, path), name="team")
    assert "Deliveries that wait for desk: 2." in seen.page.words
    assert (await save(site, path, seen)).status == 303
    page = await site.page("/?webhook=desk&state=held")
    assert page.html.count('<a id="delivery-') == 2


async def test_another_transport_takes_the_options_of_its_own(open_site: Open) -> None:
    site = await open_site(WEBHOOKS)
    path = "/webhooks/desk/edit"
    seen = await look(
        site, path, await opened(site, path), url="demo:discord", transport="discord", options__discord__silent="true"
    )  # fmt: skip
    assert seen.status == 200
    assert "+    options: {silent: true}" in added(seen.page)


async def preview(site: Site, **typed: Any) -> Page:
    """What a page that is being typed into gets."""
    fields = await opened(site, "/webhooks/desk/edit")
    answer = await site.send("/webhooks/preview", {**fields, **_named(typed)})
    assert answer.status == 200
    return answer.page


async def test_the_preview_shows_the_message_as_its_service_does(open_site: Open) -> None:
    site = await open_site(WEBHOOKS)
    page = await preview(site, message="*Hi* %username%")
    assert re.search(r"<(b|strong)>Hi</\1> Martin Dev", page.html)
    (meter,) = page.all("meter")
    assert f"{meter['value']} of {meter['max']} characters" in page.words
    assert page.all("html") == []
    discord = await preview(site, url="demo:discord", transport="discord", message="**Hi** %username%")
    assert "discord message" in discord.html
    assert discord.all("meter")[0]["max"] == "2000"


async def test_the_preview_does_not_mind_a_name_that_is_another_webhooks(open_site: Open) -> None:
    site = await open_site(WEBHOOKS)
    assert "one" in (await preview(site, name="other", message="one")).words
    assert "two" in (await preview(site, was="", name="other", message="two")).words


async def test_the_preview_says_what_check_says_of_the_message(open_site: Open) -> None:
    site = await open_site(WEBHOOKS)
    assert "unknown variable %usrname%" in (await preview(site, message="%usrname%")).words
    assert "There is nothing to show yet." in (await preview(site, message="")).words


async def test_the_preview_is_in_the_readers_language_and_needs_no_script(open_site: Open) -> None:
    site = await open_site(WEBHOOKS)
    site.headers["Accept-Language"] = "fr"
    path = "/webhooks/desk/edit"
    answer = await site.send(path, {**await opened(site, path), "message": "%subject%", "do": "preview"})
    assert answer.status == 200
    assert "Remboursement" in answer.page.words.partition("Aperçu")[2]
    assert answer.page.all("pre", class_="diff") == []


async def test_naughty_words_stay_words(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(WEBHOOKS)
    fields = await opened(site, "/webhooks/new")
    own = ("was", "do", "revision", "seen", "kept.url", "action", "when.priority", "when.source")
    naughty = dict.fromkeys([*fields, *own], HOSTILE)
    for path in ("/webhooks/new", "/webhooks/desk/edit", "/webhooks/preview"):
        answer = await site.send(path, {**fields, **naughty})
        assert answer.status in (200, 409, 422)
        assert "<script>alert" not in answer.text
        assert ">49<" not in answer.text
        assert answer.page
    assert config(tmp_path) == HEAD + WEBHOOKS


async def test_a_plugin_that_hangs_holds_up_no_page(
    open_site: Open, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    from deskbell.web import aside

    def hang(*_: object) -> str:
        while True:
            time.sleep(0.001)

    site = await open_site(WEBHOOKS)
    monkeypatch.setattr(aside, "PATIENCE", 1.0)
    monkeypatch.setattr(type(plugins.transports["slack"]), "picture", hang)
    page = await preview(site, message="x")
    assert "did not answer in time" in page.words


async def test_a_webhook_that_is_not_there_has_no_form(open_site: Open) -> None:
    site, path = await open_site(WEBHOOKS), "/webhooks/nobody/edit"
    assert (await site.get(path)).status == 404
    assert (await site.send(path, {})).status == 404
