"""config.yaml as a JSON Schema (draft-07, which editors read): with the options of every installed transport.

It is a little stricter than ``deskbell check``, where a stricter rule helps whoever writes (no number in quotes), and
knows nothing of what only a look at the whole file tells. ``deskbell check`` has the last word.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from deskbell.event import ACTION_WORDS, Action
from deskbell.source import NativeSource, Source
from deskbell.transport import Transport

from . import model
from .conditions import EVERY_ACTION

Schema: TypeAlias = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
REFERENCE: Schema = {"type": "string", "pattern": r"\$\{"}
"""A value that only the environment tells."""
NULL: Schema = {"type": "null"}

_PLACE = "#/definitions/{model}"
_SPOKEN_BOOLEANS = ["yes", "no", "on", "off"]
"""What pydantic takes beside true and false, and YAML 1.2 takes for text."""
_ABOUT = ("description", "default", "examples")
_MAPS = ("properties", "patternProperties", "definitions")
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_SINGLES = ("items", "additionalProperties", "propertyNames", "not", "contains")


class _Generator(GenerateJsonSchema):
    """Knows that one value stands for a list of one."""

    def function_before_schema(self, schema: Any) -> Schema:
        inner = super().function_before_schema(schema)
        if schema["function"]["function"] is model.as_list:
            return {"anyOf": [inner["items"], inner]}
        return inner


def json_schema(transports: Mapping[str, Transport[Any]], sources: Mapping[str, Source]) -> Schema:
    """The schema of the whole file, for these transports and adapters, both by name."""
    adapters = {NativeSource.name: NativeSource(), **sources}
    schema = _of_model(model.ConfigFile, _PLACE, _Generator)
    definitions: Schema = schema["definitions"]
    _describe(schema, definitions)
    schema["properties"]["version"] |= {"anyOf": [{"enum": [model.VERSION]}, NULL]}
    _complete_sources(definitions["SourceEntry"], adapters)
    _complete_webhooks(definitions["WebhookEntry"], transports, adapters.values())
    levels = {"enum": ["low", "medium", "high"]}
    definitions["WhenEntry"]["properties"]["priority"]["anyOf"].insert(0, levels)
    schema = _loosened(schema)
    for name, transport in transports.items():
        schema["definitions"] |= _options(name, transport)
    return {"$schema": DRAFT, "title": "deskbell's config.yaml", **schema}


def _of_model(
    kind: type[BaseModel], place: str, generator: type[GenerateJsonSchema] = GenerateJsonSchema
) -> Schema:
    schema = kind.model_json_schema(ref_template=place, schema_generator=generator)
    schema["definitions"] = schema.pop("$defs", {})
    return schema


def _describe(schema: Schema, definitions: Schema) -> None:
    """With the docstrings of the model's fields, which pydantic does not read."""
    for node in ast.parse(inspect.getsource(model)).body:
        if isinstance(node, ast.ClassDef):
            described = definitions.get(node.name, schema if node.name == "ConfigFile" else {})
            for name, words in _docstrings(node):
                described["properties"][name]["description"] = words


def _docstrings(kind: ast.ClassDef) -> Iterable[tuple[str, str]]:
    for field, words in zip(kind.body, kind.body[1:], strict=False):
        match field, words:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(description))),
            ):
                yield name, description


def _complete_sources(entry: Schema, adapters: Mapping[str, Source]) -> None:
    entry["required"] = ["name"]
    entry["properties"]["adapter"] |= {"anyOf": [{"enum": sorted(adapters)}, NULL]}


def _complete_webhooks(
    entry: Schema, transports: Mapping[str, Transport[Any]], adapters: Iterable[Source]
) -> None:
    entry["required"] = ["name", "action", "message"]
    entry["anyOf"] = [{"required": ["url"]}, {"required": ["url_file"]}]
    words = _action_words(adapters)
    entry["properties"]["action"] |= {"anyOf": [words, {"type": "array", "items": words, "minItems": 1}]}
    entry["properties"]["transport"] |= {"anyOf": [{"enum": sorted(transports)}, NULL]}
    entry["properties"]["options"] |= {"anyOf": [{"type": "object"}, NULL]}
    entry["allOf"] = [
        *(_options_where(_names(name), [name]) for name in sorted(transports)),
        _options_where({"not": {"required": ["transport"]}}, sorted(transports)),
    ]


def _names(transport: str) -> Schema:
    return {"properties": {"transport": {"const": transport}}, "required": ["transport"]}


def _options_where(condition: Schema, transports: Iterable[str]) -> Schema:
    """Where ``condition`` holds, the options are those of one of ``transports``."""
    options = [{"$ref": _PLACE.format(model=_options_name(name))} for name in transports]
    return {"if": condition, "then": {"properties": {"options": {"anyOf": [*options, NULL]}}}}


def _action_words(adapters: Iterable[Source]) -> Schema:
    """Each action as it is written, for whoever looks for one; and every word for it, in any case."""
    own = [action for adapter in adapters for action in adapter.actions]
    names = list(dict.fromkeys([*Action, *own]))
    words = {EVERY_ACTION, *ACTION_WORDS, *names}
    pattern = "|".join(sorted(map(_in_any_case, words)))
    shown = {"enum": [*map(str, names), EVERY_ACTION]}
    return {"anyOf": [shown, {"type": "string", "pattern": rf"^\s*(?:{pattern})\s*$"}]}


def _in_any_case(word: str) -> str:
    """As a pattern of ECMA 262, which has no flag for it inside."""
    return "".join(
        f"[{char.lower()}{char.upper()}]" if char.isalpha() else char if char.isalnum() else f"[{char}]"
        for char in word
    )


def _options(name: str, transport: Transport[Any]) -> Schema:
    """The definitions of one transport's options; anything goes where they have no schema."""
    own = _options_name(name)
    try:
        schema = _of_model(transport.options_type, _PLACE.format(model=f"{own}.{{model}}"))
    except Exception:  # noqa: BLE001 - a plugin's own types, which may know nothing of JSON Schema
        return {own: {"type": "object"}}
    inner = schema.pop("definitions")
    return {
        own: _loosened(schema),
        **{f"{own}.{part}": _loosened(each) for part, each in inner.items()},
    }


def _options_name(transport: str) -> str:
    return f"options.{transport}"


def _loosened(schema: Schema) -> Schema:
    """Where the file is read otherwise than JSON: a number can be a text, and ``${NAME}`` anything."""
    schema = {
        key: value for key, value in schema.items() if key != "title" and (key, value) != ("default", None)
    }
    for key, read in _INNER.items():
        if key in schema:
            schema[key] = read(schema[key])
    schema = _merged(schema)
    kind = schema.get("type")
    if kind == "string" and not _is_constrained(schema):
        return {**schema, "type": ["string", "number"]}
    if kind in ("string", "integer", "number", "boolean") or "enum" in schema or "const" in schema:
        about = {key: schema.pop(key) for key in _ABOUT if key in schema}
        spoken = [{"enum": _SPOKEN_BOOLEANS}] if kind == "boolean" else []
        return {**about, "anyOf": [schema, *spoken, REFERENCE]}
    return schema


def _merged(schema: Schema) -> Schema:
    """A list that may be left empty as one schema, not as a choice: editors then say what is wrong inside it."""
    match schema:
        case {"anyOf": [{"type": "array"} as inner, {"type": "null"}]}:
            about = {key: value for key, value in schema.items() if key != "anyOf"}
            return {**about, **inner, "type": ["array", "null"]}
    return schema


def _is_constrained(schema: Schema) -> bool:
    return bool(schema.keys() & {"enum", "const", "pattern", "format", "minLength", "maxLength"})


def _each(schemas: Any) -> Any:
    return {name: _one(schema) for name, schema in schemas.items()}


def _all(schemas: Any) -> Any:
    return [_one(schema) for schema in schemas]


def _one(schema: Any) -> Any:
    """A condition stays as it is: it asks what stands in the file."""
    return _loosened(schema) if isinstance(schema, dict) and "if" not in schema else schema


_INNER: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_MAPS, _each),
    **dict.fromkeys(_LISTS, _all),
    **dict.fromkeys(_SINGLES, _one),
}
