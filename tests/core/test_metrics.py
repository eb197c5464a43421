"""The metrics as a scraper reads them: parsed by prometheus-client's own parser of the text format."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.faults.shelf import Past, Shelf

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
from deskbell.delivery import Destination
from deskbell.metrics import Metrics, Standing
from deskbell.plugins import Plugins, load_plugins
from deskbell.store import Backlog

if TYPE_CHECKING:
    from tests.conftest import Serve

PAGE = Path(__file__).resolve().parents[2] / "docs" / "delivery.md"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
STANDING = Standing(
    at=NOW,
    backlog={
        "support": Backlog(ready=3, sending=1, dead=2, oldest_at=NOW - timedelta(seconds=90)),
        "gone": Backlog(ready=4, held=7, dead=1, oldest_at=NOW - timedelta(days=1)),
    },
    webhooks={
        "support": Destination(until=NOW + timedelta(seconds=12), reason="503", failures=2),
        "billing": Destination(paused=True, reason="404"),
        "calm": Destination(until=NOW - timedelta(seconds=1)),
    },
    services={"discord": True, "slack": False},
    store_ok=True,
    config_ok=True,
    blocked_seconds=1.5,
    refused_connections=4,
)

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(metrics: Metrics) -> Samples:
    """What a scrape gives: value by name and sorted labels."""
    return parsed(metrics.render()[0].decode())


def parsed(text: str) -> Samples:
    families = text_string_to_metric_families(text)
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


def test_refusals_are_counted_by_reason() -> None:
    metrics = Metrics()
    for reason in ("unauthenticated", "not_http", "unauthenticated"):
        metrics.refused(reason)
    counted = samples(metrics)
    assert counted["deskbell_requests_refused_total", (("reason", "unauthenticated"),)] == 2
    assert counted["deskbell_requests_refused_total", (("reason", "not_http"),)] == 1


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


def gauges(found: Samples, name: str) -> dict[str, float]:
    """The values of one metric by its labels, side by side."""
    return {
        " ".join(value for _, value in sorted(labels, reverse=True)): number
        for (sample, labels), number in found.items()
        if sample == name
    }


def test_gauges_show_how_each_webhook_stands() -> None:
    """Those that left the config only with what is held or dead: a label that goes is no alert."""
    metrics = Metrics()
    metrics.watch(lambda: STANDING)
    found = samples(metrics)
    backlog = gauges(found, "deskbell_backlog")
    assert {name: count for name, count in backlog.items() if count} == {
        "support ready": 3, "support sending": 1, "support dead": 2, "gone held": 7, "gone dead": 1,
    }  # fmt: skip
    assert {name for name, count in backlog.items() if not count} == {
        "support held",
        *(
            f"{name} {state}"
            for name in ("billing", "calm")
            for state in ("ready", "sending", "held", "dead")
        ),
    }
    of_active = {
        "deskbell_oldest_undelivered_seconds": {"support": 90, "billing": 0, "calm": 0},
        "deskbell_webhook_paused": {"support": 0, "billing": 1, "calm": 0},
        "deskbell_webhook_waiting_seconds": {"support": 12, "billing": 0, "calm": 0},
        "deskbell_service_closed": {"discord": 1, "slack": 0},
        "deskbell_store_ok": {"": 1},
        "deskbell_loop_blocked_seconds_total": {"": 1.5},
        "deskbell_egress_refused_total": {"": 4},
    }
    assert {name: gauges(found, name) for name in of_active} == of_active


def test_each_scrape_looks_anew() -> None:
    standing = STANDING
    metrics = Metrics()
    metrics.watch(lambda: standing)
    samples(metrics)
    standing = replace(STANDING, store_ok=False, at=NOW + timedelta(seconds=5))
    found = samples(metrics)
    assert gauges(found, "deskbell_store_ok") == {"": 0}
    assert gauges(found, "deskbell_oldest_undelivered_seconds")["support"] == 95
    assert gauges(found, "deskbell_webhook_waiting_seconds")["support"] == 7


def test_a_clock_that_was_set_back_gives_no_negative_age() -> None:
    metrics = Metrics()
    metrics.watch(lambda: replace(STANDING, at=NOW - timedelta(hours=1)))
    assert gauges(samples(metrics), "deskbell_oldest_undelivered_seconds")["support"] == 0


async def test_a_running_server_is_scraped(
    serve: Serve, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    """And every metric of its own that it shows is explained on the page for owners, and no other."""
    config_file(
        'webhooks:\n  - {name: desk, url: "http://127.0.0.1:9/x", transport: slack, action: "*", message: x}\n'
    )
    await Shelf(tmp_path).fill(Past(PermanentFailure("400")), Past(DestinationGone("404 gone")), Past())
    server = serve()
    limit = time.monotonic() + 10
    while not (backlog := gauges(found := scrape(server.address), "deskbell_backlog"))["desk ready"]:
        assert time.monotonic() < limit, found
        await asyncio.sleep(0.05)  # the backlog is measured beside the start, and nobody tells when
    assert backlog == {"desk ready": 2, "desk sending": 0, "desk held": 0, "desk dead": 1}
    assert gauges(found, "deskbell_webhook_paused") == {"desk": 1}
    assert 0 <= gauges(found, "deskbell_oldest_undelivered_seconds")["desk"] < 60
    assert gauges(found, "deskbell_store_ok") == {"": 1}
    assert gauges(found, "deskbell_service_closed") == {"slack": 0}
    shown = set(re.findall(r"^# TYPE (deskbell_\w+) ", read(f"{server.address}/metrics"), re.MULTILINE))
    explained = set(re.findall(r"^\| `(deskbell_\w+)", PAGE.read_text("utf-8"), re.MULTILINE))
    assert explained == {name for name in shown if not name.endswith("_created")}


def scrape(address: str) -> Samples:
    return parsed(read(f"{address}/metrics"))


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        text: str = response.read().decode()
        return text
