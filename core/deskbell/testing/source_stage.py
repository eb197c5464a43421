"""A source that is put to the test: its samples, their fields, and what it makes of a body."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from deskbell.blame import in_words
from deskbell.errors import EventError
from deskbell.event import TicketEvent
from deskbell.source import EventRequest, Source

from .checks import NotApplicable, NotMet

HEADERS: Mapping[str, str] = MappingProxyType({"content-type": "application/json"})
"""What every request has."""
MARKER = "kit4d7a91"
"""A word that no ticket system sends."""

FieldPath: TypeAlias = tuple[str | int, ...]
"""Where a field is: the keys and positions that lead to it, from the outermost."""
Answer: TypeAlias = TicketEvent | EventError
"""What ``parse`` may make of a body."""


@dataclass(frozen=True, kw_only=True)
class SourceCase:
    """A source, and what its checks need to know. See ``SourceContract`` for each."""

    source: Source
    recordings: Path | None = None
    module: str = ""

    def sample(self, action: str) -> Any:
        """The body of a request for ``action``; ``NotMet`` where there is none."""
        try:
            return self.source.sample(action)
        except Exception as error:
            raise NotMet(
                f"sample({action!r}) raised {in_words(error)}: return a body for every action, and for a word that "
                "is none of them the body of some event"
            ) from error

    def samples(self) -> dict[str, dict[str, Any]]:
        """The sample of each declared action that is an event; ``NotApplicable`` without any."""
        bodies = dict[str, dict[str, Any]]()
        for action in self.source.actions:
            try:
                body = self.source.sample(action)
                if isinstance(body, dict) and isinstance(self.tried(body), TicketEvent):
                    bodies[action] = body
            except Exception:  # noqa: BLE001, S112 - checks of the first level tell of it
                continue
        if not bodies:
            raise NotApplicable("no sample of it is an event")
        return bodies

    def read(self, body: object, what: str, headers: Mapping[str, str] = HEADERS) -> Answer:
        """What ``parse`` makes of ``body``, which is ``what``; ``NotMet`` when that is neither event nor error."""
        try:
            event: object = self.source.parse(EventRequest(as_bytes(body), headers))
        except EventError as error:
            return error
        except (Exception, SystemExit) as error:
            raise NotMet(
                f"parse raised {in_words(error)} for {what}: raise deskbell.EventError with a deskbell.Fault that "
                "names the field, or make an event without it"
            ) from error
        if not isinstance(event, TicketEvent):
            raise NotMet(f"parse returned {type(event).__name__} for {what}: return a deskbell.TicketEvent")
        return event

    def tried(self, body: object, headers: Mapping[str, str] = HEADERS) -> Answer | None:
        """Likewise, for a check that is about something else: None when it is neither."""
        try:
            return self.read(body, "", headers)
        except NotMet:
            return None

    def event(self, body: object, what: str) -> TicketEvent:
        """Likewise, where it has to be an event."""
        answer = self.read(body, what)
        if isinstance(answer, EventError):
            raise NotMet(f"parse refuses {what}: {told(answer)}")
        return answer


def as_bytes(body: object) -> bytes:
    """``body`` as it comes over the wire: JSON, unless it is bytes."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def fields_of(body: object) -> Iterator[FieldPath]:
    """Every key of its objects and every position in its lists, outermost first."""
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in items:
        yield (key,)
        yield from ((key, *inner) for inner in fields_of(value))


def texts_of(body: object) -> Iterator[FieldPath]:
    """The fields that hold a text or a number."""
    return (path for path in fields_of(body) if isinstance(value_at(body, path), str | int | float))


def value_at(body: Any, path: FieldPath) -> Any:
    """What the field holds."""
    return reduce(getitem, path, body)


def with_field(body: Any, path: FieldPath, value: object) -> Any:
    """A copy in which the field holds ``value``."""
    copy = deepcopy(body)
    value_at(copy, path[:-1])[path[-1]] = value
    return copy


def without_field(body: Any, path: FieldPath) -> Any:
    """A copy that has no such field."""
    copy = deepcopy(body)
    del value_at(copy, path[:-1])[path[-1]]
    return copy


def rewritten(case: SourceCase, body: Any, text: Callable[[FieldPath], str]) -> Any:
    """A copy in which each field that does not decide what the event is holds another ``text``."""
    before = case.tried(body)
    for path in texts_of(body):
        changed = with_field(body, path, text(path))
        after = case.tried(changed)
        if (
            isinstance(before, TicketEvent)
            and isinstance(after, TicketEvent)
            and after.action == before.action
        ):
            body = changed
    return body


def dotted(path: FieldPath) -> str:
    """As in ``payload.subject``."""
    return ".".join(map(str, path))


def names_field(error: EventError, path: FieldPath) -> bool:
    """One of its faults leads to the field, or into it; of a list, the list itself will do."""
    lists = [path[:depth] for depth, key in enumerate(path) if isinstance(key, int)]
    wanted = [dotted(each).casefold() for each in (path, *lists)]
    paths = [fault.path.replace("[", ".").replace("]", "").casefold() for fault in error.faults]
    return any(told == each or told.startswith(f"{each}.") for told in paths for each in wanted)


def told(error: EventError) -> str:
    """What the error says, with its faults."""
    faults = "; ".join(f"{fault.path or 'the body'}: {fault.message}" for fault in error.faults)
    return f"EventError {error.status}, {error}{f' ({faults})' if faults else ', without faults'}"
