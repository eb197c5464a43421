"""The played Slack keeps Slack's rules: asked by slack_sdk's own client, by ours, and by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from slack_sdk.webhook.async_client import AsyncWebhookClient

from deskbell import Delivered, DestinationGone, Outcome, Payload, PermanentFailure, Throttled, Trouble
from deskbell_slack import Slack
from deskbell_slack.fake import BURST, CUT_AT, FakeSlack

Deliver = Callable[[str, Payload], Awaitable[Outcome]]


@dataclass
class Channel:
    """A running FakeSlack whose clock stands still until a test moves it."""

    now: float = 1_000.0
    url: str = ""
    service: FakeSlack = field(init=False)

    def __post_init__(self) -> None:
        self.service = FakeSlack(clock=lambda: self.now)

    @property
    def texts(self) -> list[str]:
        return [arrival.payload["text"] for arrival in self.service.arrivals]


@pytest.fixture
async def channel() -> AsyncIterator[Channel]:
    channel = Channel()
    async with TestServer(channel.service.app(), host="127.0.0.1") as server:
        channel.url = str(server.make_url(FakeSlack.path))
        yield channel


@pytest.fixture
def foreign(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> AsyncWebhookClient:
    """slack_sdk's client, without its retries."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return AsyncWebhookClient(channel.url, retry_handlers=[])


async def test_slack_sdk_posts_a_message(channel: Channel, foreign: AsyncWebhookClient) -> None:
    answer = await foreign.send(text="Bonjour à tous 🎫", unfurl_links=False)
    assert (answer.status_code, answer.body) == (200, "ok")
    assert answer.headers["Content-Type"].startswith("text/html")
    (arrival,) = channel.service.arrivals
    assert arrival.payload == {"text": "Bonjour à tous 🎫", "unfurl_links": False}
    assert "slackclient" in arrival.headers["user-agent"]


BLOCK = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}


@pytest.mark.parametrize(
    ("message", "status", "word"),
    [
        ({"text": ""}, 400, "no_text"),
        ({"text": " \n"}, 400, "no_text"),
        ({"unfurl_links": True}, 400, "no_text"),
        ({"attachments": [{"text": "x"}] * 101}, 400, "too_many_attachments"),
        ({"attachments": ["x"], "text": "x"}, 400, "invalid_attachments"),
        ({"blocks": [{"text": "x"}], "text": "x"}, 400, "invalid_blocks"),
        ({"blocks": "x", "text": "x"}, 400, "invalid_blocks"),
        ({"blocks": [BLOCK] * 51, "text": "x"}, 400, "invalid_blocks"),
        ({"text": ["x"]}, 400, "invalid_payload"),
        ({"text": "\ud800"}, 400, "invalid_payload"),
        ({"blocks": [BLOCK]}, 200, "ok"),
        ({"attachments": [{"text": "x"}] * 100}, 200, "ok"),
    ],
)
async def test_messages_that_slack_refuses_or_takes(
    foreign: AsyncWebhookClient, channel: Channel, message: dict[str, Any], status: int, word: str
) -> None:
    answer = await foreign.send_dict(message)
    assert (answer.status_code, answer.body) == (status, word)
    assert len(channel.service.arrivals) == (word == "ok")


@pytest.mark.parametrize(
    ("old", "new", "status", "word"),
    [
        ("XXXX", "YYYY", 403, "invalid_token"),
        ("T000", "T001", 404, "no_service"),
        ("B000", "B001", 404, "no_service"),
        ("/services/", "/triggers/", 404, "no_service"),
        (FakeSlack.path, "/", 404, "no_service"),
    ],
)
async def test_other_webhooks_do_not_exist(
    channel: Channel, old: str, new: str, status: int, word: str
) -> None:
    answer = await AsyncWebhookClient(channel.url.replace(old, new), retry_handlers=[]).send(text="x")
    assert (answer.status_code, answer.body) == (status, word)
    assert not channel.service.arrivals


JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "headers", "body", "status", "word"),
    [
        ("POST", JSON, b'{"text": "x"}', 200, "ok"),
        ("POST", FORM, b"payload=%7B%22text%22%3A%22x%22%7D", 200, "ok"),
        ("POST", FORM, b'{"text": "x"}', 400, "invalid_payload"),
        ("POST", FORM, b"payload=%7B", 400, "invalid_payload"),
        ("POST", {"Content-Type": "text/plain"}, b'{"text": "x"}', 400, "invalid_payload"),
        ("POST", JSON, b'{"text": "x"', 400, "invalid_payload"),
        ("POST", JSON, b'"x"', 400, "invalid_payload"),
        ("POST", JSON, b"[" * 100_000, 400, "invalid_payload"),
        ("POST", JSON, b'{"text": "\xff"}', 400, "invalid_payload"),
        ("POST", JSON, b"", 400, "invalid_payload"),
        ("GET", {}, None, 400, "invalid_payload"),
    ],
)
async def test_bodies_by_hand(
    channel: Channel, method: str, headers: dict[str, str], body: bytes | None, status: int, word: str
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, channel.url, data=body, headers=headers) as answer,
    ):
        assert (answer.status, await answer.text()) == (status, word)
    assert channel.texts == ["x"] * (word == "ok")


async def test_a_burst_is_taken_and_then_one_a_second(channel: Channel, foreign: AsyncWebhookClient) -> None:
    for number in range(int(BURST)):
        assert (await foreign.send(text=f"{number}")).status_code == 200
    refused = await foreign.send(text="trop tôt")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert "rate_limited" in refused.body
    channel.now += 0.5
    assert (await foreign.send(text="encore trop tôt")).headers[
        "Retry-After"
    ] == "1"  # whole seconds, never 0
    channel.now += 0.5
    assert (await foreign.send(text="à l'heure")).status_code == 200
    assert (await foreign.send(text="trop tôt")).status_code == 429
    channel.now += 3_600
    assert [(await foreign.send(text="b")).status_code for _ in range(7)] == [200] * 6 + [429]
    assert len(channel.texts) == 2 * BURST + 1


async def test_the_declared_rate_is_never_refused(channel: Channel, foreign: AsyncWebhookClient) -> None:
    """What lanes pace themselves by: ``5/5s``, here always as early as it allows."""
    assert Slack.rates == "5/5s"
    for _ in range(4):
        assert [(await foreign.send(text="x")).body for _ in range(5)] == ["ok"] * 5
        channel.now += 5


async def test_a_quicker_slack_tells_shorter_waits(deliver: Deliver) -> None:
    """For tests: the answer's seconds shrink with its limit."""
    now = 1_000.0
    service = FakeSlack(clock=lambda: now, per_second=100, burst=2)
    async with TestServer(service.app(), host="127.0.0.1") as server:
        url = str(server.make_url(FakeSlack.path))
        told = [await deliver(url, {"text": "x"}) for _ in range(3)]
        assert [type(each) for each in told] == [Delivered, Delivered, Throttled]
        assert isinstance(told[2], Throttled)
        assert told[2].retry_after == 0.01
        now += 0.01
        assert isinstance(await deliver(url, {"text": "x"}), Delivered)
    assert (service.refused, len(service.arrivals)) == (1, 3)


async def test_a_removed_webhook_is_unknown_until_it_is_back(channel: Channel, deliver: Deliver) -> None:
    channel.service.trouble = Trouble.DELETED
    assert isinstance(await deliver(channel.url, {"text": "x"}), DestinationGone)
    channel.service.trouble = None
    assert isinstance(await deliver(channel.url, {"text": "x"}), Delivered)


async def test_a_very_long_text_is_cut(channel: Channel, foreign: AsyncWebhookClient) -> None:
    assert (await foreign.send(text="x" * 50_000)).body == "ok"
    assert channel.texts == ["x" * CUT_AT]


async def test_our_own_transport_gets_each_outcome(channel: Channel, deliver: Deliver) -> None:
    assert await deliver(channel.url, {"text": "Bonjour"}) == Delivered(detail="200 ok")
    assert channel.service.arrivals[0].headers["content-type"] == "application/json"
    assert isinstance(await deliver(channel.url, {"text": ""}), PermanentFailure)
    assert isinstance(await deliver(channel.url + "x", {"text": "x"}), DestinationGone)
    for _ in range(4):
        await deliver(channel.url, {"text": "x"})
    throttled = await deliver(channel.url, {"text": "x"})
    assert isinstance(throttled, Throttled)
    assert throttled.retry_after == 1.0
    assert len(channel.service.arrivals) == 5


def test_the_transport_ships_its_fake() -> None:
    assert isinstance(Slack.fake(), FakeSlack)
    assert Slack.recognises(f"https://hooks.slack.com{FakeSlack.path}")
