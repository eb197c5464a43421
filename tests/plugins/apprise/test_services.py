"""What services make of a customer's text: Apprise's own code for them runs, and only their host is this machine.

What they act on is taken from their documents: Discord's and Slack's mentions
(https://docs.discord.com/developers/reference#message-formatting,
https://docs.slack.dev/messaging/formatting-message-text), Telegram's HTML
(https://core.telegram.org/bots/api#html-style).
"""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest

import deskbell

from .conftest import Desk, Service, options

pytest.importorskip("apprise", reason="the Apprise library is not installed: pip install 'deskbell[apprise]'")

from apprise import Apprise as Library

HOSTILE = (
    "@everyone @here @channel @all <@123456789012345678> <@&123456789012345678> <!channel> <!here|x> <@U012AB3CD> "
    '<at user_id="all">all</at> <users/all> [bank](https://evil.example) ![x](https://evil.example/p.png) '
    "<https://evil.example|bank> <b>bold</b> <script>alert(1)</script> &lt;!channel&gt; &commat;all &#64;here "
    "**bold** `code` @room"
)
MENTIONS = re.compile(r"@everyone|@here|@channel|@all|@room|<@[&!]?\w|<!\w|<at |<users/", re.IGNORECASE)
GAP = "\u200b"
FORMATS = ["text", "markdown", "html"]
SLACK_TOKEN = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


class Reader(HTMLParser):
    """The tags and the text that a reader of HTML finds."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def _move(monkeypatch: pytest.MonkeyPatch, url: str, attribute: str, place: str) -> None:
    found = Library.instantiate(url)
    assert found is not None
    monkeypatch.setattr(type(found), attribute, place)


@pytest.mark.parametrize("written_in", FORMATS)
async def test_telegram_shows_the_text_and_no_markup_of_it(
    desk: Desk, service: Service, monkeypatch: pytest.MonkeyPatch, written_in: str
) -> None:
    url = "tgram://123456789:abcdefg_hijklmnop/12345/"
    _move(monkeypatch, url, "notify_url", f"http://{service.place}/bot")
    service.says("/bot", 200, '{"ok": true}')
    given, subject = options(format=written_in, title="%subject%"), "R&amp;D **now** 1 < 2"
    attempt = await desk.send(url, HOSTILE, options=given, variables={"subject": subject})
    assert isinstance(attempt.outcome, deskbell.Delivered)
    ((_, _, body),) = service.got
    assert not MENTIONS.search(body["text"])
    if body["parse_mode"] == "HTML":
        read = Reader(body["text"])
        assert set(read.tags) <= {"b"}, "the title's own"
        assert subject in read.text.replace(GAP, "")
        assert HOSTILE in read.text.replace(GAP, "")
    else:
        assert "](" not in body["text"]
        assert "**now**" not in body["text"]


@pytest.mark.parametrize("written_in", FORMATS)
async def test_slack_gets_no_form_of_its_own(
    desk: Desk, service: Service, monkeypatch: pytest.MonkeyPatch, written_in: str
) -> None:
    url = f"slack://{SLACK_TOKEN}/#general"
    _move(monkeypatch, url, "webhook_url", f"http://{service.place}/services")
    service.says("/services", 200, "ok")
    await desk.send(url, HOSTILE, options=options(format=written_in))
    text = json.dumps([body for _, _, body in service.got], ensure_ascii=False)
    assert len(service.got) == 1
    assert not re.search(r"<[@#!]|<https?:|@(?:channel|here|everyone)", text)


@pytest.mark.parametrize("written_in", FORMATS)
@pytest.mark.parametrize("scheme", ["discord", "mmost", "json", "ntfy", "gotify"])
async def test_a_service_that_gets_plain_text_finds_nobody_to_call(
    desk: Desk, service: Service, monkeypatch: pytest.MonkeyPatch, written_in: str, scheme: str
) -> None:
    """Discord and Mattermost read Markdown in it as well, where a link shows another address than it leads to."""
    url = service.url("/abcdefgh12345678", scheme)
    if scheme == "discord":
        url = f"discord://123456789012345678/{'a' * 68}"
        _move(monkeypatch, url, "notify_url", f"http://{service.place}/webhooks")
    attempt = await desk.send(url, HOSTILE, options=options(format=written_in))
    assert isinstance(attempt.outcome, deskbell.Delivered)
    ((_, _, body),) = service.got
    text = next(body[key] for key in ("content", "text", "message") if key in body)
    assert "evil.example" in text
    assert not MENTIONS.search(text)
    assert not MENTIONS.search(unescape(text))
    assert not re.search(r"(?<!\\)\]\(|<https?:", text)
    assert "allow_mentions" not in body


async def test_text_that_is_written_in_text_arrives_as_it_was_but_for_what_is_broken(
    desk: Desk, service: Service
) -> None:
    await desk.send(service.url(), HOSTILE)
    assert service.got[0][2]["message"].replace(GAP, "") == HOSTILE
