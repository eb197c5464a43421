"""The third level: what it tells is complete, and was really sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from deskbell.event import VARIABLES, Action, TicketEvent
from deskbell.routing import priority_level

from .checks import Checks, NotApplicable, NotMet
from .source_stage import HEADERS, SourceCase, told

GOLD_CHECKS = Checks[SourceCase]()
LEVELS = ("low", "medium", "high")


@GOLD_CHECKS.gold
def recordings_are_events(case: SourceCase) -> None:
    """Each recorded request is an event of a declared action, with its ticket and variables."""
    recordings = list(_recordings(case))
    if not recordings:
        raise NotApplicable(
            "no recordings: set recordings to a folder with requests as they were really sent"
        )
    for name, headers, body in recordings:
        event = case.read(body, f"the recording {name}", headers)
        if not isinstance(event, TicketEvent):
            raise NotMet(f"parse refuses the recording {name}: {told(event)}")
        if event.action not in case.source.actions:
            raise NotMet(f"the recording {name} has the action {event.action!r}: add it to actions")
        if not event.ticket and event.action in tuple(Action):
            raise NotMet(f"the recording {name} has no ticket: read its id where this request has it")
        if not any(event.variables.values()):
            raise NotMet(f"the recording {name} has no variable: fill TicketEvent(variables=…)")


@GOLD_CHECKS.gold
def priorities_have_levels(case: SourceCase) -> None:
    """Each priority that its samples and recordings show has a level, so that ``when: {priority: high}`` works."""
    answers = [(name, case.tried(body, headers)) for name, headers, body in _recordings(case)]
    events = [*_told(case), *((name, answer) for name, answer in answers if isinstance(answer, TicketEvent))]
    labels = {event.variables.get("priority", "").strip(): name for name, event in events}
    labels.pop("", None)
    if not labels:
        raise NotApplicable("its events have no priority")
    for label, name in labels.items():
        if (
            priority_level(label, case.source.priorities) not in LEVELS
            or label.casefold() not in case.source.priorities
        ):
            raise NotMet(
                f"{name} has the priority {label!r}: add {label.casefold()!r} to priorities, with its level"
            )


@GOLD_CHECKS.gold
def own_variables_are_documented(case: SourceCase) -> None:
    """``variables`` names each variable that its samples have beside deskbell's, and no other."""
    known = {name.casefold() for name in VARIABLES}
    own = {name.casefold() for name in case.source.variables}
    shown = set[str]()
    for name, event in _told(case):
        shown |= {variable.casefold() for variable, value in event.variables.items() if value}
        if unknown := sorted(shown - known - own):
            raise NotMet(
                f"{name} has %{unknown[0]}%: add it to variables with a sample value, or nobody may write it"
            )
    if silent := sorted(own - shown):
        raise NotMet(
            f"variables names {silent[0]}, which no sample fills: fill it in sample(), or take it out"
        )


@GOLD_CHECKS.gold
def package_is_typed(case: SourceCase) -> None:
    """Its package has a file ``py.typed``, so that mypy reads its types."""
    package = sys.modules.get(case.module.partition(".")[0])
    folders = [Path(folder) for folder in getattr(package, "__path__", ())]
    if not folders:
        raise NotApplicable("it is a single file")
    if not any((folder / "py.typed").exists() for folder in folders):
        raise NotMet(f"add an empty file py.typed beside {case.module.partition('.')[0]}/__init__.py")


def _told(case: SourceCase) -> Iterator[tuple[str, TicketEvent]]:
    """Each sample as an event, with its name."""
    for action, body in case.samples().items():
        event = case.tried(body)
        if isinstance(event, TicketEvent):
            yield f"sample({action!r})", event


def _recordings(case: SourceCase) -> Iterator[tuple[str, Mapping[str, str], bytes]]:
    """Each recorded request: the name of its file, its headers and its body."""
    for path in sorted(case.recordings.iterdir()) if case.recordings else ():
        if path.is_file():
            yield path.name, *_request_in(path.read_bytes())


def _request_in(recorded: bytes) -> tuple[Mapping[str, str], bytes]:
    """The headers and the body: of a whole request as it went over the wire, or of a body alone."""
    if not recorded.startswith((b"POST ", b"PUT ")):
        return HEADERS, recorded
    head, _, body = recorded.replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = [line.partition(":") for line in head.decode("latin-1").split("\n")[1:]]
    return {name.strip().lower(): value.strip() for name, _, value in lines}, body
