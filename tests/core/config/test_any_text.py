"""Whatever is in the file: problems or a config, never an exception; and each problem points into the file."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deskbell.config import Loaded, Severity, report
from deskbell.config.document import split_lines

Load = Callable[..., Loaded]
QUIETLY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

words = st.sampled_from(
    ["version", "sources", "webhooks", "name", "url", "token", "action", "message", "when", "options", "demo:discord",
     "Submit", "%subject%", "${A}", "${A:-b}", "${", "$$", "'", '"', "|", ">", "&a", "*a", "!t", "<<", "#", " #", "-",
     "- ", ": ", ":", "\n", "\n  ", "\n    ", "\t", "{", "}", "[", "]", ",", "?", "%", "@", "`", "---", "...", "\\ud800",
     '"\\U00110000"', "\u2028", "\x85", "\ufeff", "📌", ":pushpin:", "0123", "1", "true", "~", "https://x/y"]
)  # fmt: skip
yaml_like = st.lists(words, max_size=40).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=12,
)


def in_yaml(value: object) -> str:
    """A value in the flow style, quoted so that it parses."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{in_yaml(key)}: {in_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_yaml, value)) + "]"
    if value is None or isinstance(value, (bool, int)):
        return "null" if value is None else str(value).lower()
    return "'" + "".join(char for char in str(value) if char.isprintable()).replace("'", "''") + "'"


def holds(loaded: Loaded, text: str) -> None:
    lines = split_lines(text.removeprefix("\ufeff"))
    failed = any(one.severity is Severity.ERROR for one in loaded.problems)
    assert (loaded.config is None) == failed
    assert report(loaded.problems) or not loaded.problems
    for one in loaded.problems:
        assert one.line == 0 or 1 <= one.column <= len(lines[one.line - 1]) + 1, one


@QUIETLY
@given(text=yaml_like)
@example(text="\t\t|")
@example(text="a: {b: |\n c")
@example(text="? {a: 1}\n: x")
@example(text="'\n")
@example(text="a: >2\n  x")
@example(text="%YAML " + "9" * 5000 + ".1\n---\na: 1")
def test_text_made_of_signs_of_yaml(load: Load, text: str) -> None:
    holds(load(text), text)


@QUIETLY
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text(load: Load, text: str) -> None:
    holds(load(text), text)


@QUIETLY
@given(content=st.binary(max_size=200))
def test_any_bytes(load: Load, content: bytes) -> None:
    loaded = load(content)
    assert (loaded.config is None) == any(one.severity is Severity.ERROR for one in loaded.problems)


@QUIETLY
@given(
    key=st.sampled_from(
        [
            "version",
            "server",
            "store",
            "timezone",
            "date_format",
            "plugins_dir",
            "egress",
            "retention",
            "sources",
        ]
    ),
    value=values,
)
def test_any_value_of_any_key_of_the_service(load: Load, good: str, key: str, value: object) -> None:
    body = good[good.index("webhooks:") :]
    text = f"{key}: {in_yaml(value)}\n{body}"
    holds(load(text, environ={"A": "x"}), text)


@QUIETLY
@given(
    key=st.sampled_from(
        [
            "name",
            "enabled",
            "url",
            "url_file",
            "transport",
            "when",
            "options",
            "rate",
            "retry",
            "max_age",
            "message",
        ]
    ),
    value=values,
)
def test_any_value_of_any_key_of_a_webhook(load: Load, good: str, key: str, value: object) -> None:
    text = (
        good[: good.index("webhooks:")] + "webhooks:\n  - {action: Submit, " + f"{key}: {in_yaml(value)}}}\n"
    )
    holds(load(text, environ={"A": "x"}), text)


@QUIETLY
@given(message=st.lists(words.filter(lambda word: "pushpin" not in word), max_size=30).map("".join))
def test_a_block_takes_any_message(load: Load, good: str, message: str) -> None:
    """Whatever stands in a block reaches the template as it was written."""
    lines = ["x" + line for line in split_lines(message.replace("\ufeff", ""))]
    text = good.replace("      New: %subject%\n", "".join(f"      {line}\n" for line in lines))
    loaded = load(text)
    holds(loaded, text)
    if loaded.config is not None:
        assert loaded.config.webhooks[0].template.source == "".join(f"{line}\n" for line in lines)
