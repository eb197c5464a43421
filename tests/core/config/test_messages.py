"""``message:`` emoji written, variables known, and what would not come out as the owner means it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deskbell.config import Loaded

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]


def with_message(good: str, message: str) -> str:
    """A block: its first line is line 10, from column 7."""
    return good.replace("      New: %subject%\n", "".join(f"      {line}\n" for line in message.split("\n")))


def test_shortcodes_become_emoji_and_names_become_slots(load: Load, good: str) -> None:
    text = with_message(good, ":pushpin: %SUBJECT% (%appname%), %plan%")
    loaded = load(text.replace("    token:", "    variables: plan\n    token:"))
    assert loaded.config is not None, loaded.problems
    template = loaded.config.webhooks[0].template
    assert template.source == "\N{PUSHPIN} %SUBJECT% (%appname%), %plan%\n"
    assert template.variables == {"subject", "appname", "plan"}


@pytest.mark.parametrize(
    "message",
    [
        "entre 5 % et 10 % de %subject%",
        "100% de %username%, %%username%%, % subject %",
        "https://x.example/caf%C3%A9/%ticket%",
        "%url%",
        "%url%\n%relatedUrl% et %url%\tx",
        "<%url%> <%url%|le ticket> [le ticket](%url%)",
        "10:30:45 fe80:ab:1 <:custom:123> <t:1:R>",
        "$5 {%subject%} # %ticket%: 'x' \"y\" & * !",
    ],
)
def test_these_are_fine(problems: Problems, good: str, message: str) -> None:
    assert problems(with_message(good, message)) == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("a ¦%usrname% b", "error unknown variable %usrname% -> did you mean %username%?"),
        ("%subject%\n\n  ¦%plan%", "error unknown variable %plan% -> if only the sender knows it, name it under its"),
        ("%userid% ¦%useriid%", "error unknown variable %useriid% -> did you mean %userid%?"),
        (":pushpin: ¦:pushpn: x", "warning no emoji is called :pushpn:, so it stays text -> did you mean :pushpin:?"),
        ("x\n¦:qqzzqq: x", "warning no emoji is called :qqzzqq:, so it stays text"),
        ("see ¦%url%.", "warning what follows %url% may become a part of the link -> put a space or a line break behind"),
        ("(¦%url%)", "warning what follows %url% may become a part of the link"),
        ("%url% and ¦% relatedUrl %%subject%", "warning what follows % relatedUrl % may become a part of the link"),
    ],
)  # fmt: skip
def test_a_doubtful_word_is_told_at_its_place(
    only_problem: Callable[..., str], good: str, message: str, expected: str
) -> None:
    assert only_problem(with_message(good, message)).startswith(expected)


def test_what_the_transport_says_of_a_message_is_a_warning(
    only_problem: Callable[..., str], good: str
) -> None:
    text = with_message(good, "`%subject%`").replace("message: |", "message: ¦|")
    assert only_problem(text) == "warning a variable stands in a code block"


def test_words_that_leave_no_room_are_an_error(problems: Problems, good: str) -> None:
    """The transport of these tests takes 200 characters."""
    assert problems(with_message(good, "x" * 199 + "%subject%")) == []
    (found,) = problems(with_message(good, "x" * 200 + "%subject%"))
    assert found.startswith(
        "9:14 error message: its own words have 201 characters, discord takes 200 -> shorten them"
    )


@pytest.mark.parametrize("written", ["''", "|\n", '" \\t\\n "', '"\\u200b\\u2060"', "'   '"])
def test_a_message_without_anything_to_see_is_an_error(problems: Problems, good: str, written: str) -> None:
    text = good[: good.index("    message")] + f"    message: {written}\n"
    assert problems(text) == ["9:14 error message: is empty -> nothing could be sent; write at least a word"]


def test_a_flood_of_the_same_mistake_is_cut_short(problems: Problems, good: str) -> None:
    assert len(problems(with_message(good, "%nope% " * 500))) == 21
