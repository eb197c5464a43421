"""The main job: HTTP in, messages in the channels, across stops and crashes. Real processes, real sockets."""

from __future__ import annotations

import html
import http.client
import json
import re
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.conftest import Run, Serve, Server, Sink

ROOT = Path(__file__).resolve().parents[1]
CAPTURES = ROOT.parent / "shared" / "data" / "clientxcms"
needs_captures = pytest.mark.skipif(
    not CAPTURES.exists(), reason="the captured requests of the CMS are not beside this checkout"
)
TO_SINK = """\
webhooks:
  - name: desk
    url: {url}
    transport: slack
    action: "*"
    rate: none
    message: "%action% #%ticket% %subject% %priority%"
"""


STUBBORN = """\
import asyncio, logging
import deskbell

class Mule(deskbell.Transport):
    '''Never ends.'''
    name = "mule"
    max_length = 100

    def format(self, notice, options):
        return {}

    async def send(self, payload, context):
        logging.getLogger("mule").warning("at it")
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

@deskbell.hookimpl
def deskbell_transports():
    return [Mule]
"""


def created(ticket: int, subject: str = "hello", **more: str) -> dict[str, object]:
    payload = {"action": "helpdesk_created", "ticketid": str(ticket), "subject": subject, **more}
    return {"payload": payload}


def contents(folder: Path) -> list[bytes]:
    """Of every file that the store consists of."""
    return [path.read_bytes() for path in folder.glob("deskbell.db*") if path.is_file()]


def post(server: Server, body: object) -> dict[str, Any]:
    request = urllib.request.Request(
        server.events_url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 202
        answer: dict[str, Any] = json.load(response)
        return answer


def send_raw(server: Server, capture: bytes) -> bytes:
    """The CMS's own bytes, with only the path (and so the token) replaced."""
    place = urlsplit(server.events_url)
    request = re.sub(rb"^POST \S+", b"POST " + place.path.encode(), capture, count=1)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def page_of(server: Server) -> str:
    with urllib.request.urlopen(f"{server.address}/demo/", timeout=10) as response:
        return html.unescape(response.read().decode())


def deliveries(run: Run, *arguments: str) -> list[dict[str, object]]:
    listed = run("deliveries", "--json", "--limit", "1000", *arguments)
    assert listed.returncode == 0, listed.stderr
    return [json.loads(line) for line in listed.stdout.splitlines()]


def wait_until_settled(run: Run, count: int, seconds: float = 40.0) -> list[dict[str, object]]:
    """The deliveries, once ``count`` of them ended: seen from outside, as an owner does."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        listed = deliveries(run)
        if sum(row["state"] in ("delivered", "dead") for row in listed) >= count:
            return listed
    raise AssertionError(f"only {listed} after {seconds} s")


@needs_captures
def test_each_captured_request_shows_in_both_channels(serve: Serve, run: Run, tmp_path: Path) -> None:
    """The shipped config, fed the bytes that ClientXCMS really sends."""
    shutil.copy(ROOT / "config.yaml", tmp_path)
    server = serve("--listen", "127.0.0.1:0", environment={"DESKBELL_TOKEN": "a-token-of-the-tests"})
    accepted = 0
    for capture in sorted(CAPTURES.glob("*.http")):
        answer = send_raw(server, capture.read_bytes())
        assert answer.startswith(b"HTTP/1.1 202"), (capture.name, answer)
        accepted += json.loads(answer.partition(b"\r\n\r\n")[2])["deliveries"]
    listed = wait_until_settled(run, accepted)
    assert {row["state"] for row in listed} == {"delivered"}
    page = page_of(server)
    assert page.count("<article ") == accepted > 20
    assert page.count("Server unreachable since this morning") >= 6
    assert "« VPS n°3 »" in page
    assert server.end() == 0


def test_events_that_match_no_webhook_are_stored_and_counted_as_none(
    serve: Serve, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(TO_SINK.format(url=sink.url).replace('"*"', "Close"))
    assert (post(serve(), created(1)))["deliveries"] == 0


def test_a_reply_is_routed_by_the_priority_that_its_ticket_had(
    serve: Serve, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    """ClientXCMS sends none with replies; a restart does not forget it."""
    config_file(TO_SINK.format(url=sink.url) + "    when: {priority: [high]}\n")
    server = serve()
    assert (post(server, created(1, "first", priority="Haute")))["deliveries"] == 1
    assert (post(server, created(2, "second", priority="Basse")))["deliveries"] == 0
    assert server.end() == 0
    server = serve()
    reply = {"action": "helpdesk_answered_customer", "subject": "again", "message": "m"}
    assert (post(server, {"payload": {**reply, "ticketid": "2"}}))["deliveries"] == 0
    assert (post(server, {"payload": {**reply, "ticketid": "1"}}))["deliveries"] == 1
    assert sink.wait_for(2) == ["Submit #1 first Haute", "Reply #1 again Haute"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_loses_and_doubles_nothing(
    how: signal.Signals, serve: Serve, run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(TO_SINK.format(url=sink.url))
    server = serve()
    for number in range(40):
        post(server, created(number % 4, str(number)))
    assert server.end(how) == 0
    restarted = serve()
    wait_until_settled(run, 40)
    restarted.end()
    assert [text.split()[2] for text in sink.texts] == [str(number) for number in range(40)]
    assert not any(row["maybe_duplicate"] for row in deliveries(run))


def test_a_stop_waits_for_what_is_in_flight(
    serve: Serve, run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(TO_SINK.format(url=sink.url))
    server = serve()
    sink.hold.clear()
    post(server, created(1))
    sink.wait_for(1)
    server.process.send_signal(signal.SIGTERM)
    sink.hold.set()
    assert server.process.wait(25) == 0
    (row,) = deliveries(run)
    assert (row["state"], row["attempts"], row["maybe_duplicate"]) == ("delivered", 1, False)


def test_a_plugin_that_ignores_its_cancellation_does_not_keep_the_process(
    serve: Serve, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "mule.py").write_text(STUBBORN, "utf-8")
    config_file(
        TO_SINK.format(url="https://mule.example/").replace("slack", "mule") + "plugins_dir: plugins.d\n"
    )
    server = serve()
    post(server, created(1))
    limit = time.monotonic() + 20
    while "at it" not in server.log() and time.monotonic() < limit:
        time.sleep(0.05)  # another process's log tells nobody when it grows
    started = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - started < 25
    assert "the process ends without it" in server.log()


def test_kill_9_loses_nothing_and_marks_what_may_be_doubled(
    serve: Serve, run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(TO_SINK.format(url=sink.url))
    accepted = 0
    for _round in range(5):
        server = serve()
        for _event in range(20):
            post(server, created(accepted % 3, str(accepted)))
            accepted += 1
        server.end(signal.SIGKILL)
    serve()
    listed = wait_until_settled(run, accepted)
    assert {row["state"] for row in listed} == {"delivered"}
    first_arrivals = list(dict.fromkeys(text.split()[2] for text in sink.texts))
    assert first_arrivals == [str(number) for number in range(accepted)]
    doubled = len(sink.texts) - accepted
    marked = sum(bool(row["maybe_duplicate"]) for row in listed)
    assert doubled <= marked <= 5  # one lane, so at most one in flight at each kill


def test_a_sink_that_fails_gets_everything_in_order_when_it_is_back(
    serve: Serve, run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(TO_SINK.format(url=sink.url))
    sink.answers = [(500, "rollup_error"), (503, "")]
    server = serve()
    for number in range(3):
        post(server, created(1, str(number)))
    listed = wait_until_settled(run, 3)
    assert [text.split()[2] for text in sink.texts] == ["0", "0", "0", "1", "2"]
    assert [row["attempts"] for row in reversed(listed)] == [3, 1, 1]
    assert "is back" in server.log()


def test_a_deleted_webhook_pauses_keeps_its_rows_and_resumes(
    serve: Serve, run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(TO_SINK.format(url=sink.url))
    sink.answers = [(404, "no_service")]
    server = serve()
    post(server, created(1, "kept"))
    sink.wait_for(1)
    sent = run("send", "desk")
    assert sent.returncode == 1
    assert "paused: 404 no_service" in sent.stdout
    assert server.end() == 0
    assert "PAUSED" in server.log()
    serve()
    assert [row["state"] for row in deliveries(run)] == ["ready", "ready"]
    assert run("resume", "desk").returncode == 0
    wait_until_settled(run, 2)
    assert sink.texts[1] == "Submit #1 kept "


def test_a_second_serve_on_the_same_store_is_refused(
    serve: Serve, run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(TO_SINK.format(url=sink.url))
    serve()
    second = run("serve")
    assert second.returncode == 78
    assert "another deskbell uses this store" in second.stderr


def own_address() -> str:
    """An address of this machine that is not loopback; a datagram socket sends nothing when it connects."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


@pytest.mark.parametrize(("path", "here", "elsewhere"), [("/demo/", 303, 303), ("/metrics", 200, 404)])
def test_pages_are_for_who_signs_in_whatever_name_another_machine_uses(
    path: str, here: int, elsewhere: int, serve: Serve, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    address = own_address()
    if not address or address.startswith("127."):
        pytest.skip("this machine has no address beside loopback")
    (tmp_path / "admin").write_text("correct horse battery staple")
    config = config_file(TO_SINK.format(url="demo:slack"))
    text = config.read_text("utf-8")
    config.write_text(text.replace('"127.0.0.1:0"', '"127.0.0.1:0", admin_password_file: admin'), "utf-8")
    port = serve("--listen", "0.0.0.0:0").address.rpartition(":")[2]
    for peer, expected in {"127.0.0.1": here, address: elsewhere}.items():
        connection = http.client.HTTPConnection(peer, int(port), timeout=10)
        connection.request("GET", path, headers={"Host": "localhost"})
        assert connection.getresponse().status == expected
        connection.close()


def test_no_secret_stands_in_what_serve_prints_and_stores(
    serve: Serve, run: Run, sink: Sink, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    canary = "CANARY-4f1d9c"
    config_file(TO_SINK.format(url=sink.url.replace("/sink", f"/{canary}")))
    sink.answers = [(500, f"echo of {sink.url.replace('/sink', f'/{canary}')}"), (403, "invalid_token")]
    server = serve()
    post(server, created(1))
    sink.wait_for(2)
    run("send", "desk")
    server.end()
    printed = server.log() + "".join(
        run(*words).stdout for words in (["deliveries"], ["check"], ["preview", "desk"])
    )
    assert canary not in printed
    assert not any(canary.encode() in content for content in contents(tmp_path))
