"""deploy/alerts.yaml and deploy/grafana.json: Prometheus reads them, and they ask for what deskbell really tells."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import Sink

if TYPE_CHECKING:
    from tests.conftest import Serve, Server

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ALERTS = DEPLOY / "alerts.yaml"
UNIT_TESTS = Path(__file__).with_name("alerts.test.yaml")
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"]
NAME = re.compile(r"\b(?:deskbell|process)_\w+")
PAGE_WIDTH = 24
"""Columns: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/"""
PATIENCE = 40.0

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (Debian: prometheus)"
)


def queries() -> dict[str, str]:
    """What the dashboard asks for, by the panel's title and the query's letter."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    }


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)


@needs_promtool
def test_prometheus_accepts_the_rules() -> None:
    checked = promtool("check", "rules", str(ALERTS))
    assert checked.returncode == 0, checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


@needs_promtool
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    tried = promtool("test", "rules", str(UNIT_TESTS))
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_each_alert_has_such_a_test_of_both_kinds() -> None:
    cases = [
        case
        for test in yaml.safe_load(UNIT_TESTS.read_text("utf-8"))["tests"]
        for case in test["alert_rule_test"]
    ]
    wanted = {rule["alert"] for rule in RULES}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == wanted
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == wanted


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    """Where a panel lies."""
    place = panel["gridPos"]
    columns = range(place["x"], place["x"] + place["w"])
    return {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}


def test_the_panels_of_the_dashboard_lie_side_by_side() -> None:
    panels = DASHBOARD["panels"]
    assert max(Counter(panel["id"] for panel in panels).values()) == 1
    assert all(x < PAGE_WIDTH for panel in panels for x, _ in cells(panel))
    assert [(a["title"], b["title"]) for a, b in combinations(panels, 2) if cells(a) & cells(b)] == []


def test_the_dashboard_asks_the_prometheus_that_its_reader_chose() -> None:
    variables = DASHBOARD["templating"]["list"]
    assert variables[0]["type"] == "datasource"
    sources = [panel["datasource"] for panel in DASHBOARD["panels"]] + [
        v["datasource"] for v in variables[1:]
    ]
    assert {source["uid"] for source in sources} == {"${" + variables[0]["name"] + "}"}


@contextmanager
def sink(*answers: tuple[int, str]) -> Iterator[Sink]:
    """A Slack that gives these answers first."""
    with Sink() as playing:
        playing.daemon_threads = True
        playing.answers.extend(answers)
        threading.Thread(target=playing.serve_forever, args=[0.02], daemon=True).start()
        yield playing
        playing.shutdown()


def post(server: Server, ticket: int) -> None:
    body = {"payload": {"action": "helpdesk_created", "ticketid": str(ticket), "subject": "hé"}}
    request = urllib.request.Request(
        server.events_url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.status == 202


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as response:
        return str(response.read().decode())


def until(found: Callable[[], bool], what: str) -> None:
    """Look again and again, as whoever scrapes does, until ``found``."""
    limit = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < limit, what
        time.sleep(0.05)


@pytest.fixture
def busy(serve: Serve, config_file: Callable[[str], Path]) -> Iterator[Server]:
    """A service that delivered, was throttled, was refused a message, and had a webhook paused."""
    with ExitStack() as stack:
        answers: dict[str, list[tuple[int, str]]] = {
            "delivered": [],
            "throttled": [(429, "rate_limited")] * 50,
            "permanent_failure": [(400, "invalid_payload")],
            "destination_gone": [(404, "no_service")],
        }
        urls = {name: stack.enter_context(sink(*given)).url for name, given in answers.items()}
        config_file(
            "webhooks:\n"
            + "".join(
                f'  - {{name: {name}, url: "{url}", transport: slack, action: "*", message: "%subject%"}}\n'
                for name, url in urls.items()
            )
        )
        server = serve()
        post(server, 1)
        until(
            lambda: all(f'outcome="{name}"' in get(f"{server.address}/metrics") for name in answers),
            "each webhook has its outcome",
        )
        until(
            lambda: (
                'deskbell_webhook_paused{webhook="destination_gone"} 1.0' in get(f"{server.address}/metrics")
                and 'deskbell_backlog{state="dead",webhook="permanent_failure"} 1.0'
                in get(f"{server.address}/metrics")
            ),
            "the webhook is paused, and the dead are counted",
        )
        yield server


def names(text: str) -> set[str]:
    """The metrics that ``text`` asks for."""
    return set(NAME.findall(text))


def test_deskbell_tells_each_metric_that_they_ask_for_and_the_dashboard_shows_each(busy: Server) -> None:
    families = list(text_string_to_metric_families(get(f"{busy.address}/metrics")))
    told = {sample.name for family in families for sample in family.samples}
    shown = names(" ".join(queries().values()))
    alerts = names(" ".join(rule["expr"] for rule in RULES))
    choices = names(" ".join(variable.get("definition", "") for variable in DASHBOARD["templating"]["list"]))
    assert (shown | alerts | choices) - told == set()
    own = {family.name for family in families if family.name.startswith("deskbell_")}
    hidden = {
        name for name in own if not name.endswith("_created") and not any(s.startswith(name) for s in shown)
    }
    assert hidden == {"deskbell_deliveries_queued"}  # the backlog shows where they are


@pytest.fixture
def prometheus(busy: Server, tmp_path: Path) -> Iterator[str]:
    """A running Prometheus that scrapes the busy service and has the rules; where its API is."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        place = f"127.0.0.1:{found.getsockname()[1]}"
    folder = tmp_path / "prometheus"
    folder.mkdir()
    scrape = {
        "job_name": "deskbell",
        "static_configs": [{"targets": [urllib.parse.urlsplit(busy.address).netloc]}],
    }
    config = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [scrape],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address={place}",
    ]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            yield f"http://{place}/api/v1"
        finally:
            process.kill()


def ask(api: str, path: str, **parameters: str) -> dict[str, Any]:
    """The answer's data; nothing while it does not listen yet, or says that it is not ready."""
    try:
        answer = json.loads(get(f"{api}/{path}?{urllib.parse.urlencode(parameters)}"))
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
            return {}
        raise AssertionError(f"{parameters}: {error.read().decode()}") from None
    except (urllib.error.URLError, ConnectionError):
        return {}
    data: dict[str, Any] = answer["data"]
    return data


def plain(query: str) -> str:
    """The query with what Grafana puts in for its variables."""
    return query.replace("$__rate_interval", "30s").replace("$instance", ".*").replace("$webhook", ".*")


@needs_prometheus
def test_a_real_prometheus_fills_every_panel_and_sees_the_paused_webhook(prometheus: str) -> None:
    empty = dict(queries())

    def all_filled() -> bool:
        for title, query in list(empty.items()):
            if ask(prometheus, "query", query=plain(query)).get("result"):
                del empty[title]
        return not empty

    until(all_filled, f"without data: {empty}")
    until(lambda: "DeskbellWebhookPaused" in firing(prometheus), "the alert fires")
    assert firing(prometheus) == {"DeskbellWebhookPaused": {"destination_gone"}}


def firing(api: str) -> dict[str, set[str]]:
    """Which alerts fire, for which webhooks."""
    found = dict[str, set[str]]()
    for alert in ask(api, "alerts").get("alerts", []):
        if alert["state"] == "firing":
            found.setdefault(alert["labels"]["alertname"], set()).add(alert["labels"].get("webhook", ""))
    return found
