"""Values as lines of YAML that no reader of YAML 1.1 or 1.2 takes for something else than deskbell does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from deskbell.config.model import WebhookEntry

from .values import PROSE

STEP = 2
"""Spaces that a block is indented by."""
_ORDER = tuple(WebhookEntry.model_fields)
_PLAIN = re.compile(r"[^\W_](?:[ /\w.,*%+=@;()<>!?&'|~^-]|:(?! )|[$](?![{]))*|\$\{\w+(?::-[\w:./-]*)?\}")
_PLAIN_IN_FLOW = re.compile(r"[^\W_][\w./+@ -]*")
_MISREAD = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:e[-+]?[0-9]+)?|0o?[0-7_]+|0x[0-9a-f_]+|0b[01_]+"
    r"|[0-9]+(?::[0-9.]+)+|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|y|n|yes|no|on|off|true|false|null|nan|inf",
    re.IGNORECASE | re.ASCII,
)
"""Numbers, dates and words that are no text in YAML 1.1 (https://yaml.org/type/) or 1.2's core schema
(https://yaml.org/spec/1.2.2/#103-core-schema); a few more are quoted than must be."""
_TO_ESCAPE = re.compile(
    '[^\x20-\x7e\xa0-\u2027\u2030-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\\\\"]'
)
_RESOLVER = yaml.resolver.Resolver()
_TEXT = "tag:yaml.org,2002:str"


def rank(key: str) -> int:
    """Where a key of a webhook usually stands: an unknown one just before the message, which is the last."""
    return 2 * _ORDER.index(key) if key in _ORDER else 2 * _ORDER.index(PROSE) - 1


def inline(value: Any, *, in_flow: bool = False) -> str:
    """On one line: text is quoted where it must be, lists and mappings are in the flow style."""
    if isinstance(value, str):
        return _scalar(value, _PLAIN_IN_FLOW if in_flow else _PLAIN)
    if isinstance(value, Mapping):
        pairs = (f"{inline(key, in_flow=True)}: {inline(item, in_flow=True)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(inline(item, in_flow=True) for item in value)}]"
    return json.dumps(value)


def block(text: str, *, column: int, indent: int) -> tuple[str, list[str]]:
    """A text that ends with a line break as ``|`` and lines, in a mapping whose keys stand at ``column``."""
    first = text.lstrip("\n")[:1]
    header = f"|{indent - column}" if first == " " else "|"
    return header, [" " * indent + line if line else "" for line in text.removesuffix("\n").split("\n")]


def pair(key: str, value: Any, column: int) -> Iterator[str]:
    """The lines of ``key: value``, the first one without its indentation."""
    name = inline(key, in_flow=True)
    if key != PROSE or not isinstance(value, str) or not value:
        yield f"{name}: {inline(value)}"
        return
    header, lines = block(value, column=column, indent=column + STEP)
    yield f"{name}: {header}"
    yield from lines


def entry(data: Any, dash: int, column: int) -> list[str]:
    """The lines of one webhook: its ``-`` stands at ``dash``, its keys at ``column``."""
    start = " " * dash + "-" + " " * (column - dash - 1)
    if not isinstance(data, Mapping) or not data:
        return [start + inline(data)]
    lines = list[str]()
    for key, value in data.items():
        first, *others = pair(key, value, column)
        lines += [(" " * column if lines else start) + first, *others]
    return lines


def in_order(keys: Iterable[str]) -> list[str]:
    """The keys of a webhook as an owner would write them."""
    return sorted(keys, key=rank)


def _scalar(text: str, plain: re.Pattern[str]) -> str:
    if plain.fullmatch(text) and not text.endswith((" ", ":")) and not _MISREAD.fullmatch(text):
        tag: str = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call] # stubs
        if tag == _TEXT:
            return text
    return f'"{_TO_ESCAPE.sub(_escaped, text)}"'


def _escaped(found: re.Match[str]) -> str:
    sign = found[0]
    short = {"\n": "\\n", "\t": "\\t", "\\": "\\\\", '"': '\\"'}
    return short.get(sign) or f"\\u{ord(sign):04X}"
