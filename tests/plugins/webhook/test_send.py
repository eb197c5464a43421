"""What goes over the wire, and what the answers mean: each request meets a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook as Oracle
from standardwebhooks.webhooks import WebhookVerificationError
from tests.kit import event, loopback_client, now
from tests.kit import webhook as configured

from deskbell import (
    Delivered,
    DestinationGone,
    PermanentFailure,
    Secret,
    SendError,
    TemporaryFailure,
    Throttled,
    TicketEvent,
)
from deskbell.delivery import Attempt, Delivery, State
from deskbell.redaction import Redactor
from deskbell.sender import Sender
from deskbell.signature import verify
from deskbell.store import Claimed
from deskbell_webhook import Webhook

from .conftest import Deliver, Serve, options_of

SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "CANARYcanaryCANARYcanary"
PAYLOAD = {"text": "Un café à 5 €\n🎫", "n": [1, None, True], "é": '\\"'}


class Inbox:
    """Answers every request alike, and keeps each with its very bytes."""

    def __init__(self, status: int = 200, text: str = "ok", **headers: str) -> None:
        self.status, self.text = status, text
        self.answer_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.requests: list[tuple[web.Request, bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((request, await request.read()))
        return web.Response(status=self.status, text=self.text, headers=self.answer_headers)

    @property
    def only(self) -> tuple[dict[str, str], bytes]:
        """The headers, by lower-case name, and the body of the one request."""
        ((request, body),) = self.requests
        return {name.lower(): value for name, value in request.headers.items()}, body


async def test_one_post_of_json_to_the_url_as_it_is(serve: Serve, deliver: Deliver) -> None:
    inbox = Inbox()
    outcome = await deliver(await serve(inbox.handle) + "/hook/a%2Fb?x=1&y=%20", PAYLOAD)
    assert outcome == Delivered(detail="200 ok")
    headers, body = inbox.only
    assert (inbox.requests[0][0].method, inbox.requests[0][0].raw_path) == ("POST", "/hook/a%2Fb?x=1&y=%20")
    assert json.loads(body) == PAYLOAD
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(body)
    assert headers["webhook-id"] == "9f86d081884c7d65-17"
    assert not {"webhook-signature", "webhook-timestamp"} & set(headers)


async def test_the_owners_headers_are_sent_as_they_are(serve: Serve, deliver: Deliver) -> None:
    inbox = Inbox()
    own = {"Authorization": f"Bearer {TOKEN}", "X-Equipe": "Après-vente", "user-agent": "x"}
    await deliver(await serve(inbox.handle), PAYLOAD, headers=own)
    headers, _ = inbox.only
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-equipe"] == "Après-vente"
    assert headers["user-agent"] == "x"


@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
async def test_json_may_go_by_another_name(serve: Serve, deliver: Deliver, name: str) -> None:
    inbox = Inbox()
    await deliver(await serve(inbox.handle), PAYLOAD, headers={name: "application/vnd.api+json"})
    assert inbox.requests[0][0].headers.getall("Content-Type") == ["application/vnd.api+json"]


async def test_a_signature_is_good_to_the_reference_library(serve: Serve, deliver: Deliver) -> None:
    """Over the bytes that arrived, which are not those of Python's own ``json.dumps``."""
    inbox = Inbox()
    await deliver(await serve(inbox.handle), PAYLOAD, signing_secret=SIGNING_SECRET)
    headers, body = inbox.only
    assert Oracle(SIGNING_SECRET).verify(body, headers) == PAYLOAD
    assert json.dumps(PAYLOAD).encode() != body
    known_as = verify([Secret(SIGNING_SECRET)], body=body, headers=headers, now=now().timestamp())
    assert known_as == "9f86d081884c7d65-17"


@pytest.mark.parametrize(
    "change",
    [
        lambda headers, body: (headers, body + b" "),
        lambda headers, body: ({**headers, "webhook-id": "9f86d081884c7d65"}, body),
        lambda headers, body: (
            {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)},
            body,
        ),
    ],
)
async def test_whatever_is_changed_on_the_way_breaks_the_signature(
    serve: Serve, deliver: Deliver, change: Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]
) -> None:
    inbox = Inbox()
    await deliver(await serve(inbox.handle), PAYLOAD, signing_secret=SIGNING_SECRET)
    changed_headers, changed_body = change(*inbox.only)
    with pytest.raises(WebhookVerificationError):
        Oracle(SIGNING_SECRET).verify(changed_body, changed_headers)


async def test_a_second_attempt_has_the_same_id_a_new_time_and_a_signature_of_its_own(
    serve: Serve, deliver: Deliver
) -> None:
    inbox = Inbox(503, "later")
    url, today = await serve(inbox.handle), now().timestamp()
    for at in (today - 3_000, today):
        outcome = await deliver(url, PAYLOAD, now=at, signing_secret=SIGNING_SECRET)
        assert isinstance(outcome, TemporaryFailure)
    (first, first_body), (second, second_body) = inbox.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) in (
        2_999,
        3_000,
        3_001,
    )
    assert Oracle(SIGNING_SECRET).verify(second_body, dict(second.headers)) == PAYLOAD
    with pytest.raises(WebhookVerificationError, match="old"):
        Oracle(SIGNING_SECRET).verify(first_body, dict(first.headers))


async def attempted(url: str, told: TicketEvent, row: int = 7, number: int = 1, **options: Any) -> Attempt:
    """Through core's own sender, which names deliveries, and masks what an answer repeats."""
    delivery = Delivery(
        id=row, event_id=told.id, webhook="w", transport="webhook", ticket="1", action="Reply",
        state=State.SENDING, due_from=now(), attempts=number,
    )  # fmt: skip
    hook = configured(url=url, transport=Webhook(), options=options_of(**options))
    async with loopback_client() as client:
        sender = Sender(client.request, timezone=UTC, date_format="%H:%M", clock=now, timeout=5)
        return await sender.attempt(Claimed(delivery, told), hook, hook.url)


async def test_all_attempts_of_a_delivery_have_one_id_and_two_deliveries_two(serve: Serve) -> None:
    """What core calls a delivery has a full stop, and a webhook-id must not."""
    inbox = Inbox(503, "later")
    url, told = await serve(inbox.handle), event(text="Bonjour")
    for row, number in ((7, 1), (7, 2), (8, 1)):
        attempt = await attempted(url, told, row, number, signing_secret=SIGNING_SECRET)
        assert isinstance(attempt.outcome, TemporaryFailure)
        assert json.loads(attempt.payload) == {"text": "Bonjour"}
    for request, body in inbox.requests:
        assert Oracle(SIGNING_SECRET).verify(body, dict(request.headers)) == {"text": "Bonjour"}
    ids = [request.headers["webhook-id"] for request, _ in inbox.requests]
    assert ids == [f"{told.id}-7", f"{told.id}-7", f"{told.id}-8"]


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, Delivered(detail="200 said")),
        (201, {}, Delivered(detail="201 said")),
        (202, {}, Delivered(detail="202 said")),
        (204, {}, Delivered(detail="204")),
        (302, {"Location": "/x"}, DestinationGone),
        (400, {}, PermanentFailure("400 said")),
        (401, {}, DestinationGone("401 said", certain=False)),
        (403, {}, DestinationGone("403 said", certain=False)),
        (404, {}, DestinationGone("404 said", certain=False)),
        (408, {}, TemporaryFailure("408 said")),
        (410, {}, DestinationGone("410 said")),
        (413, {}, PermanentFailure("413 said")),
        (422, {}, PermanentFailure("422 said")),
        (429, {}, Throttled(60.0, detail="429 said")),
        (429, {"Retry_After": "7"}, Throttled(7.0, detail="429 said")),
        (500, {}, TemporaryFailure("500 said")),
        (502, {}, TemporaryFailure("502 said", maybe_received=True)),
        (503, {"Retry_After": "9"}, TemporaryFailure("503 said", 9.0)),
        (504, {}, TemporaryFailure("504 said", maybe_received=True)),
    ],
)
async def test_answers_mean_what_standard_webhooks_says(
    serve: Serve, deliver: Deliver, status: int, headers: dict[str, str], outcome: Any
) -> None:
    found = await deliver(await serve(Inbox(status, "said", **headers).handle), PAYLOAD)
    assert found == outcome or (isinstance(outcome, type) and isinstance(found, outcome))


async def test_a_chat_that_says_no_in_a_200_is_believed(serve: Serve, deliver: Deliver) -> None:
    outcome = await deliver(await serve(Inbox(text='{"success": false, "error": "no"}').handle), PAYLOAD)
    assert isinstance(outcome, PermanentFailure)


@pytest.mark.parametrize("status", [200, 400, 403, 410, 429, 500])
async def test_what_an_answer_repeats_of_a_secret_is_not_told(
    serve: Serve, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Also the token alone, of ``Bearer …``."""
    key = SIGNING_SECRET.removeprefix("whsec_")
    inbox = Inbox(status, f'bad token "{TOKEN}", Bearer {TOKEN}; {SIGNING_SECRET} {key} k3y-of-the-house')
    caplog.set_level(0)
    attempt = await attempted(
        await serve(inbox.handle),
        event(),
        headers={"Authorization": f"Bearer {TOKEN}", "X-Keys": "a=k3y-of-the-house; b"},
        signing_secret=SIGNING_SECRET,
    )
    for secret in (TOKEN, key, "k3y-of-the-house"):
        assert secret not in repr(attempt)
        assert secret not in caplog.text
    assert "bad token" in attempt.outcome.detail


@pytest.mark.parametrize("short", ["abc", "1", "h", "v", "•"])
async def test_a_short_header_uncovers_no_token_of_the_url(serve: Serve, short: str) -> None:
    token = "abcdefghijklmnopqrstuv"
    url = await serve(Inbox(403, f"no hook at /h/{token}").handle)
    attempt = await attempted(f"{url}/h/{token}", event(), headers={"X-Key": short, "X-Version": "1"})
    assert attempt.outcome == DestinationGone("403 no hook at •••", certain=False)


async def test_the_login_of_the_url_is_not_told_in_the_form_in_which_it_is_sent(serve: Serve) -> None:
    async def repeat(request: web.Request) -> web.Response:
        return web.Response(status=401, text=request.headers["Authorization"])

    url = (await serve(repeat)).replace("://", "://ann:caf%C3%A9-secret@")
    assert (await attempted(url, event())).outcome == DestinationGone("401 Basic •••", certain=False)


def test_no_secret_stands_in_what_options_print() -> None:
    options = options_of(headers={"X-Token": TOKEN}, signing_secret=SIGNING_SECRET)
    for shown in (repr(options), str(options), options.model_dump_json()):
        assert TOKEN not in shown
        assert SIGNING_SECRET not in shown
    redact = Redactor(configured(transport=Webhook(), options=options), Secret("http://127.0.0.1/"))
    assert redact(f"a {TOKEN} b {SIGNING_SECRET}") == "a ••• b •••"


async def test_two_ways_to_say_who_one_is_are_refused_before_anything_is_sent(
    serve: Serve, deliver: Deliver
) -> None:
    """HTTP has one place for both, so that no request could be made, ever."""
    inbox = Inbox()
    url = (await serve(inbox.handle)).replace("://", "://user:pass@")
    outcome = await deliver(url, PAYLOAD, headers={"authorization": f"Bearer {TOKEN}"})
    assert isinstance(outcome, DestinationGone)
    assert "keep one of the two" in outcome.detail
    assert inbox.requests == []
    assert await deliver(url, PAYLOAD) == Delivered(detail="200 ok")
    assert inbox.only[0]["authorization"].startswith("Basic ")


async def test_where_nobody_listens_the_error_holds_no_secret(deliver: Deliver) -> None:
    with pytest.raises(SendError) as raised:
        await deliver(f"http://127.0.0.1:9/{TOKEN}", PAYLOAD, headers={"X-Token": TOKEN})
    assert TOKEN not in str(raised.value)
