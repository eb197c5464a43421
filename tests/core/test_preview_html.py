"""``deskbell preview --html``: one file that a browser shows, with nothing in it that runs or is loaded."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.kit import Bell, webhook

import deskbell
from deskbell.cli.page import page
from deskbell.preview import Preview

if TYPE_CHECKING:
    from tests.conftest import Run

CONFIG = """\
webhooks:
  - name: desk
    url: demo:discord
    action: Submit
    message: |
      **%subject%** %content%
"""
BROKEN = '''\
"""A plugin whose format fails."""

import deskbell


class Broken(deskbell.Transport):
    """Fails."""

    name = "broken"
    max_length = 10

    def format(self, notice, options):
        """Fails."""
        raise ValueError("on purpose")


@deskbell.hookimpl
def deskbell_transports():
    """One."""
    return [Broken]
'''
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> **bold** @everyone"
LOADS = {"src", "srcset", "data", "background", "poster", "action", "formaction", "style"}


class Reader(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = list[str](), list[tuple[str, str]](), ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def drawn(run: Run, config_file: Callable[[str], Path], tmp_path: Path) -> Callable[[str], str]:
    """The page for an event with this content."""

    def draw(content: str, config: str = CONFIG) -> str:
        config_file(config)
        event = {"action": "Submit", "subject": "VPS down", "content": content}
        (tmp_path / "event.json").write_text(json.dumps(event), "utf-8")
        ended = run("preview", "desk", "--event", "event.json", "--html", "page.html")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == "page.html written: desk (discord)\n"
        return (tmp_path / "page.html").read_text("utf-8")

    return draw


def test_it_shows_the_message_as_the_service_does_its_length_and_the_request(
    drawn: Callable[[str], str],
) -> None:
    text = drawn("Hello & goodbye")
    page = Reader(text)
    assert "<strong>VPS down</strong> Hello &amp; goodbye" in text
    assert "29 / 2000 characters" in page.text  # with the four stars and the line break at its end
    assert '"allowed_mentions"' in unescape(text)


def test_what_customers_write_is_inert(drawn: Callable[[str], str]) -> None:
    page = Reader(drawn(HOSTILE))
    assert {"script", "img", "iframe", "object", "link", "form"} & set(page.tags) == set()
    assert [name for name, _ in page.attributes if name in LOADS or name.startswith("on")] == []
    assert HOSTILE in re.sub(r"\s+", " ", page.text)


def test_it_says_what_was_defused_and_cut(drawn: Callable[[str], str]) -> None:
    page = Reader(drawn("**x** " * 1000))
    assert "%content% is cut to fit the limit" in page.text
    assert "%content% holds marks of discord; they are shown as plain text" in page.text


def test_its_policy_lets_nothing_run_and_nothing_load(drawn: Callable[[str], str]) -> None:
    text = drawn("x")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert unescape(policy) == (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'"
    )
    assert "url(" not in style
    assert "@import" not in style


def test_an_earlier_page_is_replaced_and_nothing_else_is(
    run: Run, drawn: Callable[[str], str], tmp_path: Path
) -> None:
    assert "first" in drawn("first")
    assert "first" not in drawn("second")
    before = (tmp_path / "config.yaml").read_text("utf-8")
    ended = run("preview", "desk", "--html", "config.yaml")
    assert ended.returncode == 1
    assert "is no page of a preview" in ended.stderr
    assert (tmp_path / "config.yaml").read_text("utf-8") == before


def test_where_it_cannot_be_written(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file(CONFIG)
    ended = run("preview", "desk", "--html", "no-such-folder/page.html")
    assert ended.returncode == 1
    assert "no-such-folder/page.html cannot be written: No such file or directory" in ended.stderr


def test_with_json_both_are_made(run: Run, config_file: Callable[[str], Path], tmp_path: Path) -> None:
    config_file(CONFIG)
    shown = json.loads(run("preview", "desk", "--json", "--html", "page.html").stdout)
    assert json.dumps(shown["payload"]["content"], ensure_ascii=False) in unescape(
        (tmp_path / "page.html").read_text("utf-8")
    )


@pytest.mark.parametrize(
    ("language", "subject"), [("en", "Refund"), ("fr", "Remboursement"), ("es", "Reembolso")]
)
def test_the_sample_event_in_three_languages(
    run: Run, config_file: Callable[[str], Path], language: str, subject: str
) -> None:
    config_file(CONFIG)
    assert f"┃ **{subject}** " in run("preview", "desk", "--language", language).stdout


class Sketch(Bell):
    """Draws what it is told to."""

    drawing = ""

    def picture(self, payload: deskbell.Payload) -> str:
        if self.drawing == "raise":
            raise ValueError(payload)
        return self.drawing


@pytest.mark.parametrize("drawing", ["", "raise", "<script>x</script>", '<b style="x">x</b>', "<b>x"])
def test_without_a_good_picture_the_payload_is_shown(drawing: str) -> None:
    transport = Sketch()
    transport.drawing = drawing
    shown = page(Preview(webhook(transport=transport), {"text": "<b>hé"}), [])
    assert shown.count("&lt;b&gt;hé") == 2  # in the picture's place, and as the request
    assert "script>x" not in shown


def test_a_good_picture_is_shown() -> None:
    transport = Sketch()
    transport.drawing = '<div class="bell message"><b>hé</b></div>'
    assert transport.drawing in page(Preview(webhook(transport=transport), {"text": "x"}), [])


def test_the_page_holds_no_secret_of_the_webhook(
    run: Run, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    secret = "a-secret-of-this-webhook"
    options = {"headers": {"X-Key": secret}, "body": {"key": secret, "text": "%message%"}}
    entry = {"name": "desk", "url": "demo:webhook", "action": "Submit", "message": "x", "options": options}
    config_file(f"webhooks:\n  - {json.dumps(entry)}\n")
    assert run("preview", "desk", "--html", "page.html").returncode == 0
    shown = (tmp_path / "page.html").read_text("utf-8")
    assert (secret in shown, "•••" in shown) == (False, True)


def test_a_plugin_that_cannot_format_ends_it_with_a_sentence_and_no_page(
    run: Run, config_file: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "plugins.d"
    folder.mkdir()
    (folder / "broken.py").write_text(BROKEN, "utf-8")
    entry = '{name: desk, url: "https://chat.example/x", transport: broken, action: Submit, message: x}'
    config_file(f"plugins_dir: plugins.d\nsources: []\nwebhooks:\n  - {entry}\n", "version: 1\n")
    ended = run("preview", "desk", "--html", "page.html")
    assert ended.returncode == 1
    assert "format failed: ValueError: on purpose" in ended.stderr
    assert not (tmp_path / "page.html").exists()
