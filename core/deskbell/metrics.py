"""What Prometheus is told. What happens is counted by a plugin of core's own, the first user of the two observer
hooks; how the service stands is looked up when it is asked for.

Every label is bounded: sources, webhooks and transports come from the config, and of the actions, which senders
choose, only the known ones are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar, assert_never

from .delivery import Attempt, Destination
from .event import Action, TicketEvent
from .hookspecs import hookimpl
from .outcome import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure, Throttled
from .refusals import ALL_REASONS

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.metrics import MetricWrapperBase

    from .store import Backlog

Counted = TypeVar("Counted", bound="MetricWrapperBase")

OTHER_ACTION = "other"
"""The label of an action that no source is known to send."""
ATTEMPT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
"""Upper bounds of the buckets; an attempt is given up after 15 s."""
_WAITING = ("ready", "sending", "held", "dead")
_OF_GONE_WEBHOOKS = ("held", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the service stands ``at`` a moment.

    ``backlog`` by webhook, those that left the config among them. ``webhooks``: how each active one fares.
    ``services``: whether each takes nothing for a while. ``blocked_seconds``: how long the event loop stood still so
    far. ``refused_connections``: how many the egress policy refused.
    """

    at: datetime
    backlog: Mapping[str, Backlog]
    webhooks: Mapping[str, Destination]
    services: Mapping[str, bool]
    store_ok: bool
    config_ok: bool
    blocked_seconds: float
    refused_connections: int


class Metrics:
    """Counts events and attempts in a registry of its own. Register it with ``Plugins.register``, and ``watch``.

    ``actions`` are those that sources have beside the ticket actions.
    """

    def __init__(self, actions: Iterable[str] = ()) -> None:
        # Not at the head of the file: it takes 0.1 s, and only `serve` needs it.
        from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._actions = {action.casefold(): str(action) for action in (*Action, *actions)}
        self._events = self._kept(Counter, "deskbell_events_accepted", "Events stored.", "source", "action")
        self._queued = self._kept(
            Counter, "deskbell_deliveries_queued", "Deliveries stored, by webhook.", "webhook"
        )
        self._refused = self._kept(
            Counter,
            "deskbell_requests_refused",
            "Requests and connections that were refused, by reason.",
            "reason",
        )
        self._attempts = self._kept(
            Counter,
            "deskbell_attempts",
            "Attempts to send, by what came of them.",
            "webhook",
            "transport",
            "outcome",
        )
        self._seconds = self._kept(
            partial(Histogram, buckets=ATTEMPT_SECONDS),
            "deskbell_attempt_seconds",
            "How long attempts took.",
            "transport",
        )
        for reason in ALL_REASONS:  # zeros: a rate needs a beginning
            self._refused(reason)

    def _kept(
        self, kind: Callable[..., Counted], name: str, meaning: str, *labels: str
    ) -> Callable[..., Counted]:
        """What counts for given labels: ``labels`` looks it up under a lock each time, and every set is bounded."""
        return cache(kind(name, meaning, labels, registry=self._registry).labels)

    def watch(self, look: Callable[[], Standing]) -> None:
        """Ask ``look`` how the service stands, each time that the metrics are rendered."""
        self._registry.register(_Gauges(look))

    def refused(self, reason: str) -> None:
        """Count what was refused; ``reason`` is one of ``ALL_REASONS``."""
        self._refused(reason).inc()

    @hookimpl
    def deskbell_event_accepted(self, event: TicketEvent, webhooks: Sequence[str]) -> None:
        """Count the event and its deliveries."""
        action = self._actions.get(event.action.casefold(), OTHER_ACTION)
        self._events(event.source, action).inc()
        for webhook in webhooks:
            self._queued(webhook).inc()

    @hookimpl
    def deskbell_attempt_finished(self, attempt: Attempt) -> None:
        """Count the attempt and its time."""
        self._attempts(attempt.webhook, attempt.transport, outcome_label(attempt.outcome)).inc()
        self._seconds(attempt.transport).observe(attempt.seconds)

    def render(self) -> tuple[bytes, str]:
        """Everything counted and seen, and the content type it is written in."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Gauges:
    """A collector of prometheus_client."""

    def __init__(self, look: Callable[[], Standing]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        """Every gauge, of one moment."""
        from prometheus_client.core import CounterMetricFamily

        seen = self._look()
        by_webhook = [((name,), health) for name, health in seen.webhooks.items()]
        yield _gauge(
            "deskbell_backlog", "Deliveries that are not delivered.", ("webhook", "state"), _backlog(seen)
        )
        yield _gauge(
            "deskbell_oldest_undelivered_seconds",
            "Since the oldest event came that is neither delivered nor dead.",
            ("webhook",),
            ((name, _oldest(seen, *name)) for name, _ in by_webhook),
        )
        yield _gauge(
            "deskbell_webhook_paused",
            "1 while its service says that it is gone, until it is resumed or has a new URL.",
            ("webhook",),
            ((name, health.paused) for name, health in by_webhook),
        )
        yield _gauge(
            "deskbell_webhook_waiting_seconds",
            "Until it is tried again; 0 while it is not held up.",
            ("webhook",),
            ((name, health.wait(seen.at)) for name, health in by_webhook),
        )
        yield _gauge(
            "deskbell_service_closed",
            "1 while all webhooks of the service wait.",
            ("service",),
            (((name,), closed) for name, closed in seen.services.items()),
        )
        yield _gauge(
            "deskbell_config_last_reload_successful",
            "0 while the config before the last reload is in force.",
            (),
            [((), seen.config_ok)],
        )
        yield _gauge("deskbell_store_ok", "1 while events can be stored.", (), [((), seen.store_ok)])
        yield CounterMetricFamily(
            "deskbell_loop_blocked_seconds",
            "How long one call held everything up.",
            value=seen.blocked_seconds,
        )
        yield CounterMetricFamily(
            "deskbell_egress_refused",
            "Connections that were not made: the address is not public, and egress.allow does not list it.",
            value=seen.refused_connections,
        )


def _gauge(
    name: str, meaning: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]
) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    gauge = GaugeMetricFamily(name, meaning, labels=labels)
    for values, value in samples:
        gauge.add_metric(values, value)
    return gauge


def _backlog(seen: Standing) -> Iterator[tuple[tuple[str, str], float]]:
    """Zeros for active webhooks, too: what comes and goes is hard to alert on."""
    for name in {**seen.webhooks, **seen.backlog}:
        waiting = seen.backlog.get(name)
        for state in _WAITING if name in seen.webhooks else _OF_GONE_WEBHOOKS:
            yield (name, state), getattr(waiting, state, 0)


def _oldest(seen: Standing, name: str) -> float:
    waiting = seen.backlog.get(name)
    if waiting is None or waiting.oldest_at is None:
        return 0.0
    return max(0.0, (seen.at - waiting.oldest_at).total_seconds())


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
