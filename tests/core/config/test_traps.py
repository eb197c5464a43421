"""The traps of YAML: each has its place, its words, and the line as it should be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deskbell.config import Loaded, report

WithLine = Callable[[str], str]
Problems = Callable[..., list[str]]


def block(text: str) -> str:
    return f"write it as a block:\n  message: |\n    {text}"


@pytest.mark.parametrize(
    ("value", "column", "why"),
    [
        ("%subject% opened", 14, "begins with '%', so it must be quoted"),
        ("%", 14, "begins with '%', so it must be quoted"),
        ("@here %subject%", 14, "begins with '@', so it must be quoted"),
        ("`%subject%` opened", 14, "begins with '`', so it must be quoted"),
        ("**New** %subject%", 14, "begins with '*' (an alias in YAML), so it must be quoted"),
        ("& %subject%", 14, "begins with '&' (an anchor in YAML), so it must be quoted"),
        ("!urgent %subject%", 14, "begins with '!' (a tag in YAML), so it must be quoted"),
        ("[%departmentName%] x", 14, "begins with '[' (a list in YAML), so it must be quoted"),
        ("[Sales] x", 14, "begins with '[' (a list in YAML), so it must be quoted"),
        ("{%subject%} x", 14, "begins with '{' (a mapping in YAML), so it must be quoted"),
        ("> %content%", 14, "begins with '>' (a block in YAML), so it must be quoted"),
        (">%content%", 14, "begins with '>' (a block in YAML), so it must be quoted"),
        ("- %content%", 14, "begins with '-' (a list item in YAML), so it must be quoted"),
        ("? really", 14, "begins with '?' (a key in YAML), so it must be quoted"),
        (", %content%", 14, "begins with ',', so it must be quoted"),
        ("Ticket: %subject%", 20, "holds a ':' that YAML takes for the end of a key, so it must be quoted"),
        (":ticket: %subject%", 21, "holds a ':' that YAML takes for the end of a key, so it must be quoted"),
        ("New:", 17, "holds a ':' that YAML takes for the end of a key, so it must be quoted"),
    ],
)
def test_a_message_that_means_something_to_yaml_is_shown_as_a_block(
    problems: Problems, with_line: WithLine, value: str, column: int, why: str
) -> None:
    told = [one for one in problems(with_line(f"message: {value}")) if " error " in one]
    assert told == [f"9:{column} error message {why} -> {block(value)}"]


@pytest.mark.parametrize(
    ("value", "column", "meant"),
    [("'it's done'", 18, "it's done"), ('"Hello" %subject%', 22, '"Hello" %subject%')],
)
def test_text_behind_a_closing_quote(
    problems: Problems, with_line: WithLine, value: str, column: int, meant: str
) -> None:
    why = "has text behind its closing quote; all of it must be quoted"
    assert problems(with_line(f"message: {value}")) == [f"9:{column} error message {why} -> {block(meant)}"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "message: | %content%",
            "9:14 error message begins with '|' (a block in YAML), so it must be quoted",
        ),
        ("timezone: @Paris", "9:15 error timezone begins with '@', so it must be quoted"),
        ("action: *", "9:13 error action begins with '*' (an alias in YAML), so it must be quoted"),
        ("action: [*]", "9:14 error a text that begins with '*' must be quoted"),
        ("action: [Submit, @x]", "9:22 error a text that begins with '@' must be quoted"),
        (
            'message: "a\\qb"',
            "9:17 error message holds a backslash, which means something inside double quotes",
        ),
        ('message: "\\U00110000"', "9:17 error message holds a backslash, which means something"),
        ('message: "never closed', "9:14 error the quote that opens here is never closed"),
        ("\tmessage: x", "9:5 error line 9 is indented with a tab"),
        ("message:\tx", "9:13 error a tab stands where YAML wants a space"),
        ("message: |\n\t\tx", "10:1 error line 10 is indented with a tab"),
        ("rate:5/2s", "9:5 error there is no space behind 'rate:'"),
        ("message: |\n    Hello", "10:5 error this line is no 'key: value'"),
        ("message: |\n    %subject%", "10:5 error this line is no 'key: value'"),
        ("message: |\n%subject% x", "10:1 error a line that begins with '%' is an order to YAML itself"),
        (
            "message: x\n      rate: 1",
            "10:11 error the indentation of this line does not fit the lines above it",
        ),
        ("message: x\n   rate: 1", "10:4 error the indentation of this line does not fit the lines above it"),
        ("- message: x", "9:5 error the indentation of this line does not fit the lines above it"),
        (
            "options: {a: b\n    message: x",
            "10:12 error something is missing before this: the '{' of line 9 is",
        ),
        (
            "options: {a: #b}",
            "9:18 error everything after '#' on this line is a YAML comment, also the bracket",
        ),
        ("action: [Submit\n", "9:13 error the '[' that opens here is never closed -> close it with ]"),
        ("message: &name x", "9:14 error '&' begins an anchor in YAML; deskbell's config has none"),
        ("message: *name", "9:14 error '*' begins an alias in YAML; deskbell's config has none"),
        ("message: !x y", "9:14 error '!' begins a tag in YAML; deskbell's config has none"),
        ("<<: {message: x}", "9:5 error merge keys (<<) are refused"),
        ("? [a]\n    : b", "9:7 error a key must be one word, not a list or a mapping"),
        ('message: "\\ud800"', "9:14 error this text holds half of a character"),
        ("rate: none\n    rate: 1/1s", "10:5 error 'rate' is written twice; the first is on line 9"),
    ],
)
def test_every_other_trap_has_its_own_words(
    problems: Problems, with_line: WithLine, line: str, expected: str
) -> None:
    found = problems(with_line(line))
    assert any(one.startswith(expected) for one in found), found


def test_a_reference_inside_brackets_gets_the_hint_to_quote_it(problems: Problems, good: str) -> None:
    text = good.replace("version: 1", "server: {listen: ${LISTEN:-127.0.0.1:1}}")
    hint = "put quotes round ${…} inside { } or [ ]:  '${LISTEN:-127.0.0.1:1}'"
    assert problems(text) == [
        f"1:18 error inside {{ }} or [ ] YAML takes the brace of ${{ for a mapping -> {hint}"
    ]


def test_all_traps_of_a_file_are_told_in_one_run(problems: Problems, good: str) -> None:
    second = "  - name: b\n    url: @b\n    options: {a: ${B}}\n    message: Ticket: %subject%\n    action: Close\n"
    text = good.replace("|\n      New: %subject%", "%subject% opened") + second
    told = [one.split(" error ")[0] for one in problems(text)]
    # What is mended may be wrong all the same: at 11:10, `@b` is no URL; at 12:19, ${B} is not set.
    assert told == ["9:14", "11:10", "11:10", "12:18", "12:19", "13:20"]


def test_a_trap_hides_no_other_problem(problems: Problems, good: str) -> None:
    text = good.replace("|\n      New: %subject%", "%subject% opened").replace(
        "action: Submit", "action: Sumbit"
    )
    told = [one.split(" error ")[0] for one in problems("timezone: Europe/Pariss\n" + text)]
    assert told == ["1:11", "9:13", "10:14"]


def test_beyond_loopback_a_source_without_a_token_is_an_error(problems: Problems, good: str) -> None:
    text = good.replace("    token: a-token-of-the-tests\n", "")
    assert problems(text) == []
    found, _ = problems("server: {listen: 0.0.0.0:8700}\n" + text)[::-1]
    assert "error source clientxcms has neither token nor signing_secret" in found


def test_a_mended_line_never_causes_a_problem_of_its_own(problems: Problems, with_line: WithLine) -> None:
    found = problems(with_line("message: %subject%\n      and %content%"))
    assert [one.split(" ")[0] for one in found] == ["9:14"]


def test_the_report_of_the_documented_example_reads_exactly_so(
    load: Callable[..., Loaded], good: str
) -> None:
    """As ``check`` is documented to print it."""
    text = good.replace(
        "\n    message: |\n      New: %subject%\n", "\n    message: Client #%userId% opened %subject%\n"
    ).replace("version: 1\n", "")
    assert report(load(text).problems) == (
        "config.yaml:8:20: error: everything after '#' on this line is a YAML comment, so message is 'Client'\n"
        "    8 |     message: Client #%userId% opened %subject%\n"
        "      |                    ^\n"
        "      = put quotes round it:  message: 'Client #%userId% opened %subject%'\n"
        "1 problem. Nothing was started."
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "message: New # %subject%",
            "9:17 error everything after '#' on this line is a YAML comment, so message",
        ),
        (
            "message: #support",
            "9:13 error everything after '#' on this line is a YAML comment, so message is empty",
        ),
        (
            "options: \n      username: #5865F2",
            "10:16 error everything after '#' on this line is a YAML comment",
        ),
        (
            "options:\n      username: Support #1",
            "10:24 error everything after '#' on this line is a YAML comment",
        ),
        (
            "rate: none #later",
            "9:15 warning everything after '#' on this line is a YAML comment, so rate is 'none'",
        ),
    ],
)
def test_text_that_a_comment_swallowed_is_found(
    problems: Problems, with_line: WithLine, line: str, expected: str
) -> None:
    text = with_line(line) + ("" if line.startswith("message") else "    message: x\n")
    found = problems(text)
    assert any(one.startswith(expected) for one in found), found


@pytest.mark.parametrize(
    "line",
    [
        "message: Hello  # a remark",
        "message: Hello   ## a remark",
        "message: 'Client #%userid%'",
        "message: Client#%userid%",
        "message: |  # the text\n      Client #%userid%",
        "message: x\n    rate: none   # %d is not ours",
        "message: x\n    # rate: 1/1s",
    ],
)
def test_remarks_and_quoted_text_are_no_trap(problems: Problems, with_line: WithLine, line: str) -> None:
    assert problems(with_line(line)) == []
