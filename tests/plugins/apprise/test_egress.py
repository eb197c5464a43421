"""Apprise opens its own connections, and deskbell holds them to the owner's egress policy: seen in the real program."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import TOKEN

if TYPE_CHECKING:
    from tests.conftest import Run, Serve

pytest.importorskip("apprise", reason="the Apprise library is not installed: pip install 'deskbell[apprise]'")

HEAD = (
    'version: 1\nserver: {listen: "127.0.0.1:0"}\n'
    f"sources:\n  - {{name: native, adapter: deskbell, token: {TOKEN}}}\n"
)
WAIT = 30.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A service inside that nobody may reach."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize("scheme", ["json", "mailto"])
def test_an_address_inside_is_refused_in_words_and_counted(
    scheme: str, listener: socket.socket, config_file: Callable[..., Path], serve: Serve, run: Run
) -> None:
    port = listener.getsockname()[1]
    urls = {
        "json": f"json://127.0.0.1:{port}/hook",
        "mailto": f"mailto://user:password1@127.0.0.1:{port}?smtp=127.0.0.1&to=a@example.org&from=b@example.org&mode=insecure",
    }
    config_file(
        f"webhooks:\n  - {{name: inside, url: '{urls[scheme]}', action: '*', message: '%subject%'}}\n", HEAD
    )
    server = serve()
    event = json.dumps({"action": "Submit", "ticket": "1", "subject": "Help"}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    urllib.request.urlopen(urllib.request.Request(f"{server.address}/events/native", event, headers)).close()
    told = attempted(run)
    assert told["answer"] == (  # in a URL of Apprise's a token may stand where the host does
        "refused to connect: ••• is not a public address; list its network under egress.allow if it is yours"
    )
    assert not told["maybe_duplicate"]
    with pytest.raises(BlockingIOError):
        listener.accept()
    with urllib.request.urlopen(f"{server.address}/metrics") as metrics:
        assert re.search(rb"deskbell_egress_refused_total [1-9]", metrics.read())


def attempted(run: Run) -> dict[str, Any]:
    """The delivery, once there was an attempt."""
    until = time.monotonic() + WAIT
    while True:
        told: dict[str, Any] = json.loads(run("deliveries", "--json").stdout)
        if told["attempts"] and told["state"] != "sending":
            return told
        assert time.monotonic() < until, told
