"""YAML as deskbell reads it: which text becomes what, where it stands, and what is refused as a whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deskbell.config import Loaded, load_config, read_plugins_dir, report
from deskbell.config.document import Document, UnreadableError
from deskbell.config.problem import Place

Problems = Callable[..., list[str]]
Load = Callable[..., Loaded]


def parse(text: str) -> Document:
    return Document.parse(text, lambda key: key == "token")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, word) for word in ("on", "off", "yes", "no", "y", "n", "On", "NO", "none", "None")],
        *[(at, at) for at in ("22:30", "12:30:45", "2024-01-01", "2022-11-22T00:30:00+01:00")],
        *[(number, number) for number in ("0123", "1_000", "+5", "-0", "1.10", "1e3", "0x1F", "0o7", ".5", "1.")],
        *[(sign, sign) for sign in (".inf", ".nan", "=", "b:c", "9" * 5000)],
        ("7", 7), ("-7", -7), ("1097219411294621797", 1097219411294621797), ("1.5", 1.5), ("-0.25", -0.25),
        ("true", True), ("False", False), ("TRUE", True), ("~", None), ("null", None), ("", None),
        ('"7"', "7"), ("'true'", "true"), ("|\n  7", "7"), ("'it''s'", "it's"), ('"\\u00e9"', "é"),
        ("[1, a]", [1, "a"]), ("{a: 1}", {"a": 1}), ("[]", []),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2_and_keep_what_was_written(text: str, value: Any) -> None:
    """https://yaml.org/spec/1.2.2/#103-core-schema, without what would change an id or a time."""
    assert parse(f"a: {text}").data == {"a": value}


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parse("on: 1\n7: 2\ntrue: 3\nnull: 4").data == {"on": 1, "7": 2, "true": 3, "null": 4}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("m: ¤bad¤ word", Place(1, 4)),
        ("m: |\n  one\n\n  two ¤bad¤", Place(4, 7)),
        ("m: |2\n    ¤bad¤", Place(2, 5)),
        ("m: >\n  one\n  ¤bad¤ two", Place(3, 3)),
        ("m: 'it''s ¤bad¤'", Place(1, 11)),
        ('m: "é\\n ¤bad¤"', Place(1, 9)),
        ("m: one\n  two ¤bad¤", Place(2, 7)),
        ("m:   # ¤bad¤\n  ¤bad¤", Place(2, 3)),
        ("m: |  # ¤bad¤\n  ¤bad¤", Place(2, 3)),
    ],
)
def test_a_word_is_found_in_the_file_whatever_the_style_of_its_text(text: str, place: Place) -> None:
    document = parse(text)
    assert document.find(("m",), "¤bad¤", document.data["m"].index("¤bad¤")) == place


def test_the_second_of_two_equal_words_is_told_from_the_first() -> None:
    document = parse("m: |\n  ¤a¤ ¤a¤")
    assert document.find(("m",), "¤a¤", 4) == Place(2, 7)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_and_any_line_break_are_fine(load: Load, good: str, newline: str) -> None:
    loaded = load(b"\xef\xbb\xbf" + good.replace("\n", newline).encode())
    assert loaded.problems == ()
    assert loaded.config is not None
    assert loaded.config.webhooks[0].template.source == "New: %subject%\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ["0:0 error the file is empty -> copy the shipped config.yaml, and change it"]),
        ("# nothing\n", ["0:0 error the file is empty -> copy the shipped config.yaml, and change it"]),
        (b"a: 1\nb: \xff", ["2:4 error not UTF-8 -> save the file as UTF-8"]),
        ("version: 1\n".encode("utf-16"), ["1:1 error not UTF-8 -> save the file as UTF-8"]),
        ("a: x\x00y", ["1:5 error the character U+0000 cannot stand in a YAML file -> delete it"]),
        ("a: 1\nb: \x1b", ["2:4 error the character U+001B cannot stand in a YAML file -> delete it"]),
        ("a: 1\n---\nb: 2", ["2:1 error a second document begins here -> a config is one document: take out the '---'"]),
        ("- a\n", ["1:1 error the file must be a mapping (key: value)"]),
        ("just words", ["1:1 error the file must be a mapping (key: value)"]),
        ("a: " + "{b: " * 40, ["1:128 error nested deeper than 32 -> a config needs no such depth or size"]),
        ("a: [" + "x," * 20_000, ["1:39999 error more than 20000 values -> a config needs no such depth or size"]),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why(
    problems: Problems, content: str | bytes, expected: list[str]
) -> None:
    assert problems(content) == expected


def test_a_depth_of_32_is_read() -> None:
    assert parse("a: " + "[" * 31 + "x" + "]" * 31).data["a"]
    with pytest.raises(UnreadableError, match="nested deeper than 32"):
        parse("a: " + "[" * 32 + "x" + "]" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "a: " + "[" * 100_000,
        "a: " + "{a: " * 100_000,
        "a: [" + "*a," * 100_000,
        "- " * 300_000,
        "a: '" + "%a% " * 200_000 + "'",
        "store: " + "${" * 300_000,
        "a: x" + " " * 500_000 + "y: %",
        "nam: " + "a" * 500_000 + "://",
        "\n" * 300_000 + "a: %",
    ],
)
def test_bombs_end_quickly(load: Load, text: str) -> None:
    started = time.process_time()
    assert load(text).config is None
    assert time.process_time() - started < 5.0


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    loaded = load_config(tmp_path / "none.yaml", transports={}, sources={}, environ={})
    assert report(loaded.problems) == (
        f"{tmp_path}/none.yaml: error: there is no such file\n"
        "      = name another file with --config FILE\n"
        "1 problem. Nothing was started."
    )


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    loaded = load_config(tmp_path, transports={}, sources={}, environ={})
    assert [one.message for one in loaded.problems] == ["cannot be read: is a directory"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch(mode=0)
    loaded = load_config(tmp_path / "config.yaml", transports={}, sources={}, environ={})
    assert [one.message for one in loaded.problems] == ["cannot be read: permission denied"]


def test_an_endless_file_is_not_read_to_its_end() -> None:
    loaded = load_config(Path("/dev/zero"), transports={}, sources={}, environ={})
    assert [one.message for one in loaded.problems] == ["larger than 1024 KiB: this is no deskbell config"]


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("plugins_dir: plugins.d\nwebhooks: nonsense", "plugins.d"),
        ("plugins_dir: ${MINE:-mine}", "mine"),
        ("plugins_dir: ${UNSET}", None),
        ("plugins_dir: [a]", None),
        ("plugins_dir: ''", None),
        ("version: 1", None),
        ("a list", None),
        ("a: %", None),
    ],
)
def test_the_plugins_folder_is_known_before_all_else(tmp_path: Path, text: str, folder: str | None) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert read_plugins_dir(path, {}) == (tmp_path / folder if folder else None)


def test_without_a_file_there_is_no_plugins_folder(tmp_path: Path) -> None:
    assert read_plugins_dir(tmp_path / "none.yaml", {}) is None


def test_a_text_is_read_in_the_place_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    loaded = load_config(path, text="webhooks: 1", transports={}, sources={}, environ={})
    (found,) = (problem for problem in loaded.problems if problem.key == "webhooks")
    assert (found.file, found.line, found.shown) == (str(path), 1, "webhooks: 1")
    assert not path.exists()


def test_what_can_be_made_out_beside_errors_is_there_to_be_looked_at(load: Load, good: str) -> None:
    loaded = load(good.replace("version: 1", "version: 99"))
    assert loaded.config is None
    assert loaded.sketch is not None
    assert [webhook.name for webhook in loaded.sketch.webhooks] == ["support"]
    well = load(good)
    assert well.sketch is well.config
