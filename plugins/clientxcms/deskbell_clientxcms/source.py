"""ClientXCMS's requests as events: version 2's own JSON, and the action words of version 1.

Version 2 posts ``{"payload": {"action": "helpdesk_created", "__url": …}}`` with nothing but strings. What
deskbell has a name for gets that name (``message`` is ``%content%``), ``customer_url`` tells the ``userid``, and
what an event is about instead of a ticket (a service, an invoice) becomes ``related``. All other keys stay
variables under their own names. A flat object with a top-level ``action`` is read the same way, so that
deskbell's native event works here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from deskbell import (
    VARIABLES,
    Action,
    EventError,
    EventRequest,
    Fault,
    Source,
    TicketEvent,
    action_named,
    last_number,
    scalar_text,
)

from .labels import PRIORITIES
from .pasting import SETUP
from .sample import PAYLOADS

_TICKET_ACTIONS = {
    "helpdesk_created": Action.SUBMIT,
    "helpdesk_answered_customer": Action.REPLY,
    "helpdesk_answered_staff": Action.STAFF_REPLY,
    "helpdesk_closed": Action.CLOSE,
}
_OWN_ACTIONS = ("checkout_completed", "service_renewed", "service_upgraded")
_RENAMED = {
    "__url": "url",
    "ticketid": "ticket",
    "customername": "username",
    "customeremail": "email",
    "department": "departmentname",
    "message": "content",
}
_RELATED = {
    "checkout_completed": ("productnames", "invoiceurl"),
    "service_renewed": ("servicename", "url"),
    "service_upgraded": ("service_name", "service_url"),
}
"""By action: the variables that hold the name and the link of what was bought, renewed or changed."""
_ADDED = {
    name: sample
    for payload in PAYLOADS.values()
    for name, sample in payload.items()
    if name not in _RENAMED and name not in VARIABLES
}
_KNOWN = frozenset((*map(str.casefold, VARIABLES), *_RENAMED, *_ADDED))


class ClientXCMS(Source):
    """Reads the webhooks of ClientXCMS, https://clientxcms.com."""

    name = "clientxcms"
    actions = (*_TICKET_ACTIONS.values(), *_OWN_ACTIONS)
    variables: ClassVar[Mapping[str, str]] = _ADDED
    priorities: ClassVar[Mapping[str, str]] = PRIORITIES
    setup: ClassVar[Mapping[str, str]] = SETUP

    def parse(self, request: EventRequest) -> TicketEvent:
        """The event. An action that is not known here keeps its own word: a newer CMS may have more of them."""
        fields, path = _fields(request.json_object())
        variables = _variables(fields, path)
        action = _action(variables["action"])
        _complete(variables, action)
        ticket = variables.get("ticket", "").strip()
        if not ticket and isinstance(action, Action):
            ticket = last_number(variables.get("url", ""))
        return TicketEvent(action=action, ticket=ticket, variables=variables)

    def sample(self, action: str) -> dict[str, Any]:
        """What version 2 posts for ``action``; a ticket's creation under that word when it has no such action."""
        wanted = _action(action)
        word = next((word for word in PAYLOADS if _action(word) == wanted), wanted)
        return {"payload": {"action": str(word), **PAYLOADS.get(word, PAYLOADS["helpdesk_created"])}}


def _fields(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The object that holds the event, and the path to it."""
    if any(_name(key) == "action" for key in body):
        return body, ""
    payload = body.get("payload")
    if isinstance(payload, dict):
        return payload, "payload."
    fault = "must be an object" if "payload" in body else "is required (or a top-level action)"
    raise EventError("not an event of ClientXCMS", faults=[Fault("payload", fault)])


def _variables(fields: Mapping[str, Any], path: str) -> dict[str, str]:
    """Every scalar by its name in deskbell, in lower case; deeper extras are no variables."""
    variables, faults = dict[str, str](), list[Fault]()
    for key, value in fields.items():
        name = _name(key)
        if isinstance(value, str):  # as ClientXCMS sends all of them
            variables[name] = value
        elif isinstance(value, (dict, list, bool)) and name in _KNOWN:
            faults.append(Fault(path + key, "must be a string, a number or null"))
        elif not isinstance(value, (dict, list)):
            variables[name] = scalar_text(value)
    if not variables.get("action", "").strip() and not faults:
        faults.append(Fault(path + "action", "is required"))
    if faults:
        raise EventError("not an event of ClientXCMS", faults=faults)
    for own, name in _RENAMED.items():
        if own in variables:
            value = variables.pop(own)
            variables[name] = variables.get(name) or value
    return variables


def _complete(variables: dict[str, str], action: str) -> None:
    """Add what follows from what was sent: the customer's number, and what the event is about."""
    derived = {"userid": last_number(variables.get("customer_url", ""))}
    if action.casefold() in _RELATED:
        name, link = (variables.get(own, "") for own in _RELATED[action.casefold()])
        derived |= {"related": name, "relatedurl": link, "relatedid": last_number(link), "url": link}
    for name, value in derived.items():
        if value and not variables.get(name):
            variables[name] = value


def _action(word: str) -> str:
    return _TICKET_ACTIONS.get(word.strip().casefold()) or action_named(word)


def _name(key: str) -> str:
    return key.strip().casefold()
