"""What an adapter's author subclasses: how one CMS's requests become events. And the native event."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from .errors import EventError, Fault
from .event import VARIABLES, Action, TicketEvent, action_named
from .strictjson import parse_json

_NUMBER = re.compile(r"\d+", re.ASCII)
_HOST = re.compile(r"\A[a-z][a-z0-9+.-]*://[^/]*", re.ASCII | re.IGNORECASE)
_NATIVE_NAMES = frozenset(name.casefold() for name in VARIABLES)


@dataclass(frozen=True, slots=True)
class EventRequest:
    """One authenticated request of a CMS. ``headers`` by lower-case name."""

    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The body as strict JSON, numbers as the text they were sent as; ``EventError`` 400 otherwise."""
        return parse_json(self.body)

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; ``EventError`` 422 when it is something else."""
        data = self.json()
        if not isinstance(data, dict):
            raise EventError("the body must be a JSON object", faults=[Fault("", "not an object")])
        return data


class Source(ABC):
    """Reads one CMS's requests. Stateless: one instance serves every configured source of this adapter."""

    name: ClassVar[str]
    """What owners write as ``adapter:``: ``[a-z][a-z0-9_]*``."""
    actions: ClassVar[Sequence[str]] = ()
    """The actions that it sends today: a webhook for another one is a warning of ``check``."""
    variables: ClassVar[Mapping[str, str]] = {}
    """The variables that it adds to ``deskbell.VARIABLES``, each with a sample value."""
    priorities: ClassVar[Mapping[str, str]] = {}
    """Its priority labels, in lower case -> ``low``, ``medium`` or ``high``."""
    setup: ClassVar[Mapping[str, str]] = {}
    """Where an owner pastes a source's URL in this CMS, for the page of the sources: plain text, by language (``en``)."""

    plugin: str = ""
    """Who brings it, as in ``deskbell-osticket 0.1.0``. deskbell writes it here."""

    @abstractmethod
    def parse(self, request: EventRequest) -> TicketEvent:
        """The event, with ``action``, ``ticket`` and ``variables`` filled; ``EventError`` when it is none.

        Pure, and quick for 256 KiB of anything: it runs in the event loop. Keep values as they were sent: deskbell
        cleans and escapes them where they are shown. Let the ``EventError`` of ``request.json()`` through; any other
        exception is a defect, and answered 500. ``deskbell.testing.SourceContract`` checks all of this.
        """

    @abstractmethod
    def sample(self, action: str) -> dict[str, Any]:
        """A new request body, as this CMS sends it for ``action``: for ``preview`` and ``send``.

        A word that is none of ``actions`` gets the body of some event.
        """


Sources: TypeAlias = Sequence[type[Source]]
"""What ``deskbell_sources`` returns."""


class NativeSource(Source):
    """deskbell's own event: a flat JSON object with ``action`` and the variables."""

    name = "deskbell"
    actions = tuple(Action)
    priorities: ClassVar[Mapping[str, str]] = {"low": "low", "medium": "medium", "high": "high"}

    def parse(self, request: EventRequest) -> TicketEvent:
        """Keys in any case; other scalar keys become variables of their own, nested ones are kept but are none."""
        variables, faults = dict[str, str](), list[Fault]()
        for key, value in request.json_object().items():
            name = key.strip().casefold()
            if isinstance(value, (dict, list, bool)) and name in _NATIVE_NAMES:
                faults.append(Fault(key, "must be a string, a number or null"))
            elif not isinstance(value, (dict, list)):
                variables[name] = scalar_text(value)
        wrong = {fault.path.strip().casefold() for fault in faults}
        if not variables.get("action", "").strip() and "action" not in wrong:
            faults.append(Fault("action", "is required"))
        if faults:
            raise EventError("not a ticket event", faults=faults)
        ticket = variables.get("ticket", "").strip()
        action = action_named(variables["action"])
        if not ticket and isinstance(action, Action):
            ticket = last_number(variables.get("url", ""))
        return TicketEvent(action=action, ticket=ticket, variables=variables)

    def sample(self, action: str) -> dict[str, Any]:
        """The documented example with ``action``."""
        return {**VARIABLES, "action": action}


def scalar_text(value: Any) -> str:
    """A JSON scalar as text: null is empty, ``true`` stays ``true``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def last_number(url: str) -> str:
    """The number that ends a link (``…/tickets/42?tab=1`` has 42), or nothing; a host or port is none."""
    path = _HOST.sub("", url.strip().partition("?")[0].partition("#")[0])
    numbers = _NUMBER.findall(path)
    return numbers[-1] if numbers else ""
