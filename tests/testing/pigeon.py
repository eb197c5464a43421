"""An adapter of a help desk that nobody has, as its author would write it: the kit has nothing to say against it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import deskbell

deskbell_api_version = 1

WORDS = {
    "opened": deskbell.Action.SUBMIT,
    "answered": deskbell.Action.REPLY,
    "shut": deskbell.Action.CLOSE,
    "rated": "rated",
}
FIELDS = {
    "subject": "case.title",
    "priority": "case.severity",
    "url": "case.link",
    "username": "person.name",
    "userid": "person.number",
    "content": "text",
    "mood": "mood",
}
log = logging.getLogger(__name__)


class Pigeon(deskbell.Source):
    """Read the webhooks of a Pigeon desk."""

    name = "pigeon"
    actions = ("Submit", "Reply", "Close", "rated")
    variables: ClassVar[Mapping[str, str]] = {"mood": "angry"}
    priorities: ClassVar[Mapping[str, str]] = {"pressing": "high", "some day": "low"}

    def parse(self, request: deskbell.EventRequest) -> deskbell.TicketEvent:
        body = request.json_object()
        faults: list[deskbell.Fault] = []
        word = text_at(body, "kind", faults).strip()
        ticket = text_at(body, "case.id", faults).strip()
        variables = {name: text_at(body, path, faults) for name, path in FIELDS.items()}
        variables["desk"] = request.headers.get("x-pigeon-desk", "")
        if not word and not faults:
            faults.append(deskbell.Fault("kind", "is required"))
        if faults:
            raise deskbell.EventError("no event of Pigeon", faults=faults)
        log.debug("an event of a Pigeon desk")
        return deskbell.TicketEvent(
            action=WORDS.get(word, deskbell.action_named(word)), ticket=ticket, variables=variables
        )

    def sample(self, action: str) -> dict[str, Any]:
        word = next((word for word, known in WORDS.items() if known == action), action)
        return {
            "kind": word,
            "case": {
                "id": 12,
                "title": "The roof leaks",
                "severity": "Pressing",
                "link": "https://pigeon.example/12",
            },
            "person": {"name": "Ada", "number": 4},
            "text": "It rains in.",
            "mood": "angry",
        }


def text_at(body: dict[str, Any], path: str, faults: list[deskbell.Fault]) -> str:
    value: Any = body
    keys = path.split(".")
    for depth, key in enumerate(keys):
        if value is None:
            return ""
        if not isinstance(value, dict):
            faults.append(deskbell.Fault(".".join(keys[:depth]), "must be an object"))
            return ""
        value = value.get(key)
    if isinstance(value, dict | list):
        faults.append(deskbell.Fault(path, "must be a text, a number or null"))
        return ""
    return deskbell.scalar_text(value)


@deskbell.hookimpl
def deskbell_sources() -> deskbell.Sources:
    """Offer the adapter."""
    return [Pigeon]
