"""Which webhooks take an event, and the reason why the others do not."""

from __future__ import annotations

from typing import Any

import pytest

from deskbell import Notice, Options, Payload, Secret, TicketEvent, Transport, plain
from deskbell.routing import priority_level, webhooks_for, why_not
from deskbell.settings import Webhook, When
from deskbell.template import Template

LEVELS = {"low": "low", "high": "high", "haute": "high", "alto": "high", "高": "high", "basse": "low"}


class Bell(Transport):
    name = "bell"
    max_length = 100

    def format(self, notice: Notice, options: Options) -> Payload:
        return {"text": notice.text(plain, self.max_length), **options.model_dump()}


def webhook(
    *, name: str = "w", enabled: bool = True, actions: set[str] | None = None, **when: set[str]
) -> Webhook:
    return Webhook(
        name=name,
        enabled=enabled,
        url=Secret("https://bell.example/1"),
        transport=Bell(),
        options=Options(),
        actions=None if actions is None else frozenset(actions),
        when=When(**{key: frozenset(values) for key, values in when.items()}),
        template=Template.parse("%subject%", ["subject"]),
        rates=(),
    )


def event(action: str = "Submit", source: str = "clientxcms", **variables: str) -> TicketEvent:
    return TicketEvent(action=action, source=source, variables=variables)


@pytest.mark.parametrize(
    ("sent", "conditions", "reason"),
    [
        (event(), {}, ""),
        (event("checkout_completed"), {"actions": None}, ""),  # "*"
        (event(), {"enabled": False}, "the webhook is disabled"),
        (event("StaffReply"), {"actions": {"submit", "staffreply"}}, ""),
        (event("Reply"), {"actions": {"submit"}}, "it does not take the action Reply"),
        (event("Service_Renewed"), {"actions": {"service_renewed"}}, ""),
        (event(source="ClientXCMS"), {"sources": {"clientxcms"}}, ""),
        (event(source="shop"), {"sources": {"clientxcms"}}, "it does not take the source shop"),
        (event(departmentname=" TECHNIQUE "), {"departments": {"technique", "vente"}}, ""),
        (
            event(departmentname="Vente"),
            {"departments": {"technique"}},
            "it does not take the department Vente",
        ),
        (event(), {"departments": {"technique"}}, "it does not take the department (unknown)"),
        (event(priority="High"), {"priorities": {"high"}}, ""),
        (event(priority=" HAUTE"), {"priorities": {"high"}}, ""),
        (event(priority="高"), {"priorities": {"low", "high"}}, ""),
        (event(priority="Basse"), {"priorities": {"high"}}, "it does not take the priority Basse"),
        (event(), {"priorities": {"low", "high"}}, "it does not take the priority (unknown)"),
        (event(priority="Urgent"), {"priorities": {"urgent"}}, ""),  # a label as it is sent
        (event(priority="Urgent"), {"priorities": {"high"}}, "it does not take the priority Urgent"),
        (
            event("Close", "shop", departmentname="Vente", priority="low"),
            {"actions": {"close"}, "sources": {"shop"}, "departments": {"vente"}, "priorities": {"low"}},
            "",
        ),
        (
            event("Close", "shop", departmentname="Vente", priority="high"),
            {"actions": {"close"}, "sources": {"shop"}, "departments": {"vente"}, "priorities": {"low"}},
            "it does not take the priority high",
        ),
    ],
)
def test_every_condition_must_hold_and_the_first_that_does_not_is_the_reason(
    sent: TicketEvent, conditions: dict[str, Any], reason: str
) -> None:
    asked = webhook(**conditions)
    assert why_not(sent, asked, LEVELS) == reason
    assert webhooks_for(sent, [asked], LEVELS) == (() if reason else (asked,))


def test_webhooks_are_named_in_the_order_of_the_config() -> None:
    taking = [
        webhook(name="c"),
        webhook(name="a", actions={"submit"}),
        webhook(name="b", priorities={"high"}),
    ]
    others = [webhook(name="x", enabled=False), webhook(name="y", actions={"close"})]
    found = webhooks_for(event(priority="alto"), [others[0], *taking, others[1]], LEVELS)
    assert [each.name for each in found] == ["c", "a", "b"]
    assert webhooks_for(event("Reopen"), others, LEVELS) == ()


@pytest.mark.parametrize(
    ("label", "level"),
    [("Alto", "high"), (" low ", "low"), ("Urgent", "urgent"), ("", ""), ("HAUTE", "high")],
)
def test_labels_are_levels_where_a_source_knows_them(label: str, level: str) -> None:
    assert priority_level(label, LEVELS) == level
