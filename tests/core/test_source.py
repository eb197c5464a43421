"""The native event: what is read, under which name, and what is refused with which path."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell import VARIABLES, Action, EventError, EventRequest, TicketEvent, last_number, scalar_text
from deskbell.source import NativeSource

DOCUMENTED = {
    "action": "Submit",
    "ticket": 1,
    "subject": "Remboursement",
    "content": "Bonjour,  Voici ma demande de remboursement",
    "username": "Martin Dev",
    "userid": 1,
    "email": "admin@clientxcms.com",
    "departmentName": "Technique",
    "priority": "High",
    "created_at": "2022-11-22T00:30:00+01:00",
    "url": "https://clientxcms.com/support/tickets/1",
    "relatedUrl": "https://clientxcms.com/admin/store/services/1",
    "relatedId": 1,
}


def parse(body: Any) -> TicketEvent:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return NativeSource().parse(EventRequest(raw, {}))


def test_the_documented_event_is_read() -> None:
    event = parse(DOCUMENTED)
    assert event == TicketEvent(
        action="Submit",
        ticket="1",
        variables={name.casefold(): str(value) for name, value in DOCUMENTED.items()},
    )


@pytest.mark.parametrize(
    ("given_fields", "variables"),
    [
        ({"USERNAME": "x", "RelatedURL": "y", " Email ": "z"}, {"username": "x", "relatedurl": "y", "email": "z"}),
        ({"subject": None, "priority": None}, {"subject": "", "priority": ""}),
        ({"plan": "Pro", "Server": 7}, {"plan": "Pro", "server": "7"}),
        ({"vip": True, "old": False}, {"vip": "true", "old": "false"}),
        ({"tags": ["a"], "meta": {"subject": "no"}, "subject": "yes"}, {"subject": "yes"}),
        ({"subject": "\x00a\u202e\ud83d\n"}, {"subject": "\x00a\u202e\ud83d\n"}),  # kept as it came
        ({"subject": " x "}, {"subject": " x "}),
    ],
)  # fmt: skip
def test_keys_in_any_case_are_variables_and_nested_extras_are_none(
    given_fields: dict[str, Any], variables: dict[str, str]
) -> None:
    assert parse({"action": "Foo", **given_fields}).variables == {"action": "Foo", **variables}


def test_numbers_are_shown_as_they_were_sent() -> None:
    body = b'{"action": "Submit", "relatedId": 25.00, "userid": 12345678901234567890, "total": 1e3}'
    variables = parse(body).variables
    assert (variables["relatedid"], variables["userid"], variables["total"]) == (
        "25.00",
        "12345678901234567890",
        "1e3",
    )


@pytest.mark.parametrize(
    ("fields", "ticket"),
    [
        ({"ticket": 7}, "7"),
        ({"ticket": " AB-7 "}, "AB-7"),
        ({"Ticket": "8", "url": "https://x/tickets/9"}, "8"),
        ({"url": "https://x/tickets/9"}, "9"),
        ({"ticket": None, "url": "https://x/tickets/9"}, "9"),
        ({"ticket": "", "URL": "https://x/tickets/9/edit?tab=2#3"}, "9"),
        ({"url": ""}, ""),
        ({}, ""),
    ],
)
@pytest.mark.parametrize("action", Action)
def test_ticket_actions_take_the_ticket_from_the_link_when_it_is_absent(
    action: Action, fields: dict[str, Any], ticket: str
) -> None:
    assert parse({"action": action, **fields}).ticket == ticket


def test_other_actions_have_only_the_ticket_that_they_name() -> None:
    assert parse({"action": "invoice_paid", "url": "https://x/invoices/9"}).ticket == ""
    assert parse({"action": "invoice_paid", "ticket": "3", "url": "https://x/9"}).ticket == "3"


WRONG_TYPE = "must be a string, a number or null"


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"action": "is required"}),
        ({"action": None}, {"action": "is required"}),
        ({"action": "  "}, {"action": "is required"}),
        ({"action": ["Submit"]}, {"action": WRONG_TYPE}),
        ({"action": "x", "Subject": {}, "URL": []}, {"Subject": WRONG_TYPE, "URL": WRONG_TYPE}),
        ({"action": "x", "ticket": True}, {"ticket": WRONG_TYPE}),
        ({"subject": []}, {"subject": WRONG_TYPE, "action": "is required"}),
        ([], {"": "not an object"}),
        ("Submit", {"": "not an object"}),
        (None, {"": "not an object"}),
        (5, {"": "not an object"}),
    ],
)  # fmt: skip
def test_each_wrong_field_is_named_once(body: Any, faults: dict[str, str]) -> None:
    with pytest.raises(EventError) as refused:
        parse(body)
    assert refused.value.status == 422
    assert [(fault.path, fault.message) for fault in refused.value.faults] == list(faults.items())


def test_what_is_no_json_is_400() -> None:
    with pytest.raises(EventError) as refused:
        parse(b"action=Submit")
    assert refused.value.status == 400


@given(
    st.dictionaries(
        st.sampled_from([*VARIABLES, "x"]) | st.text(max_size=4), st.none() | st.text() | st.integers()
    )
)
def test_any_flat_object_with_an_action_is_an_event(fields: dict[str, Any]) -> None:
    event = parse({**fields, "action": "Reply"})
    assert event.action == "Reply"
    assert set(event.variables) == {key.strip().casefold() for key in (*fields, "action")}


@pytest.mark.parametrize("action", [*Action, "checkout_completed"])
def test_the_sample_is_an_event_with_a_value_for_every_variable(action: str) -> None:
    event = parse(NativeSource().sample(action))
    assert (event.action, event.ticket) == (action, "1")
    assert all(event.variables[name.casefold()] for name in VARIABLES)


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("https://x.example/tickets/42", "42"),
        ("https://x.example/tickets/42?tab=1#m3", "42"),
        ("/support/7/", "7"),
        ("https://panel2.example:8080/tickets/", ""),  # the host's digits are no ticket
        ("HTTP://10.0.0.1/t/٣", ""),
        ("https://x.example", ""),
        ("", ""),
    ],
)
def test_the_number_that_ends_a_link(url: str, number: str) -> None:
    assert last_number(url) == number


def test_a_hostile_link_costs_no_time() -> None:
    start = time.process_time()
    assert last_number("1a" * 64_000 + "a" * 128_000) == "1"
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (False, "false"), ("x", "x"), (5, "5"), (1.5, "1.5")]
)
def test_scalars_as_text(value: Any, text: str) -> None:
    assert scalar_text(value) == text
