"""slowhttptest, the usual tool for it, against the real server: each of its connections ends, and others are served."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from deskbell.listener import GRACE, MOST_PER_ADDRESS, SLOWEST_HEAD

if TYPE_CHECKING:
    from tests.conftest import Serve

SLOWHTTPTEST = shutil.which("slowhttptest")
WEBHOOK = '  - {name: a, url: "demo:discord", transport: discord, action: "*", message: "%subject%"}\n'
EVENT = b'{"payload": {"action": "helpdesk_created", "ticketid": "1", "subject": "s", "message": "m"}}'
NO_CONNECTIONS_LEFT = "No open connections left"
AT_ONCE, LONGEST = "300", "60"
"""Connections at once, and seconds after which the tool would give up waiting for their end."""


@contextmanager
def a_good_sender(url: str) -> Iterator[list[int]]:
    """The statuses that it gets, one request after the other, until the context ends."""
    statuses, over = list[int](), threading.Event()

    def send() -> None:
        while not over.is_set():
            request = urllib.request.Request(url, EVENT, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as response:
                statuses.append(response.status)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield statuses
    finally:
        over.set()
        sender.join()


def test_the_running_server_has_room_for_whoever_comes_when_one_address_has_taken_it_all(
    serve: Serve, config_file: Callable[[str], Path]
) -> None:
    config_file(f"webhooks:\n{WEBHOOK}")
    server = serve()
    place = urlsplit(server.address)
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection((place.hostname, place.port), timeout=30))
            for _ in range(MOST_PER_ADDRESS)
        ]
        silent[0].settimeout((GRACE + SLOWEST_HEAD) / 2)  # by itself it would end later
        with a_good_sender(server.events_url) as statuses, suppress(ConnectionResetError):
            assert silent[0].recv(1) == b"", "the oldest makes room"
        assert statuses
        assert set(statuses) == {202}
    assert server.end() == 0


@pytest.mark.skipif(SLOWHTTPTEST is None, reason="slowhttptest is not installed (Debian: slowhttptest)")
@pytest.mark.parametrize("kind", ["-H", "-B"], ids=["slow headers", "slow body"])
def test_slow_requests_end_and_a_good_sender_is_served_meanwhile(
    serve: Serve, config_file: Callable[[str], Path], kind: str
) -> None:
    config_file(f"webhooks:\n{WEBHOOK}")
    server = serve()
    with a_good_sender(server.events_url) as statuses:
        slow = [
            "-c",
            AT_ONCE,
            "-r",
            AT_ONCE,
            "-i",
            "1",
            "-l",
            LONGEST,
            "-p",
            "5",
            "-u",
            f"{server.address}/events/x",
        ]
        done = subprocess.run(
            [str(SLOWHTTPTEST), kind, *slow], capture_output=True, text=True, timeout=120, check=False
        )
    told = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert NO_CONNECTIONS_LEFT in told, told
    assert not re.search(r"service available:\s+NO", told), told
    assert len(statuses) > 10
    assert set(statuses) == {202}
    assert server.end() == 0
    assert " ERROR " not in server.log()
