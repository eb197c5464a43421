"""How deliveries are shown: as a table for people, as JSON for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click

from deskbell.delivery import State

from .troubles import shown_time, zone_name

if TYPE_CHECKING:
    from deskbell.delivery import Delivery, Destination
    from deskbell.outlook import Outlook
    from deskbell.store import Listed

_HELD = "its webhook is disabled, or not in the config"
_WHY = {"": "{}", "held": _HELD, "paused": "paused: {}", "waits": "waits: {}"}


@dataclass(frozen=True, slots=True)
class Listing:
    """``troubles``: the webhooks that are held up, and by what. Times of the table are those of ``timezone``."""

    timezone: tzinfo
    troubles: Mapping[str, Destination]

    def as_json(self, listed: Listed) -> dict[str, Any]:
        """One delivery for scripts; times in UTC, ISO 8601."""
        delivery, outlook = listed.delivery, self._outlook(listed)
        return {
            "id": delivery.id,
            "event_id": delivery.event_id,
            "webhook": delivery.webhook,
            "transport": delivery.transport,
            "ticket": delivery.ticket,
            "action": delivery.action,
            "state": str(delivery.state),
            "attempts": delivery.attempts,
            "reason": _reason(outlook),
            "next_at": _iso(outlook.next_at),
            "receipt": delivery.receipt,
            "maybe_duplicate": delivery.maybe_duplicate,
            "replays": delivery.replays,
            "gap": delivery.gap,
            "received_at": _iso(listed.received_at),
            "attempted_at": _iso(listed.attempted_at),
            "ended_at": _iso(delivery.ended_at),
            "answer": listed.detail,
        }

    def show(self, found: Sequence[Listed]) -> None:
        """The table, its heading naming the zone of the times."""
        headings = ("ID", self.time_heading, "TICKET", "ACTION", "WEBHOOK", "STATE", "TRIES", "ANSWER")
        show_table([headings, *map(self._row, found)])

    @property
    def time_heading(self) -> str:
        """``TIME (Europe/Paris)``."""
        return f"TIME ({zone_name(self.timezone)})"

    def _row(self, listed: Listed) -> tuple[str, ...]:
        delivery = listed.delivery
        return (
            str(delivery.id),
            shown_time(listed.received_at, self.timezone),
            delivery.ticket,
            delivery.action,
            delivery.webhook,
            str(delivery.state),
            str(delivery.attempts),
            " ".join((self._answer(listed), *_marks(delivery))).strip(),
        )

    def _answer(self, listed: Listed) -> str:
        """The latest answer counts only once it was the last: a replayed delivery has its old one, too."""
        if listed.delivery.state is State.DELIVERED:
            return listed.detail
        outlook = self._outlook(listed)
        reason, next_at = _reason(outlook), outlook.next_at
        if next_at and next_at > datetime.now(UTC):
            return f"{reason}; next try {next_at.astimezone(self.timezone):%H:%M:%S}"
        return reason

    def _outlook(self, listed: Listed) -> Outlook:
        from deskbell.outlook import outlook

        return outlook(listed.delivery, self.troubles)


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns side by side, the first row being their headings. What senders wrote drives no terminal."""
    from deskbell.log import one_line

    shown = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*shown, strict=True)]
    for row in shown:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _reason(outlook: Outlook) -> str:
    return _WHY[outlook.why].format(outlook.reason)


def _marks(delivery: Delivery) -> Iterator[str]:
    if delivery.maybe_duplicate:
        yield "(maybe a duplicate)"
    if delivery.replays:
        yield "(replayed)"
    if delivery.gap:
        yield "(an earlier one of this ticket was dead)"


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
