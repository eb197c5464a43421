"""Customers' words are plain text, in each of the three formats that a template may be written in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import deskbell
from deskbell.notice import clean
from deskbell.template import Template
from deskbell_apprise import Apprise, escape
from deskbell_apprise.escape import GAP

from .conftest import options

ESCAPES = [escape.text, escape.markdown, escape.html]
SIGNS = st.text(st.sampled_from(" \n\t<>[]()@＠!&;#:*_~`|\\/.-+=\"'1aZé✓") | st.characters(codec="utf-8"))
VALUES = SIGNS.map(clean)
MENTION = re.compile(r"(?<![^\W_])[@＠]\w|[@＠](?:everyone|here)|[@＠](?:channel|all)\b", re.IGNORECASE)
FORM = re.compile(r"<[^\s\u200b]|\][(\[:]")
ENTITY = re.compile(r"&(?:#[\dxX]|\w+;)")


class Reader(HTMLParser):
    """The tags and the text of some HTML; a line break is one."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(template: str, value: str, written_in: str = "text") -> str:
    notice = deskbell.Notice.of(
        deskbell.TicketEvent(
            action="Submit", variables={"content": value, "url": "https://x.example/?a=1&b=2"}
        ),
        Template.parse(template, deskbell.VARIABLES),
        timezone=UTC,
        date_format="%H:%M",
    )
    return str(Apprise().format(notice, options(format=written_in))["body"])


@pytest.mark.parametrize("treat", ESCAPES)
@given(value=VALUES)
def test_nothing_gets_shorter_and_nothing_is_lost(treat: Callable[[str], str], value: str) -> None:
    """Even a part of a value never grows beyond the whole: deskbell cuts until it fits."""
    treated = treat(value)
    assert len(treated) >= len(value)
    assert len(treat(value[: len(value) // 2])) <= len(treated) + 1
    assert treat(value) == treated


@given(VALUES)
@example("a@b @c ＠d @@e foo@everyone @")
@example("[a](b)[c]: d <")
@example("&commat;all &#64;channel &#x40;here &#064;all &lt;!channel&gt; &#64 &fullcommat;")
def test_in_text_only_gaps_are_added_and_nothing_stays_active(value: str) -> None:
    treated = escape.text(value)
    assert treated.replace(GAP, "") == value
    assert not MENTION.search(treated)
    assert not FORM.search(treated)
    assert not ENTITY.search(treated)


@pytest.mark.parametrize(
    "value",
    [
        "martin.dev+desk@example.com wrote",
        "12,50 € for #12, 22/11/22 00:30",
        "https://example.com/a_b?c=d&e=f#g",
        "https://example.com/?a&b=c&lt=5&#top",
        "Q&A, AT&T, a & b; c && d;",
        "of R&D",
        "https://example.com/?a=b&c",
        "a < b, 5 > 3, R&D, [urgent] now",
        "C:\\new, 100 %, *yes*, it's `so`",
    ],
)
def test_ordinary_words_stay_as_they_are_byte_for_byte(value: str) -> None:
    assert escape.text(value) == value


@given(VALUES)
@example("&lt;b&gt; &amp;#39;")
@example("]: https://evil.example\n[x")
def test_in_html_it_is_text_with_line_breaks(value: str) -> None:
    read = Reader(f"<p>{escape.html(value)}</p>")
    assert read.tags <= {"p", "br"}
    assert read.text.replace(GAP, "") == value


@given(VALUES)
@example("# heading")
@example("1. list\n2) list\n- list\n+ list\n> quote\n===\n---")
@example("![x](https://evil.example/x.png) [y](https://evil.example) <https://evil.example>")
@example("**b** __b__ *i* _i_ `c` ~~s~~ &copy; \\*x\\*\n```\ncode\n```")
@example("a | b\n--|--\nc | d")
def test_in_markdown_a_reader_of_markdown_finds_text(value: str) -> None:
    """Python-Markdown reads it, as Apprise does where a service wants HTML: no tag but for lines and paragraphs.

    Four spaces before a line are code to it: the signs in it show, with their backslashes, and nothing else happens.
    """
    formats = pytest.importorskip("apprise.conversion", reason="the Apprise library is not installed")
    value = re.sub(r"\s*\n\s*", "\n", value)
    read = Reader(formats.markdown_to_html(escape.markdown(value)))
    assert read.tags <= {"p", "br"}
    plain = re.compile(r"\s+")
    assert plain.sub("", read.text.replace(GAP, "")) == plain.sub("", value)


@pytest.mark.parametrize(
    ("template", "value", "never"),
    [
        ("@%content%", "everyone", "@everyone"),
        ("<%content%>", "!channel", "<!"),
        ("<%content%>", "script", "<script"),
        ("[12]%content%", "(https://evil.example)", "]("),
        ("[12]%content%", ": https://evil.example", "]:"),
        ("%content%here", "@", "@here"),
        ("%content%!channel>", "<", "<!"),
        ("%content%(https://x.example)", "[bank]", "]("),
        ("%content%lt;", "&", "&lt;"),
        ("%content%all", "&commat;", "&commat;"),
        ("%content%;all", "&commat", "&commat;"),
        ("%content%64;all", "&#", "&#64"),
        ("&%content%", "commat;all", "&commat;"),
        ("&#%content%", "64;all", "&#64"),
        ("&com%content%", "mat;all", "&commat;"),
    ],
)
@pytest.mark.parametrize("written_in", ["text", "markdown", "html"])
def test_the_owners_words_do_not_make_a_value_active(
    template: str, value: str, never: str, written_in: str
) -> None:
    body = shown(template, value, written_in)
    assert never not in body
    if written_in == "html":
        assert value.replace("&", "&amp;").replace("<", "&lt;") in body.replace(GAP, "")


def test_the_owners_own_markup_and_links_work() -> None:
    assert shown("@here **%content%** [ticket](%url%)", "x") == (
        "@here **x** [ticket](https://x.example/?a=1&b=2)"
    )
    assert shown('<a href="%url%">%content%</a>', "<x>", "html") == (
        '<a href="https://x.example/?a=1&amp;b=2">&lt;\u200bx&gt;</a>'
    )


def test_a_variable_inside_a_tag_is_warned_of() -> None:
    def told(template: str) -> int:
        return len(Apprise().warnings(Template.parse(template, deskbell.VARIABLES).skeleton))

    assert told('<a title="%subject%">x</a>') == told("<%content%>") + 1 == 1
    assert told('<a href="%url%">%subject%</a> 1 < %content%') == 0
