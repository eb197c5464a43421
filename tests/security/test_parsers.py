"""Whatever comes: each parser of what strangers write reads it, or refuses it with the error that it names."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from deskbell import VARIABLES, EventError, EventRequest, Response, Secret, retry_after
from deskbell.egress import EgressPolicy
from deskbell.errors import SignatureError
from deskbell.pace import parse_duration, parse_rates
from deskbell.receiver import _header_token
from deskbell.refusals import owner_of
from deskbell.signature import verify
from deskbell.source import NativeSource
from deskbell.template import Template

E = TypeVar("E", bound=Exception)
NOW = 1_700_000_000.0
KEY = Secret(f"whsec_{base64.b64encode(b'k' * 32).decode()}")
ANYTHING = st.text(st.characters(exclude_categories=[]), max_size=200)
NUMBERS_OF_A_KIND = st.from_regex(r"[-+]?[0-9_ ]{0,12}[.eE]?[0-9]{0,4}", fullmatch=True)
SIGNATURES = st.lists(st.from_regex(r"v1a?,[A-Za-z0-9+/=]{0,60}", fullmatch=True) | ANYTHING, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | ANYTHING,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANYTHING, inner, max_size=4),
    max_leaves=20,
)


def refusal(kind: type[E], parse: Callable[[Any], object], given: Any) -> E | None:
    """The error of this kind that a parser raises, if it does; any other fails the test."""
    try:
        parse(given)
    except kind as error:
        return error
    return None


@given(st.binary(max_size=300) | JSON.map(lambda data: json.dumps(data).encode("utf-8", "surrogatepass")))
def test_a_body_is_an_event_or_an_event_error(body: bytes) -> None:
    refused = refusal(EventError, NativeSource().parse, EventRequest(body, {}))
    assert refused is None or refused.status in (400, 422)


@given(ANYTHING, NUMBERS_OF_A_KIND | ANYTHING, SIGNATURES, st.binary(max_size=50))
def test_no_header_that_is_made_up_passes_as_a_signature(
    message_id: str, timestamp: str, signatures: list[str], body: bytes
) -> None:
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }
    with pytest.raises(SignatureError):
        verify([KEY], body=body, headers=headers, now=NOW)


@given(
    st.lists(st.from_regex(r"v1a?,[A-Za-z0-9+/=]{0,60}", fullmatch=True), max_size=9), st.text(max_size=50)
)
def test_the_right_signature_passes_wherever_it_stands_among_others(others: list[str], body: str) -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    right = Webhook(KEY.reveal()).sign("msg_1", at, body)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": f"{NOW:.0f}",
        "webhook-signature": " ".join([*others, right]),
    }
    assert verify([KEY], body=body.encode(), headers=headers, now=NOW) == "msg_1"
    with pytest.raises(SignatureError):
        verify([KEY], body=body.encode() + b" ", headers=headers, now=NOW)


@given(ANYTHING | st.binary(max_size=60).map(lambda raw: f"Basic {base64.b64encode(raw).decode()}"))
def test_any_authorization_holds_some_token_or_none(header: str) -> None:
    assert isinstance(_header_token(header), str)


@given(ANYTHING | NUMBERS_OF_A_KIND | st.sampled_from(["nan", "inf", "-1", "1e309", "9" * 400]))
def test_a_retry_after_is_a_usable_wait_or_none(value: str) -> None:
    wait = retry_after(Response(429, {"retry-after": value}, b""))
    assert wait is None or 0 <= wait < float("inf")


@given(ANYTHING | st.from_regex(r"(%[A-Za-z_]{0,12} ?%|%%|\n|:[a-z_]{1,8}:){0,6}", fullmatch=True))
def test_a_template_is_read_or_refused_in_words(text: str) -> None:
    template = Template.parse(text, VARIABLES)
    assert len(template.literals) == len(template.slots) + 1
    refused = refusal(ValueError, Template.of_option, text)
    assert refused is None or str(refused).startswith("unknown variable %")


@given(st.ip_addresses())
def test_the_guard_lets_no_address_through_that_is_not_public(address: IPv4Address | IPv6Address) -> None:
    refused = EgressPolicy().refusal(str(address), 443)
    assert refused or address.is_global


@given(ANYTHING | st.ip_addresses().map(str))
def test_whoever_asks_is_somebody(address: str) -> None:
    assert owner_of(owner_of(address)) == owner_of(address)


@given(ANYTHING | st.from_regex(r"[0-9]{0,9}/?[0-9.]{0,9} ?(s|m|h|d)?", fullmatch=True))
def test_rates_and_durations_are_read_or_refused(text: str) -> None:
    for parse in (parse_rates, parse_duration):
        refused = refusal(ValueError, parse, text)
        assert refused is None or str(refused)
