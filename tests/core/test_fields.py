"""Reading a nested body: text as it was sent, and every fault at once, by its path."""

from __future__ import annotations

import pytest

from deskbell import EventError, EventRequest, Fault, Fields

BODY = b"""{"ticket": {"id": 10081, "price": 25.00, "title": " \\u0000 Caf\\u00e9 ", "urgent": true, "group": null,
 "tags": ["a"]}, "": {"x": "odd"}, "note": "plain"}"""


@pytest.fixture
def fields() -> Fields:
    return Fields(EventRequest(BODY, {}).json_object())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("note", "plain"),
        ("ticket.id", "10081"),
        ("ticket.price", "25.00"),
        ("ticket.title", " \x00 Café "),
        ("ticket.urgent", "true"),
        ("ticket.group", ""),
        ("ticket.group.name", ""),
        ("ticket.nothing", ""),
        ("nothing.at.all", ""),
        (".x", "odd"),
    ],
)
def test_text_is_as_it_was_sent_and_what_is_missing_is_empty(fields: Fields, path: str, text: str) -> None:
    assert fields.text(path) == text
    fields.refuse_faults("no event")


def test_every_fault_is_told_at_once_by_its_path(fields: Fields) -> None:
    asked = ["ticket", "ticket.tags", "ticket.tags.first", "note.length", "note.width", "ticket.id"]
    assert [fields.text(path) for path in asked] == ["", "", "", "", "", "10081"]
    assert [fields.text(path, required=True) for path in ("ticket.group", "who", "note")] == ["", "", "plain"]
    with pytest.raises(EventError, match="no event of ours") as refused:
        fields.refuse_faults("no event of ours")
    assert refused.value.status == 422
    assert refused.value.faults == (
        Fault("ticket", "must be a text, a number or null"),
        Fault("ticket.tags", "must be a text, a number or null"),
        Fault("note", "must be an object"),
        Fault("ticket.group", "is required"),
        Fault("who", "is required"),
    )


@pytest.mark.parametrize("body", [b'{"a": ""}', b'{"a": "  "}', b'{"a": null}', b"{}"])
def test_what_is_required_and_blank_is_a_fault(body: bytes) -> None:
    fields = Fields(EventRequest(body, {}).json_object())
    fields.text("a", required=True)
    with pytest.raises(EventError):
        fields.refuse_faults("no event")
