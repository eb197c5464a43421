"""Strict JSON: the whole of JSONTestSuite, depth, numbers, and what cannot be read."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell import EventError
from deskbell.strictjson import MAX_DEPTH, parse_json

SUITE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "corpora" / "json-test-suite"
needs_suite = pytest.mark.skipif(
    not SUITE.exists(), reason="the shared test data is not beside this checkout"
)
FILES = sorted((SUITE / "test_parsing").glob("*.json"))

READ_THOUGH_UNSPECIFIED = {  # the rest of the files whose reading RFC 8259 leaves open is refused
    "i_number_double_huge_neg_exp.json",
    "i_number_huge_exp.json",
    "i_number_neg_int_huge_exp.json",
    "i_number_pos_double_huge_exp.json",
    "i_number_real_neg_overflow.json",
    "i_number_real_pos_overflow.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
    "i_object_key_lone_2nd_surrogate.json",
    "i_string_1st_surrogate_but_2nd_missing.json",
    "i_string_1st_valid_surrogate_2nd_invalid.json",
    "i_string_incomplete_surrogate_and_escape_valid.json",
    "i_string_incomplete_surrogate_pair.json",
    "i_string_incomplete_surrogates_escape_valid.json",
    "i_string_invalid_lonely_surrogate.json",
    "i_string_invalid_surrogate.json",
    "i_string_inverted_surrogates_U+1D11E.json",
    "i_string_lone_second_surrogate.json",
    "i_structure_UTF-8_BOM_empty_object.json",
}


def is_read(body: bytes) -> bool:
    try:
        parse_json(body)
    except EventError as error:
        return error.status != 400
    return True


def should_be_read(name: str) -> bool:
    return name.startswith("y_") or name in READ_THOUGH_UNSPECIFIED


@needs_suite
def test_the_whole_suite_is_here() -> None:
    kinds = [path.name[:2] for path in FILES]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"y_": 95, "n_": 188, "i_": 35}
    assert {path.name for path in FILES} >= READ_THOUGH_UNSPECIFIED


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_json_test_suite(path: Path) -> None:
    assert is_read(path.read_bytes()) == should_be_read(path.name)


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + closing * depth).encode()


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (nested(MAX_DEPTH), True),
        (nested(MAX_DEPTH + 1), False),
        (nested(100_000), False),
        (b"[" * 100_000, False),
        (b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, True),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), False),
        (b"[0," + nested(MAX_DEPTH) + b"]", False),
        (b"[" + b"[]," * 80_000 + b"[]]", True),  # wide is not deep
    ],
)
def test_depth_is_bounded_and_costs_little(body: bytes, read: bool) -> None:
    start = time.process_time()
    assert is_read(body) == read
    assert time.process_time() - start < 2


def test_too_deep_is_said_in_words() -> None:
    for body in (nested(MAX_DEPTH + 1), nested(100_000)):
        with pytest.raises(EventError, match="nested deeper than 32") as refused:
            parse_json(body)
        assert refused.value.status == 400


@pytest.mark.parametrize("text", ["25.00", "1e400", "-0", "0.1", "9" * 5000, "12345678901234567890"])
def test_numbers_are_kept_as_they_were_written(text: str) -> None:
    assert parse_json(f'{{"n": {text}}}'.encode()) == {"n": text}


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b'{"a": -Infinity}', b"[nan]", b"[+1]", b"[01]"])
def test_numbers_that_are_no_json_are_refused(body: bytes) -> None:
    with pytest.raises(EventError, match="not JSON") as refused:
        parse_json(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"\xef\xbb\xbf", "not JSON"),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b'{"a": "\xe9"}', r"not UTF-8 \(byte 7\)"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": "\x00"}', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b'{"a": 1,}', "not JSON"),
    ],
)
def test_refusals_say_why(body: bytes, reason: str) -> None:
    with pytest.raises(EventError, match=reason) as refused:
        parse_json(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'\xef\xbb\xbf {"a": null}\r\n', {"a": None}),
        (rb'{"a": "\u0000\u001b\ud83d"}', {"a": "\x00\x1b\ud83d"}),
        (rb'{"a": "\ud83d\udc4d https:\/\/x"}', {"a": "👍 https://x"}),
        (b'{"a": 1, "a": "2"}', {"a": "2"}),
        (b"[true, false]", [True, False]),
    ],
)
def test_bodies_are_read_as_they_were_sent(body: bytes, data: Any) -> None:
    assert parse_json(body) == data


SCALARS = st.none() | st.booleans() | st.text()


@given(
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
)
def test_what_json_writes_is_read_back(data: Any) -> None:
    assert parse_json(json.dumps(data).encode()) == data
    assert parse_json(json.dumps(data, ensure_ascii=False).encode()) == data


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    if is_read(body):
        json.loads(body.decode("utf-8-sig"))
