"""The played receiver takes what the reference library signs, and refuses as a careful receiver does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import BaseTestServer, TestServer
from standardwebhooks.webhooks import Webhook as Oracle

from deskbell import Delivered, DestinationGone, Secret, Trouble
from deskbell_webhook import Webhook
from deskbell_webhook.fake import FakeReceiver

from .conftest import Deliver

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_KEY = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
BODY = '{"text": "é"}'
JSON = {"Content-Type": "application/json"}


class Address:
    """A running receiver, and a foreign client of it."""

    def __init__(self, receiver: FakeReceiver, server: BaseTestServer, client: ClientSession) -> None:
        self.receiver, self.client = receiver, client
        self.url = str(server.make_url(receiver.path))

    async def post(self, body: str | bytes, headers: Mapping[str, str], *, path: str = "") -> int:
        data = body.encode() if isinstance(body, str) else body
        async with self.client.post(self.url + path, data=data, headers=headers) as answer:
            return answer.status


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    receiver = FakeReceiver(secret=Secret(KEY))
    async with TestServer(receiver.app(), host="127.0.0.1") as server, ClientSession() as client:
        yield Address(receiver, server, client)


def signed(body: str = BODY, key: str = KEY, at: datetime | None = None) -> dict[str, str]:
    """As the reference library signs."""
    at = at or datetime.now(UTC)
    marks = Oracle(key).sign("msg_1", at, body)
    return {
        **JSON,
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": marks,
    }


async def test_it_takes_what_the_reference_library_signs_and_keeps_it(address: Address) -> None:
    assert await address.post(BODY, signed()) == 200
    several = {**signed(), "webhook-signature": f"v1,AAAA {signed()['webhook-signature']}"}
    assert await address.post(BODY, several) == 200
    assert [arrival.payload for arrival in address.receiver.arrivals] == [{"text": "é"}] * 2
    assert address.receiver.arrivals[0].headers["webhook-id"] == "msg_1"


async def test_it_takes_what_the_transport_sends_and_only_with_its_key(
    address: Address, deliver: Deliver
) -> None:
    assert await deliver(address.url, {"a": 1}, signing_secret=KEY) == Delivered(detail='200 {"ok": true}')
    for key in (None, OTHER_KEY):
        outcome = await deliver(address.url, {"a": 1}, signing_secret=key)
        assert isinstance(outcome, DestinationGone)
        assert not outcome.certain
    assert len(address.receiver.arrivals) == 1


@pytest.mark.parametrize(
    "headers",
    [
        JSON,
        signed(body="{}"),
        signed(key=OTHER_KEY),
        {**signed(), "webhook-id": "msg_2"},
        {**signed(), "webhook-signature": ""},
        {**signed(), "webhook-signature": "v1,é"},
        {**signed(), "webhook-timestamp": "soon"},
        {**signed(), "webhook-timestamp": "9" * 5_000},
    ],
)
async def test_it_refuses_what_is_not_signed_for_this_body(address: Address, headers: dict[str, str]) -> None:
    assert await address.post(BODY, headers) == 403
    assert not address.receiver.arrivals


@pytest.mark.parametrize("minutes", [-6, 6])
async def test_it_refuses_what_is_not_signed_now(address: Address, minutes: int) -> None:
    assert await address.post(BODY, signed(at=datetime.now(UTC) + timedelta(minutes=minutes))) == 403
    assert not address.receiver.arrivals


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "application/json", 200),
        (b"{}", "application/vnd.api+json; charset=utf-8", 200),
    ],
)
async def test_without_a_secret_it_takes_any_json_object(body: bytes, content_type: str, status: int) -> None:
    receiver = Webhook.fake()
    assert isinstance(receiver, FakeReceiver)
    async with TestServer(receiver.app(), host="127.0.0.1") as server, ClientSession() as client:
        there = Address(receiver, server, client)
        assert await there.post(body, {"Content-Type": content_type}) == status
        assert len(receiver.arrivals) == (status == 200)


async def test_it_has_one_address_which_can_be_removed(address: Address, deliver: Deliver) -> None:
    assert await address.post(BODY, signed(), path="x") == 404
    async with address.client.get(address.url) as answer:
        assert (answer.status, json.loads(await answer.text())) == (405, {"error": "messages are posted"})
    address.receiver.trouble = Trouble.DELETED
    assert await deliver(address.url, {}, signing_secret=KEY) == DestinationGone(
        '410 {"error": "this address takes no more messages"}'
    )
