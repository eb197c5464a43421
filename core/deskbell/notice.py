"""What core hands to ``format``: the event, the owner's template, and the one way to put them together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from .event import TicketEvent
from .template import Escape, Fitted, Measure, Template

_NEWLINES = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
# Controls, bidirectional overrides, zero-width spaces, byte order marks and lone surrogates: they hide or
# reorder text, and half of a surrogate pair cannot be encoded at all. Joiners of emoji (U+200D, U+FE0F) stay.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def plain(text: str) -> str:
    """The escape of a service without markup."""
    return text


def clean(text: str) -> str:
    """Text without the characters that no reader sees and that services refuse or misread."""
    if not text.isprintable():
        text = _INVISIBLE.sub("", _NEWLINES.sub("\n", text))
    return text.strip()


@dataclass(frozen=True, slots=True)
class Rendering:
    """How one text came out, for previews: its size against the limit, and what happened to the values.

    ``cut``: the variables that were shortened. ``defused``: those that hold the service's own marks, each with the words
    in which they stand, as far as a word by itself is one.
    """

    text: str
    size: int
    limit: int
    cut: tuple[str, ...]
    defused: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Notice:
    """One event for one webhook. Immutable; ``values`` holds what readers see, by lower-case name."""

    event: TicketEvent
    template: Template
    values: Mapping[str, str]
    timezone: tzinfo
    date_format: str
    renderings: list[Rendering] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        event: TicketEvent,
        template: Template,
        *,
        timezone: tzinfo,
        date_format: str,
        renderings: list[Rendering] | None = None,
    ) -> Notice:
        """``renderings``, where given, collects what ``text`` did (for ``preview``)."""
        shown = _shown(event, template, timezone, date_format)
        return cls(event, template, shown, timezone, date_format, renderings)

    def text(
        self,
        escape: Escape,
        limit: int,
        *,
        measure: Measure = len,
        literal: Escape | None = None,
        link: Escape = plain,
    ) -> str:
        """The owner's message with this event's values, at most ``limit`` long.

        - ``escape`` makes a value plain text in the service's markup. It is applied to values only, must be
          pure and context-free, and never shortens. ``deskbell.plain`` says "this service has no markup".
        - ``measure`` counts in the service's unit (code points unless said) and is never less than ``len``.
        - ``literal`` treats the owner's own words where they touch a value: it gets the whole template with
          ``deskbell.VALUE`` and ``deskbell.LINK`` where values go, and gives it back with each of them.
        - ``link`` treats a link of the sender's (``%url%``), which no ``escape`` is applied to.
        """
        fitted = self.template.fit(
            self.values, escape=escape, limit=limit, measure=measure, literal=literal, link=link
        )
        if self.renderings is not None:
            self.renderings.append(self._rendering(fitted, escape, limit, measure))
        return fitted.text

    def using(self, template: Template) -> Notice:
        """The same event with another template in place of the message: an option whose type is ``Template``."""
        return Notice.of(
            self.event,
            template,
            timezone=self.timezone,
            date_format=self.date_format,
            renderings=self.renderings,
        )

    def _rendering(self, fitted: Fitted, escape: Escape, limit: int, measure: Measure) -> Rendering:
        escaped = {
            name: self.values.get(name, "")
            for slot in self.template.slots
            for name in slot.names
            if not slot.link and not slot.inside_url
        }
        defused = {name: _marked(value, escape) for name, value in escaped.items() if escape(value) != value}
        return Rendering(fitted.text, measure(fitted.text), limit, fitted.cut, defused)


def _marked(value: str, escape: Escape) -> tuple[str, ...]:
    """The words of ``value`` that are no plain text in the service's markup, each once."""
    return tuple(word for word in dict.fromkeys(value.split()) if escape(word) != word)


def _shown(event: TicketEvent, template: Template, timezone: tzinfo, date_format: str) -> dict[str, str]:
    """Only the variables that the template uses: an event may carry many more."""
    given = {**event.variables, "action": event.action, "ticket": event.ticket}
    shown = {name: clean(given.get(name, "")) for name in template.variables}
    if "created_at" in shown:
        shown["created_at"] = _local_time(shown["created_at"], event.received_at, timezone, date_format)
    return shown


def _local_time(sent: str, received_at: datetime, timezone: tzinfo, date_format: str) -> str:
    """The time of the event as the owner writes times; what cannot be read is shown as it was sent."""
    try:
        at = datetime.fromisoformat(sent) if sent else received_at
        return (at if at.tzinfo else at.replace(tzinfo=timezone)).astimezone(timezone).strftime(date_format)
    except (ValueError, OverflowError):
        return sent
