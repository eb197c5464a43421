"""Escaped values are plain text to three foreign readers of Markdown, each from npm and unchanged.

Rocket.Chat's own parser; marked and commonmark, which Mattermost's web and mobile clients have forks of.
Google Chat publishes none: what is known to be active there is asserted sign by sign.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deskbell import VARIABLES
from deskbell.notice import clean
from deskbell.template import Template
from deskbell_webhook.body import units
from deskbell_webhook.markdown import GAP, escape, link, literal

PACKAGES = ("@rocket.chat/message-parser@0.31.35", "marked@4.3.0", "commonmark@0.31.2")
SCRIPT = Path(__file__).with_name("readers.js")
PLAIN = {
    "rocketchat": {"PARAGRAPH", "PLAIN_TEXT", "ADDRESS"},
    "marked": {"paragraph", "text", "space", "br", "address"},
    "commonmark": {"document", "paragraph", "text", "softbreak", "linebreak"},
}
LOOK_ALIKES = str.maketrans("∗∼∣‹‵▁∖", "*~|<`_\\")

Readings = Mapping[str, tuple[set[str], str]]
Read = Callable[[str], Readings]


def _installed() -> Path:
    """The packages in a folder that outlives the run, installed once."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed: the foreign readers of Markdown cannot run")
    folder = Path(tempfile.gettempdir()) / "deskbell-tests-markdown-readers-1"
    if not (folder / "complete").exists():
        folder.mkdir(exist_ok=True)
        options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"]
        command = ["npm", "install", *options, "--prefix", str(folder), *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install the readers of Markdown: {done.stderr.strip()[-200:]}")
        (folder / "complete").touch()
    return folder


@pytest.fixture(scope="session")
def read() -> Iterator[Read]:
    """What each reader makes of a text: the types of its constructs, and its words."""
    with subprocess.Popen(
        ["node", str(SCRIPT)],
        env={**os.environ, "NODE_PATH": str(_installed() / "node_modules")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:

        def read(text: str) -> Readings:
            assert node.stdin
            assert node.stdout
            node.stdin.write(json.dumps(text) + "\n")
            node.stdin.flush()
            answers = json.loads(node.stdout.readline())
            return {name: (set(types), words) for name, (types, words) in answers.items()}

        yield read
        assert node.stdin
        node.stdin.close()


def assert_plain(read: Read, text: str) -> Readings:
    readings = read(text)
    for reader, (types, _) in readings.items():
        assert types <= PLAIN[reader], f"{reader} sees {types - PLAIN[reader]} in {text!r}"
    return readings


def _seen(words: str) -> str:
    """As a person reads it: without what nobody sees, and without white space, which each reader joins in its way."""
    return re.sub(rf"[\s{GAP}]", "", words.translate(LOOK_ALIKES))


HOSTILE_WORDS = (
    "* ** *gras* **gras** _ __ _i_ __i__ ~ ~~ ~s~ ~~s~~ ` `c` ``` ~~~ : :fire: fire :+1: :100: <!channel> <users/all> "
    "<!here|x> &lt; &amp; &commat;all &#64;all > < <https://e.vil|banque> https://x.fr/_a_ http://y.fr/~z*b* \\ | || ( ) "
    ". ! # ## - + = == --- === [x](https://e.vil) ![x](https://e.vil) [x]: [x] [ ] ](http://e.vil) a b2 é 1 1. 2) "
    "12:30:45 2*3 snake_case @all @here @channel @martin bob@all a@b.fr #général #12 \\( \\) \\[ \\] \\* <b> </b> "
    "|-|-| :-: color:#ff0000 color:#000000 <t:1:R> - [ ] users/all !here ://"
)
HOSTILE = st.lists(
    st.sampled_from([*HOSTILE_WORDS.split(), " ", " ", "\n", "\n\n", "\n    ", "\n\t", "\n> "])
    | st.text(max_size=3),
    max_size=10,
).map(lambda parts: clean("".join(parts)))


def test_the_readers_see_what_is_not_escaped(read: Read) -> None:
    """Else the tests below would prove nothing."""
    raw = "> *a* _b_ ~~c~~ `d` [x](https://e.vil)\n\n# e\n\n- f"
    active = {reader: types - PLAIN[reader] for reader, (types, _) in read(raw).items()}
    assert active["marked"] >= {"blockquote", "em", "del", "codespan", "link", "heading", "list"}
    assert active["commonmark"] >= {"block_quote", "emph", "code", "link", "heading", "list"}
    assert active["rocketchat"] >= {
        "QUOTE",
        "BOLD",
        "ITALIC",
        "STRIKE",
        "INLINE_CODE",
        "LINK",
        "UNORDERED_LIST",
    }
    pings = read("@all :fire: <https://e.vil|banque> \\(x\\)")["rocketchat"][0]
    assert pings >= {"MENTION_USER", "EMOJI", "LINK", "INLINE_KATEX"}


@settings(max_examples=600, deadline=None)
@given(value=HOSTILE)
@example(value="&commat;all &#42;x&#42;")
@example(value="a\n===\nb|c\n-|-\n1|2")
@example(value="a\n---\n\n---\n\n:-:\n\n    b\n\n\tc")
def test_an_escaped_value_is_text_to_every_reader(read: Read, value: str) -> None:
    for reader, (_, words) in assert_plain(read, escape(value)).items():
        if "://" not in value:  # in a URL, what is active is percent-encoded
            shown = html.unescape(words) if reader == "marked" else words  # its words are ready for a page
            assert _seen(shown) == _seen(value)


@pytest.mark.parametrize(
    "template",
    ["@%x%", "<%x%>", "<!%x%>", "<users/%x%>", ":%x%:", "[y]%x%", "&%x%", "\\\\%x%", "Par %x%, @%x%."],
)
@settings(max_examples=150, deadline=None)
@given(value=HOSTILE)
@example(value="all")
@example(value="(https://e.vil)")
@example(value="#64;all")
@example(value="fire:")
@example(value="users/all")
@example(value="*\n\n0")
def test_the_owners_words_and_a_value_are_nothing_active_together(
    read: Read, template: str, value: str
) -> None:
    text = Template.parse(template, ["x"]).fit(
        {"x": value}, escape=escape, link=link, literal=literal, limit=4_000
    )
    readings = read(text.text)
    own = {reader: types for reader, (types, _) in read(template.replace("%x%", "")).items()}
    for reader, (types, _) in readings.items():
        assert types <= PLAIN[reader] | own[reader], text.text
    assert not re.search(
        r"<!?(?:all|here|channel|everyone|users/all)[>|]|(?<!\w)@(?:all|here|channel)", text.text
    )


@pytest.mark.parametrize("value", ["!channel", "!here|x", "users/all", "users/12|x", "@U1"])
def test_a_url_that_is_none_mentions_nobody(value: str) -> None:
    """The template brings the ``<``, the sender's variable the rest."""
    template = Template.parse("<%url%|open> <%url%>", VARIABLES)
    text = template.fit({"url": value}, escape=escape, link=link, literal=literal, limit=4_000).text
    assert not re.search(r"<(?:!|users/|@\w)", text)


@pytest.mark.parametrize(
    ("value", "after"),
    [("bonjour @", "all"), ("&commat", ";all"), ("voici :fir", "e:"), ("[x]", "(http://e.vil)")],
)
def test_a_value_begins_nothing_that_the_owners_words_end(read: Read, value: str, after: str) -> None:
    template = Template.parse(f"%x%{after}", ["x"])
    assert_plain(
        read, template.fit({"x": value}, escape=escape, link=link, literal=literal, limit=4_000).text
    )


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://x.fr/@all", "https://x.fr/%40all"),
        ("http://x.fr/,@martin?a=b@c", "http://x.fr/,%40martin?a=b@c"),
    ],
)
def test_an_address_mentions_nobody_and_stays_the_same_address(url: str, sent: str) -> None:
    assert escape(url) == link(url) == sent


def test_plain_words_pass_byte_for_byte() -> None:
    for text in (
        "Martin Dev <martin@example.com> n° 12".replace("<", "(").replace(">", ")"),
        "[URGENT] le 22/11/22 à 12:30:45, 12,50 € (5 %) #12",
        "snake_case, C:\\Users, a -> b, 3 > 2, AT&T, https://x.fr/a_b?c=d&e=%20#général",
    ):
        assert escape(text) == text


@pytest.mark.parametrize(
    "ping",
    [
        "@all",
        "@channel",
        "@here",
        "@martin",
        "<!channel>",
        "<!here|x>",
        "<users/all>",
        "<users/12>",
        "&commat;all",
    ],
)
def test_no_value_mentions_anybody(ping: str) -> None:
    """Mattermost reads Slack's forms in webhooks, and looks for mentions in what entities have become."""
    escaped = html.unescape(escape(f"bonjour {ping} !"))
    assert "<" not in escaped
    assert not re.search(r"@(?!\u200b)", escaped)


@settings(max_examples=300, deadline=None)
@given(value=HOSTILE)
def test_the_escape_never_shortens(value: str) -> None:
    assert units(escape(value)) >= units(value)
    assert not set("<*`|~") & set(re.sub(r"https?://\S+", "", escape(value)))


@settings(max_examples=200, deadline=None)
@given(
    values=st.fixed_dictionaries(dict.fromkeys(("subject", "content"), HOSTILE)), limit=st.integers(30, 400)
)
def test_a_cut_value_is_as_plain_as_a_whole_one(read: Read, values: dict[str, str], limit: int) -> None:
    template = Template.parse("Sujet %subject%\n\n%content%", VARIABLES)
    assert_plain(read, template.fit(values, escape=escape, limit=limit, measure=units).text)
