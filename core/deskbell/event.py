"""What a CMS told us: the event, its actions and its variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType


class Action(StrEnum):
    """The ticket actions, in the owner's words. A source may have further ones of its own."""

    SUBMIT = "Submit"
    REPLY = "Reply"
    STAFF_REPLY = "StaffReply"
    CLOSE = "Close"
    REOPEN = "Reopen"


ACTION_WORDS: Mapping[str, Action] = MappingProxyType(
    {
        **{action.casefold(): action for action in Action},
        "support.submit": Action.SUBMIT,
        "ticket.created": Action.SUBMIT,
        "support.reply": Action.REPLY,
        "support.replay": Action.REPLY,  # the original's own spelling
        "replay": Action.REPLY,
        "ticket.replied": Action.REPLY,
        "ticket.staff_replied": Action.STAFF_REPLY,
        "support.close": Action.CLOSE,
        "ticket.closed": Action.CLOSE,
        "ticket.reopened": Action.REOPEN,
    }
)
"""Every word for a ticket action, in lower case."""

VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "subject": "Remboursement",
        "content": "Bonjour,  Voici ma demande de remboursement",
        "username": "Martin Dev",
        "userid": "1",
        "email": "admin@clientxcms.com",
        "departmentName": "Technique",
        "priority": "High",
        "created_at": "2022-11-22T00:30:00+01:00",
        "action": "Submit",
        "url": "https://clientxcms.com/support/tickets/1",
        "ticket": "1",
        "related": "VPS Pro",
        "relatedUrl": "https://clientxcms.com/admin/store/services/1",
        "relatedId": "1",
    }
)
"""Each variable that every source has, as it is written, with a sample value."""

NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketEvent:
    """One ticket event. A source fills the first three; deskbell adds the rest when it accepts it.

    ``variables`` holds the text as it was sent, by lower-case name; an absent one counts as empty. Nobody can change
    it afterwards, neither through the event nor through the dict that it was made from: plugins share the event.
    ``ticket`` groups and orders the events of one ticket; an event without one has no order.
    """

    action: str
    ticket: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    source: str = ""
    received_at: datetime = NEVER

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", MappingProxyType(dict(self.variables)))


def action_named(word: str) -> str:
    """The action that ``word`` stands for: an ``Action``, or a source's own, which stays as it is written."""
    return ACTION_WORDS.get(word.strip().casefold(), word.strip())
