"""What Prometheus is told, as a plugin of core's own: the first user of the two observer hooks.

Every label is bounded: sources, webhooks and transports come from the config, and of the actions, which senders
choose, only the known ones are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from .delivery import Attempt
from .event import Action, TicketEvent
from .hookspecs import hookimpl
from .outcome import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure, Throttled

OTHER_ACTION = "other"
"""The label of an action that no source is known to send."""
ATTEMPT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
"""Upper bounds of the buckets; an attempt is given up after 15 s."""


class Metrics:
    """Counts events and attempts in a registry of its own. Register it with ``Plugins.register``.

    ``actions`` are those that sources have beside the ticket actions.
    """

    def __init__(self, actions: Iterable[str] = ()) -> None:
        # Not at the head of the file: it takes 0.1 s, and only `serve` needs it.
        from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._actions = {action.casefold(): str(action) for action in (*Action, *actions)}
        self._events = Counter(
            "deskbell_events_accepted",
            "Events stored.",
            ["source", "action"],
            registry=self._registry,
        )
        self._queued = Counter(
            "deskbell_deliveries_queued",
            "Deliveries stored, by webhook.",
            ["webhook"],
            registry=self._registry,
        )
        self._attempts = Counter(
            "deskbell_attempts",
            "Attempts to send, by what came of them.",
            ["webhook", "transport", "outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "deskbell_attempt_seconds",
            "How long attempts took.",
            ["transport"],
            buckets=ATTEMPT_SECONDS,
            registry=self._registry,
        )

    @hookimpl
    def deskbell_event_accepted(self, event: TicketEvent, webhooks: Sequence[str]) -> None:
        """Count the event and its deliveries."""
        action = self._actions.get(event.action.casefold(), OTHER_ACTION)
        self._events.labels(event.source, action).inc()
        for webhook in webhooks:
            self._queued.labels(webhook).inc()

    @hookimpl
    def deskbell_attempt_finished(self, attempt: Attempt) -> None:
        """Count the attempt and its time."""
        self._attempts.labels(attempt.webhook, attempt.transport, outcome_label(attempt.outcome)).inc()
        self._seconds.labels(attempt.transport).observe(attempt.seconds)

    def render(self) -> tuple[bytes, str]:
        """Everything counted, and the content type it is written in."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST


def outcome_label(outcome: Outcome) -> str:
    """The outcome in one word, as the metrics name it."""
    match outcome:
        case Delivered():
            return "delivered"
        case Throttled():
            return "throttled"
        case TemporaryFailure():
            return "temporary_failure"
        case PermanentFailure():
            return "permanent_failure"
        case DestinationGone():
            return "destination_gone"
    assert_never(outcome)
