"""docs/sources.md is true: its adapter, its configuration and its test are the ones that run here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.conftest import Run, Serve, Server, Sink, clean_environment

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sources.md").read_text("utf-8")
TOKEN = "a-token-of-zammad"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


ADAPTER, CONTRACT = blocks("python")
(CONFIG,) = blocks("yaml")
(TICKET,) = blocks("json")
(SHOWN,) = blocks("text")


@pytest.fixture
def environment(tmp_path: Path, sink: Sink) -> dict[str, str]:
    """The page's files in the test's folder; what its configuration takes from the environment."""
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "zammad.py").write_text(ADAPTER, "utf-8")
    (tmp_path / "config.yaml").write_text(f"{CONFIG}egress: {{allow: [127.0.0.0/8]}}\n", "utf-8")
    return {"ZAMMAD_TOKEN": TOKEN, "SLACK_WEBHOOK_URL": sink.url}


def post(server: Server, body: bytes, token: str = TOKEN) -> tuple[int, dict[str, object]]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.address}/events/zammad", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_what_the_page_posts_arrives_as_the_page_shows_it(
    serve: Serve, sink: Sink, environment: dict[str, str]
) -> None:
    server = serve("--listen", "127.0.0.1:0", environment=environment)
    status, answer = post(server, TICKET.encode())
    assert (status, answer["deliveries"]) == (202, 1)
    (shown,) = sink.wait_for(1)
    assert shown.replace("\ufeff", "") == SHOWN  # it keeps Slack from reading emoji, and nobody sees it


def test_errors_are_answered_as_the_page_says(serve: Serve, environment: dict[str, str]) -> None:
    server = serve("--listen", "127.0.0.1:0", environment=environment)
    wrong = json.dumps({"ticket": {"id": 81, "title": []}, "article": "x"}).encode()
    status, answer = post(server, wrong)
    assert (status, answer["errors"]) == (
        422,
        [
            {"path": "article", "message": "must be an object"},
            {"path": "ticket.title", "message": "must be a text, a number or null"},
        ],
    )
    assert post(server, b"ticket=81")[0] == 400
    assert post(server, TICKET.encode(), token="another token of nobody")[0] == 401


def test_the_commands_of_the_page_know_the_adapter(run: Run, environment: dict[str, str]) -> None:
    checked = run("check", environment=environment)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "warning" not in checked.stdout + checked.stderr
    assert "zammad" in run("plugins", environment=environment).stdout
    previewed = run("preview", "tickets", environment=environment)
    assert previewed.returncode == 0, previewed.stderr
    judged = run("plugin-check", "zammad", environment=environment)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_the_adapter_keeps_the_contract_in_a_test_beside_it(
    tmp_path: Path, run: Run, environment: dict[str, str]
) -> None:
    (tmp_path / "plugins.d" / "test_zammad.py").write_text(CONTRACT, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", "plugins.d"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=clean_environment({})
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "failed" not in done.stdout
    listed = run("plugins", environment=environment)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert "zammad" in listed.stdout
    assert "test_zammad" not in listed.stdout + listed.stderr
