"""The form of a message as Discord checks it, for the played service: what is wrong, in Discord's own error bodies.

https://docs.discord.com/developers/reference#error-messages
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from .message import MAX_CONTENT, MAX_MENTIONS
from .options import FORBIDDEN_NAMES, FORBIDDEN_PARTS, MAX_AVATAR_URL, MAX_USERNAME

Errors: TypeAlias = dict[str, Any]
"""``{"content": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be …"}]}}``"""

MAX_EMBEDS = 10
MAX_EMBED_SIZE = 6000
EMBED_TEXTS = {"title": 256, "description": 4096}
"""https://docs.discord.com/developers/resources/message#embed-object-embed-limits"""

_WEB_ADDRESS = re.compile(r"https?://[^\s/]+\S*")
_SNOWFLAKE = re.compile(r"\d{1,20}", re.ASCII)
_MENTION_TYPES = ("everyone", "roles", "users")


def form_errors(payload: Any) -> Errors:
    """Empty when Discord would take the form."""
    if not isinstance(payload, dict):
        return _error("DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
    checked = (
        (field, check(payload[field])) for field, check in _CHECKS.items() if payload.get(field) is not None
    )
    return {field: errors for field, errors in checked if errors}


def query_errors(query: Mapping[str, str]) -> Errors:
    """Likewise, of the parameters in the URL."""
    thread_id = query.get("thread_id", "0")
    return {} if _SNOWFLAKE.fullmatch(thread_id) else {"thread_id": _not_a_snowflake(thread_id)}


def is_empty(payload: Mapping[str, Any]) -> bool:
    """True when there is nothing that the channel could show."""
    return not (payload.get("content") or "").strip() and not payload.get("embeds")


def _error(code: str, message: str) -> Errors:
    return {"_errors": [{"code": code, "message": message}]}


def _not_a_snowflake(value: Any) -> Errors:
    return _error("NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')


def _text(longest: int) -> Callable[[Any], Errors]:
    def check(value: Any) -> Errors:
        if not isinstance(value, str):
            return _error("STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')
        if len(value) > longest:
            return _error("BASE_TYPE_MAX_LENGTH", f"Must be {longest} or fewer in length.")
        return {}

    return check


def _username(value: Any) -> Errors:
    if not isinstance(value, str):
        return _text(MAX_USERNAME)(value)
    if not 1 <= len(value.strip()) <= MAX_USERNAME:
        return _error("BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {MAX_USERNAME} in length.")
    name = value.strip().casefold()
    for part in FORBIDDEN_PARTS:
        if part in name:
            return _error("USERNAME_INVALID_CONTAINS", f'Username cannot contain "{part}"')
    if name in FORBIDDEN_NAMES:
        return _error("USERNAME_INVALID", f'Username cannot be "{name}"')
    return {}


def _avatar_url(value: Any) -> Errors:
    if errors := _text(MAX_AVATAR_URL)(value):
        return errors
    return {} if _WEB_ADDRESS.fullmatch(value) else _error("URL_TYPE_INVALID_URL", "Not a well formed URL.")


def _flags(value: Any) -> Errors:
    if isinstance(value, int) and not isinstance(value, bool):
        return {}
    return _error("NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')


def _flag(value: Any) -> Errors:
    return {} if isinstance(value, bool) else _error("BOOLEAN_TYPE_CONVERT", "Must be either true or false.")


def _allowed_mentions(value: Any) -> Errors:
    if not isinstance(value, dict):
        return _error("DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
    errors = {
        name: wrong for name in ("parse", "users", "roles") if (wrong := _mentioned(name, value.get(name)))
    }
    for kind in ("users", "roles"):
        if not errors and value.get(kind) and kind in (value.get("parse") or ()):
            return _error(
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: {value[kind]} are mutually exclusive.',
            )
    return errors


def _mentioned(name: str, value: Any) -> Errors:
    if value is None:
        return {}
    if not isinstance(value, list):
        return _error("LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    if len(value) > MAX_MENTIONS:
        return _error("BASE_TYPE_MAX_LENGTH", f"Must be {MAX_MENTIONS} or fewer in length.")
    for index, each in enumerate(value):
        if name == "parse" and each not in _MENTION_TYPES:
            return {str(index): _error("BASE_TYPE_CHOICES", f"Value must be one of {_MENTION_TYPES}.")}
        if name != "parse" and not _SNOWFLAKE.fullmatch(str(each)):
            return {str(index): _not_a_snowflake(each)}
    return {}


def _embeds(value: Any) -> Errors:
    if not isinstance(value, list):
        return _error("LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    if len(value) > MAX_EMBEDS:
        return _error("BASE_TYPE_MAX_LENGTH", f"Must be {MAX_EMBEDS} or fewer in length.")
    errors = {str(index): wrong for index, embed in enumerate(value) if (wrong := _embed(embed))}
    if not errors and sum(len(text) for embed in value for text in _embed_texts(embed)) > MAX_EMBED_SIZE:
        return _error("MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {MAX_EMBED_SIZE}")
    return errors


def _embed(value: Any) -> Errors:
    if not isinstance(value, dict):
        return _error("DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
    texts = ((name, _text(longest)(value[name])) for name, longest in EMBED_TEXTS.items() if name in value)
    return {name: errors for name, errors in texts if errors}


def _embed_texts(embed: Mapping[str, Any]) -> Iterator[str]:
    for name in EMBED_TEXTS:
        yield embed.get(name) or ""
    for part in (embed.get("footer"), embed.get("author"), *(embed.get("fields") or ())):
        if isinstance(part, dict):
            yield from (text for name in ("text", "name", "value") if isinstance(text := part.get(name), str))


_CHECKS: Mapping[str, Callable[[Any], Errors]] = {
    "content": _text(MAX_CONTENT),
    "username": _username,
    "avatar_url": _avatar_url,
    "flags": _flags,
    "tts": _flag,
    "allowed_mentions": _allowed_mentions,
    "embeds": _embeds,
}
