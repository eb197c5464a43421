"""The events that ``preview`` and ``send`` make up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

import deskbell
from deskbell.samples import read_sample, sample_for
from deskbell.settings import Webhook, When
from deskbell.source import NativeSource
from deskbell.template import Template


class Shop(deskbell.Source):
    """A source with ticket actions, actions of its own, and further variables."""

    name = "shop"
    actions = ("Submit", "Order_Paid", "order_shipped")
    variables = {"plan": "VPS Pro", "subject": "not the documented one"}  # noqa: RUF012 - read as it is written

    def parse(self, request: deskbell.EventRequest) -> deskbell.TicketEvent:
        order = request.json_object()["order"]
        return deskbell.TicketEvent(action=order["event"], variables={"plan": order["plan"]})

    def sample(self, action: str) -> dict[str, Any]:
        return {"order": {"event": action, "plan": "Café"}}


class Quiet(deskbell.Transport):
    name = "quiet"
    max_length = 100

    def format(self, notice: deskbell.Notice, _: deskbell.Options) -> deskbell.Payload:
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}


def webhook_for(*actions: str) -> Webhook:
    """A webhook for these actions, in lower case as the config gives them; none stands for ``*``."""
    return Webhook(
        name="one", enabled=True, url=deskbell.Secret("https://chat.example/x"), transport=Quiet(),
        options=deskbell.Options(), actions=frozenset(actions) or None, when=When(),
        template=Template.parse("%subject%", deskbell.VARIABLES), rates=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        ([], "Submit"),
        (["close"], "Close"),
        (["close", "reply"], "Reply"),
        (["staffreply", "order_paid"], "StaffReply"),
    ],
)
def test_a_ticket_action_gets_the_documented_event(actions: list[str], action: str) -> None:
    sample = sample_for(webhook_for(*actions), [Shop()])
    assert (sample.event.action, sample.event.ticket, sample.source) == (action, "1", "deskbell")
    documented = {name.casefold(): value for name, value in deskbell.VARIABLES.items()} | {"action": action}
    assert sample.event.variables == documented | {"plan": "VPS Pro"}


@pytest.mark.parametrize(
    ("action", "written"), [("order_shipped", "order_shipped"), ("order_paid", "Order_Paid")]
)
def test_an_action_of_a_source_gets_the_sources_own_body(action: str, written: str) -> None:
    """However the source writes it: actions compare without case."""
    sample = sample_for(webhook_for(action), [NativeSource(), Shop()])
    assert (sample.event.action, sample.source) == (written, "shop")
    assert sample.event.variables == {"plan": "Café"}
    assert json.loads(sample.raw) == {"order": {"event": written, "plan": "Café"}}


@pytest.mark.parametrize("sources", [[], [NativeSource()]])
def test_without_a_source_of_its_own_an_action_still_has_a_sample(sources: Sequence[deskbell.Source]) -> None:
    sample = sample_for(webhook_for("invoice_due"), sources)
    assert (sample.event.action, sample.source) == ("invoice_due", "deskbell")
    assert sample.event.variables["subject"] == deskbell.VARIABLES["subject"]


def test_a_body_is_read_as_its_source_reads_it() -> None:
    raw = b'{"order": {"event": "Order_Paid", "plan": "Basic"}}'
    sample = read_sample(raw, Shop())
    assert (sample.event.variables, sample.raw, sample.source) == ({"plan": "Basic"}, raw, "shop")
    with pytest.raises(deskbell.EventError, match="not a ticket event"):
        read_sample(raw, NativeSource())


def test_a_sample_is_shown_as_if_it_came_now() -> None:
    at = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    sample = sample_for(webhook_for("order_paid"), [Shop()])
    event = sample.event_at(at)
    assert (event.received_at, event.source, event.variables) == (at, "shop", sample.event.variables)
    assert event.id
