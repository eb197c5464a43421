"""URLs, and what Slack's answers mean: each one comes over a real socket."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from deskbell import (
    Delivered,
    DestinationGone,
    Outcome,
    Payload,
    PermanentFailure,
    Response,
    Secret,
    SendContext,
    SendError,
    TemporaryFailure,
    Throttled,
    Transport,
)
from deskbell_slack import Slack
from deskbell_slack.options import SlackOptions

ANSWERS = (
    Path(__file__).resolve().parents[3].parent / "shared" / "data" / "slack" / "slack_webhook_errors.json"
)
SECRET = "CANARYcanaryCANARYcanary"
URL = f"https://hooks.slack.com/services/T024BE7LH/B024BE7LR/{SECRET}"
PAYLOAD = {"text": "Un ticket & un café"}

Deliver = Callable[[str, Payload], Awaitable[Outcome]]
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.mark.parametrize(
    ("url", "known"),
    [
        (URL, True),
        (URL + "/", True),
        (URL.replace("slack.com", "slack-gov.com"), True),
        (URL.replace("hooks", "HOOKS"), True),
        (URL.replace("https", "http"), False),
        (URL.replace("slack.com", "slack.com.e.vil"), False),
        (URL.replace("hooks.slack.com", "hooks.slack.com@e.vil"), False),
        (URL.replace("hooks.slack.com", "e.vil@hooks.slack.com"), False),
        ("https://hooks.slack.com/triggers/T024BE7LH/1234567890/abcdef", False),
        ("https://hooks.slack.com/workflows/T1/A1/123/abc", False),
        ("https://hooks.slack.com/services/T024BE7LH", False),
        ("https://slack.com/api/chat.postMessage", False),
        ("https://discord.com/api/webhooks/1/x", False),
        ("https://[hooks.slack.com/services/T1/B1/x", False),
        ("demo:slack", False),
        ("", False),
    ],
)
def test_recognises_incoming_webhooks_and_nothing_else(url: str, known: bool) -> None:
    assert Slack.recognises(url) is known


@pytest.mark.parametrize(
    "text",
    [
        URL,
        f"POST {URL}: refused",
        URL.replace("slack.com", "slack-gov.com").upper(),
        f'{{"url": "{URL}"}}',
        f'{{"url": "{URL}"}}'.replace("/", "\\/"),
        URL.replace("/", "%2F"),
        f"https://hooks.slack.com/triggers/T1/123/{SECRET} https://hooks.slack.com/workflows/T1/A1/123/{SECRET}",
    ],
)
def test_redact_keeps_the_webhook_and_loses_its_secret(text: str) -> None:
    redacted = Slack.redact(text)
    assert SECRET.lower() not in redacted.lower()
    assert "•••" in redacted
    assert "T1" in redacted or "T024BE7LH" in redacted


def _answering(status: int, body: str, headers: dict[str, str] | None = None) -> Any:
    async def handler(request: web.Request) -> web.Response:
        assert request.method == "POST"
        assert request.headers["Content-Type"] == "application/json"
        assert await request.json() == PAYLOAD
        return web.Response(status=status, text=body, headers=headers, content_type="text/html")

    return handler


CLASSES = {
    "payload": PermanentFailure,
    "dead": DestinationGone,
    "destination": DestinationGone,
    "server": TemporaryFailure,
    "rate": Throttled,
}


@pytest.mark.skipif(not ANSWERS.exists(), reason="the shared test data is not beside this checkout")
async def test_every_known_answer_has_its_outcome(serve: Serve, deliver: Deliver) -> None:
    """Whatever the status: those that public clients report for one word differ."""
    known = json.loads(ANSWERS.read_text(encoding="utf-8"))
    assert len(known["errors"]) > 15
    for error in known["errors"]:
        for status in {error["status"], 400, 404, 500}:
            url = await serve(_answering(status, error["body"], error.get("headers")))
            outcome = await deliver(url, PAYLOAD)
            assert type(outcome) is CLASSES[error["class"]], error
            assert outcome.detail.startswith(f"{status} {error['body']}")
            if isinstance(outcome, DestinationGone):
                assert outcome.certain
            if isinstance(outcome, Throttled):
                assert (outcome.retry_after, outcome.scope) == (30.0, "destination")
    success = known["success"]
    url = await serve(_answering(success["status"], success["body"]))
    assert await deliver(url, PAYLOAD) == Delivered(detail="200 ok")


@pytest.mark.parametrize(
    ("status", "body", "headers", "outcome"),
    [
        (200, "ok", {}, Delivered(detail="200 ok")),
        (200, "ok\n", {}, Delivered(detail="200 ok")),
        (
            200,
            "<html>Sign in</html>",
            {},
            DestinationGone(
                "not Slack's answer `ok`: 200 <html>Sign in</html>", certain=False, maybe_received=True
            ),
        ),
        (200, "", {}, DestinationGone("not Slack's answer `ok`: 200", certain=False, maybe_received=True)),
        (
            200,
            '{"ok":true}',
            {},
            DestinationGone(
                """not Slack's answer `ok`: 200 {"ok":true}""", certain=False, maybe_received=True
            ),
        ),
        (
            201,
            "ok",
            {},
            DestinationGone("not Slack's answer `ok`: 201 ok", certain=False, maybe_received=True),
        ),
        (429, '{"retry_after":7,"ok":false,"error":"rate_limited"}', {}, Throttled(7.0, detail="…")),
        (429, '{"retry_after":7}', {"Retry-After": "9"}, Throttled(9.0, detail="…")),
        (200, '{"ok":false,"error":"ratelimited"}', {"Retry-After": "3"}, Throttled(3.0, detail="…")),
        (429, '{"retry_after":-1}', {}, Throttled(60.0, detail="…")),
        (429, "", {}, Throttled(60.0, detail="429")),
        (500, "rollup_error", {"Retry-After": "4"}, TemporaryFailure("500 rollup_error", 4.0)),
        (503, "upstream", {}, TemporaryFailure("503 upstream")),
        (400, "invalid_blocks_format", {}, PermanentFailure("400 invalid_blocks_format")),
        (403, "Forbidden", {}, DestinationGone("403 Forbidden", certain=False)),
    ],
)
async def test_other_answers(
    serve: Serve, deliver: Deliver, status: int, body: str, headers: dict[str, str], outcome: Outcome
) -> None:
    """Only 200 with ``ok`` is a delivery; the wait comes from the header, else from the JSON, else deskbell's."""
    found = await deliver(await serve(_answering(status, body, headers)), PAYLOAD)
    if outcome.detail == "…":
        assert isinstance(found, Throttled)
        assert isinstance(outcome, Throttled)
        assert found.retry_after == outcome.retry_after
    else:
        assert found == outcome


async def test_a_dead_webhook_says_what_to_do(serve: Serve, deliver: Deliver) -> None:
    outcome = await deliver(await serve(_answering(404, "no_service")), PAYLOAD)
    assert outcome.detail == "404 no_service: Slack does not know this webhook any more; make a new one"


@pytest.mark.parametrize("status", [200, 302, 400, 404, 429, 500])
async def test_no_answer_brings_the_secret_into_the_detail(
    serve: Serve, deliver: Deliver, status: int
) -> None:
    """A proxy's error page often repeats the URL."""
    echo = _answering(status, f"cannot reach {URL}", {"Location": URL} if status == 302 else None)
    outcome = await deliver(await serve(echo), PAYLOAD)
    assert SECRET not in repr(outcome)
    assert not isinstance(outcome, Delivered)


@pytest.mark.parametrize("path", ["triggers/T024BE7LH/1234567890/abcdef", "workflows/T1/A1/123/abc"])
async def test_a_workflow_is_not_called_and_its_owner_told_why(deliver: Deliver, path: str) -> None:
    """This client may connect to 127.0.0.0/8 only by exception: a call to Slack itself would not come back as this."""
    outcome = await deliver(f"https://hooks.slack.com/{path}", PAYLOAD)
    assert isinstance(outcome, DestinationGone)
    assert outcome.certain
    assert "make an incoming webhook" in outcome.detail
    assert path.rsplit("/", 1)[-1] not in outcome.detail


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("https://hooks.slack.com/triggers/T024BE7LH/1234567890/abcdef", True),
        ("https://hooks.slack-gov.com/workflows/T1/A1/123/abc", True),
        (URL, False),
        ("https://slack-like.example/triggers/T1/1/a", False),
        ("http://127.0.0.1:8080/hooks/x", False),
        ("https://[", False),
    ],
)
def test_check_refuses_a_workflow_and_says_what_to_write_instead(url: str, *, refused: bool) -> None:
    """As an error of ``deskbell check``, before any event: without the URL, which is a secret."""
    said = Slack.refuses(url)
    assert ("make an incoming webhook" in said) is refused
    assert bool(said) is refused
    assert "abc" not in said


async def test_there_is_no_question_that_slack_would_answer_without_posting() -> None:
    """So ``probe`` is the inherited one, which says that it does not know, and asks nothing."""
    assert Slack.probe is Transport.probe
    asked = []

    async def request(*args: Any) -> Response:
        asked.append(args)
        return Response(200, {}, b"ok")

    context = SendContext(Secret(URL), SlackOptions(), "w", "d", 1, request)
    assert await Slack().probe(context) is None
    assert asked == []


async def test_no_answer_at_all_is_a_send_error_without_the_secret(serve: Serve, deliver: Deliver) -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.close()
        return web.Response()

    url = await serve(hang_up)
    with pytest.raises(SendError) as caught:
        await deliver(f"{url}/services/T1/B1/{SECRET}", PAYLOAD)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
