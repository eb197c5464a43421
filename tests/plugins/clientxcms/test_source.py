"""ClientXCMS: every request that the CMS's own code was seen to send, the words of version 1, and bad shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell import VARIABLES, Action, EventError, EventRequest, TicketEvent
from deskbell_clientxcms import ClientXCMS, deskbell_sources

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the shared test data is not beside this checkout"
)
CAPTURES = sorted((SHARED / "clientxcms").glob("*.*")) if SHARED.exists() else []

ACTION_OF = {
    "answered_customer": "Reply",
    "answered_staff": "StaffReply",
    "closed": "Close",
    "checkout": "checkout_completed",
    "service_renewed": "service_renewed",
}
HOST = "https://billing.example.test"
OF_EVERY_EVENT = {
    "username": "Léa O'Brien",
    "email": "lea.obrien@example.org",
    "userid": "1",
    "customer_url": f"{HOST}/admin/customers/1",
    "appname": "DemoHost",
    "appurl": HOST,
}
OF_EVERY_TICKET = {
    "departmentname": "Technical Support",
    "url": f"{HOST}/admin/helpdesk/tickets/1",
    "ticket": "1",
}
MESSAGE = "Hello,\nmy VPS does not answer since 07:30. Can you check the node?\nThanks"
SUBJECT = "Server unreachable since this morning"
OF_ONE_CAPTURE: dict[str, dict[str, str | None]] = {
    "created": {"subject": SUBJECT, "content": MESSAGE, "priority": "High"},
    "created_basic_auth_url": {"subject": SUBJECT, "content": MESSAGE, "priority": "High"},
    "answered_customer": {"subject": SUBJECT, "content": MESSAGE, "priority": None},
    "answered_staff": {"subject": SUBJECT, "content": MESSAGE, "priority": "High"},
    "closed": {"subject": SUBJECT, "content": None, "priority": None},
    "priority_fr": {"priority": "Haute"},
    "null_fields": {"username": " ", "email": ""},
    "html": {"subject": "<h1>x</h1> & \"quoted\" 'single' \\back\\ /slash"},
    "mentions": {
        "subject": "@everyone [free VPS](https://evil.example)",
        "username": "](https://evil.example)...",
        "content": "@everyone @here <@123> <@&456> [click](https://evil.example/) ||spoiler||",
    },
    "injection": {"priority": "High"},
    "utf8_emoji_short": {"subject": "🔥 Panne – « VPS n°3 »", "priority": "Haute"},
    "checkout": {
        "ticket": None,
        "departmentname": None,
        "url": f"{HOST}/admin/invoices/91",
        "total": "25",
        "currency": "€",
        "gatewayname": "Stripe",
        "productnames": "VPS S, Backup, 50 GB",
        "related": "VPS S, Backup, 50 GB",
        "relatedurl": f"{HOST}/admin/invoices/91",
        "relatedid": "91",
    },
    "service_renewed": {
        "ticket": None,
        "departmentname": None,
        "url": f"{HOST}/admin/services/41",
        "servicename": "VPS S #41",
        "price": "12.5",
        "expiresat": "22/01/27",
        "last_expires_at": "global.never",
        "invoiceurl": f"{HOST}/admin/invoices/91",
        "related": "VPS S #41",
        "relatedurl": f"{HOST}/admin/services/41",
        "relatedid": "41",
    },
}


def parse(body: Any) -> TicketEvent:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ClientXCMS().parse(EventRequest(raw, {}))


def body_of(capture: Path) -> bytes:
    """The body as it went over the wire; a ``.http`` file holds the whole request."""
    raw = capture.read_bytes()
    return raw.split(b"\r\n\r\n", 1)[1] if b"\r\n\r\n" in raw else raw.split(b"\n\n", 1)[-1]


@needs_shared
def test_there_are_captures_to_read() -> None:
    assert {path.stem.removeprefix("v2_generic_") for path in CAPTURES} == set(OF_ONE_CAPTURE)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_every_captured_request_is_read(capture: Path) -> None:
    name = capture.stem.removeprefix("v2_generic_")
    event = parse(body_of(capture))
    assert event.action == ACTION_OF.get(name, "Submit")
    expected = {**OF_EVERY_EVENT, **OF_EVERY_TICKET, **OF_ONE_CAPTURE[name]}
    assert event.ticket == (expected["ticket"] or "")
    assert {key: event.variables.get(key) for key in expected} == expected
    assert not {"message", "customername", "customeremail", "department", "__url"} & set(event.variables)


def test_an_upgrade_tells_the_service_though_it_has_no_url_and_no_id() -> None:
    event = parse(
        {
            "payload": {
                "action": "service_upgraded",
                "customername": "Léa",
                "customer_url": f"{HOST}/admin/customers/7",
                "old_product": "VPS S",
                "new_product": "VPS M",
                "service_name": "VPS #41",
                "service_url": f"{HOST}/admin/services/41",
                "invoice_url": f"{HOST}/admin/invoices/92",
            }
        }
    )
    assert (event.action, event.ticket) == ("service_upgraded", "")
    told = {name: event.variables[name] for name in ("url", "related", "relatedid", "relatedurl", "userid")}
    assert told == {
        "url": f"{HOST}/admin/services/41",
        "related": "VPS #41",
        "relatedid": "41",
        "relatedurl": f"{HOST}/admin/services/41",
        "userid": "7",
    }
    assert event.variables["old_product"] == "VPS S"


@pytest.mark.parametrize("inside", [True, False], ids=["payload", "flat"])
@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("support.submit", "Submit"),
        ("support.replay", "Reply"),
        ("support.reply", "Reply"),
        ("support.close", "Close"),
        ("Submit", "Submit"),
        ("Replay", "Reply"),
        ("Close", "Close"),
        (" HELPDESK_Created ", "Submit"),
        ("Checkout_Completed", "Checkout_Completed"),
        ("helpdesk_assigned", "helpdesk_assigned"),  # a newer CMS may send it: better shown than lost
    ],
)
def test_action_words_of_every_version(inside: bool, word: str, action: str) -> None:
    fields = {"action": word, "ticketid": "12"}
    event = parse({"payload": fields} if inside else fields)
    assert (event.action, event.ticket) == (action, "12")


def test_the_native_event_works_here_too() -> None:
    native = {
        "action": "Submit",
        "Ticket": 7,
        "username": "Martin Dev",
        "userId": 3,
        "departmentName": "Technique",
    }
    event = parse({**native, "message": "for another reader", "content": "Bonjour", "payload": {"x": 1}})
    assert (event.action, event.ticket) == ("Submit", "7")
    expected = {"username": "Martin Dev", "userid": "3", "departmentname": "Technique", "content": "Bonjour"}
    assert {name: event.variables[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "ticket"),
    [
        ({"action": "helpdesk_closed", "__url": f"{HOST}/admin/helpdesk/tickets/42?tab=1"}, "42"),
        ({"action": "helpdesk_closed", "ticketid": "", "__url": f"{HOST}/t/9"}, "9"),
        ({"action": "helpdesk_closed", "__url": "https://10.0.0.7:8080/t/"}, ""),
        ({"action": "helpdesk_closed"}, ""),
        ({"action": "checkout_completed", "__url": f"{HOST}/admin/invoices/91"}, ""),
        ({"action": "invoice_paid", "__url": f"{HOST}/admin/invoices/91"}, ""),
    ],
)
def test_only_ticket_actions_take_the_ticket_from_the_link(fields: dict[str, str], ticket: str) -> None:
    assert parse({"payload": fields}).ticket == ticket


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"payload": "is required (or a top-level action)"}),
        ({"content": "", "embeds": []}, {"payload": "is required (or a top-level action)"}),
        ({"payload": None}, {"payload": "must be an object"}),
        ({"payload": "x"}, {"payload": "must be an object"}),
        ({"payload": [{"action": "helpdesk_created"}]}, {"payload": "must be an object"}),
        ({"payload": {}}, {"payload.action": "is required"}),
        ({"payload": {"action": None}}, {"payload.action": "is required"}),
        ({"payload": {"action": " "}}, {"payload.action": "is required"}),
        ({"action": ""}, {"action": "is required"}),
        ({"action": {}, "payload": {}}, {"action": "must be a string, a number or null"}),
        (
            {"payload": {"action": "helpdesk_created", "subject": ["x"], "Message": {}, "ticketid": True}},
            {
                f"payload.{key}": "must be a string, a number or null"
                for key in ("subject", "Message", "ticketid")
            },
        ),
        ([], {"": "not an object"}),
        ("helpdesk_created", {"": "not an object"}),
    ],
)
def test_wrong_shapes_are_refused_with_the_path_that_is_wrong(body: Any, faults: dict[str, str]) -> None:
    with pytest.raises(EventError) as refused:
        parse(body)
    assert refused.value.status == 422
    assert {fault.path: fault.message for fault in refused.value.faults} == faults


def test_a_form_of_version_1_is_no_json() -> None:
    with pytest.raises(EventError) as refused:
        parse(b"content=Nouveau+ticket&username=ClientXCMS+-+Webhook")
    assert refused.value.status == 400


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["payload", "action", "__url", "ticketid", "customer_url", "message", "x"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON | st.dictionaries(st.just("payload"), JSON))
def test_any_json_is_an_event_or_an_event_error(body: Any) -> None:
    answer: TicketEvent | EventError
    try:
        answer = parse(body)
    except EventError as error:
        answer = error
    if isinstance(answer, EventError):
        assert answer.status == 422
        assert answer.faults
    else:
        assert answer.action.strip()
        assert all(isinstance(text, str) for item in answer.variables.items() for text in item)
        assert all(name == name.strip().casefold() for name in answer.variables)


@pytest.mark.parametrize("action", ClientXCMS.actions)
def test_a_sample_of_each_action_is_read_as_that_action(action: str) -> None:
    body = ClientXCMS().sample(action)
    assert all(isinstance(value, str) for value in body["payload"].values())
    event = parse(body)
    assert event.action == action
    assert bool(event.ticket) == (action in tuple(Action))
    assert event.variables["userid"] == VARIABLES["userid"]
    known = {name.casefold() for name in (*VARIABLES, *ClientXCMS.variables)}
    assert set(event.variables) <= known


def test_samples_have_the_keys_that_the_cms_sends() -> None:
    assert "priority" not in ClientXCMS().sample("Reply")["payload"]
    assert not {"priority", "message"} & set(ClientXCMS().sample("close")["payload"])
    assert "__url" not in ClientXCMS().sample("service_upgraded")["payload"]
    assert parse(ClientXCMS().sample("Reopen")).action == "Reopen"


@needs_shared
@pytest.mark.parametrize(
    ("action", "capture"),
    [
        ("Submit", "created"),
        ("Reply", "answered_customer"),
        ("StaffReply", "answered_staff"),
        ("Close", "closed"),
        ("checkout_completed", "checkout"),
        ("service_renewed", "service_renewed"),
    ],
)
def test_a_sample_has_exactly_the_keys_of_the_capture(action: str, capture: str) -> None:
    sent = json.loads(body_of(SHARED / "clientxcms" / f"v2_generic_{capture}.json"))
    sample = ClientXCMS().sample(action)
    assert set(sample["payload"]) == set(sent["payload"])
    assert sample["payload"]["action"] == sent["payload"]["action"]


def test_every_own_variable_has_a_sample_and_the_plugin_offers_the_adapter() -> None:
    assert len(ClientXCMS.actions) == 7
    assert all(ClientXCMS.variables.values())
    assert not {name.casefold() for name in ClientXCMS.variables} & {name.casefold() for name in VARIABLES}
    assert list(deskbell_sources()) == [ClientXCMS]
