"""The escape, judged by a foreign parser of Discord's Markdown: values stay plain text, wherever they stand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deskbell.notice import clean
from deskbell_discord.markdown import INVISIBLE, as_read, escape

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
NAUGHTY = SHARED / "corpora" / "naughty-strings" / "blns.json"

Node = Mapping[str, Any]
Parse = Callable[[str], list[Node]]
Make = Callable[..., dict[str, Any]]

LINK_NODES = {"autolink", "link", "url"}
PLAIN_NODES = {"text", "br", "twemoji", *LINK_NODES}
TOKENS = [
    *"*_~|`\\[]()<>#:@!-+.& \n/1ae", "**", "__", "~~", "||", "```", "``", ">>> ", "> ", "# ", "## ", "### ", "-# ", "- ",
    "* ", "1. ", "12. ", "@everyone", "@here", "@every", "one", "every",
    "<@123456789012345678>", "<@!123456789012345678>",
    "<@&123456789012345678>", "<#123456789012345678>", "<:fire:123456789012345678>", "<a:fire:123456789012345678>",
    "<t:1700000000:R>", "</help:123456789012345678>", "<123456789012345678:customize>", "<id:guide>",
    "@123456789012345678", "123456789012345678>", ":fire:", ":fire", "fire:", ":+1:", ":100:", ":8ball", "::", "[x](",
    "](", "[a](https://evil.example)", "https://evil.example", "https://evil.example/a_b_/*c*", "https://", "http:/",
    "HTTPS://EVIL.EXAMPLE/~~", "https://evil.example/@everyone", "https://evil.example/)", "<https://evil.example>",
    "javascript:x", "evil@shop.example", "é", "中", "🔥", "👩‍👩‍👧", "¯\\_(ツ)_/¯", "a_b", "Martin Dev", "12:30",
]  # fmt: skip

hostile = (
    st.lists(st.one_of(st.sampled_from(TOKENS), st.text(max_size=4)), max_size=12).map("".join).map(clean)
)
examples = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def walk(tree: list[Node]) -> Iterator[Node]:
    """Every node of a syntax tree."""
    for node in tree:
        yield node
        if isinstance(content := node.get("content"), list):
            yield from walk(content)


def shown(tree: list[Node]) -> str:
    """The text that a reader sees."""
    words = []
    for node in tree:
        content = node.get("content", node.get("name", "\n" if node["type"] == "br" else ""))
        words.append(shown(content) if isinstance(content, list) else content)
    halves = "".join(words).replace(INVISIBLE, "")  # JavaScript may have parted a surrogate pair
    return halves.encode("utf-16", "surrogatepass").decode("utf-16")


def constructs(tree: list[Node]) -> Counter[str]:
    """How often each kind of markup occurs, without plain text and links."""
    return Counter(node["type"] for node in walk(tree) if node["type"] not in PLAIN_NODES)


def targets(tree: list[Node]) -> set[str]:
    """Where the links lead; Discord follows web addresses only."""
    links = (node["target"] for node in walk(tree) if node["type"] in LINK_NODES)
    return {target for target in links if target.casefold().startswith(("http://", "https://"))}


@examples
@given(text=hostile)
@example("2a14:6f42:c::/48")
@example("https://evil.example\\<@123456789012345678>")
@example(".x\n. y\n1. z\n   - a\n#\n-# b")
def test_an_escaped_value_is_plain_text_that_reads_as_it_was_written(parse: Parse, text: str) -> None:
    """No markup, no link that was not written out as one, and not a character less or more for the reader."""
    tree = parse(escape(text))
    assert constructs(tree) == Counter()
    assert unquote(shown(tree)) == unquote(text.replace("\t", "    "))
    assert all(unquote(target) in unquote(text) for target in targets(tree))
    assert as_read(escape(text)).replace("\t", "    ") == shown(tree)


CONTEXTS = [
    "%content%", "> %content%", ">>> %content%", "# %content%", "## %content%", "### %content%", "-# %content%",
    "- %content%", "* %content%", "1. %content%", "1%content%", "**%content%**", "*%content%*", "_%content%_",
    "__%content%__", "~~%content%~~", "||%content%||", "[%content%](https://owner.example/a)", "[owner](%content%)",
    "[owner](%url%)",
    "<%content%>", "<@%content%>", "<#%content%>", "<:%content%>", "<%url%>", "<@%url%>", "@%content%", "@%url%",
    "@every%content%", ":%content%", ":%content%:", ":%url%:", "\\%content%", "(%content%)", "[%content%] (%username%)",
    "**Sujet :** %content%\n%username% : %url%", "%content%%username%", "%content%\n%username%", "`code` %content%",
    "https://owner.example/%content%", "<https://owner.example/?q=%content%>", "https://owner.example/@%content%",
    "%url%%content%", "%url%@%content%", "%url% %content%", "> %username%\n%content%",
]  # fmt: skip


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_value_brings_no_markup_into_the_template(parse: Parse, make: Make, context: str) -> None:
    """Whatever the owner's words around it are: the only constructs are the owner's own."""
    calm = make(context, content="x", username="x", url="https://owner.example/t/1")
    owners = constructs(parse(calm["content"]))
    owner_targets = {"https://owner.example"}

    @settings(examples, max_examples=25)
    @given(content=hostile.filter(bool), username=hostile.filter(bool), url=hostile.filter(bool))
    def check(content: str, username: str, url: str) -> None:
        payload = make(context, content=content, username=username, url=url)
        tree = parse(payload["content"])
        assert not constructs(tree) - owners
        values = unquote(f"{content}{username} {url}{content} {url}@{content}")  # as the contexts join them
        # In "[owner](%url%)" the value is the target, whatever it is.
        for target in targets(tree) if "](%" not in context else ():
            assert any(target.startswith(owned) for owned in owner_targets) or unquote(target) in values

    check()


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the shared test data is not beside this checkout")
def test_the_naughty_strings_are_inert_in_every_field(parse: Parse, make: Make) -> None:
    """All 515 of the Big List, as every variable at once."""
    strings = json.loads(NAUGHTY.read_text("utf-8"))
    assert len(strings) == 515
    fields = (
        "subject",
        "username",
        "email",
        "departmentName",
        "priority",
        "content",
        "url",
        "relatedUrl",
        "created_at",
    )
    template = "\n".join(f"A {name}: %{name}%" for name in fields)
    for text in strings:
        payload = make(template, **dict.fromkeys(fields, text))
        tree = parse(payload["content"])
        assert constructs(tree) == Counter(), text
        assert payload["allowed_mentions"] == {"parse": []}
