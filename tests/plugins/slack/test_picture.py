"""Messages as pictures: judged by a foreign reader of mrkdwn, and by a strict reader of HTML."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tests.plugins.fragment import Fragment

from deskbell import VARIABLES, Payload
from deskbell.notice import clean
from deskbell_slack import Slack
from deskbell_slack.message import GAP, SEAL, TICK

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
NAUGHTY = (
    Path(__file__).resolve().parents[3].parent
    / "shared"
    / "data"
    / "corpora"
    / "naughty-strings"
    / "blns.json"
)
BUSY = [HealthCheck.too_slow, HealthCheck.filter_too_much]
"""What a busy machine, or a parser that is no witness to many texts, may be."""

Tree = Callable[[str], tuple[set[str], str]]
Render = Callable[..., Payload]


def seen(text: str) -> Fragment:
    """The picture of a text, read strictly."""
    return Fragment(Slack().picture({"text": text}))


def inner(text: str) -> str:
    """Its HTML, without the frame."""
    html = Slack().picture({"text": text})
    return html.removeprefix('<div class="slack message">').removesuffix("</div>")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_message_and_the_picture_of_each_action_are_as_written_down(render: Render, path: Path) -> None:
    golden = json.loads(path.read_text("utf-8"))
    payload = render(golden["message"], golden["variables"], action=golden["action"], **golden["options"])
    assert payload == golden["payload"]
    assert Slack().picture(payload) == golden["picture"]


def test_there_is_a_written_down_picture_for_each_of_the_originals_actions() -> None:
    assert [path.stem for path in GOLDEN] == ["close", "reply", "submit"]


def to(url: str, words: str) -> str:
    """A link, as HTML."""
    return f'<a href="{url}" rel="noopener noreferrer nofollow">{words}</a>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*a _b_* ~c~", "<strong>a <em>b</em></strong> <s>c</s>"),
        ("2*3*4 * 5 * a_b_c **x** * a*", "2*3*4 * 5 * a_b_c **x** * a*"),
        ("(*a*), _b_.", "(<strong>a</strong>), <em>b</em>."),
        ("`a *b*` ```\nx < &lt;\n```\ny", "<code>a *b*</code> <pre><code>x &lt; &lt;</code></pre>y"),
        ("> a\n&gt; b\nc", "<blockquote>a<br>b</blockquote>c"),
        ("x\n>>> a\nb", "x<br><blockquote>a<br>b</blockquote>"),
        (
            "<https://x.example/a_b|*le* ticket>",
            to("https://x.example/a_b", "<strong>le</strong> ticket"),
        ),
        (
            "<https://x.example/?a=1&amp;b=2>",
            to("https://x.example/?a=1&amp;b=2", "https://x.example/?a=1&amp;b=2"),
        ),
        ("<mailto:a@b.example|écrire>", to("mailto:a@b.example", "écrire")),
        ("<tel:+331|appeler> <javascript:x|y>", "appeler y"),
        (
            "https://x.example/_a_/b, https://y.example&gt;",
            to("https://x.example/_a_/b", "https://x.example/_a_/b")
            + ", "
            + to("https://y.example", "https://y.example")
            + "&gt;",
        ),
        (
            "<https://x.example|https://y.example>",
            to("https://x.example", "https://y.example"),
        ),
        (
            "<!here> <!channel|tous>",
            '<span class="mention">@here</span> <span class="mention">tous</span>',
        ),
        ("<@U1> <@U2|anne>", '<span class="mention">@U1</span> <span class="mention">anne</span>'),
        ("<#C1|support>", '<span class="mention">support</span>'),
        ("<!subteam^S1>", '<span class="mention">@subteam^S1</span>'),
        ("<!date^1392734382^{date}|18/02/14>", "18/02/14"),
        ("&lt;b&gt; &amp;amp; :fire: <", "&lt;b&gt; &amp;amp; :fire: &lt;"),
        (f"*{GAP}a{GAP}*{GAP} {SEAL}&gt; b", "*a* &gt; b"),
    ],
)
def test_mrkdwn_is_shown_as_slack_shows_it(text: str, html: str) -> None:
    """https://docs.slack.dev/messaging/formatting-message-text"""
    assert inner(text) == html
    seen(text)


# -- beside the foreign reader

KINDS = {
    "strong": "strong", "em": "em", "strike": "s", "inlineCode": "code", "codeBlock": "pre", "blockQuote": "blockquote",
    "autolink": "a", "url": "a", "slackUser": "span.mention", "slackChannel": "span.mention",
    "slackUserGroup": "span.mention", "slackAtHere": "span.mention", "slackAtChannel": "span.mention",
    "slackAtEveryone": "span.mention",
}  # fmt: skip
PLAIN = {"text", "br", "newline", "emoji", "slackDate"}


def tight(text: str) -> str:
    """Without white space, and without what nobody sees."""
    return re.sub(rf"[\s{GAP}{SEAL}]", "", text)


def marks(picture: Fragment) -> set[str]:
    """The kinds of its elements, without the frame and line breaks."""
    kinds = {path.rpartition("/")[2] for path in picture.paths if not path.endswith("/pre/code")}
    return kinds - {"div.slack.message", "br"}


@pytest.mark.parametrize(
    "text",
    [
        "*gras* _ital_ ~non~ `d *e*`", "*a _b ~c~_*", "> *a*\n> b\nc", "```a *b*\nc```", "a\n> b",
        "<https://x.example|*y* z>",
        "<https://x.example/a_b>", "<mailto:a@x.example|b>", "https://x.example/a, b", "<@U1> <#C1|d> <!here>",
        "<!channel|x> <!everyone> <!subteam^S1|@y>", "<!date^1392734382^{date}|hier>", ":fire: 12:30:45", "a_b 2 * 3 * 4",
        "(*a*), _b_; ~c~!", "a & b", "`a` *b", "* a*", "_a", "*a\nb*", "🎫 *é*",
    ],
)  # fmt: skip
def test_the_picture_has_the_marks_that_a_foreign_reader_reads(tree: Tree, text: str) -> None:
    types, _ = tree(text)
    assert marks(seen(text)) == {KINDS[each] for each in types - PLAIN}


OWNERS = [
    " *gras* ", " _ital_ ", " ~non~ ", " `code` ", " mot ", " 12 ", ", ", "(", ") ", " *avant _bleu_ fin* ",
    "\n> cité *oui*\n",
    " <https://x.example/1|voir _ici_> ", " <https://x.example/a_b> ", " https://x.example/c ", " ```bloc\nx``` ", " é ",
    " 🎫 ", " :inconnu: ", " - ", " * ", " & ", "\n",
]  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=BUSY)
@given(st.lists(st.sampled_from(OWNERS), max_size=12).map("".join))
def test_any_markup_of_the_owner_is_read_as_the_foreign_reader_reads_it(tree: Tree, text: str) -> None:
    """Words apart with spaces, and of several letters: inside a word, and of one letter, that reader marks otherwise."""
    types, words = tree(text)
    picture = seen(text)
    assert marks(picture) == {KINDS[each] for each in types - PLAIN}
    assert tight(picture.words) == tight(words).replace(
        ">", ""
    )  # that reader sees the first quote of a text only


def _tame(value: str) -> str:
    """Without marks inside words, which pass the escape as they are: that reader pairs them, Slack does not."""
    return re.sub(r"(?<=[0-9A-Za-z])[*~_]+(?=[0-9A-Za-z])", " ", clean(value))


HOSTILE_WORDS = (
    "* ** *gras* _ __ _i_ ~ ~~ ~s~ ` `c` ``` : :fire: fire :+1: <!channel> <@U1ABC> <!here|x> <#C1> &lt; &amp; &#60; > "
    "<https://e.vil|banque> <!subteam^S1> <!date^1^x|y> https://x.fr/_a_ http://y.fr/~z | ( ) . ! # - + ＊ ＿ ＞ "
    "[x](https://e.vil) a b2 é 1 12:30:45 2*3 snake_case @here !here @U1ABC :// <script> </div> <!-- onerror= \" '"
)
hostile = st.lists(
    st.sampled_from([*HOSTILE_WORDS.split(), " ", " ", "\n", "\n> "]) | st.text(max_size=3), max_size=10
).map("".join)


@settings(max_examples=500, deadline=None, suppress_health_check=BUSY)
@given(hostile.map(_tame).filter(bool))
@example("*a\nb* > c\n> d")
def test_a_customers_text_has_the_words_and_no_mark_in_the_picture_and_to_the_foreign_reader(
    tree: Tree, render: Render, value: str
) -> None:
    text = render("%content%", {"content": value})["text"]
    picture = seen(text)
    assert marks(picture) <= {"a"}
    assert tree(text)[0] <= PLAIN | {"url"}
    assert tight(picture.words) == tight(value).replace("`", TICK).replace("｀", TICK)


# -- a customer's text within the owner's

CONTEXTS = [
    "%x%", "*%x%*", "_%x%_", "~%x%~", "*Client : %x%*", "*%x% :* %y%", "*%x%* et *%y%*", "_*%x%*_", "> %x%",
    "> *%x%* %y%",
    "`%x%`", "```%x%```", "<https://x.fr/|%x%>", "<https://x.fr/%x%|voir>", "<%url%|%x%>", "<%url%|*%x%*>", ":%x%:",
    ":fi%x%", "%x%re:", "<@%x%>", "<!%x%>", "@%x% #%x%", "%x%%y%", "(_%x%_), *%y%*", "%x%\n%y%", ">>> %x%",
    "**%x%** — %y%\n%x%\n%url%",
]  # fmt: skip


def frame(picture: Fragment) -> Counter[str]:
    """The elements without line breaks and links: an address that a customer wrote out is a link there, as it reads."""
    paths = (path.replace("/a/", "/") for path in picture.paths)
    return Counter(path for path in paths if path.rpartition("/")[2] not in ("a", "br"))


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_customers_text_changes_no_element(render: Render, context: str) -> None:
    url = {"url": "https://owner.example/t/1"}
    calm = frame(Fragment(Slack().picture(render(context, {"x": "mot", "y": "mot", **url}))))

    @settings(max_examples=150, deadline=None, suppress_health_check=BUSY)
    @given(x=hostile, y=hostile)
    @example(x="_ *", y="* _")
    @example(x="* *", y="*")
    @example(x="https://x.fr/_a_＊~://.", y="https://x.fr/_a_＿_1")
    @example(x="https://~a~/ _", y="https://_a_/")
    def check(x: str, y: str) -> None:
        assume(clean(x) and clean(y))
        picture = Fragment(Slack().picture(render(context, {"x": x, "y": y, **url})))
        assert frame(picture) == calm
        assert all(link.startswith(("http://", "https://")) for link in picture.links)

    check()


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the shared test data is not beside this checkout")
def test_no_naughty_string_becomes_an_element(render: Render) -> None:
    """All of the Big List, in every variable at once."""
    template = "\n".join(f"> *{name}* %{name}%" for name in sorted(VARIABLES))
    strings = [text for text in json.loads(NAUGHTY.read_text(encoding="utf-8")) if clean(text)]
    assert len(strings) > 500
    calm = frame(Fragment(Slack().picture(render(template, dict.fromkeys(VARIABLES, "mot"), action="mot"))))
    for text in strings:
        payload = render(template, dict.fromkeys(VARIABLES, text), action=text)
        if "…" not in payload["text"]:
            assert frame(Fragment(Slack().picture(payload))) == calm, ascii(text)


@settings(max_examples=300, deadline=None, suppress_health_check=BUSY)
@given(
    st.lists(
        st.sampled_from([*HOSTILE_WORDS.split(), *OWNERS, GAP, SEAL]) | st.text(max_size=5), max_size=30
    ).map("".join)
)
def test_any_text_at_all_has_a_well_formed_picture(text: str) -> None:
    seen(text)


@pytest.mark.parametrize(
    "unit", [" *a", " _a<", "*", "`", "<", "<https://a|", "https://a&amp;", "\n> ", f"*{GAP}*", "~ ", "_*"]
)
def test_no_message_takes_long_or_nests_without_end(unit: str) -> None:
    """The longest that is sent; a few ms is usual."""
    started = time.perf_counter()
    picture = seen((unit * 4000)[:4000])
    assert time.perf_counter() - started < 3
    assert max(path.count("/") for path in picture.paths) <= 40
