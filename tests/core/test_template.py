"""Templates: each rule of the module, and what must hold for every template, value, escape and measure."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskbell import LINK, VALUE, VARIABLES
from deskbell.template import Template, unknown_words

NAMES = (*VARIABLES, "appurl", "key", "a", "b", "c", "d")
Escape = Callable[[str], str]
Measure = Callable[[str], int]


def parse(text: str) -> Template:
    return Template.parse(text, NAMES)


def render(text: str, **values: str) -> str:
    return parse(text).fit(values, escape=marked, limit=10_000).text


def marked(text: str) -> str:
    """An escape that shows what it was applied to."""
    return f"({text})"


def identity(text: str) -> str:
    return text


def backslashed(text: str) -> str:
    """As an escape of Markdown: up to twice as long."""
    return re.sub(r"([*_~|`\\<>@:.-])", r"\\\1", text)


def entities(text: str) -> str:
    """As an escape of HTML: up to five times as long."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def utf8(text: str) -> int:
    return len(text.encode())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Bonjour", "Bonjour"),
        ("", ""),
        ("%username% !", "(Martin) !"),
        ("%USERNAME% %userName%", "(Martin) (Martin)"),
        ("%username % % username% %\tusername %", "(Martin) (Martin) (Martin)"),
        ("entre 5 % et 10 %", "entre 5 % et 10 %"),
        ("100% de %username%", "100% de (Martin)"),
        ("%%username%%", "%(Martin)%"),
        ("%nope% %user name% %\nusername%", "%nope% %user name% %\nusername%"),
        ("%subject%", "(%username% %content%)"),  # one pass: a value is data
        ("%\u212aey%", "%\u212aey%"),  # the Kelvin sign is no k
    ],
)
def test_only_known_names_are_variables_and_values_are_never_read_again(template: str, expected: str) -> None:
    assert render(template, username="Martin", subject="%username% %content%", content="x") == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("%a%%b%", "(12)"),
        ("%a%%b%%c%.", "(12)."),
        ("x%a% %b%%c%", "x(1) (2)"),
        ("%a%%nope%%b%", "(1)%nope%(2)"),
    ],
)
def test_variables_side_by_side_are_one_value_for_the_escape(template: str, expected: str) -> None:
    assert render(template, a="1", b="2") == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("%url%", "https://cms.example/t/1?x=1&y=%C3%A9"),
        ("Lien : %url% !", "Lien : https://cms.example/t/1?x=1&y=%C3%A9 !"),
        ("%relatedUrl%", "(javascript:alert(1))"),
        ("%appurl%", "(https://x.example/<@1>)"),
        ("%url%%a%", "(https://cms.example/t/1?x=1&y=%C3%A9<@1> é_~/)"),
        ("%content%", "(https://cms.example)"),  # the customer's link is a value
    ],
)
def test_a_link_of_the_sender_goes_out_raw_when_it_is_one(template: str, expected: str) -> None:
    values = {"url": "https://cms.example/t/1?x=1&y=%C3%A9", "relatedurl": "javascript:alert(1)"}
    values |= {"appurl": "https://x.example/<@1>", "a": "<@1> é_~/", "content": "https://cms.example"}
    assert render(template, **values) == expected


ENCODED = "%3C%401%3E%20%C3%A9%5F%7E%2F"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("https://p.example/t/%a%", f"https://p.example/t/{ENCODED}"),
        ("https://p.example/?q=%a%&r=%b%", f"https://p.example/?q={ENCODED}&r=2"),
        ("http://p.example/%a%%b%", f"http://p.example/{ENCODED}2"),
        ("<https://p.example/%a%>", f"<https://p.example/{ENCODED}>"),
        ("<https://p.example/%a%|%a%>", f"<https://p.example/{ENCODED}|(<@1> é_~/)>"),
        ("[x](https://p.example/%a%)", f"[x](https://p.example/{ENCODED})"),
        ("%url%/admin/%a% %a%", f"https://cms.example/admin/{ENCODED} (<@1> é_~/)"),
        ("%url% %a%", "https://cms.example (<@1> é_~/)"),
        ("https://p.example %a%", "https://p.example (<@1> é_~/)"),
        ("https://p.example/?u=%url%", "https://p.example/?u=https://cms.example"),
        ("https://p.example/?u=%relatedurl%", "https://p.example/?u=javascript%3A"),
    ],
)
def test_a_value_inside_a_url_is_percent_encoded(template: str, expected: str) -> None:
    values = {"a": "<@1> é_~/", "b": "2", "url": "https://cms.example", "relatedurl": "javascript:"}
    assert render(template, **values) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("> %content%", "> 1\n> 2"),
        (">%content%", ">1\n>2"),
        ("x\n> De %a% : %content% !\n%content%", "x\n> De y : 1\n> 2 !\n1\n2"),
        ("a > b %content%", "a > b 1\n2"),
        (">>> %content%", ">>> 1\n2"),  # quotes all that follows by itself
    ],
)
def test_a_quoted_value_is_quoted_in_all_its_lines(template: str, expected: str) -> None:
    assert (
        parse(template).fit({"content": "1\n2", "a": "y"}, escape=identity, limit=99, measure=len).text
        == expected
    )


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Ticket\nPriorité : %priority%\nDe : %a%", "Ticket\nDe : x"),
        ("%priority% - %b%\n%a%\n", "x\n"),
        ("%a% (%priority%)", "x ()"),  # something is said on this line
        ("Priorité : %priority%\n\n--", "\n--"),
        ("Priorité : %priority%", "Priorité : "),  # never an empty message
        ("%priority%\n  \n%b%", "\n  \n"),
        ("> %priority%\n> %a%", "> x"),
        ("%PRIORITY %\n%a%%b%", "x"),
    ],
)
def test_a_line_whose_variables_are_all_empty_is_left_out(template: str, expected: str) -> None:
    assert parse(template).fit({"a": "x", "b": ""}, escape=identity, limit=99).text == expected


def test_skeleton_and_literals_show_the_owners_words_only() -> None:
    template = parse("@%a% \x00\x01[x](%url%) https://x/%b%")
    assert template.skeleton == f"@{VALUE} [x]({LINK}) https://x/{LINK}"
    assert template.variables == {"a", "url", "b"}


def test_literal_treats_the_template_where_it_touches_a_value() -> None:
    def after_at(skeleton: str) -> str:
        return skeleton.replace(f"@{VALUE}", f"@\u200b{VALUE}")

    template = parse("@%a% @here")
    assert (
        template.fit({"a": "everyone"}, escape=identity, limit=99, literal=after_at).text
        == "@\u200beveryone @here"
    )
    with pytest.raises(ValueError, match="must keep every VALUE"):
        template.fit({"a": "x"}, escape=identity, limit=99, literal=lambda skeleton: skeleton[:1])


def test_a_link_is_treated_by_link_and_never_by_escape() -> None:
    def angled(url: str) -> str:
        return f"<{url}>"

    fitted = parse("%url% %a%").fit(
        {"url": "https://x.example", "a": "y"}, escape=marked, limit=99, link=angled
    )
    assert fitted.text == "<https://x.example> (y)"


@pytest.mark.parametrize(
    ("values", "limit", "expected", "shortened"),
    [
        ({"a": "aaaaaaaaaa", "b": "bbb"}, 15, "aaaaaaaaaa, bbb", ()),
        ({"a": "aaaaaaaaaa", "b": "bbb"}, 14, "aaaaaaaa…, bbb", ("a",)),  # the longest pays
        ({"a": "aaaaaaaaaa", "b": "bbbbbbbbbb"}, 12, "aaaa…, bbbb…", ("a", "b")),
        ({"a": "aaaaaaaaaa", "b": "b"}, 4, "…, b", ("a",)),
        ({"a": "aaaaaaaaaa", "b": "bbb"}, 2, ", ", ("a", "b")),
        ({"a": "aaaa", "b": "bbb"}, 1, "…", ("a", "b")),  # not even the owner's words fit
        ({"a": "aaaa", "b": "bbb"}, 0, "", ("a", "b")),
    ],
)
def test_the_longest_values_are_cut(
    values: dict[str, str], limit: int, expected: str, shortened: tuple[str, ...]
) -> None:
    fitted = parse("%a%, %b%").fit(values, escape=identity, limit=limit)
    assert (fitted.text, fitted.cut) == (expected, shortened)


def test_a_link_is_kept_whole_or_left_out() -> None:
    values = {"url": "https://cms.example/t/1", "a": "a" * 50}
    assert parse("%a% %url%").fit(values, escape=identity, limit=30).text == "aaaaa… https://cms.example/t/1"
    assert parse("%a% %url%").fit(values, escape=identity, limit=20).text == "a" * 18 + "… "


def test_the_cut_comes_before_the_escape_so_that_no_escape_is_split() -> None:
    for limit in range(1, 60):
        text = parse("%a%").fit({"a": "<" * 20}, escape=entities, limit=limit).text
        assert re.fullmatch("(&lt;)*…|(&lt;){20}", text), limit


def test_a_template_without_variables_is_cut_with_a_mark() -> None:
    assert parse("Bonjour tout le monde").fit({}, escape=identity, limit=8).text == "Bonjour…"


def test_a_value_that_alone_exceeds_the_limit_is_marked_as_cut() -> None:
    for length in range(9, 30):
        fitted = parse("%a%").fit({"a": "a" * length}, escape=identity, limit=8)
        assert (fitted.text, fitted.cut) == ("aaaaaaa…", ("a",))


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("%username% %subjct%", [("subjct", 11)]),
        ("%priorité% 5%", [("priorité", 0)]),
        ("%%nope%%", [("nope", 1)]),
        ("%username%nope%", []),
        ("%user name% 5 % et 10 % 50%100%", []),
        ("https://x/%C3%A9%20%ad%", []),
        ("%_x1%%1x%", [("_x1", 0)]),
    ],
)
def test_unknown_words_are_found_where_they_stand(text: str, unknown: list[tuple[str, int]]) -> None:
    assert unknown_words(text, NAMES) == unknown


literal_texts = st.text(alphabet="ab @:*<é😀 \n>-", max_size=8)
hostile = st.text(alphabet="ab:*_<>@&%\\`~|.-#[]() \n\u0301\u200d😀🇫🇷👋🏽é", max_size=40) | st.text(
    max_size=40
)
links = st.sampled_from(
    ["https://cms.example/t/1", "http://x.example:8080/?a=1&b=2#c", "javascript:x", "https://é", ""]
)
parts = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d", "url", "relatedUrl"]), literal_texts), max_size=6
)
escapes = st.sampled_from([identity, backslashed, entities])
measures = st.sampled_from([len, utf16, utf8])


@st.composite
def rendering_cases(draw: st.DrawFn) -> tuple[Template, dict[str, str]]:
    first = draw(literal_texts | st.just("https://p.example/"))
    text = first + "".join(f"%{name}%{literal}" for name, literal in draw(parts))
    values = {name: draw(hostile) for name in "abcd"}
    return parse(text), {**values, "url": draw(links), "relatedurl": draw(links)}


def shown_literals(template: Template, values: dict[str, str]) -> list[str]:
    """The owner's words in the lines that stay, told without the code under test."""

    def says(line: str) -> bool:
        used = [name.casefold() for name in re.findall("%(a|b|c|d|url|relatedUrl)%", line)]
        return not used or any(values[name] for name in used)

    kept = [line for line in template.source.split("\n") if says(line)]
    source = "\n".join(kept) if "".join(kept).strip() else template.source
    return re.split("%(?:a|b|c|d|url|relatedUrl)%", source)


@settings(max_examples=400)
@given(rendering_cases(), escapes, measures, st.integers(0, 120))
def test_the_result_never_exceeds_the_limit_and_is_whole_when_it_fits(
    case: tuple[Template, dict[str, str]], escape: Escape, measure: Measure, limit: int
) -> None:
    template, values = case
    whole = template.fit(values, escape=escape, limit=100_000, measure=measure)
    fitted = template.fit(values, escape=escape, limit=limit, measure=measure)
    assert measure(fitted.text) <= limit
    assert whole.cut == ()
    if measure(whole.text) <= limit:
        assert fitted == whole
    else:
        assert set(fitted.cut) <= template.variables


@settings(max_examples=300)
@given(rendering_cases(), escapes, measures, st.integers(0, 60))
def test_the_owners_words_survive_in_order_when_they_fit(
    case: tuple[Template, dict[str, str]], escape: Escape, measure: Measure, room: int
) -> None:
    template, values = case
    literals = shown_literals(template, values)
    text = template.fit(values, escape=escape, limit=sum(map(measure, literals)) + room, measure=measure).text
    assert text.startswith(literals[0])
    assert text.endswith(literals[-1])
    assert re.fullmatch(".*".join(map(re.escape, literals)), text, re.DOTALL)


@given(st.lists(hostile, min_size=2, max_size=4), escapes)
def test_values_side_by_side_are_escaped_together(values: list[str], escape: Escape) -> None:
    template = parse("x" + "".join(f"%{name}%" for name in "abcd"[: len(values)]))
    rendered = template.fit(dict(zip("abcd", values, strict=False)), escape=escape, limit=10_000).text
    assert rendered == "x" + escape("".join(values))


@given(hostile)
def test_nothing_of_a_value_is_active_inside_a_url(value: str) -> None:
    rendered = parse("https://p.example/%a% fin").fit({"a": value}, escape=identity, limit=10_000).text
    encoded = rendered.removeprefix("https://p.example/").removesuffix(" fin")
    assert re.fullmatch(r"(?:[A-Za-z0-9.-]|%[0-9A-F]{2})*", encoded)
    assert unquote(encoded, errors="strict") == value
