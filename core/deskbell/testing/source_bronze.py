"""The first level: the source loads, and is what it says it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from deskbell.conformance import RESERVED_NAMES, source_faults
from deskbell.event import VARIABLES, Action, TicketEvent, action_named
from deskbell.source import EventRequest, NativeSource

from . import plugin_rules
from .checks import Checks, NotApplicable, NotMet
from .source_stage import HEADERS, MARKER, SourceCase, as_bytes

BRONZE_CHECKS = Checks[SourceCase]()
_VARIABLE = re.compile(r"[A-Za-z0-9_]+", re.ASCII)


@BRONZE_CHECKS.bronze
def class_is_usable(case: SourceCase) -> None:
    """deskbell can use the class: name, actions, variables and priorities are as they should be, methods are sync."""
    if faults := list(source_faults(type(case.source))):
        raise NotMet("; ".join(faults))


@BRONZE_CHECKS.bronze
def name_is_free(case: SourceCase) -> None:
    """Its name means nothing else to deskbell."""
    if case.source.name in RESERVED_NAMES and type(case.source) is not NativeSource:
        raise NotMet(
            f"the name {case.source.name} is deskbell's own: name the source after its ticket system"
        )


@BRONZE_CHECKS.bronze
def plugin_is_found(case: SourceCase) -> None:
    """deskbell finds the plugin that offers the source."""
    plugin_rules.require_found("source", type(case.source))


@BRONZE_CHECKS.bronze
def import_is_quiet(case: SourceCase) -> None:
    """Importing the plugin does nothing else: no output, no network, no process, no thread, no file."""
    plugin_rules.require_quiet_import(type(case.source))


@BRONZE_CHECKS.bronze
def api_version_is_declared(case: SourceCase) -> None:
    """The plugin says for which API of deskbell it is written, and this deskbell has it."""
    plugin_rules.require_supported_api(type(case.source))


@BRONZE_CHECKS.bronze
def actions_are_declared(case: SourceCase) -> None:
    """``actions`` names every action once, a ticket's in deskbell's own word."""
    actions = list(case.source.actions)
    if not actions:
        raise NotMet("actions is empty: name what the ticket system sends, or check warns of every webhook")
    for action in actions:
        if (word := action_named(action)) != action:
            raise NotMet(f"actions names {action!r}: write {str(word)!r}, which is what events are routed by")
    if len({action.casefold() for action in actions}) < len(actions):
        raise NotMet(f"actions names one twice: {', '.join(actions)}")


@BRONZE_CHECKS.bronze
def variables_have_samples(case: SourceCase) -> None:
    """Each variable that it adds can be written as ``%name%``, is new, and has a sample value."""
    known = {name.casefold() for name in VARIABLES}
    for name, sample in case.source.variables.items():
        if not _VARIABLE.fullmatch(name):
            raise NotMet(
                f"variables names {name!r}: letters, digits and _ only, or nobody can write %{name}%"
            )
        if name.casefold() in known:
            raise NotMet(f"variables names {name}, which every source has: leave it out")
        if not sample.strip():
            raise NotMet(f"the variable {name} has no sample value: deskbell variables would show nothing")


@BRONZE_CHECKS.bronze
def samples_are_json(case: SourceCase) -> None:
    """``sample`` gives an object of JSON for each action, even for one that it does not have, and a new one each time."""
    for action in (*case.source.actions, MARKER):
        body = case.sample(action)
        if not isinstance(body, dict):
            raise NotMet(f"sample({action!r}) returned {type(body).__name__}: return the body as a dict")
        kept = _as_json(action, body)
        _spoil(body)
        if _as_json(action, case.sample(action)) != kept:
            raise NotMet(
                f"sample({action!r}) hands out its own dict, which anybody may change: return a copy"
            )


def _spoil(body: Any) -> None:
    """Empty it, and everything in it."""
    for inner in list(body.values() if isinstance(body, dict) else body):
        if isinstance(inner, dict | list):
            _spoil(inner)
    body.clear()


def _as_json(action: str, body: object) -> str:
    try:
        return json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise NotMet(f"sample({action!r}) is no JSON: {error}") from error


@BRONZE_CHECKS.bronze
def samples_are_their_actions(case: SourceCase) -> None:
    """``parse`` reads the sample of each action as exactly this action."""
    for action in case.source.actions:
        event = case.event(_whole(case, action), f"its own sample({action!r})")
        if event.action != action:
            raise NotMet(f"parse makes {str(event.action)!r} of sample({action!r}): they must agree")


def _whole(case: SourceCase, action: str) -> dict[str, Any]:
    """The sample, unless another check is about what is wrong with it."""
    try:
        body = case.source.sample(action)
        json.dumps(body)
    except Exception as error:
        raise NotApplicable(f"sample({action!r}) cannot be read: see samples_are_json") from error
    return body


@BRONZE_CHECKS.bronze
def parse_is_pure(case: SourceCase) -> None:
    """The same request makes the same event, and leaves nothing behind: one instance reads every request."""
    for action, body in case.samples().items():
        request = EventRequest(as_bytes(body), dict(HEADERS))
        before = _remembered(case)
        first = case.source.parse(request)
        if (after := _remembered(case)) != before:
            changed = ", ".join(name for name in after if after[name] != before.get(name))
            raise NotMet(f"parse keeps something in {changed}: keep it in local variables")
        if request.headers != HEADERS:
            raise NotMet("parse changes the headers of its request: they are only to be read")
        if case.source.parse(request) != first:
            raise NotMet(
                f"parse makes two different events of one request ({action}): no clock, no random, no memory"
            )


def _remembered(case: SourceCase) -> Mapping[str, Any]:
    """What the instance and its class hold."""
    held = {**vars(type(case.source)), **getattr(case.source, "__dict__", {})}
    plain = {name: value for name, value in held.items() if not name.startswith("__") and not callable(value)}
    return {name: _copied(value) for name, value in plain.items()}


def _copied(value: Any) -> Any:
    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001 - what cannot be copied is compared by what it is
        return value


@BRONZE_CHECKS.bronze
def events_carry_text(case: SourceCase) -> None:
    """Action, ticket and every variable are text; names of variables are in lower case and without spaces."""
    for action, body in case.samples().items():
        event = case.tried(body)
        if isinstance(event, TicketEvent):
            require_text(event, f"sample({action!r})")


def require_text(event: TicketEvent, what: str, *, any_name: bool = False) -> None:
    """``NotMet`` where the event of ``what`` holds anything but text. A name may come from the sender: ``any_name``."""
    everything: list[tuple[Any, Any]] = [("action", event.action), ("ticket", event.ticket)]
    for name, value in [*everything, *event.variables.items()]:
        if not isinstance(name, str) or (not any_name and name != "".join(name.split()).casefold()):
            raise NotMet(
                f"the event of {what} has the variable {name!r}: write the name in lower case, without spaces"
            )
        if not isinstance(value, str):
            raise NotMet(
                f"the event of {what} has {name} as {type(value).__name__}: make it text with deskbell.scalar_text"
            )


@BRONZE_CHECKS.bronze
def tickets_are_told(case: SourceCase) -> None:
    """The events of a ticket say which one: without it they have no order and no memory."""
    bodies = {action: body for action, body in case.samples().items() if action in tuple(Action)}
    if not bodies:
        raise NotApplicable("it sends no events of tickets")
    for action, body in bodies.items():
        event = case.tried(body)
        ticket = event.ticket if isinstance(event, TicketEvent) else ""
        if not isinstance(ticket, str) or not ticket.strip():
            raise NotMet(
                f"the event of sample({action!r}) has no ticket: give TicketEvent(ticket=…) the ticket's id"
            )
        if ticket != ticket.strip():
            raise NotMet(f"the ticket of sample({action!r}) is {ticket!r}: strip it")
