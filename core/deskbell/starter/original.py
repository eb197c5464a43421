"""The settings of the original module, supportwebhook of ClientXCMS: three parallel lists, however they were copied.

https://github.com/ClientXCMS/module-supportwebhook: the rows ``support_webhook_url``, ``support_webhook_action`` and
``support_webhook_message`` of its table of settings hold one JSON list each; ``support.webhook`` switches it on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "support_webhook_"
PARTS = ("url", "action", "message")
_SWITCHES = ("support.webhook", "support_webhook")
_SWITCH = re.compile(r"""support[._]webhook['"`\s]*[=:,|\t]\s*['"]?(?P<value>true|false)\b""", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": ""}
_QUOTES = "'\""


class UnreadableSettingError(ValueError):
    """A setting is there, and is no list. ``str()`` is its name."""


@dataclass(frozen=True, slots=True)
class OldWebhook:
    """One row of the old page of settings."""

    url: str
    action: str
    message: str


@dataclass(frozen=True, slots=True)
class OldSettings:
    """``lengths`` counts each list; ``enabled`` is None where nothing says it."""

    webhooks: tuple[OldWebhook, ...]
    lengths: Mapping[str, int]
    enabled: bool | None = None


def read_settings(text: str) -> OldSettings | None:
    """From a JSON object, lines of ``NAME=VALUE``, or rows of SQL; None when none of the three lists is there.

    ``UnreadableSettingError`` names a setting that is no list.
    """
    text = text.removeprefix("\ufeff")
    try:
        found = dict(_settings_in(json.loads(text)))
    except (ValueError, RecursionError):
        found = dict(_settings_beside(text))
    lists = {part: _by_key(found[part], part) for part in PARTS if part in found}
    if not lists:
        return None
    return OldSettings(
        webhooks=tuple(_rows(lists)),
        lengths={part: len(lists.get(part, ())) for part in PARTS},
        enabled=_is_true(found.get("enabled")),
    )


def _settings_in(data: Any) -> Iterator[tuple[str, Any]]:
    """Of an object with the names as keys, or of rows that have them as a value (an export of the table)."""
    if isinstance(data, list):
        for item in data:
            yield from _settings_in(item)
    elif isinstance(data, dict):
        for key, value in data.items():
            if part := _part_of(key):
                yield part, value
            elif isinstance(value, str) and (part := _part_of(value)):
                others = (each for each in data.values() if each != value and _is_value(each))
                yield part, next(others, "")
            elif isinstance(value, (dict, list)):
                yield from _settings_in(value)


def _part_of(name: str) -> str:
    if name in _SWITCHES:
        return "enabled"
    part = name.removeprefix(PREFIX)
    return part if name != part and part in PARTS else ""


def _is_value(value: Any) -> bool:
    """Not the number of the row, nor its date."""
    return isinstance(value, (list, dict)) or (
        isinstance(value, str) and value.lstrip()[:1] in ("[", "{", "t", "f")
    )


def _settings_beside(text: str) -> Iterator[tuple[str, Any]]:
    """Of a text in which each name stands before its list."""
    for part in PARTS:
        found = re.search(rf"{PREFIX}{part}\b[^\[{{\n]*?(?P<quote>['\"]?)(?P<list>[\[{{])", text)
        if found:
            quote = found["quote"]
            rest = text[found.start("list") :]
            yield part, _unquoted(rest, quote) if quote else _first_value(rest)
    if switch := _SWITCH.search(text):
        yield "enabled", switch["value"]


def _first_value(text: str) -> Any:
    """None when it is cut off, or no JSON at all: nobody should believe that it was empty."""
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def _unquoted(text: str, quote: str) -> str | None:
    """The inside of a quoted text, as a shell or as SQL writes it: whichever is JSON then, or None."""
    inside = _until(text, quote)
    plain, escaped = inside.replace(quote * 2, quote), _ESCAPED.sub(_meaning, inside.replace("''", "'"))
    doubled = r"\"" in inside or r"\\" in inside
    for candidate in (escaped, plain) if doubled else (plain, escaped):
        if _is_list(candidate):
            return candidate
    return None


def _until(text: str, quote: str) -> str:
    at = 0
    while at < len(text):
        if text[at] == "\\" or text[at : at + 2] == quote * 2:
            at += 2
        elif text[at] == quote:
            break
        else:
            at += 1
    return text[:at]


def _meaning(found: re.Match[str]) -> str:
    """https://dev.mysql.com/doc/refman/8.4/en/string-literals.html"""
    return _ESCAPES.get(found[1], found[1])


def _is_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text, strict=False), (list, dict))
    except (ValueError, RecursionError):
        return False


def _by_key(value: Any, part: str) -> dict[str, str]:
    """A list, or what PHP makes of one with gaps: an object."""
    if isinstance(value, str):
        try:
            value = json.loads(value, strict=False) if value.strip() else []
        except (ValueError, RecursionError):
            value = None
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        raise UnreadableSettingError(f"{PREFIX}{part}")
    return {str(key).strip(_QUOTES): _as_text(item) for key, item in value.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    return value if isinstance(value, str) else "" if value is None else str(value)


def _rows(lists: Mapping[str, Mapping[str, str]]) -> Iterator[OldWebhook]:
    """In the order of the page; the empty rows that its form sends along are none."""
    for key in dict.fromkeys(key for part in PARTS for key in lists.get(part, ())):
        url, action, message = (lists.get(part, {}).get(key, "") for part in PARTS)
        if url.strip() or message.strip():
            yield OldWebhook(url.strip(), action.strip(), message)


def _is_true(value: Any) -> bool | None:
    return None if value is None else str(value).strip().casefold() in ("true", "1", "on")
