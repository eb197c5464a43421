"""Asking whether a webhook is alive: one GET, which posts nothing.

https://docs.discord.com/developers/resources/webhook#get-webhook-with-token
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

import deskbell
from deskbell.client import Client
from deskbell.egress import EgressPolicy
from deskbell_discord import Discord
from deskbell_discord.api import identity, webhook_url
from deskbell_discord.fake import CHANNEL_ID, TOKEN, WEBHOOK_ID, WEBHOOK_NAME, FakeDiscord
from deskbell_discord.options import DiscordOptions

PASTED = f"https://discord.com/api/webhooks/{WEBHOOK_ID}/{TOKEN}"
ASKED = f"https://discord.com/api/v10/webhooks/{WEBHOOK_ID}/{TOKEN}"


async def probe(service: FakeDiscord, path: str = FakeDiscord.path) -> deskbell.Outcome:
    """By the real transport, through the real client, over a real socket."""
    async with (
        TestServer(service.app()) as server,
        Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))) as client,
    ):
        url = deskbell.Secret(str(server.make_url(path)))
        options = DiscordOptions(thread_id="1097219411294621798")
        context = deskbell.SendContext(url, options, "w", "d", 1, client.request)
        return await Discord().probe(context)


async def test_a_living_webhook_says_its_name_and_channel_and_posts_nothing() -> None:
    service = FakeDiscord()
    assert await probe(service) == deskbell.Delivered(
        detail=f'webhook "{WEBHOOK_NAME}", channel {CHANNEL_ID}'
    )
    assert not service.arrivals


async def test_a_deleted_webhook_and_a_wrong_token_are_told_as_for_a_message() -> None:
    service = FakeDiscord()
    wrong = await probe(service, f"/api/webhooks/{WEBHOOK_ID}/x{TOKEN}")
    assert wrong == deskbell.DestinationGone("401 Invalid Webhook Token (50027)")
    service.trouble = deskbell.Trouble.DELETED
    assert await probe(service) == deskbell.DestinationGone("404 Unknown Webhook (10015)")


async def test_who_asks_too_fast_waits() -> None:
    service = FakeDiscord(clock=lambda: 1000.0)
    service.webhook.fill(1000.0, 1.5)
    assert await probe(service) == deskbell.Throttled(1.5, "destination", "429 You are being rate limited.")


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (PASTED, ASKED),
        (f"{PASTED}/slack?wait=true&thread_id=1#x", ASKED),
        (f"https://canary.discordapp.com/api/v6/webhooks/{WEBHOOK_ID}/{TOKEN}", ASKED),
        ("http://127.0.0.1:1/api/webhooks/1/t?wait=false&thread_id=2", "http://127.0.0.1:1/api/webhooks/1/t"),
        ("https://proxy.example/x?key=%20a&wait=true#y", "https://proxy.example/x?key=%20a"),
    ],
)
async def test_the_webhook_itself_is_asked_and_told_who_asks(url: str, asked: str) -> None:
    assert webhook_url(url) == asked
    requests = []

    async def request(
        method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> deskbell.Response:
        requests.append((method, url, body, headers["User-Agent"].partition(" ")[0]))
        return answer(200, {"id": "1", "name": None, "channel_id": "2"})

    context = deskbell.SendContext(deskbell.Secret(url), DiscordOptions(), "w", "d", 1, request)
    assert await Discord().probe(context) == deskbell.Delivered(detail="webhook without a name, channel 2")
    assert requests == [("GET", asked, None, "DiscordBot")]


def answer(status: int, body: Any, **headers: str) -> deskbell.Response:
    """A response of Discord's."""
    return deskbell.Response(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_a_name_is_safe_to_print_and_holds_no_token() -> None:
    body = {"id": "1", "name": f"\x1b[31mDesk\u202e\n{PASTED}", "channel_id": "2"}
    assert identity(answer(200, body), own_host=True) == deskbell.Delivered(
        detail=f'webhook "[31mDesk {PASTED.removesuffix(TOKEN)}•••", channel 2'
    )


@pytest.mark.parametrize(
    "body", [b"<html>Sign in</html>", [], {}, {"id": "1", "content": "x"}, {"channel_id": 5}]
)
def test_another_answer_than_discords_is_no_living_webhook(body: Any) -> None:
    """A proxy's sign-in page, say."""
    found = identity(answer(200, body), own_host=True)
    assert isinstance(found, deskbell.TemporaryFailure)
    assert not found.maybe_received


@pytest.mark.parametrize(
    ("status", "body", "own_host", "kind"),
    [
        (404, {"message": "Unknown Channel", "code": 10003}, True, deskbell.DestinationGone),
        (403, b"<html>", True, deskbell.Throttled),
        (403, b"<html>", False, deskbell.DestinationGone),
        (503, b"", True, deskbell.TemporaryFailure),
        (302, b"", False, deskbell.DestinationGone),
    ],
)
def test_refusals_mean_what_they_mean_for_a_message(
    status: int, body: Any, kind: type, *, own_host: bool
) -> None:
    assert isinstance(identity(answer(status, body), own_host=own_host), kind)
