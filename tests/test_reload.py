"""A new config in a running ``serve``: by the command and by SIGHUP, beside events, and with a file that is wrong."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import TOKEN, Run, Serve, Server, Sink, a_sink

ONE = '  - {{name: {name}, url: "{url}", transport: slack, action: Submit, message: "{message}"}}\n'


@pytest.fixture
def other() -> Iterator[Sink]:
    """A second channel."""
    with a_sink() as playing:
        yield playing


def webhooks(*entries: tuple[str, str, str]) -> str:
    return "webhooks:\n" + "".join(
        ONE.format(name=name, url=url, message=text) for name, url, text in entries
    )


def post(server: Server, subject: str) -> int:
    """Post an event; to how many webhooks it goes."""
    body = json.dumps({"action": "Submit", "ticket": 1, "subject": subject}).encode()
    request = urllib.request.Request(server.events_url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        deliveries: int = json.load(answer)["deliveries"]
        return deliveries


def get(server: Server, path: str) -> str:
    with urllib.request.urlopen(server.address + path, timeout=20) as answer:
        text: str = answer.read().decode()
        return text


def test_reload_changes_what_the_file_says(
    run: Run, serve: Serve, config_file: Callable[[str], Path], sink: Sink, other: Sink
) -> None:
    config_file(webhooks(("a", sink.url, "old: %subject%")))
    server = serve()
    assert post(server, "1") == 1
    sink.wait_for(1)
    config_file(webhooks(("a", sink.url, "new: %subject%"), ("b", other.url, "%subject%")))
    reloaded = run("reload")
    assert (reloaded.returncode, reloaded.stdout) == (0, "the config is loaded anew\n")
    assert post(server, "2") == 2
    assert sink.wait_for(2) == ["old: 1", "new: 2"]
    assert other.wait_for(1) == ["2"]
    assert "deskbell_config_last_reload_successful 1.0" in get(server, "/metrics")


def test_a_file_with_errors_changes_nothing_and_says_so_everywhere(
    run: Run, serve: Serve, config_file: Callable[[str], Path], sink: Sink
) -> None:
    config_file(webhooks(("a", sink.url, "%subject%")))
    server = serve()
    good = webhooks(("a", sink.url, "%subject%"))
    path = config_file(good.replace("%subject%", "%subjct%"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("the config cannot be loaded anew")
    assert post(server, "1") == 1
    assert sink.wait_for(1) == ["1"]
    assert "unknown variable %subjct%" in server.log()
    assert "deskbell_config_last_reload_successful 0.0" in get(server, "/metrics")
    assert "unknown variable" in json.loads(get(server, "/readyz"))["detail"]["config"]
    assert run("reload").returncode == 78
    path.write_text(path.read_text("utf-8").replace("%subjct%", "%subject%"), "utf-8")
    assert run("reload").returncode == 0
    assert "config" not in json.loads(get(server, "/readyz"))["detail"]


@pytest.mark.parametrize("broken", ["%subjct%", "[%subject%", "\t%subject%"])
def test_the_command_has_serve_tell_what_is_wrong_as_well(
    run: Run, serve: Serve, config_file: Callable[[str], Path], sink: Sink, broken: str
) -> None:
    good = webhooks(("a", sink.url, "%subject%"))
    config_file(good)
    server = serve()
    config_file(good.replace('"%subject%"', broken))
    told = run("reload")
    assert (told.returncode, "1 problem. Nothing was changed." in told.stderr) == (78, True)
    assert "the config cannot be loaded anew" in server.log()
    assert "deskbell_config_last_reload_successful 0.0" in get(server, "/metrics")
    assert "The new config was not loaded" in get(server, "/")
    assert post(server, "1") == 1


def test_what_only_a_restart_changes_is_told(
    run: Run, serve: Serve, config_file: Callable[[str], Path], sink: Sink
) -> None:
    path = config_file(webhooks(("a", sink.url, "%subject%")))
    server = serve()
    path.write_text(path.read_text("utf-8").replace("127.0.0.1:0", "127.0.0.1:9"), "utf-8")
    reloaded = run("reload")
    assert reloaded.returncode == 0
    assert "server.listen stays as it was until `deskbell serve` is started again" in reloaded.stderr
    assert post(server, "1") == 1


def test_a_removed_webhooks_rows_are_held_and_shown_and_come_when_it_is_back(
    run: Run, serve: Serve, config_file: Callable[[str], Path], sink: Sink
) -> None:
    both = webhooks(("a", sink.url, "%subject%"))
    config_file(both)
    server = serve()
    sink.answers.append((404, "no_service"))
    post(server, "1")
    server.wait_for_log("PAUSED")
    config_file("webhooks: []\n")
    assert run("reload").returncode == 0
    rows = [json.loads(line) for line in run("deliveries", "--json").stdout.splitlines()]
    assert [row["state"] for row in rows] == ["held"]
    config_file(both)
    assert run("reload").returncode == 0
    assert sink.wait_for(2)[-1] == "1"


def test_new_tokens_count_and_old_ones_do_not(
    run: Run, serve: Serve, config_file: Callable[[str], Path], sink: Sink
) -> None:
    path = config_file(webhooks(("a", sink.url, "%subject%")))
    server = serve()
    path.write_text(path.read_text("utf-8").replace(TOKEN, "another-token-of-the-tests"), "utf-8")
    assert run("reload").returncode == 0
    with pytest.raises(urllib.error.HTTPError, match="401"):
        post(server, "1")


def test_without_a_serve_there_is_nothing_to_reload(
    run: Run, config_file: Callable[[str], Path], sink: Sink
) -> None:
    config_file(webhooks(("a", sink.url, "%subject%")))
    told = run("reload")
    assert (told.returncode, "no `deskbell serve` runs" in told.stderr) == (1, True)
