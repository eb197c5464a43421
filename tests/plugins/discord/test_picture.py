"""Messages as pictures: judged by a foreign parser of Discord's Markdown, and by a strict reader of HTML."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tests.plugins.fragment import Fragment

import deskbell
from deskbell.notice import clean
from deskbell_discord import Discord

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
NAUGHTY = SHARED / "corpora" / "naughty-strings" / "blns.json"
BUSY = [HealthCheck.too_slow, HealthCheck.filter_too_much]
"""What a busy machine, or a parser that is no witness to many texts, may be."""

Node = Mapping[str, Any]
Parse = Callable[[str], list[Node]]
Make = Callable[..., dict[str, Any]]

ID = "123456789012345678"


def seen(content: str) -> Fragment:
    """The picture of a text, read strictly."""
    return Fragment(Discord().picture({"content": content}))


def inner(content: str) -> str:
    """Its HTML, without the frame."""
    html = Discord().picture({"content": content})
    return html.removeprefix('<div class="discord message">').removesuffix("</div>")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_picture_of_each_action_is_as_written_down(path: Path) -> None:
    golden = json.loads(path.read_text("utf-8"))
    assert Discord().picture(golden["payload"]) == golden["picture"]


def to(url: str, words: str) -> str:
    """A link, as HTML."""
    return f'<a href="{url}" rel="noopener noreferrer nofollow">{words}</a>'


@pytest.mark.parametrize(
    ("content", "html"),
    [
        ("# a\n## b **c**\n### d\n#### e", "<h1>a</h1><h2>b <strong>c</strong></h2><h3>d</h3>#### e"),
        ("-# petit\nx", '<div class="subtext"><small>petit</small></div>x'),
        (
            "- a\n  - b\n  * c\n- d\n\nfin",
            "<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul><br>fin",
        ),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("3. a\n3. b", '<ul class="numbered"><li>3. a</li><li>4. b</li></ul>'),
        ("- a\n   b\nc", "<ul><li>a<br>   b</li></ul>c"),
        ("x\n> a\n> b\ny", "x<br><blockquote>a<br>b</blockquote>y"),
        ("> - a\n> > b", "<blockquote><ul><li>a</li></ul>&gt; b</blockquote>"),
        (">>> a\nb", "<blockquote>a<br>b</blockquote>"),
        ("```py\na < b\n  c\n```\nx", "<pre><code>a &lt; b\n  c</code></pre>x"),
        ("`` a`b `` `c`", "<code> a`b </code> <code>c</code>"),
        (r"\*a\* \_ \# a_b_c 2 * 3", "*a* _ # a_b_c 2 * 3"),
        ("@\u200beveryone \\<@" + ID + ">", f"@everyone &lt;@{ID}&gt;"),
        ("__u__ *i* _i_ ***a** b*", "<u>u</u> <em>i</em> <em>i</em> <em><strong>a</strong> b</em>"),
        ("||s ~~t~~||", '<span class="spoiler">s <s>t</s></span>'),
        ("[a *b*](https://x.example/(c)d)", to("https://x.example/(c)d", "a <em>b</em>")),
        (
            '[a](<https://x.example/"b"> "titre")',
            to("https://x.example/&quot;b&quot;", "a"),
        ),
        (
            "[https://a.example](https://b.example)",
            to("https://b.example", "https://a.example"),
        ),
        ("[a](javascript:x) <javascript://x>", "[a](javascript:x) &lt;javascript://x&gt;"),
        (
            "https://x.example/a_b_, <HTTPS://y.example>",
            to("https://x.example/a_b_", "https://x.example/a_b_")
            + ", "
            + to("HTTPS://y.example", "HTTPS://y.example"),
        ),
        (f"<@{ID}>", f'<span class="mention">@{ID}</span>'),
        (f"<@!{ID}>", f'<span class="mention">@{ID}</span>'),
        (f"<@&{ID}>", f'<span class="mention">@{ID}</span>'),
        (f"<#{ID}>", f'<span class="mention">#{ID}</span>'),
        (
            "@here @everyone a@hereford.example",
            '<span class="mention">@here</span> <span class="mention">@everyone</span> a@hereford.example',
        ),
        (f"</aide moi:{ID}>", '<span class="mention">/aide moi</span>'),
        ("<id:guide>", '<span class="mention">guide</span>'),
        (f"<:feu:{ID}> <a:feu:{ID}> :feu:", ":feu: :feu: :feu:"),
        ("¯\\_(ツ)_/¯", "¯\\_(ツ)_/¯"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
    ],
)
def test_discords_markdown_is_shown_as_discord_shows_it(content: str, html: str) -> None:
    """https://support.discord.com/hc/en-us/articles/210298617"""
    assert inner(content) == html
    seen(content)


@pytest.mark.parametrize(
    ("style", "words"),
    [
        ("", "30 November 2021 09:05"),
        (":t", "09:05"),
        (":T", "09:05:06"),
        (":d", "30/11/2021"),
        (":D", "30 November 2021"),
        (":f", "30 November 2021 09:05"),
        (":F", "Tuesday, 30 November 2021 09:05"),
        (":s", "30/11/2021, 09:05"),
        (":S", "30/11/2021, 09:05:06"),
        (":R", "30 November 2021 09:05"),
    ],
)
def test_a_timestamp_is_shown_in_its_style(style: str, words: str) -> None:
    """https://docs.discord.com/developers/reference#message-formatting-timestamp-styles"""
    assert inner(f"<t:1638263106{style}>") == (
        f'<time datetime="2021-11-30T09:05:06Z" title="UTC">{words}</time>'
    )


def test_a_time_that_no_calendar_has_is_text() -> None:
    assert inner("<t:9999999999999>") == "&lt;t:9999999999999&gt;"


def test_the_author_is_the_one_that_the_message_names() -> None:
    payload = {"content": "x", "username": "<b>A & B</b>", "avatar_url": "https://x.example/a.png"}
    assert Discord().picture(payload) == (
        '<div class="discord message"><p class="author">&lt;b&gt;A &amp; B&lt;/b&gt;</p>x</div>'
    )


# -- beside the foreign parser

KINDS = {
    "em": "em", "strong": "strong", "underline": "u", "strikethrough": "s", "spoiler": "span.spoiler",
    "inlineCode": "code", "codeBlock": "pre", "blockQuote": "blockquote", "subtext": "div.subtext", "link": "a",
    "autolink": "a", "url": "a", "user": "span.mention", "role": "span.mention", "channel": "span.mention",
    "everyone": "span.mention", "here": "span.mention", "slashCommand": "span.mention",
    "guildNavigation": "span.mention", "timestamp": "time", "br": "br",
}  # fmt: skip
TEXTS = {"text", "twemoji", "emoji", "shortcode"}
LINES = {"heading", "subtext", "blockQuote", "list"}
FRAME = {"div.discord.message", "small"}


def nodes(tree: list[Node]) -> Iterator[Node]:
    """Every node of a syntax tree."""
    for node in tree:
        yield node
        if isinstance(node.get("content"), list):
            yield from nodes(node["content"])


def kind(node: Node) -> str:
    """The element that a node is shown as."""
    return f"h{node['level']}" if node["type"] == "heading" else KINDS[node["type"]]


def told(node: Node) -> str:
    """The words of a node, as a reader who sees no names but ids."""
    signs = {"user": "@", "role": "@", "channel": "#"}
    match node["type"]:
        case "user" | "role" | "channel":
            return f"{signs[node['type']]}{node['id']}"
        case "everyone" | "here":
            return f"@{node['type']}"
        case "emoji":
            return f":{node['name']}:"
        case "slashCommand":
            return f"/{node['fullName']}"
        case "guildNavigation":
            return str(node["navigation"])
        case "timestamp" | "br":
            return ""
    content = node.get("content", node.get("name", ""))
    return "".join(map(told, content)) if isinstance(content, list) else content


def tight(text: str) -> str:
    """Without white space, which HTML collapses; halves of surrogate pairs, as JavaScript parts them, put together."""
    whole = text.replace("\u200b", "").encode("utf-16", "surrogatepass").decode("utf-16")
    return "".join(whole.split())


def comparable(tree: list[Node]) -> bool:
    """False where the parser is no witness: it knows no lists, follows ``javascript:``, puts titles into titles, and
    takes any ``:word:`` for an emoji."""
    for node in nodes(tree):
        if node["type"] == "list" or (
            node["type"] == "shortcode" and node["content"].endswith(("http:", "https:"))
        ):
            return False
        if node["type"] in ("link", "autolink", "url"):
            web = node["target"].casefold().startswith(("http://", "https://"))
            if not (web and told(node)):
                return False
        if node["type"] in ("heading", "subtext") and LINES & {
            each["type"] for each in nodes(node["content"])
        }:
            return False
    return True


def assert_alike(tree: list[Node], picture: Fragment) -> None:
    """The same words, the same kinds of marks, the same links and times."""
    assert tight(picture.words) == tight("".join(map(told, tree)))
    marks = {kind(node) for node in nodes(tree) if node["type"] not in TEXTS}
    shown = {path.rpartition("/")[2] for path in picture.paths if not path.endswith("/pre/code")} - FRAME
    assert shown - {"br"} == marks - {"br"}
    stamps = [int(node["timestamp"]) for node in nodes(tree) if node["type"] == "timestamp"]
    assert picture.times == [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" for at in stamps]


TABLE = [
    "# a **b** c", "## a\nx", "### a", "-# a _b_", "x # y", "> a\n> b\nc", "x\n>>> a\nb", "**a *b* __c__**",
    "***a** b*", "*a **b***", "__a _b___", "~~a~~ ||b|| |c|", "`a **b**` ``c`d``", "```py\nx = '*'\n```",
    "```\na\n\nb```c", "> ```\n> a\n> ```\n> b", "[a **b**](https://x.example/c_d_)", "[a](<https://x.example>)",
    "<https://x.example/a_b> https://x.example/a, (https://x.example/b)",
    "<https://x.example/a*<https://x.example/b_>", f"<@{ID}> <@!{ID}> <@&{ID}> <#{ID}>",
    f"<:a_b:{ID}> <a:cd:{ID}> :ab:", "<t:1700000000> <t:-5:R> <t:0:F>", f"</a b:{ID}> <{ID}:guide>",
    "@everyone, @here", r"\*a\* \<@1> \\ \a \` \# b", "¯\\_(ツ)_/¯ _a_", "a_b_c _d_e_ __f__g", "2*3*4 * 5 *",
    "**a\nb** ||c\nd||", "<b>&lt; & \"'", "*a\n*b*", "x**y**z", "é_a_é", "_a b_c_", "_a_b_", "**", "****", "||||", "~~~~",
    "``",
]  # fmt: skip


@pytest.mark.parametrize("content", TABLE)
def test_the_picture_has_the_words_and_marks_that_a_foreign_parser_reads(parse: Parse, content: str) -> None:
    tree = parse(content)
    assert comparable(tree)
    assert_alike(tree, seen(content))


TOKENS = [
    *"*_~|`\\[]()<>#@:-. \n\na1é", "**", "__", "~~", "||", "`a`", "```", "\n> ", "\n>>> ", "\n# ", "\n## ", "\n-# ",
    "***", "mot", " mot ", "[x](https://x.example/a)", "[x **y**](https://x.example)", "https://x.example/a_b*c*",
    "<https://x.example/_d_>", f"<@{ID}>", f"<@&{ID}>", f"<#{ID}>", " @everyone ", f"<:ab:{ID}>", "<t:1700000000:F>",
    f"</a:{ID}>", "\\*", "\\_", "\\<", "🔥", "**gras**", "_i_", "__s__", "~~b~~", "||c||", "\n```py\nx\n```\n",
]  # fmt: skip
_TITLE = re.compile(r"\n(?:#{1,3}|-#) ")
_BLOCK = re.compile(r"> |```")
owners = st.lists(st.sampled_from(TOKENS) | st.text(max_size=3), max_size=14).map("".join).map(clean)
examples = settings(max_examples=400, deadline=None, suppress_health_check=BUSY)


@examples
@given(content=owners)
def test_any_markup_of_the_owner_is_read_as_the_foreign_parser_reads_it(parse: Parse, content: str) -> None:
    tree = parse(content)
    # After a quote or a block of code the parser sees no title; Discord does.
    assume(comparable(tree) and not (_TITLE.search(content) and _BLOCK.search(content)))
    assert_alike(tree, seen(content))


# -- a customer's text

CONTEXTS = [
    "%content%", "> %content%", ">>> %content%", "# %content%", "## %content%", "-# %content%", "- %content%",
    "* %content%", "1. %content%", "**%content%**", "*%content%*", "__%content%__",
    "~~%content%~~", "||%content%||", "[%content%](https://owner.example/a)", "[owner](%content%)", "<%content%>",
    "<@%content%>", "<#%content%>", "<:%content%>", "<%url%>", "<@%url%>", "@%content%", "@every%content%", ":%content%:",
    "(%content%)", "[%content%] (%username%)", "**Sujet :** %content%\n%username% : %url%", "%content%%username%",
    "`code` %content%", "https://owner.example/%content%", "<https://owner.example/?q=%content%>", "%url%%content%",
    "%url% %content%", "> %username%\n%content%", "**%subject%** — %username%\n%content%\n%url%", "<t:%content%>",
]  # fmt: skip
HOSTILE = [
    *"*_~|`\\[]()<>#:@!-+.& \n/1aé\"'", "**", "__", "~~", "||", "```", "\n> ", "\n>>> ", "\n# ", "\n-# ", "\n- ", "\n1. ",
    "@everyone", "@here", f"<@{ID}>", f"<@&{ID}>", f"<#{ID}>", f"<:a:{ID}>", "<t:1:R>", f"</a:{ID}>", "<id:guide>", "](",
    "[a](https://evil.example)", "https://evil.example/**a_", "https://", "<https://evil.example>", "<script>", "</div>",
    "<img src=x onerror=a>", "<!--", "&lt;b&gt;", "&#60;", "javascript:x", '" onclick="', "🔥", "¯\\_(ツ)_/¯", "a_b",
]  # fmt: skip
hostile = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=4), max_size=12).map("".join)


def frame(picture: Fragment) -> Counter[str]:
    """The elements without line breaks and links: an address that a customer wrote out is a link there, as it reads."""
    paths = (path.replace("/a/", "/") for path in picture.paths)
    return Counter(path for path in paths if path.rpartition("/")[2] not in ("a", "br"))


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_customers_text_changes_no_element(make: Make, context: str) -> None:
    calm = frame(
        Fragment(Discord().picture(make(context, subject="mot", content="mot", username="mot", url="mot")))
    )

    @settings(max_examples=40, deadline=None, suppress_health_check=BUSY)
    @given(content=hostile, username=hostile, url=hostile)
    def check(content: str, username: str, url: str) -> None:
        values = {"content": content, "username": username, "url": url}
        assume(all(clean(value) for value in values.values()))
        payload = make(context, subject=content, **values)
        picture = Fragment(Discord().picture(payload))
        assert frame(picture) == calm
        assert all(link.startswith(("http://", "https://")) for link in picture.links)

    check()


def test_underscores_in_a_name_move_the_italics_that_the_owner_drew_with_underscores(make: Make) -> None:
    """As in Discord (the foreign parser says so above): ``*%content%*`` has no such weakness."""
    payload = make("_%content%_ *%content%*", content="a_b")
    assert inner(payload["content"]) == "_a<em>b</em> <em>a_b</em>"


@settings(max_examples=400, deadline=None, suppress_health_check=BUSY)
@given(content=hostile.map(clean).filter(bool))
@example("a\n# b\n> c\n- d\n1. e")
def test_an_escaped_value_reads_as_it_was_written(make: Make, content: str) -> None:
    """Not a character less or more; addresses aside, where the escape encodes what is Markdown."""
    assume("://" not in content)
    picture = seen(make("%content%", content=content)["content"])
    assert tight(picture.words) == tight(content)
    assert picture.kinds <= {"div.discord.message", "br"}


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the shared test data is not beside this checkout")
def test_no_naughty_string_becomes_an_element(make: Make) -> None:
    """All 515 of the Big List, in every variable at once."""
    strings = [text for text in json.loads(NAUGHTY.read_text("utf-8")) if clean(text)]
    assert len(strings) > 500
    names = sorted(deskbell.VARIABLES)
    template = "\n".join(f"> **{name}** %{name}%" for name in names)
    calm = frame(Fragment(Discord().picture(make(template, **dict.fromkeys(names, "mot")))))
    for text in strings:
        payload = make(template, **dict.fromkeys(names, text))
        if "…" not in payload["content"]:
            assert frame(Fragment(Discord().picture(payload))) == calm, text


@settings(max_examples=300, deadline=None, suppress_health_check=BUSY)
@given(st.lists(st.sampled_from(TOKENS + HOSTILE) | st.text(max_size=5), max_size=30).map("".join))
def test_any_content_at_all_has_a_well_formed_picture(content: str) -> None:
    seen(content)


@pytest.mark.parametrize(
    "unit",
    [
        "*",
        " *a",
        "_a",
        "||a",
        "`",
        "[",
        "](",
        "[x](https://a(",
        "<",
        "https://",
        "\n> ",
        "- a\n ",
        "\\",
        "*_",
    ],
)
def test_no_message_takes_long_or_nests_without_end(unit: str) -> None:
    """The longest that Discord takes; a few ms is usual."""
    started = time.perf_counter()
    picture = seen((unit * 2000)[:2000])
    assert time.perf_counter() - started < 2
    assert max(path.count("/") for path in picture.paths) <= 40
