"""pydantic's errors in the owner's words, at the owner's line. What is wrong is dropped, the rest is used."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from deskbell.transport import Options

from .document import shown_word
from .findings import Findings
from .model import ConfigFile
from .problem import KeyPath, dotted
from .suggest import closest
from .vocabulary import Vocabulary

_OTHER_WORDS = {
    "on": "action", "event": "action", "events": "action", "actions": "action", "type": "transport",
    "service": "transport", "plugin": "transport", "template": "message", "text": "message", "body": "message",
    "filter": "when", "if": "when", "departments": "department", "tz": "timezone", "database": "store",
    "id": "name", "enable": "enabled", "webhook": "webhooks", "source": "sources", "allowed": "allow",
    "backoff": "retry", "retries": "retry", "ttl": "max_age", "expiry": "max_age", "keep": "retention",
}  # fmt: skip
"""What other programs call it."""
_SHOULD_BE = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "list_type": "a list",
    "tuple_type": "text or a list of it",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "string_unicode": "text in UTF-8",
}


def read_file(data: Any, findings: Findings, option_names: frozenset[str]) -> ConfigFile:
    """The file's shape. A wrong value is noted, and is None in what is returned."""
    data = copy.deepcopy(data)
    while True:
        try:
            return ConfigFile.model_validate(data)
        except ValidationError as error:
            _note_all(error, ConfigFile, (), findings, option_names)
            for one in _errors(error):
                data = _without(data, one["loc"], findings)


def read_options(
    kind: type[Options],
    data: Mapping[str, Any],
    path: KeyPath,
    findings: Findings,
    vocabulary: Vocabulary,
) -> Options | None:
    """A transport's options; None when they are wrong, which is noted. Options may be templates."""
    known = {"variables": vocabulary.variables, "complete": vocabulary.complete}
    try:
        return kind.model_validate(data, context=known)
    except ValidationError as error:
        _note_all(error, kind, path, findings)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's own validators; their words may hold the value
        findings.error(path, f"the transport's own check of these options failed ({type(error).__name__})")
    return None


def _errors(error: ValidationError) -> list[Any]:
    """Without the values: they may be secrets."""
    return error.errors(include_input=False, include_url=False, include_context=False)


def _note_all(
    error: ValidationError,
    model: type[BaseModel],
    prefix: KeyPath,
    findings: Findings,
    option_names: frozenset[str] = frozenset(),
) -> None:
    for one in _errors(error):
        path = (*prefix, *one["loc"])
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        label = f"options.{dotted(one['loc'])}" if prefix and one["loc"] else key
        if one["type"] == "extra_forbidden":
            _note_unknown_key(path, _keys_beside(model, one["loc"]), findings, option_names)
        elif findings.spoilt(path):
            continue
        elif one["type"] == "missing":
            findings.error(path, f"{label} is missing")
        else:
            findings.error(path, *_wrong(label, one))


def _note_unknown_key(
    path: KeyPath, known: tuple[str, ...], findings: Findings, option_names: frozenset[str]
) -> None:
    """With the key that was meant; where that one is not there as well, nobody need miss it."""
    key = str(path[-1])
    meant = _OTHER_WORDS.get(key.casefold(), "")
    meant = meant if meant in known else closest(key, known)
    hint = f"known keys: {', '.join(known)}" if known else "there are none: take it out"
    hint = f"did you mean '{meant}'?" if meant else hint
    if "options" in known and key in option_names:
        hint = f"write it under options:  options: {{{key}: …}}"
    elif meant and not findings.written((*path[:-1], meant)):
        findings.spoil((*path[:-1], meant))
    findings.error_at_key(path, f"unknown key {shown_word(key)}", hint)


def _wrong(key: str, error: Mapping[str, Any]) -> tuple[str, str]:
    """What a value should be, and how to write it."""
    expected = _SHOULD_BE.get(error["type"])
    said = error["msg"].removeprefix("Value error, ")
    message = f"must be {expected}" if expected else said[:1].lower() + said[1:]
    hint = "put quotes round it if it is text" if expected == "text" else ""
    if error["type"] == "model_type" and (not key or isinstance(error["loc"][-1], int)):
        return f"{'each entry' if key else 'the file'} {message}", ""
    return f"{key}: {message}", hint


def _keys_beside(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that the mapping of an unknown key may have."""
    for part in loc[:-1]:
        field = model.model_fields.get(str(part))
        model = (_model_inside(field.annotation) if field else None) or model
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _model_inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_inside, get_args(annotation))), None)


def _without(data: Any, loc: KeyPath, findings: Findings) -> Any:
    """``data`` without the innermost key that holds what is wrong; an entry that is none becomes an empty one."""
    if not loc:
        return {}
    if len(loc) == len(("webhooks", 0)) and isinstance(loc[1], int):
        findings.spoil(loc)
        data[loc[0]][loc[1]] = {}
        return data
    length = max(index for index, part in enumerate(loc) if isinstance(part, str))
    parent = data
    for part in loc[:length]:
        parent = parent[part]
    parent.pop(loc[length], None)
    findings.spoil(loc[: length + 1])
    return data
