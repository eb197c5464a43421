"""The words for actions, and the event itself."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from deskbell import VARIABLES, Action, TicketEvent, action_named


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("Submit", ["submit", "SUBMIT", " Submit ", "support.submit", "ticket.created"]),
        ("Reply", ["reply", "Replay", "support.replay", "support.reply", "Ticket.Replied"]),
        ("StaffReply", ["staffreply", "ticket.staff_replied"]),
        ("Close", ["close", "support.close", "ticket.closed"]),
        ("Reopen", ["reopen", "ticket.reopened"]),
    ],
)
def test_every_word_for_an_action_names_it(action: str, words: list[str]) -> None:
    assert [action_named(word) for word in words] == [action] * len(words)
    assert f"{action_named(words[0])}" == action


@pytest.mark.parametrize("word", ["checkout_completed", "Service_Renewed", "", "support"])
def test_a_sources_own_action_keeps_its_word(word: str) -> None:
    assert action_named(f" {word} ") == word


def test_every_variable_of_the_original_has_a_sample() -> None:
    original = "relatedUrl relatedId userid username email subject departmentName priority created_at action url content"
    assert set(VARIABLES) == {*original.split(), "ticket", "related"}
    assert all(VARIABLES.values())


def test_an_event_cannot_change() -> None:
    event = TicketEvent(action=Action.CLOSE)
    assert (event.ticket, dict(event.variables), event.source, event.id) == ("", {}, "", "")
    assert event.received_at.utcoffset() is not None
    with pytest.raises(FrozenInstanceError):
        event.ticket = "1"  # type: ignore[misc]  # what the test is about


def test_its_variables_cannot_change_either() -> None:
    given = {"subject": "Hello"}
    event = TicketEvent(action=Action.SUBMIT, variables=given)
    given["subject"] = "Bye"
    with pytest.raises(TypeError):
        event.variables["subject"] = "Bye"  # type: ignore[index]  # what the test is about
    assert event.variables == {"subject": "Hello"}
    assert event == TicketEvent(action=Action.SUBMIT, variables={"subject": "Hello"})
