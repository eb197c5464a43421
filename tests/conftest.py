"""Fixtures that several test folders use: the real program as a process, and a sink that plays a chat service."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PROGRAM = (sys.executable, "-m", "deskbell")
READY = re.compile(r"deskbell \S+ listening on (http://\S+)")
TOKEN = "a-token-of-the-tests"


@dataclass
class Server:
    """A running ``deskbell serve``: where it listens, its process, and what it logged until it ended."""

    address: str
    process: subprocess.Popen[str]
    folder: Path

    @property
    def events_url(self) -> str:
        return f"{self.address}/events/clientxcms/{TOKEN}"

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(how)
        return self.process.wait(30)

    def log(self) -> str:
        """Everything on stderr so far."""
        return (self.folder / "stderr.txt").read_text("utf-8")

    def wait_for_log(self, words: str, seconds: float = 20.0) -> None:
        """Until ``words`` are logged."""
        until = time.monotonic() + seconds
        while words not in self.log():
            assert time.monotonic() < until, self.log()
            time.sleep(0.02)


Serve = Callable[..., Server]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True, scope="session")
def private_files() -> Iterator[None]:
    """Configs of tests hold tokens: nobody else may read them, as `check` asks of their owners."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def config_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write ``config.yaml`` in the test's folder; the head (a port, a source with a token) is added."""

    def write(webhooks: str, head: str = "") -> Path:
        path = tmp_path / "config.yaml"
        head = head or (
            'version: 1\nserver: {listen: "127.0.0.1:0"}\negress: {allow: [127.0.0.0/8]}\n'
            f"sources:\n  - {{name: clientxcms, token: {TOKEN}}}\n"
        )
        path.write_text(head + webhooks, "utf-8")
        return path

    return write


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start ``deskbell serve`` in the test's folder; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, environment: dict[str, str] | None = None) -> Server:
        with (tmp_path / "stderr.txt").open("a") as errors:
            process = subprocess.Popen(
                [*PROGRAM, "serve", *arguments],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=clean_environment(environment),
            )
        running.append(process)
        assert process.stdout is not None
        found = READY.fullmatch(process.stdout.readline().strip())
        assert found, (tmp_path / "stderr.txt").read_text("utf-8")
        return Server(found[1], process, tmp_path)

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run one command of the real program to its end, in the test's folder."""

    def command(
        *arguments: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=clean_environment(environment),
        )

    return command


def clean_environment(extra: dict[str, str] | None) -> dict[str, str]:
    """Without what a developer's own shell says about webhooks."""
    mine = ("DISCORD_WEBHOOK_URL", "SLACK_WEBHOOK_URL", "DESKBELL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    return {**kept, **(extra or {})}


class Sink(ThreadingHTTPServer):
    """Plays Slack on loopback, in threads of its own, so that a test may wait for processes meanwhile.

    Keeps every text, and answers as ``answers`` says (``ok`` when it is empty); clear ``hold`` to keep it silent.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SinkRequest)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/services/T/B/sink"
        self.texts: list[str] = []
        self.answers: list[tuple[int, str]] = []
        self.arrived = threading.Condition()
        self.hold = threading.Event()
        self.hold.set()

    def wait_for(self, count: int, seconds: float = 20.0) -> list[str]:
        """The texts, once there are at least ``count``."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.texts) >= count, seconds), self.texts
        return self.texts


class _SinkRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # head and body are two writes: the second would wait 40 ms for the other side
    )
    server: Sink

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.arrived:
            self.server.texts.append(payload["text"])
            status, body = self.server.answers.pop(0) if self.server.answers else (200, "ok")
            self.server.arrived.notify_all()
        self.server.hold.wait(30)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: a test reads what it needs from the sink."""


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A sink that answers at once."""
    with a_sink() as playing:
        yield playing


@contextmanager
def a_sink() -> Iterator[Sink]:
    """A sink that plays until the end of the context."""
    with Sink() as playing:
        playing.daemon_threads = True
        threading.Thread(target=playing.serve_forever, daemon=True).start()
        yield playing
        playing.hold.set()
        playing.shutdown()
