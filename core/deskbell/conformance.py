"""What is wrong with a plugin: its hooks, its transports, its sources. Pure: it looks and never calls a hook.

pluggy accepts nearly anything and stays silent. Each rule here refuses a mistake that would otherwise show only
as an event that nobody gets. Every fault is a sentence for the author that says what to write instead.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from . import hookspecs
from .discovery import did_you_mean
from .hookspecs import PROJECT
from .pace import parse_rates
from .source import Source
from .transport import Options, Transport

HOOKS: Mapping[str, inspect.Signature] = {
    name: inspect.signature(value)
    for name, value in vars(hookspecs).items()
    if name.startswith(f"{PROJECT}_")
}
"""Every hook with its signature."""

Marks: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What pluggy's markers left on a function, by project."""

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_MARK = "_impl"
RESERVED_NAMES = frozenset({"deskbell", "demo", "metrics", "none", "transport"})
"""Words that mean something else to deskbell, and to its config."""
NO_HOOK = "it has no hook: mark a function with @deskbell.hookimpl, such as deskbell_transports"
_SYNC = (
    "fake", "format", "headers", "picture", "readable", "recognises", "redact", "refusals", "refuses", "unavailable",
    "warnings",
)  # fmt: skip
_LEVELS = frozenset({"low", "medium", "high"})
_PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def plugin_faults(plugin: object) -> Iterator[str]:
    """Why ``plugin`` (a module, or an object with methods) cannot be registered."""
    if isinstance(plugin, type):
        yield f"{plugin.__name__} is a class: put the hooks in a module, or name an instance of it"
        return
    functions = [(name, *found) for name in dir(plugin) if (found := _function(plugin, name))]
    relevant = [each for each in functions if PROJECT in each[2] or each[0].startswith(f"{PROJECT}_")]
    objects = [name for name in HOOKS if hasattr(plugin, name) and not _function(plugin, name)]
    yield from (f"{name} must be a plain function: pluggy passes over anything else" for name in objects)
    if not relevant and not objects:
        yield NO_HOOK
    for name, function, marks in relevant:
        yield from _hook_faults(name, function, marks)


def implemented_hooks(plugin: object) -> tuple[str, ...]:
    """The hooks of a plugin without faults, by name."""
    found = ((name, _function(plugin, name)) for name in dir(plugin))
    return tuple(sorted({_hook_of(name, it[1]) for name, it in found if it and PROJECT in it[1]}))


def _function(plugin: object, name: str) -> tuple[Callable[..., Any], Marks] | None:
    holder = inspect.getattr_static(plugin, name, None)
    function = getattr(holder, "__func__", holder)
    if not inspect.isfunction(function):
        return None
    marks = {**vars(function), **vars(holder)}
    return function, {
        attribute.removesuffix(_MARK): mark
        for attribute, mark in marks.items()
        if attribute.endswith(_MARK) and isinstance(mark, dict)
    }


def _hook_of(name: str, marks: Marks) -> str:
    return marks[PROJECT].get("specname") or name


def _hook_faults(name: str, function: Callable[..., Any], marks: Marks) -> Iterator[str]:
    if PROJECT not in marks:
        whose = f"is marked for {next(iter(marks))}" if marks else "is not marked"
        yield f"{name} {whose}: put @deskbell.hookimpl above it, or rename it (the prefix is for hooks)"
        return
    hook = _hook_of(name, marks)
    if hook not in HOOKS:
        yield f"{hook} is no hook of deskbell{did_you_mean(hook, HOOKS)}"
        return
    if marks[PROJECT].get("hookwrapper") or marks[PROJECT].get("wrapper"):
        yield f"{hook} is a wrapper: no plugin may come between deskbell and another one"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield f"{hook} is an async function: hooks are synchronous, write def"
    elif inspect.isgeneratorfunction(function):
        yield f"{hook} is a generator: its body would never run, use return in place of yield"
    yield from _parameter_faults(hook, inspect.signature(function))


def _parameter_faults(hook: str, signature: inspect.Signature) -> Iterator[str]:
    known = HOOKS[hook].parameters
    for name, parameter in signature.parameters.items():
        if name in ("self", "cls") and name not in known:
            continue
        if name not in known or parameter.kind not in _PLAIN:
            yield f"{hook} takes {parameter}, but the hook is {hook}({', '.join(known)})"
        elif parameter.default is not parameter.empty:
            yield f"{hook} gives {name} a default: pluggy would never pass the real one"


def offered_classes(hook: str, offered: object, kind: type) -> Iterator[str]:
    """Why the result of a hook is no sequence of subclasses of ``kind``."""
    if isinstance(offered, type):
        yield f"{hook} returned {offered.__name__} itself: put it in a list, [{offered.__name__}]"
    elif not isinstance(offered, Sequence) or isinstance(offered, str | bytes):
        yield f"{hook} returned {_kind(offered)}: return a list of subclasses of deskbell.{kind.__name__}"
    else:
        for item in offered:
            if not isinstance(item, type) or not issubclass(item, kind):
                called = item.__name__ if isinstance(item, type) else _kind(item)
                yield f"{hook} offers {called}, which is no subclass of deskbell.{kind.__name__}"


def transport_faults(offered: type[Transport[Any]]) -> Iterator[str]:
    """Why core cannot use this transport."""
    yield from _class_faults(offered, sync=_SYNC, coroutines=("send", "probe"))
    if getattr(offered, "name", None) in RESERVED_NAMES:
        yield f"{offered.__name__}.name means something else to deskbell: choose another one"
    longest = getattr(offered, "max_length", None)
    if not isinstance(longest, int) or isinstance(longest, bool) or longest < 1:
        yield f"{offered.__name__}.max_length must be a positive whole number, not {longest!r}"
    for attribute in ("rates", "service_rate", "most_refusals"):
        try:
            parse_rates(getattr(offered, attribute))
        except (ValueError, AttributeError, TypeError) as error:
            yield f"{offered.__name__}.{attribute} must be text like '5/2s, 30/60s': {error}"
    if not (isinstance(offered.options_type, type) and issubclass(offered.options_type, Options)):
        yield f"{offered.__name__}.options_type must be a subclass of deskbell.Options"


def source_faults(offered: type[Source]) -> Iterator[str]:
    """Why core cannot use this source."""
    yield from _class_faults(offered, sync=("parse", "sample"))
    if not _texts(offered.actions) or isinstance(offered.actions, str):
        yield f"{offered.__name__}.actions must be a list of action names"
    for attribute in ("variables", "priorities", "setup"):
        table = getattr(offered, attribute)
        if not isinstance(table, Mapping) or not _texts(table) or not _texts(table.values()):
            yield f"{offered.__name__}.{attribute} must be a dict of texts"
        elif attribute == "priorities" and not _LEVELS.issuperset(table.values()):
            yield f"{offered.__name__}.priorities must give low, medium or high for each label"


def _class_faults(offered: type, *, sync: Sequence[str], coroutines: Sequence[str] = ()) -> Iterator[str]:
    name = getattr(offered, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"{offered.__name__}.name must be like 'my_service' (a-z, 0-9, _; a letter first), not {name!r}"
    if missing := sorted(getattr(offered, "__abstractmethods__", ())):
        yield f"{offered.__name__} must define {', '.join(missing)}"
    for method in sync:
        if inspect.iscoroutinefunction(getattr(offered, method)):
            yield f"{offered.__name__}.{method} is async: write def"
    for method in coroutines:
        if not inspect.iscoroutinefunction(getattr(offered, method)):
            yield f"{offered.__name__}.{method} is not async: write async def"


def _texts(values: Any) -> bool:
    return not isinstance(values, str | bytes) and all(isinstance(value, str) for value in values)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"an object of type {type(value).__name__}"
