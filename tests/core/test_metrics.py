"""The metrics as a scraper reads them: parsed by prometheus-client's own parser of the text format."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from deskbell import (
    Attempt,
    Delivered,
    DestinationGone,
    Outcome,
    PermanentFailure,
    TemporaryFailure,
    Throttled,
    TicketEvent,
)
from deskbell.metrics import Metrics
from deskbell.plugins import Plugins, load_plugins


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scrape gives: value by name and sorted labels."""
    families = text_string_to_metric_families(metrics.render()[0].decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def attempt(outcome: Outcome, *, webhook: str = "support", seconds: float = 0.2) -> Attempt:
    return Attempt(
        delivery_id=1,
        event_id="e",
        webhook=webhook,
        transport="discord",
        number=1,
        started_at=datetime(2026, 11, 1, tzinfo=UTC),
        seconds=seconds,
        outcome=outcome,
        payload="{}",
    )


def registered(metrics: Metrics) -> Plugins:
    plugins = load_plugins(entry_points=[])
    plugins.register("metrics", metrics)
    return plugins


def test_accepted_events_are_counted_by_source_and_action_and_their_deliveries_by_webhook() -> None:
    metrics = Metrics()
    plugins = registered(metrics)
    event = TicketEvent(action="Submit", source="clientxcms")
    plugins.event_accepted(event, ["support", "billing"])
    plugins.event_accepted(event, [])
    found = samples(metrics)
    assert found["deskbell_events_accepted_total", (("action", "Submit"), ("source", "clientxcms"))] == 2
    assert found["deskbell_deliveries_queued_total", (("webhook", "support"),)] == 1
    assert found["deskbell_deliveries_queued_total", (("webhook", "billing"),)] == 1


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        (Delivered(), "delivered"),
        (Throttled(1.0), "throttled"),
        (TemporaryFailure("503"), "temporary_failure"),
        (PermanentFailure("400"), "permanent_failure"),
        (DestinationGone("404"), "destination_gone"),
    ],
)
def test_attempts_are_counted_by_what_came_of_them(outcome: Outcome, label: str) -> None:
    metrics = Metrics()
    registered(metrics).attempt_finished(attempt(outcome))
    labels = (("outcome", label), ("transport", "discord"), ("webhook", "support"))
    assert samples(metrics)["deskbell_attempts_total", labels] == 1


def test_seconds_of_attempts_fall_into_buckets_by_transport() -> None:
    metrics = Metrics()
    for seconds in (0.04, 0.2, 14.0):
        metrics.deskbell_attempt_finished(attempt(Delivered(), seconds=seconds))
    found = samples(metrics)
    counted = {
        bound: found["deskbell_attempt_seconds_bucket", (("le", bound), ("transport", "discord"))]
        for bound in ("0.05", "0.25", "10.0", "15.0", "+Inf")
    }
    assert counted == {"0.05": 1, "0.25": 2, "10.0": 2, "15.0": 3, "+Inf": 3}
    assert found["deskbell_attempt_seconds_sum", (("transport", "discord"),)] == pytest.approx(14.24)


def test_actions_that_senders_make_up_share_one_label() -> None:
    """Otherwise anyone with a token could fill the memory of this process and of Prometheus."""
    metrics = Metrics(actions=["checkout_completed"])
    plugins = registered(metrics)
    for action in ("reply", "CHECKOUT_COMPLETED", *(f"made-up-{number}" for number in range(500))):
        plugins.event_accepted(TicketEvent(action=action, source="s"), [])
    actions = {
        dict(labels)["action"]: value
        for (name, labels), value in samples(metrics).items()
        if name == "deskbell_events_accepted_total"
    }
    assert actions == {"Reply": 1, "checkout_completed": 1, "other": 500}


def test_hostile_names_in_labels_stay_inside_their_label() -> None:
    metrics = Metrics()
    name = 'a"} 9\ndeskbell_forged_total 1\\'
    registered(metrics).event_accepted(TicketEvent(action="Submit", source=name), [name])
    found = samples(metrics)
    assert found["deskbell_deliveries_queued_total", (("webhook", name),)] == 1
    assert not any(sample.startswith("deskbell_forged") for sample, _ in found)


def test_content_type_is_that_of_the_text_format() -> None:
    assert Metrics().render()[1].startswith("text/plain; version=")


def test_the_process_itself_is_measured() -> None:
    assert samples(Metrics())["process_resident_memory_bytes", ()] > 1_000_000


def test_two_services_in_one_process_count_apart_and_the_global_registry_stays_clean() -> None:
    first, second = Metrics(), Metrics()
    registered(first).attempt_finished(attempt(Delivered()))
    assert not any(name == "deskbell_attempts_total" for name, _ in samples(second))
    assert b"deskbell" not in generate_latest(REGISTRY)


@pytest.mark.parametrize(
    ("code", "loaded"),
    [("import deskbell.metrics", False), ("import deskbell.metrics as m; m.Metrics()", True)],
)
def test_prometheus_is_loaded_only_when_metrics_are_built(code: str, loaded: bool) -> None:
    """It takes about 0.1 s, which only ``serve`` should pay."""
    program = f"import sys\n{code}\nprint('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loaded)
