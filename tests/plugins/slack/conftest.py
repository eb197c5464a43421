"""What the tests of the Slack plugin share: one way to make a payload, which checks each one it makes, and a foreign
reader of mrkdwn."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
import slackblocks
from aiohttp import web
from aiohttp.test_utils import TestServer
from slack_sdk.webhook.async_client import AsyncWebhookClient
from slack_sdk.webhook.internal_utils import _build_body

from deskbell import Notice, Outcome, Payload, Secret, SendContext, TicketEvent
from deskbell.client import Client
from deskbell.egress import EgressPolicy
from deskbell.template import Template
from deskbell_slack import Slack
from deskbell_slack.options import SlackOptions

RECOMMENDED_LENGTH = 4_000  # https://docs.slack.dev/reference/methods/chat.postMessage
SLACK = Slack()

PACKAGE = "slack-markdown@0.3.0"
SCRIPT = Path(__file__).with_name("mrkdwn_tree.js")


class Render(Protocol):
    """Format a template with these variables; the payload has passed every check we have."""

    def __call__(
        self, template: str, variables: Mapping[str, str], action: str = ..., **options: Any
    ) -> Payload: ...


Deliver = Callable[[str, Payload], Awaitable[Outcome]]
Tree = Callable[[str], tuple[set[str], str]]
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture(scope="session")
def render() -> Render:
    def render(
        template: str, variables: Mapping[str, str], action: str = "Submit", **options: Any
    ) -> Payload:
        names = {*variables, "action", "ticket"}
        notice = Notice.of(
            TicketEvent(
                action=action,
                ticket=variables.get("ticket", ""),
                variables={name.lower(): text for name, text in variables.items()},
            ),
            Template.parse(template, names),
            timezone=ZoneInfo("Europe/Paris"),
            date_format="%d/%m/%y %H:%M",
        )
        payload = SLACK.format(notice, SlackOptions(**options))
        assert_valid(payload)
        return payload

    return render


def assert_valid(payload: Payload) -> None:
    """By slackblocks and slack_sdk: every key is one of a webhook's message, and comes out as it went in.

    Neither looks into the text of a message, so its length, in the stricter of both units, is checked here.
    """
    assert slackblocks.WebhookMessage(**payload).to_dict() == payload
    inspect.signature(AsyncWebhookClient.send).bind(None, **payload)
    assert _build_body(dict(payload)) == payload
    text = payload["text"]
    assert 1 <= len(text.encode("utf-16-le")) // 2 <= RECOMMENDED_LENGTH
    assert text.strip()
    assert json.loads(json.dumps(payload)) == payload


@pytest.fixture
async def deliver() -> AsyncIterator[Deliver]:
    """Send a payload through the real client: a real socket, the real egress guard."""
    async with Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))) as client:

        async def deliver(url: str, payload: Payload) -> Outcome:
            context = SendContext(
                url=Secret(url),
                options=SlackOptions(),
                webhook="tickets",
                delivery="d1",
                attempt=1,
                request=client.request,
            )
            return await SLACK.send(payload, context)

        yield deliver


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Run a handler for every path and method; gives the server's URL."""
    servers: list[TestServer] = []

    async def serve(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        servers.append(TestServer(app, host="127.0.0.1"))
        await servers[-1].start_server()
        return str(servers[-1].make_url("")).rstrip("/")

    yield serve
    for server in servers:
        await server.close()


def _installed() -> Path:
    """The package in a folder that outlives the run, installed once."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed: the foreign parser of mrkdwn cannot run")
    folder = Path(tempfile.gettempdir()) / f"deskbell-tests-{PACKAGE}"
    if not (folder / "complete").exists():
        folder.mkdir(exist_ok=True)
        options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"]
        command = ["npm", "install", *options, "--prefix", str(folder), PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr.strip()[-200:]}")
        (folder / "complete").touch()
    return folder


@pytest.fixture(scope="session")
def tree() -> Iterator[Tree]:
    """Types of the constructs of a text, and its words."""
    folder = _installed()
    with subprocess.Popen(
        ["node", str(SCRIPT)],
        env={**os.environ, "NODE_PATH": str(folder / "node_modules")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:

        def tree(text: str) -> tuple[set[str], str]:
            assert node.stdin
            assert node.stdout
            node.stdin.write(json.dumps(text) + "\n")
            node.stdin.flush()
            types, words = json.loads(node.stdout.readline())
            return set(types), words

        yield tree
        assert node.stdin
        node.stdin.close()
