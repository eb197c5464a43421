"""Where messages are posted to, and what each answer of Discord means."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deskbell
from deskbell_discord import Discord
from deskbell_discord.api import execute_url, outcome
from deskbell_discord.options import DiscordOptions

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
ANSWERS = SHARED / "discord" / "discord_errors.json"
needs_answers = pytest.mark.skipif(
    not ANSWERS.exists(), reason="the shared test data is not beside this checkout"
)

ID, TOKEN = "1097219411294621797", "Abc-_" + "x" * 63
PASTED = f"https://discord.com/api/webhooks/{ID}/{TOKEN}"
POSTED = f"https://discord.com/api/v10/webhooks/{ID}/{TOKEN}?wait=true"
THREAD = "1097219411294621798"


def answer(status: int, body: Any = b"", **headers: str) -> deskbell.Response:
    """A response; header names are written with underscores."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return deskbell.Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, content
    )


def recorded(entry: Mapping[str, Any]) -> deskbell.Response:
    """A response of the shared data."""
    body = json.dumps(entry["body"]).encode() if "body" in entry else entry.get("body_text", "").encode()
    headers = {name.lower(): value for name, value in entry.get("headers", {}).items()}
    return deskbell.Response(entry["status"], headers, body)


def records(kind: str) -> list[dict[str, Any]]:
    """Every recorded answer of one kind."""
    recorded: list[dict[str, Any]] = (
        json.loads(ANSWERS.read_text("utf-8"))[kind] if ANSWERS.exists() else [{}]
    )
    return recorded


def name_of(entry: Mapping[str, Any]) -> str:
    """The name of a recorded answer in the list of tests."""
    return f"{entry.get('status')}-{entry.get('body', {}).get('code', '')}"


@pytest.mark.parametrize(
    "url",
    [
        PASTED,
        f"https://discord.com/api/v10/webhooks/{ID}/{TOKEN}",
        f"https://discord.com/api/v6/webhooks/{ID}/{TOKEN}/",
        f"https://discordapp.com/api/webhooks/{ID}/{TOKEN}",
        f"https://canary.discord.com/api/webhooks/{ID}/{TOKEN}",
        f"https://ptb.discord.com/api/v9/webhooks/{ID}/{TOKEN}",
        f"https://PTB.DiscordApp.com:443/api/webhooks/{ID}/{TOKEN}",
        f"{PASTED}/slack",
        f"{PASTED}/github",
        f"{PASTED}?wait=false&with_components=true",
        f"{PASTED}/slack?x=1#top",
        PASTED.replace("https", "http"),
    ],
)
def test_every_shape_of_discords_own_urls_is_posted_to_the_current_api(url: str) -> None:
    assert Discord.recognises(url)
    assert execute_url(url, None) == POSTED
    assert execute_url(url, THREAD) == f"{POSTED}&thread_id={THREAD}"


def test_a_thread_in_the_pasted_url_counts_unless_the_options_name_one() -> None:
    assert execute_url(f"{PASTED}?thread_id=42", None) == f"{POSTED}&thread_id=42"
    assert execute_url(f"{PASTED}?thread_id=42", THREAD) == f"{POSTED}&thread_id={THREAD}"


@pytest.mark.parametrize(
    ("url", "posted"),
    [
        ("http://127.0.0.1:8080/api/webhooks/1/t", "http://127.0.0.1:8080/api/webhooks/1/t?wait=true"),
        ("https://proxy.example/x?key=%20a&wait=false#y", "https://proxy.example/x?key=%20a&wait=true"),
        (
            "https://proxy.example/x?thread_id=1&a=1&a=2",
            "https://proxy.example/x?a=1&a=2&wait=true&thread_id=1",
        ),
        (f"{PASTED}.evil.example/", f"{PASTED}.evil.example/?wait=true"),
        ("https://discord.com/channels/1/2", "https://discord.com/channels/1/2?wait=true"),
    ],
)
def test_any_other_url_is_posted_to_as_it_is_given(url: str, posted: str) -> None:
    assert not Discord.recognises(url)
    assert execute_url(url, None) == posted


@pytest.mark.parametrize(
    "url",
    [
        "", "demo:discord", "https://[", f"https://evil.example/?{PASTED}", f"https://x@evil.example/{PASTED}",
        f"https://discord.com@evil.example/api/webhooks/{ID}/{TOKEN}", "https://discord.com/api/webhooks/1",
        f"https://evildiscord.com/api/webhooks/{ID}/{TOKEN}", f"https://discord.com.evil.example/api/webhooks/{ID}/{TOKEN}",
        f"https://discord.com/api/webhooks/{ID}/{TOKEN}/messages/1", "https://hooks.slack.com/services/T0/B0/x",
    ],
)  # fmt: skip
def test_no_other_url_is_taken_for_discords(url: str) -> None:
    assert not Discord.recognises(url)


async def test_what_is_sent_is_one_post_that_says_who_asks() -> None:
    """The form of the User-Agent: https://docs.discord.com/developers/reference#user-agent"""
    asked = []

    async def request(
        method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> deskbell.Response:
        asked.append((method, url, body, headers))
        return answer(200, {"id": "1"})

    context = deskbell.SendContext(
        deskbell.Secret(f"{PASTED}/slack"), DiscordOptions(thread_id=THREAD), "w", "d", 1, request
    )
    assert await Discord().send({"content": "é"}, context) == deskbell.Delivered("1", detail="200 message 1")
    ((method, url, body, headers),) = asked
    assert (method, url) == ("POST", f"{POSTED}&thread_id={THREAD}")
    assert body == '{"content":"é"}'.encode()
    assert headers["Content-Type"] == "application/json"
    assert re.fullmatch(r"DiscordBot \(https://\S+, \d+\.\d+\.\d+\S*\)", headers["User-Agent"])


GONE = {10015: True, 50027: True, 10003: False}
"""Codes that end a destination, and whether at once: an unknown webhook, a wrong token; an unknown channel."""


@needs_answers
@pytest.mark.parametrize("own_host", [True, False])
@pytest.mark.parametrize("entry", records("permanent"), ids=name_of)
def test_a_refusal_ends_the_message_or_the_destination(entry: Mapping[str, Any], *, own_host: bool) -> None:
    body = entry["body"]
    read = outcome(recorded(entry), own_host=own_host)
    if body["code"] in GONE:
        assert isinstance(read, deskbell.DestinationGone)
        assert read.certain is GONE[body["code"]]
    else:
        assert isinstance(read, deskbell.PermanentFailure)
    assert read.detail.startswith(f"{entry['status']} {body['message']} ({body['code']})")


@needs_answers
@pytest.mark.parametrize("entry", records("legacy_unversioned_url"), ids=name_of)
def test_the_errors_of_the_old_api_are_read_too(entry: Mapping[str, Any]) -> None:
    ((field, (words,)),) = entry["body"].items()
    assert outcome(recorded(entry), own_host=False) == deskbell.PermanentFailure(f"400 {field}: {words}")


LATER = [
    ("destination", 64.57),
    ("destination", 1336.57),
    ("service", 64.57),
    ("service", 600.0),
    ("service", 600.0),
    ("service", 600.0),
    None,
    None,
    None,
]
"""What the recorded answers that may work later mean, in their order: (scope, wait), or a temporary failure."""


@needs_answers
def test_what_may_work_later_is_tried_later() -> None:
    read = [outcome(recorded(entry), own_host=True) for entry in records("retryable")]
    found = [(it.scope, it.retry_after) if isinstance(it, deskbell.Throttled) else None for it in read]
    assert found == LATER
    assert all(isinstance(it, (deskbell.Throttled, deskbell.TemporaryFailure)) for it in read)


@pytest.mark.parametrize(
    ("response", "wait", "scope"),
    [
        (answer(429, {"retry_after": 1.5, "global": False}, retry_after="9"), 1.5, "destination"),
        (answer(429, {"retry_after": True}, retry_after="9"), 9, "destination"),
        (answer(429, {"retry_after": -1}, x_ratelimit_reset_after="0.75"), 0.75, "destination"),
        (answer(429, {"retry_after": "soon"}, x_ratelimit_reset_after="nan"), 60, "destination"),
        (answer(429, {"retry_after": 0}), 0.5, "destination"),
        (answer(429, {"retry_after": 3}, x_ratelimit_scope="shared"), 3, "destination"),
        (answer(429, {"retry_after": 3}, x_ratelimit_scope="global"), 3, "service"),
        (answer(429, {"retry_after": 3}, x_ratelimit_global="true"), 3, "service"),
        (answer(429, b"<html>slow down", via="1.1 google", retry_after="7"), 7, "destination"),
        (answer(429, b"<html>banned"), 600, "service"),
        (answer(429, b"error code: 1015", retry_after="1200"), 1200, "service"),
        (answer(403, b"<html>Attention Required!"), 600, "service"),
        (answer(200, b"error code: 1010"), None, ""),
    ],
)
def test_the_wait_is_the_one_that_discord_states(
    response: deskbell.Response, wait: float | None, scope: str
) -> None:
    """https://docs.discord.com/developers/topics/rate-limits#exceeding-a-rate-limit"""
    read = outcome(response, own_host=True)
    if wait is None:
        assert isinstance(read, deskbell.TemporaryFailure)
    else:
        assert isinstance(read, deskbell.Throttled)
        assert (read.retry_after, read.scope) == (wait, scope)


@pytest.mark.parametrize("status", [403, 429])
def test_a_proxys_own_refusal_blocks_no_other_webhook(status: int) -> None:
    """Only on Discord's own hosts does an answer without ``Via`` mean Cloudflare."""
    read = outcome(answer(status, b"<html>nginx"), own_host=False)
    assert read in (
        deskbell.Throttled(60, "destination", "429 <html>nginx"),
        deskbell.DestinationGone("403 <html>nginx", certain=False),
    )


@pytest.mark.parametrize(
    ("response", "own_host", "expected"),
    [
        (
            answer(
                200, {"id": "1234567890123456789"}, x_ratelimit_remaining="0", x_ratelimit_reset_after="1.25"
            ),
            True,
            deskbell.Delivered("1234567890123456789", 1.25, "200 message 1234567890123456789"),
        ),
        (
            answer(200, {"id": "12"}, x_ratelimit_remaining="1", x_ratelimit_reset_after="1.25"),
            True,
            deskbell.Delivered("12", 0, "200 message 12"),
        ),
        (answer(204), True, deskbell.Delivered(detail="204 accepted, without the id of a message")),
        (answer(200, b"ok"), False, deskbell.Delivered(detail="200 accepted, without the id of a message")),
        (
            answer(200, {"id": 12}),
            False,
            deskbell.Delivered(detail="200 accepted, without the id of a message"),
        ),
        (
            answer(200, b'{"content":"' + b"x" * 100, content_type="application/json"),
            True,
            deskbell.Delivered(detail="200 accepted, without the id of a message"),
        ),
    ],
)
def test_only_a_message_with_an_id_is_a_receipt(
    response: deskbell.Response, expected: deskbell.Outcome, *, own_host: bool
) -> None:
    """The last one is a message longer than the part of it that is read."""
    assert outcome(response, own_host=own_host) == expected


@pytest.mark.parametrize("body", [b"<html>Blocked by your company", b"{}", b'{"id": "<b>"}', b"[]", b""])
def test_a_strangers_ok_in_discords_place_is_no_delivery(body: bytes) -> None:
    read = outcome(answer(200, body), own_host=True)
    assert isinstance(read, deskbell.TemporaryFailure)
    assert read.maybe_received  # the stranger may have passed it on


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (answer(302, location="https://x.example"), deskbell.DestinationGone),
        (answer(400, b"<html>"), deskbell.PermanentFailure),
        (answer(400, {"message": "Thread is locked", "code": 160005}), deskbell.DestinationGone),
        (answer(403, {"message": "Missing Permissions", "code": 50013}), deskbell.DestinationGone),
        (answer(404, {"message": "404: Not Found", "code": 0}), deskbell.DestinationGone),
        (answer(413, {"message": "Request entity too large", "code": 40005}), deskbell.PermanentFailure),
        (answer(500, {"message": "500: Internal Server Error", "code": 0}), deskbell.TemporaryFailure),
        (answer(408), deskbell.TemporaryFailure),
        (answer(400, {"message": [], "code": {}, "errors": 7}), deskbell.PermanentFailure),
    ],
)
def test_other_answers_mean_what_their_status_says(response: deskbell.Response, expected: type) -> None:
    """None of them ends a destination at the first time."""
    read = outcome(response, own_host=True)
    assert type(read) is expected
    assert getattr(read, "certain", False) is False


def test_a_form_error_names_each_field() -> None:
    wrong = {"_errors": [{"code": "X", "message": "Must be\n1."}, {"code": "Y", "message": "No \x1b[31m."}]}
    body = {
        "message": "Invalid Form Body",
        "code": 50035,
        "errors": {"embeds": {"0": {"title": wrong}}, **wrong},
    }
    assert outcome(answer(400, body), own_host=True) == deskbell.PermanentFailure(
        "400 Invalid Form Body (50035): embeds.0.title: Must be 1.; embeds.0.title: No [31m.; Must be 1.; No [31m."
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "code", "errors", "_errors", "id", "retry_after", "global", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=9,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(200, 599), json_values | st.binary(max_size=30), st.booleans())
def test_no_answer_is_beyond_reading(status: int, body: Any, own_host: bool) -> None:
    read = outcome(answer(status, body), own_host=own_host)
    assert len(read.detail) <= 400
    assert read.detail.isprintable()


def test_an_answer_nested_beyond_all_measure_is_still_read() -> None:
    body = b'{"message": "x", "errors": ' + b'{"a":' * 900 + b"1" + b"}" * 901
    assert isinstance(outcome(answer(400, body), own_host=True), deskbell.PermanentFailure)


@pytest.mark.parametrize(
    "text",
    [
        PASTED,
        f"POST {PASTED}?wait=true failed",
        f'{{"url":"https:\\/\\/discord.com\\/api\\/webhooks\\/{ID}\\/{TOKEN}"}}',
        f"https%3A%2F%2Fdiscord.com%2Fapi%2Fwebhooks%2F{ID}%2F{TOKEN}",
        f"/api/v10/webhooks/{ID}/{TOKEN}/messages/1 and {PASTED}",
        f"http://127.0.0.1:1/webhooks/{ID}/{TOKEN}",
    ],
)
def test_tokens_are_masked_wherever_a_url_stands(text: str) -> None:
    redacted = Discord.redact(text)
    assert TOKEN not in redacted
    assert "x" * 20 not in redacted
    assert ID in redacted
    for status in (200, 204, 400, 403, 404, 429, 500):
        for body in (text.encode(), {"message": text, "code": 1, "errors": {text: [text]}}, {"x": [text]}):
            assert "x" * 20 not in outcome(answer(status, body), own_host=True).detail


def test_text_without_a_webhook_is_not_touched() -> None:
    text = "https://discord.com/channels/1/2 webhooks/abc token"
    assert Discord.redact(text) == text
