"""Discord, played: over a real socket, to our own sender, to a foreign client, and against the official schemas."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import BaseTestServer, TestServer
from jsonschema import Draft202012Validator
from tests.kit import Clock

import deskbell
from deskbell.client import Client
from deskbell.egress import EgressPolicy
from deskbell_discord import Discord
from deskbell_discord.fake import CHANNEL_ID, TOKEN, WEBHOOK_ID, WEBHOOK_NAME, FakeDiscord, Window, pings
from deskbell_discord.options import DiscordOptions

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
ANSWERS = SHARED / "discord" / "discord_errors.json"
OPENAPI = SHARED / "discord" / "discord_webhooks_openapi.json"
needs_shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the shared test data is not beside this checkout"
)

AGENT = {"User-Agent": "DiscordBot (https://example.org, 1)"}
MESSAGE = {"content": "Bonjour", "allowed_mentions": {"parse": []}}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(clock: Clock) -> FakeDiscord:
    return FakeDiscord(clock=clock)


@pytest.fixture
async def server(service: FakeDiscord) -> AsyncIterator[TestServer]:
    server = TestServer(service.app())
    async with server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=AGENT) as session:
        yield session


async def send(server: BaseTestServer, path: str = FakeDiscord.path, **options: Any) -> deskbell.Outcome:
    """One message by the real transport, through the real client, over a real socket."""
    async with Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))) as client:
        context = deskbell.SendContext(
            deskbell.Secret(str(server.make_url(path))),
            DiscordOptions(**options),
            "w",
            "d",
            1,
            client.request,
        )
        return await Discord().send(MESSAGE, context)


async def test_a_message_arrives_and_its_id_is_the_receipt(server: TestServer, service: FakeDiscord) -> None:
    sent = await send(server, thread_id="1097219411294621798")
    (arrival,) = service.arrivals
    assert arrival.payload == MESSAGE
    assert arrival.query == {"wait": "true", "thread_id": "1097219411294621798"}
    assert arrival.headers["user-agent"].startswith("DiscordBot (")
    assert arrival.headers["content-type"] == "application/json"
    assert isinstance(sent, deskbell.Delivered)
    assert sent.receipt.isdigit()
    assert sent == deskbell.Delivered(sent.receipt, 0, f"200 message {sent.receipt}")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/api/v10/webhooks/1{WEBHOOK_ID}/{TOKEN}", deskbell.DestinationGone("404 Unknown Webhook (10015)")),
        (
            f"/api/webhooks/{WEBHOOK_ID}/x{TOKEN}",
            deskbell.DestinationGone("401 Invalid Webhook Token (50027)"),
        ),
        ("/api/elsewhere", deskbell.DestinationGone("404 404: Not Found", certain=False)),
    ],
)
async def test_a_wrong_webhook_is_refused(server: TestServer, path: str, expected: deskbell.Outcome) -> None:
    assert await send(server, path) == expected


async def test_the_limit_of_a_webhook_is_told_before_and_after_it_is_reached(
    server: TestServer, service: FakeDiscord, clock: Clock
) -> None:
    """5 in 2 seconds; the fifth answer already says how long to wait."""
    sent = [await send(server) for _ in range(5)]
    assert [getattr(it, "wait", None) for it in sent] == [0, 0, 0, 0, 2]
    clock.now += 0.5
    assert await send(server) == deskbell.Throttled(1.5, "destination", "429 You are being rate limited.")
    clock.now += 1.5
    assert isinstance(await send(server), deskbell.Delivered)
    assert len(service.arrivals) == 6


async def test_the_limit_of_the_channel_comes_without_warning(server: TestServer, clock: Clock) -> None:
    """30 in 60 seconds: https://github.com/discord/discord-api-docs/issues/4043"""
    for _ in range(30):
        sent = await send(server)
        assert isinstance(sent, deskbell.Delivered)
        clock.now += 0.5
    assert await send(server) == deskbell.Throttled(
        45, "destination", "429 The resource is being rate limited."
    )
    clock.now += 45
    assert isinstance(await send(server), deskbell.Delivered)


async def test_webhooks_that_one_address_asks_share_its_limit(service: FakeDiscord, clock: Clock) -> None:
    """50 requests a second: https://docs.discord.com/developers/topics/rate-limits#global-rate-limit"""
    other = FakeDiscord(clock=clock, address=service.address)
    service.address.used, service.address.ends_at = 48, clock.now + 1
    async with TestServer(service.app()) as one, TestServer(other.app()) as two:
        assert [type(await send(server)) for server in (one, two)] == [deskbell.Delivered] * 2
        clock.now += 0.25
        for server in (one, two):
            assert await send(server) == deskbell.Throttled(
                0.75, "service", "429 You are being rate limited."
            )
        clock.now += 0.75
        assert isinstance(await send(two), deskbell.Delivered)
    assert (service.refused, other.refused, len(other.arrivals)) == (1, 1, 2)


async def test_who_goes_on_after_many_refusals_is_banned_but_the_channels_own_do_not_count(
    clock: Clock,
) -> None:
    """As the same page says of 401, 403 and 429 "except for shared"."""
    service = FakeDiscord(clock=clock, channel=Window(1, 60.0), ban=Window(4, 600.0))
    async with TestServer(service.app()) as server:
        await send(server)
        for _ in range(4):
            assert isinstance(await send(server), deskbell.Throttled)
        for _ in range(2):
            await send(server, f"/api/webhooks/{WEBHOOK_ID}/x{TOKEN}")
        assert await send(server, "/api/elsewhere") == deskbell.DestinationGone(
            "404 404: Not Found", certain=False
        )
        service.webhook.fill(clock.now, 30)
        for _ in range(2):
            assert await send(server) == deskbell.Throttled(
                30, "destination", "429 You are being rate limited."
            )
        clock.now += 570
        assert await send(server) == deskbell.Throttled(600, "service", "429 error code: 1015")
        clock.now += 30
        assert isinstance(await send(server), deskbell.Delivered)
    assert service.refused == 7


async def test_a_deleted_webhook_is_unknown_until_it_is_back(
    server: TestServer, service: FakeDiscord
) -> None:
    service.trouble = deskbell.Trouble.DELETED
    assert await send(server) == deskbell.DestinationGone("404 Unknown Webhook (10015)")
    service.trouble = None
    assert isinstance(await send(server), deskbell.Delivered)


def nested(body: dict[str, Any]) -> Any:
    """The code of the first error in a form error's body."""
    errors = body["errors"]
    while "_errors" not in errors:
        errors = next(iter(errors.values()))
    return errors["_errors"][0]["code"]


@pytest.mark.parametrize(
    ("sent", "field", "code"),
    [
        ({"content": "x" * 2001}, "content", "BASE_TYPE_MAX_LENGTH"),
        ({"content": ["x"]}, "content", "STRING_TYPE_CONVERT"),
        ({"content": "x", "username": "My Discord"}, "username", "USERNAME_INVALID_CONTAINS"),
        ({"content": "x", "username": "here"}, "username", "USERNAME_INVALID"),
        ({"content": "x", "username": ""}, "username", "BASE_TYPE_BAD_LENGTH"),
        ({"content": "x", "username": "x" * 81}, "username", "BASE_TYPE_BAD_LENGTH"),
        ({"content": "x", "username": 5}, "username", "STRING_TYPE_CONVERT"),
        ({"content": "x", "avatar_url": "logo.png"}, "avatar_url", "URL_TYPE_INVALID_URL"),
        ({"content": "x", "flags": "4"}, "flags", "NUMBER_TYPE_COERCE"),
        ({"content": "x", "tts": 1}, "tts", "BOOLEAN_TYPE_CONVERT"),
        ({"content": "x", "allowed_mentions": []}, "allowed_mentions", "DICT_TYPE_CONVERT"),
        ({"content": "x", "allowed_mentions": {"parse": "users"}}, "allowed_mentions", "LIST_TYPE_CONVERT"),
        ({"content": "x", "allowed_mentions": {"parse": ["all"]}}, "allowed_mentions", "BASE_TYPE_CHOICES"),
        ({"content": "x", "allowed_mentions": {"users": ["me"]}}, "allowed_mentions", "NUMBER_TYPE_COERCE"),
        (
            {"content": "x", "allowed_mentions": {"roles": ["1"] * 101}},
            "allowed_mentions",
            "BASE_TYPE_MAX_LENGTH",
        ),
        (
            {"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}},
            "allowed_mentions",
            "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
        ),
        ({"embeds": {}}, "embeds", "LIST_TYPE_CONVERT"),
        ({"embeds": ["x"]}, "embeds", "DICT_TYPE_CONVERT"),
        ({"embeds": [{"title": "x"}] * 11}, "embeds", "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{"title": "x" * 257}]}, "embeds", "BASE_TYPE_MAX_LENGTH"),
        (
            {"embeds": [{"description": "x" * 4000, "fields": [{"name": "x", "value": "x" * 2000}]}]},
            "embeds",
            "MAX_EMBED_SIZE_EXCEEDED",
        ),
    ],
)
async def test_a_wrong_form_is_refused_as_discord_refuses_it(
    server: TestServer, http: aiohttp.ClientSession, sent: dict[str, Any], field: str, code: str
) -> None:
    async with http.post(server.make_url(FakeDiscord.path), json=sent) as answer:
        body = await answer.json()
    assert (answer.status, body["message"], body["code"]) == (400, "Invalid Form Body", 50035)
    assert list(body["errors"]) == [field]
    assert nested(body) == code


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"{", 50109),
        (b"\xff", 50109),
        (b"[" * 100_000, 50109),
        (b"[]", 50035),
        (b"{}", 50006),
        (b'{"content": " "}', 50006),
    ],
)
async def test_a_body_that_says_nothing_is_refused(
    server: TestServer, http: aiohttp.ClientSession, sent: bytes, code: int
) -> None:
    async with http.post(server.make_url(FakeDiscord.path), data=sent) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, code)


@needs_shared
async def test_its_refusals_read_as_the_recorded_ones(
    server: TestServer, http: aiohttp.ClientSession
) -> None:
    """Word for word, where public threads or the documentation tell Discord's words."""
    recorded = [entry["body"] for entry in json.loads(ANSWERS.read_text("utf-8"))["permanent"]]
    for sent in (
        {"content": "x", "username": "a discord"},
        {"username": "here"},
        {"content": "x" * 2001},
        {},
    ):
        async with http.post(server.make_url(FakeDiscord.path), json=sent) as answer:
            assert await answer.json() in recorded


@needs_shared
async def test_its_answers_keep_to_the_official_schemas(
    server: TestServer, http: aiohttp.ClientSession, clock: Clock
) -> None:
    document = json.loads(OPENAPI.read_text("utf-8"))

    def keeps_to(schema: str, body: Any) -> bool:
        reference = f"#/components/schemas/{schema}"
        Draft202012Validator({"$ref": reference, "components": document["components"]}).validate(body)
        return True

    rich = {**MESSAGE, "content": "<@1> @here", "embeds": [{"title": "x"}], "username": "Support", "flags": 4}
    for method, sent, status, schema in [
        ("POST", rich, 200, "MessageResponse"),
        ("POST", {**rich, "allowed_mentions": {"parse": ["users", "everyone"]}}, 200, "MessageResponse"),
        ("GET", None, 200, "GuildIncomingWebhookResponse"),
        (
            "POST",
            {},
            400,
            "ErrorResponse",
        ),  # for form errors the schema contradicts the documentation's example
        ("DELETE", None, 405, "ErrorResponse"),
        ("POST", rich, 429, "RatelimitedResponse"),
    ]:
        url = server.make_url(FakeDiscord.path).with_query(wait="true")
        async with http.request(method, url, json=sent) as answer:
            assert answer.status == status
            assert keeps_to(schema, await answer.json())
            assert answer.headers["X-RateLimit-Limit"] == "5"
            clock.now += 0.1


@pytest.mark.parametrize(
    ("query", "status"), [("", 204), ("?wait=false", 204), ("?wait=true", 200), ("?thread_id=x", 400)]
)
async def test_only_who_waits_gets_the_message(
    server: TestServer, service: FakeDiscord, http: aiohttp.ClientSession, query: str, status: int
) -> None:
    async with http.post(f"{server.make_url(FakeDiscord.path)}{query}", json={"content": " x "}) as answer:
        assert answer.status == status
        if status == 200:
            message = await answer.json()
            assert (message["content"], message["channel_id"]) == ("x", CHANNEL_ID)
    assert len(service.arrivals) == (status != 400)


@pytest.mark.parametrize("agent", ["", "Python-urllib/3.11"])
async def test_an_unnamed_client_is_blocked_by_the_network(
    server: TestServer, http: aiohttp.ClientSession, agent: str
) -> None:
    async with http.get(server.make_url(FakeDiscord.path), headers={"User-Agent": agent}) as answer:
        assert (answer.status, await answer.text()) == (403, "error code: 1010")


@pytest.mark.parametrize(
    ("payload", "everyone", "users", "roles"),
    [
        ({"content": "@here <@1> <@&2>"}, False, ["1"], []),
        ({"content": "x@everyone <@!1>", "allowed_mentions": {"parse": ["everyone"]}}, True, [], []),
        ({"content": "`<@1>` <@2> <@2>", "allowed_mentions": {"users": [1, "2"]}}, False, ["1", "2"], []),
        ({"content": "<@&1> <@&2>", "allowed_mentions": {"roles": ["2", "3"]}}, False, [], ["2"]),
        ({"embeds": []}, False, [], []),
    ],
)
def test_pings_are_what_discord_would_let_through(
    payload: dict[str, Any], users: list[str], roles: list[str], *, everyone: bool
) -> None:
    """https://docs.discord.com/developers/resources/message#allowed-mentions-object"""
    assert pings(payload) == (everyone, users, roles)


def test_the_transport_ships_it() -> None:
    assert isinstance(Discord.fake(), FakeDiscord)
    assert 17 <= len(WEBHOOK_ID) <= 20
    assert len(TOKEN) == 68
    assert Discord.recognises(f"https://discord.com{FakeDiscord.path}")


async def test_discord_py_takes_it_for_discord(monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign client sends, reads the message back, sees an unknown webhook, and waits out the rate limit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its voice support imports audioop
        discord = pytest.importorskip(
            "discord", reason="discord.py is not installed (it has no release for 3.14)"
        )
    service = FakeDiscord()
    async with TestServer(service.app()) as server, aiohttp.ClientSession(headers=AGENT) as session:
        monkeypatch.setattr("discord.http.Route.BASE", str(server.make_url("/api/v10")))
        webhook = discord.Webhook.partial(int(WEBHOOK_ID), TOKEN, session=session)
        message = await webhook.send("Bonjour", username="Support", wait=True, silent=True)
        assert (message.content, message.author.name, message.flags.suppress_notifications) == (
            "Bonjour",
            "Support",
            True,
        )
        assert str(message.webhook_id) == WEBHOOK_ID
        assert (await webhook.fetch()).name == WEBHOOK_NAME

        with pytest.raises(discord.NotFound) as missing:
            await discord.Webhook.partial(1, TOKEN, session=session).send("x")
        assert missing.value.code == 10015
        with pytest.raises(discord.HTTPException) as empty:
            await webhook.send("")
        assert empty.value.code == 50006

        for _ in range(3):  # someone else's messages: discord.py cannot know that the window is used up
            async with session.post(server.make_url(FakeDiscord.path), json=MESSAGE) as answer:
                limited = answer.status == 429
        assert limited
        await asyncio.wait_for(webhook.send("après l'attente"), timeout=10)
    assert service.arrivals[-1].payload["content"] == "après l'attente"
