"""What the tests of the webhook plugin share: options with their variables known, payloads, and real deliveries."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from ipaddress import ip_network
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from deskbell import VARIABLES, Notice, Outcome, Payload, Secret, SendContext, TicketEvent
from deskbell.client import Client
from deskbell.egress import EgressPolicy
from deskbell.template import Template
from deskbell_webhook import Webhook
from deskbell_webhook.options import WebhookOptions

Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


class Render(Protocol):
    """Format a message with these variables; the payload has passed through JSON."""

    def __call__(self, message: str, variables: Mapping[str, str], **options: Any) -> Payload: ...


class Deliver(Protocol):
    """Send a payload through the real client: a real socket, the real egress guard."""

    def __call__(
        self, url: str, payload: Payload, *, delivery: str = ..., now: float = ..., **options: Any
    ) -> Awaitable[Outcome]: ...


def options_of(**given: Any) -> WebhookOptions:
    """As ``config.yaml`` gives them."""
    return WebhookOptions.model_validate(given, context={"variables": list(VARIABLES)})


@pytest.fixture(scope="session")
def render() -> Render:
    def render(message: str, variables: Mapping[str, str], **options: Any) -> Payload:
        event = TicketEvent(
            action="Submit",
            ticket=variables.get("ticket", ""),
            variables={name.lower(): text for name, text in variables.items()},
        )
        notice = Notice.of(
            event,
            Template.parse(message, VARIABLES),
            timezone=ZoneInfo("Europe/Paris"),
            date_format="%d/%m/%y %H:%M",
        )
        payload = Webhook().format(notice, options_of(**options))
        body = json.dumps(payload, allow_nan=False, ensure_ascii=False).encode()
        assert json.loads(body) == payload
        assert len(body) < 2**20
        return payload

    return render


@pytest.fixture
async def deliver() -> AsyncIterator[Deliver]:
    async with Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))) as client:

        async def deliver(
            url: str,
            payload: Payload,
            *,
            delivery: str = "9f86d081884c7d65.17",
            now: float = 0.0,
            **options: Any,
        ) -> Outcome:
            context = SendContext(
                url=Secret(url),
                options=options_of(**options),
                webhook="tickets",
                delivery=delivery,
                attempt=1,
                request=client.request,
            )
            transport = Webhook(clock=lambda: now) if now else Webhook()
            return await transport.send(payload, context)

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
