"""Only what was typed anew is a change."""

from __future__ import annotations

from typing import Any

import pytest

from deskbell.web.option_fields import OptionField
from deskbell.web.webhook_form import WebhookForm, inexpressible

OPTIONS = {
    "chat": [OptionField("username", "text", ""), OptionField("key", "secret", "")],
    "other": [OptionField("silent", "choice", "", ("true", "false"))],
}
ENTRY = {
    "name": "desk",
    "url": "${CHAT_URL}",
    "transport": "chat",
    "action": ["support.submit", "checkout_completed"],
    "when": {"priority": "Haute", "department": ["Ventes", "Été, 2"]},
    "options": {"username": "Bell", "key": "hunter2hunter2", "headers": {"A": "b"}},
    "rate": "5/2s",
    "message": "One\nTwo\n",
}


def typed(**fields: Any) -> WebhookForm:
    """What a browser sends of an untouched form of ``ENTRY``, with some fields changed; ``_`` for a dot."""
    sent: dict[str, list[str]] = {
        "name": ["desk"],
        "url": [""],
        "transport": ["chat"],
        "action": ["checkout_completed", "Submit"],
        "when.priority": ["haute"],
        "when.department": ["Ventes\r\nÉté, 2\r\n"],
        "options.chat.username": ["Bell"],
        "options.chat.key": [""],
        "options.other.silent": [""],
        "rate": ["5/2s"],
        "retry": [""],
        "max_age": [""],
        "message": ["One\r\nTwo"],
        "enabled": ["on"],
    }
    return WebhookForm.of_typed(sent | {name.replace("_", "."): value for name, value in fields.items()})


def changes(**fields: Any) -> dict[str, Any]:
    return typed(**fields).changes_of(ENTRY, WebhookForm.of_entry(ENTRY, "chat", OPTIONS), OPTIONS)


def test_an_untouched_form_changes_nothing_however_the_file_says_it() -> None:
    assert changes() == {}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": [" till "]}, {"name": "till"}),
        ({"rate": [""]}, {"rate": None}),
        ({"enabled": []}, {"enabled": False}),
        ({"url": ["demo:chat"]}, {"url": "demo:chat", "url_file": None}),
        ({"message": ["One\r\n  Two  \r\n\r\n"]}, {"message": "One\n  Two"}),
        ({"action": ["Reply"]}, {"action": "Reply"}),
        ({"action": ["Reply", "Close"]}, {"action": ["Reply", "Close"]}),
        ({"action": ["Reply", "*"]}, {"action": "*"}),
        ({"action": []}, {"action": None}),
        ({"when_priority": []}, {"when": {"department": ["Ventes", "Été, 2"]}}),
        ({"when_priority": [], "when_department": ["\r\n"]}, {"when": None}),
        ({"when_source": ["crm"]}, {"when": {**ENTRY["when"], "source": ["crm"]}}),  # type: ignore[dict-item]
        ({"options_chat_username": ["Ring"]}, {"options": {**ENTRY["options"], "username": "Ring"}}),  # type: ignore[dict-item]
        ({"options_chat_key": ["new"]}, {"options": {**ENTRY["options"], "key": "new"}}),  # type: ignore[dict-item]
        ({"options_other_silent": ["true"]}, {}),
        ({"transport": ["other"]}, {"transport": "other", "options": None}),
        (
            {"transport": ["other"], "options_other_silent": ["true"]},
            {"transport": "other", "options": {"silent": True}},
        ),
    ],
)
def test_what_was_touched_is_a_change_of_its_key_alone(
    fields: dict[str, list[str]], expected: dict[str, Any]
) -> None:
    assert changes(**fields) == expected


def test_no_secret_is_in_the_form_of_an_entry() -> None:
    form = WebhookForm.of_entry({**ENTRY, "url": "https://secret.example"}, "chat", OPTIONS)
    assert form.one("url") == ""
    assert "hunter2" not in str(form)
    assert "secret" not in str(form)


def test_what_the_form_does_not_show_is_named() -> None:
    assert list(inexpressible(ENTRY, OPTIONS["chat"])) == ["options.headers"]
    assert list(inexpressible({"options": {"username": ["a"]}}, OPTIONS["chat"])) == ["options.username"]


@pytest.mark.parametrize("odd", [None, 1, True, [], {}, [[1]], {"a": {"b": 1}}])
def test_any_shape_of_an_entry_has_a_form(odd: Any) -> None:
    keys = ("name", "action", "when", "options", "message", "enabled", "rate", "url")
    form = WebhookForm.of_entry(dict.fromkeys(keys, odd), "chat", OPTIONS)
    assert isinstance(form.one("message"), str)
    assert all(isinstance(value, str) for values in form.fields.values() for value in values)
