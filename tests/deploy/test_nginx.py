"""deploy/nginx.conf in a real nginx before the real program: events go through, and nothing else does."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from tests.conftest import TOKEN

if TYPE_CHECKING:
    from tests.conftest import Serve, Server

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
HOST = "deskbell.example"
PASSWORD = "correct horse battery staple"
DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'
EVENT = json.dumps({"payload": {"action": "helpdesk_created", "ticketid": "1", "subject": "hé"}}).encode()
AROUND = """\
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/start.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/deskbell.conf;
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)")


@dataclass(frozen=True)
class Front:
    """A running nginx, and who trusts its certificate."""

    port: int
    trust: ssl.SSLContext
    folder: Path

    def ask(
        self,
        target: str,
        method: str = "GET",
        body: bytes = b"",
        kind: str = "application/json",
        cookie: str = "",
    ) -> tuple[int, bytes]:
        """Status and whole answer of a request whose target is sent as it stands: no client tidies it up."""
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nCookie: {cookie}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=20) as plain,
            self.trust.wrap_socket(plain, server_hostname=HOST) as connection,
        ):
            connection.sendall(head.encode() + body)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        return int(answer.split()[1]), answer

    def logs(self) -> str:
        """Everything that nginx wrote until its end, which this is: a request is logged after its answer."""
        end(self.folder)
        return "".join(path.read_text("utf-8") for path in self.folder.glob("*.log"))


def replaced(text: str, changes: dict[str, str]) -> str:
    """The shipped file with this test's places; each must be there."""
    for old, new in changes.items():
        assert old in text, f"deploy/nginx.conf no longer has: {old}"
        text = text.replace(old, new)
    return text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def write_files(folder: Path, port: int, upstream: str, text: str) -> trustme.CA:
    """A whole configuration of nginx around ``text``, and the certificate."""
    authority = trustme.CA()
    issued = authority.issue_cert(HOST)
    issued.private_key_pem.write_to_path(str(folder / "privkey.pem"))
    for number, part in enumerate(issued.cert_chain_pems):
        part.write_to_path(str(folder / "fullchain.pem"), append=number > 0)
    changes = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "    listen [::]:443 ssl;\n": "",
        f"/etc/letsencrypt/live/{HOST}": str(folder),
        "/var/log/nginx": str(folder),
        "http://127.0.0.1:8700": upstream,
    }
    (folder / "deskbell.conf").write_text(replaced(text, changes), "utf-8")
    user = "user root;" if os.getuid() == 0 else ""  # the worker reads a folder of the test's own user
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user), "utf-8")
    return authority


def nginx(folder: Path, *arguments: str) -> None:
    """Run nginx to the end of its first process: by then it listens, or has told why not."""
    command = [str(NGINX), "-e", str(folder / "start.log"), "-p", str(folder), "-c", "nginx.conf", *arguments]
    with (folder / "said.log").open("a") as said:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False)
    assert ended.returncode == 0, (folder / "said.log").read_text("utf-8")


Start = Callable[..., Front]


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Start]:
    """Start nginx with the shipped file (or ``text``) before ``upstream``."""
    folder = tmp_path / "nginx"
    folder.mkdir()

    def start(upstream: str, text: str = SHIPPED.read_text("utf-8")) -> Front:
        port = free_port()
        authority = write_files(folder, port, upstream, text)
        nginx(folder, "-t")
        nginx(folder)
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        return Front(port, trust, folder)

    yield start
    end(folder)


def end(folder: Path) -> None:
    """End nginx, if it runs. It is nobody's child; the last that it does is to delete this file."""
    running = folder / "nginx.pid"
    if running.exists():
        os.kill(int(running.read_text("ascii")), signal.SIGTERM)
    limit = time.monotonic() + 20
    while running.exists():
        assert time.monotonic() < limit, "nginx does not end"
        time.sleep(0.01)


@pytest.fixture
def server(serve: Serve, config_file: Callable[[str], Path]) -> Server:
    config_file(DEMO)
    return serve()


def test_events_go_through(front: Start, server: Server) -> None:
    status, answer = front(server.address).ask(f"/events/clientxcms/{TOKEN}", "POST", EVENT)
    assert status == 202, answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["deliveries"] == 1


def test_deskbell_says_itself_what_is_wrong_with_a_request(front: Start, server: Server) -> None:
    """Also that a body is too large, and that a redirect made a GET of the POST."""
    running = front(server.address)
    for status, method, target, body in (
        (401, "POST", "/events/clientxcms/a-token-that-is-wrong", EVENT),
        (405, "GET", f"/events/clientxcms/{TOKEN}", b""),
        (413, "POST", f"/events/clientxcms/{TOKEN}", b" " * (256 * 1024 + 1)),
        (404, "POST", "/events/nobody", EVENT),
    ):
        answer = running.ask(target, method, body)
        assert answer[0] == status
        assert b"application/problem+json" in answer[1]


OTHERS = (
    "/", "/metrics", "/demo/", "/demo", "/healthz", "/readyz", "/webhooks", "/static/style.css",
    "/events/../metrics", "/events/%2e%2e/metrics", "/events/..%2fmetrics", "/events/%252e%252e/metrics",
    "/events/clientxcms/../../metrics", "/events/x/..%2f..%2fmetrics", "/events//../metrics", "/events/..;/metrics",
    "//metrics", "/events/../demo/", "/events/%2e%2e/demo/", "/events/..%5cmetrics", "/events/?/../metrics",
)  # fmt: skip


def test_nothing_else_goes_through(front: Start, server: Server) -> None:
    """Neither as it is, nor by a path that means something else to the one behind."""
    with urllib.request.urlopen(f"{server.address}/metrics", timeout=20) as from_this_machine:
        assert b"deskbell_store_ok 1.0" in from_this_machine.read()
    running = front(server.address)
    answers = {target: running.ask(target)[0] for target in OTHERS}
    assert answers == dict.fromkeys(OTHERS, 404)


def test_a_front_that_forwards_everything_still_publishes_no_metrics(front: Start, server: Server) -> None:
    """The mistake that is easily made: deskbell sees that the request was passed on to it."""
    text = replaced(SHIPPED.read_text("utf-8"), {"location /events/ {": "location / {"})
    text, count = re.subn(r"    location / \{\s+return 404;\s+\}\n", "", text)
    assert count == 1
    running = front(server.address, text)
    assert running.ask("/healthz")[0] == 200
    assert running.ask("/metrics")[0] == 404
    assert b'"detail": {}' in running.ask("/readyz")[1]


def test_no_token_stands_in_its_logs_also_when_deskbell_is_down(front: Start, server: Server) -> None:
    running = front(server.address)
    assert running.ask(f"/events/clientxcms/{TOKEN}", "POST", EVENT)[0] == 202
    assert server.end() == 0
    assert running.ask(f"/events/clientxcms/{TOKEN}?again", "POST", EVENT)[0] == 502
    logs = running.logs()
    assert re.findall(r"POST (\S+) (\d+)", logs) == [
        ("/events/clientxcms/***", "202"),
        ("/events/clientxcms/***", "502"),
    ]
    assert TOKEN not in logs


@pytest.fixture
def guarded(serve: Serve, config_file: Callable[[str], Path], tmp_path: Path) -> Server:
    """A server with a password, which knows the front's name."""
    (tmp_path / "admin").write_text(PASSWORD)
    config = config_file(DEMO)
    more = f'"127.0.0.1:0", admin_password_file: admin, public_url: "https://{HOST}"'
    config.write_text(replaced(config.read_text("utf-8"), {'"127.0.0.1:0"': more}), "utf-8")
    return serve()


def with_pages() -> str:
    """The shipped file, changed as docs/running.md says."""
    text, removed = re.subn(r"    location / \{\s+return 404;\s+\}\n", "", SHIPPED.read_text("utf-8"))
    text, shown = re.subn(
        r"    # (location / \{\n(?:    # .*\n)+)", lambda block: block[1].replace("    # ", ""), text
    )
    assert (removed, shown) == (1, 1)
    return text


def test_the_pages_go_through_once_they_have_a_password(front: Start, guarded: Server) -> None:
    running = front(guarded.address, with_pages())
    status, answer = running.ask("/health")
    assert (status, b"Location: /login?next=/health" in answer) == (303, True)
    token = re.search(rb'name="form_token" value="([^"]+)"', running.ask("/login")[1])
    assert token
    form = urllib.parse.urlencode({"form_token": token[1].decode(), "password": PASSWORD}).encode()
    status, answer = running.ask("/login?next=/health", "POST", form, "application/x-www-form-urlencoded")
    given = re.search(r"Set-Cookie: (__Host-[^;]+);.*; Secure", answer.decode(), re.IGNORECASE)
    assert given, answer
    for path, expected in {"/health": 303, "/metrics": 404, "/events/nobody": 404}.items():
        assert running.ask(path)[0] == expected
    for path in ("/health", "/metrics"):
        assert running.ask(path, cookie=given[1])[0] == 200
    assert running.ask(f"/events/clientxcms/{TOKEN}", "POST", EVENT)[0] == 202
