"""How a delivery is told to a reader: where it stands and why, in the reader's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from deskbell.delivery import Delivery, Destination, State
from deskbell.outlook import outlook

from .visit import Visit
from .words import Words

_TONES = {State.DELIVERED: "good", State.DEAD: "bad", State.HELD: "warn"}


@dataclass(frozen=True, slots=True)
class Told:
    """``troubles``: the webhooks that are held up, and by what."""

    words: Words
    troubles: Mapping[str, Destination]

    @classmethod
    def to(cls, visit: Visit) -> Told:
        """The reader of a page."""
        return cls(visit.words, visit.desk.dispatcher.troubles())

    def tone(self, state: State) -> str:
        """The class of its tag."""
        return _TONES.get(state, "")

    def answer(self, delivery: Delivery, detail: str) -> str:
        """What its service said last, in ``detail``; of one that is not delivered, why not."""
        if delivery.state is State.DELIVERED:
            return detail
        seen = outlook(delivery, self.troubles)
        return self.words.say(f"deliveries.why.{seen.why}", reason=seen.reason) if seen.why else seen.reason

    def next_try(self, delivery: Delivery) -> datetime | None:
        """When it is tried again, where it waits for that."""
        next_at = outlook(delivery, self.troubles).next_at
        return next_at if next_at and next_at > datetime.now(UTC) else None

    def marks(self, delivery: Delivery) -> Iterator[str]:
        """What else a reader of its message should know."""
        if delivery.maybe_duplicate:
            yield self.words.say("deliveries.mark.duplicate")
        if delivery.replays:
            yield self.words.say("deliveries.mark.replayed", count=delivery.replays)
        if delivery.gap:
            yield self.words.say("deliveries.mark.gap")
