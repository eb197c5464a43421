"""The rules of the escape one by one: what passes byte for byte, and what is changed how."""

from __future__ import annotations

import re
import time

import dismoji
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskbell import LINK, VALUE
from deskbell_discord.markdown import INVISIBLE, as_read, escape, link, separate

Z = INVISIBLE

PLAIN = [
    "",
    "Martin Dev",
    "Bonjour,  Voici ma demande de remboursement",
    "l'équipe m'a dit « non » ; pourquoi ?! …",
    "jean_dupont@example.com, a.b+c@d-e.fr",
    "22/11/22 00:30, 2022-11-22T00:30:00+01:00, 12:30:45, 9:00-18:00",
    "25,00 €, $5.00, -5 €, 100% de 1 000",
    "+33 1 23 45 67 89, (0)1 23, #12, n°4, v1.2, 1.5, 1) un",
    "Re: Fwd: x, Priorité : haute",
    "snake_case_name et a_b@c.com",
    "Ελληνικά, 中文, العربية, 🔥👩‍👩‍👧🏳️‍🌈 ❤️",
    "une ligne\nune autre - avec un tiret\n\n-5 degrés\n#12\n1.5\n…fin",
    "a > b, a -> b, 1 + 1 = 2 & c; 5 - 3",
    "R&D (service)",
    "12345678901234567890",
    "fe80::1 est une adresse",
    "id:42 et t:37.2 ; a:b.",
    "/help me: 12",
]

ESCAPED = [
    ("\\", r"\\"),
    ("*gras* ~~non~~ ||caché||", r"\*gras\* \~\~non\~\~ \|\|caché\|\|"),
    ("`code` ```bloc```", r"\`code\` \`\`\`bloc\`\`\`"),
    ("_a_ __b__ a_b c_", r"\_a\_ \_\_b\_\_ a_b c\_"),
    ("[texte](https://evil.example)", r"\[texte]\(<https://evil.example>)"),
    ("(https://evil.example)", r"\(<https://evil.example>)"),
    ("](x)", r"]\(x)"),
    ("<@123456789012345678> <#1> <t:1:R>", r"\<@123456789012345678> \<#1> \<t:1:R>"),
    ("# titre", r"\# titre"),
    ("a\n## b\n### c\n#### d\n#e", "a\n\\## b\n\\### c\n#### d\n#e"),
    ("-# petit", r"\-# petit"),
    ("- un\n  - deux\n\t- trois", "\\- un\n  \\- deux\n\t\\- trois"),
    ("1. un\n23. deux", "1\\. un\n23\\. deux"),
    ("> cité\n>>> tout", "\\> cité\n\\>>> tout"),
    ("#", r"\#"),
    ("-", r"\-"),
    ("1.", r"1\."),
    (". x", r"\. x"),
    (":fire: 10:b:30 :+1: :100:", r"\:fire: 10\:b:30 \:+1: \:100:"),
    ("fin :fir", r"fin \:fir"),
    ("@everyone @here", f"@{Z}everyone @{Z}here"),
    ("a@", f"a@{Z}"),
    ("a@every", f"a@{Z}every"),
    ("@everybody @her @hero", "@everybody @her @hero"),
    ("https://x.example/a_b", "<https://x.example/a_b>"),
    (
        "Voir https://x.example/a, ou (https://y.example/b).",
        "Voir <https://x.example/a>, ou (<https://y.example/b>).",
    ),
    ("https://x.example/**b**_c_", "<https://x.example/%2A%2Ab%2A%2A_c%5F>"),
    ("https://x.example/(a)", "<https://x.example/(a>)"),
    ("https://x.example/(a)b", "<https://x.example/(a)b>"),
    ("https://x.example/a)b", "<https://x.example/a%29b>"),
    ("https://x.example/@everyone", "<https://x.example/%40everyone>"),
    ("https://", r"https\://"),
    ("https://x.example\\<@123456789012345678>", "<https://x.example%5C>\\<@123456789012345678>"),
    ("@123456789012345678>", f"{Z}@123456789012345678>"),
    ("t:1700000000>", f"{Z}t:1700000000>"),
    ("id:guide>", f"{Z}id:guide>"),
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_passes_byte_for_byte(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize(("text", "inert"), ESCAPED)
def test_what_would_be_active_is_escaped_and_nothing_else(text: str, inert: str) -> None:
    assert escape(text) == inert
    if "://" not in text:
        assert as_read(inert) == text


words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=9)
marks = st.sampled_from(
    [*".,;!?'\"’«»…/%€$=&+)-", "12:30", "22/11/22", "25,00 €", "a_b@c.example", "#12", "(x)", "🔥"]
)
lines = st.lists(st.one_of(words, marks), max_size=8).map(lambda parts: " ".join(["Bonjour", *parts]))


@settings(max_examples=300, deadline=None)
@given(st.lists(lines, min_size=1, max_size=4).map("\n".join))
def test_prose_in_any_script_passes_byte_for_byte(text: str) -> None:
    assert escape(text) == text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_the_escape_never_shortens_and_never_pings(text: str) -> None:
    """Never shortening is what lets core cut a value before it escapes it."""
    text = text.replace("\0", "")
    assert len(escape(text)) >= len(text)
    assert not re.search("@(everyone|here)", escape(text + "@everyone @here"))


def test_no_emoji_of_discords_own_list_renders_from_a_value() -> None:
    """Judged by dismoji, whose names come from Discord's client."""
    names = [name for name in dismoji.EMOJI_MAPPING if dismoji.emojize(f":{name}:") != f":{name}:"]
    assert len(names) > 5000
    values = [escape(template.format(name)) for name in names for template in (":{}:", "a:{}:b", "10:{}:30")]
    unescaped = [re.sub(r"\\.", " ", value) for value in values]  # dismoji knows no backslash
    assert [value for value in unescaped if dismoji.emojize(value) != value] == []


@pytest.mark.parametrize(
    ("skeleton", "separated"),
    [
        (f"a {VALUE} b: {VALUE}", f"a {VALUE} b: {VALUE}"),
        (f"@{VALUE} @eve{VALUE} @you{VALUE}", f"@{Z}{VALUE} @eve{Z}{VALUE} @you{VALUE}"),
        (f"<{VALUE}> <@{VALUE}> <t:{VALUE}>", f"<{Z}{VALUE}> <@{Z}{VALUE}> <t:{Z}{VALUE}>"),
        (f":{VALUE} :fi{VALUE} \\{VALUE}", f":{Z}{VALUE} :fi{Z}{VALUE} \\{Z}{VALUE}"),
        (f"<{LINK}> [x]({LINK}) {LINK}", f"<{LINK}> [x]({LINK}) {LINK}"),
        (f"<#{LINK}> @{LINK} :{LINK}", f"<#{Z}{LINK}> @{Z}{LINK} :{Z}{LINK}"),
        (f"https://a.example:{LINK}/x_{LINK}", f"https://a.example:{LINK}/x_{LINK}"),
        (f"https://a.example/@{LINK} {LINK}/@{LINK}", f"https://a.example/%40{LINK} {LINK}/%40{LINK}"),
        (f"<https://a.example/{LINK}>", f"<https://a.example/{LINK}>"),
    ],
)
def test_the_templates_words_cannot_complete_a_value(skeleton: str, separated: str) -> None:
    assert separate(skeleton) == separated


def test_a_link_changes_only_where_it_says_everyone() -> None:
    assert link("https://user@x.example/~a_b_#@c") == "https://user@x.example/~a_b_#@c"
    assert link("https://x.example/@here?@everyone") == "https://x.example/%40here?%40everyone"


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (r"\*a\* \n 1\.", r"*a* \n 1."),
        ("`a \\* <https://x.example>` \\*", "`a \\* <https://x.example>` *"),
        ("<https://x.example/a> <@1> <b>", "https://x.example/a <@1> <b>"),
        (f"@{Z}everyone", "@everyone"),
    ],
)
def test_what_a_reader_sees(content: str, read: str) -> None:
    assert as_read(content) == read


@pytest.mark.parametrize(
    "unit",
    [
        "*",
        "_",
        ":",
        ":a",
        "@",
        "\n",
        " ",
        "\n ",
        "1",
        "https://",
        "https://)",
        "(",
        "](",
        "/a:",
        "`",
        "<",
        "\\",
    ],
)
def test_the_time_of_the_escape_grows_with_the_text_only(unit: str) -> None:
    """200,000 characters in well under a second: nothing that a customer writes is quadratic."""
    text = (unit * 200_000)[:200_000]
    started = time.perf_counter()
    for value in (text, f":{text} ", f"https://{text}", f"/{text}"):
        escape(value)
    assert time.perf_counter() - started < 5
