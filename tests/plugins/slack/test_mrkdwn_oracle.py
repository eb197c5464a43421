"""Escaped values are plain text to another reader of mrkdwn: npm's slack-markdown 0.3.0, unchanged.

It knows bold, italics, strike-through, code, quotes, links, mentions, dates and emoji codes.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deskbell import VARIABLES, Payload
from deskbell.notice import clean
from deskbell_slack.message import GAP, SEAL, TICK, escape

NAUGHTY = (
    Path(__file__).resolve().parents[3].parent
    / "shared"
    / "data"
    / "corpora"
    / "naughty-strings"
    / "blns.json"
)
FIELDS = {*VARIABLES} - {"url", "relatedUrl", "created_at"}  # a link and a date are no plain text
# Slack makes a bare URL a link, whatever we do; it shows where it leads.
WORDS = {"text", "br", "newline", "url"}

Tree = Callable[[str], tuple[set[str], str]]
Render = Callable[..., Payload]


def _seen(words: str) -> str:
    """Without what nobody sees, and without white space: the parser joins lines in its own way."""
    return re.sub(rf"[\s{GAP}{SEAL}]", "", words)


HOSTILE_WORDS = (
    "* ** *gras* _ __ _i_ ~ ~~ ~s~ ` `c` ``` : :fire: fire :+1: :100: <!channel> <@U1ABC> <!here|x> <#C1> &lt; &amp; > "
    "<https://e.vil|banque> <!subteam^S1> <!date^1^x|y> https://x.fr/_a_ http://y.fr/~z www.x.fr \\ | ( ) . ! # - + "
    "[x](https://e.vil) a b2 é 1 12:30:45 2*3 snake_case @here !here @U1ABC &lt;!here&gt; ://"
)
HOSTILE = st.lists(
    st.sampled_from([*HOSTILE_WORDS.split(), " ", " ", "\n", "\n> "]) | st.text(max_size=3), max_size=10
).map("".join)


def test_the_oracle_sees_what_is_not_escaped(tree: Tree) -> None:
    """Else the tests below would prove nothing."""
    raw = "> *a* _b_ ~c~ `d` :fire: <@U1> <!channel> <https://x.fr|y>"
    active = {
        "blockQuote",
        "strong",
        "em",
        "strike",
        "inlineCode",
        "emoji",
        "slackUser",
        "slackAtChannel",
        "autolink",
    }
    assert tree(raw)[0] - {"text"} == active


def _tame(value: str) -> str:
    """Without marks inside words, which pass as they are where no second mark is near (``2*3``, ``snake_case``). The
    oracle pairs them with one of another value or of a URL. Slack sees no mark inside a word:
    https://github.com/yhatt/jsx-slack/blob/main/docs/about-escape-and-exact-mode.md#exact-mode"""
    return re.sub(r"(?<=[0-9A-Za-z])[*~_]+(?=[0-9A-Za-z])", " ", clean(value))


@settings(max_examples=1500, deadline=None)
@given(value=HOSTILE)
@example(value=":A\x0c:")
def test_an_escaped_value_is_text_and_reads_the_same(tree: Tree, value: str) -> None:
    # A value never comes with control characters: core leaves them out once for each event. The oracle takes any but
    # a space for a part of an emoji's name.
    value = (_tame(value) if "://" in value else clean(value)).replace(GAP, "").replace(SEAL, "")
    types, words = tree(escape(value))
    assert types <= WORDS
    assert _seen(html.unescape(words)) == _seen(value).replace("`", TICK).replace("｀", TICK)


@settings(max_examples=500, deadline=None)
@given(value=HOSTILE)
def test_no_line_of_a_value_becomes_a_quote(tree: Tree, value: str) -> None:
    """Slack takes ``&gt;`` for a quote too, the oracle only ``>``: so it gets the text as Slack undoes it."""
    assert "blockQuote" not in tree(escape(value).replace("&gt;", ">"))[0]


CONTEXTS = [
    "*%x%*",
    "_%x%_",
    "~%x%~",
    "*Client : %x%*",
    "> %x%",
    "`%x%`",
    "<https://x.fr/|%x%>",
    "<https://x.fr/%x%|voir>",
    "<%url%|%x%>",
    ":%x%:",
    ":fi%x%",
    "%x%re:",
    "%x%: fin",
    "<@%x%>",
    "<!%x%>",
    "@%x% #%x%",
    "%x%%y%",
]


@pytest.mark.parametrize("template", CONTEXTS)
@settings(max_examples=60, deadline=None)
@given(value=HOSTILE.map(_tame), other=HOSTILE.map(_tame))
def test_a_hostile_value_makes_nothing_that_a_plain_one_does_not(
    tree: Tree, render: Render, template: str, value: str, other: str
) -> None:
    """Around the value stands the owner's own markup."""
    url = {"url": "https://x.fr/1"}
    plain = render(template, {"x": "mot", "y": "mot", **url})
    hostile = render(template, {"x": value or "mot", "y": other or "mot", **url})
    assert tree(hostile["text"])[0] <= tree(plain["text"])[0] | WORDS


@settings(max_examples=300, deadline=None)
@given(value=HOSTILE.map(_tame), other=HOSTILE.map(_tame))
def test_two_values_make_nothing_together(tree: Tree, render: Render, value: str, other: str) -> None:
    text = render("- %x% : %y%\n- %y%-%x%:%y% %x%,%y%", {"x": value, "y": other})["text"]
    assert tree(text)[0] <= WORDS


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the shared test data is not beside this checkout")
def test_every_naughty_string_is_text_in_every_field(tree: Tree, render: Render) -> None:
    template = "\n".join(f"{name} : %{name}%" for name in sorted(FIELDS))
    for string in json.loads(NAUGHTY.read_text(encoding="utf-8")):
        assert tree(escape(string))[0] <= WORDS, ascii(string)
        payload = render(template, dict.fromkeys(FIELDS, string), action=string)
        assert tree(payload["text"])[0] <= WORDS, ascii(string)
