"""``webhooks:`` where messages go, and which events they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import field_validator

import deskbell
from deskbell.config import Loaded
from deskbell.pace import Rate
from deskbell.settings import Webhook, When

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]
DISCORD_URL = "https://discord.com/api/webhooks/1/a-secret-part"


class Eager(deskbell.Transport):
    """Recognises everything that Discord has, too; declares a rate that nobody can read."""

    name = "eager"
    max_length = 10
    rates = "often"

    def format(self, notice: deskbell.Notice, options: deskbell.Options) -> deskbell.Payload:
        return {"text": notice.text(deskbell.plain, self.max_length), **options.model_dump()}

    @classmethod
    def recognises(cls, url: str) -> bool:
        return "discord" in url


class Faulty(Eager):
    """Fails wherever check asks it, and names the URL while it does."""

    name = "faulty"
    rates = ""

    @classmethod
    def recognises(cls, url: str) -> bool:
        raise RuntimeError(url)

    def warnings(self, skeleton: str) -> Sequence[str]:
        raise RuntimeError(skeleton)


def webhook_of(loaded: Loaded) -> Webhook:
    assert loaded.config is not None, loaded.problems
    assert [one.message for one in loaded.problems] == []
    return loaded.config.webhooks[0]


def changed(good: str, **lines: str) -> str:
    """The good webhook with other values for some keys, or with further keys."""
    for key, value in lines.items():
        rows = good.splitlines(keepends=True)
        known = [row for row in rows if row.startswith(f"    {key}:") and "token" not in row]
        line = f"    {key}: {value}\n" if value else ""
        good = good.replace(known[0], line) if known else good.replace("    message", f"{line}    message")
    return good


def test_the_smallest_webhook(load: Load, good: str) -> None:
    webhook = webhook_of(load(good))
    assert (webhook.name, webhook.enabled, webhook.transport.name) == ("support", True, "discord")
    assert webhook.url.reveal() == DISCORD_URL
    assert webhook.rates == (Rate(5, 2.0), Rate(30, 60.0))
    assert webhook.actions == frozenset({"submit"})
    assert webhook.when == When()
    assert webhook.options.model_dump() == {
        "username": None, "silent": False, "avatar_url": None, "api_token": None, "colours": (),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "url", "transport"),
    [
        ({"url": "https://hooks.slack.com/services/T/B/X"}, "https://hooks.slack.com/services/T/B/X", "slack"),
        ({"url": "http://chat.example:9/x", "transport": "slack"}, "http://chat.example:9/x", "slack"),
        ({"url": "HTTPS://proxy.example/x", "transport": "discord"}, "HTTPS://proxy.example/x", "discord"),
        ({"url": "demo:discord"}, "demo:discord", "discord"),
        ({"url": "demo:discord", "transport": "discord"}, "demo:discord", "discord"),
        ({"url": "'  https://discord.com/api/webhooks/2/b  '"}, "https://discord.com/api/webhooks/2/b", "discord"),
        ({"url": "", "url_file": "url"}, "https://discord.com/api/webhooks/3/c", "discord"),
    ],
)  # fmt: skip
def test_a_destination(
    load: Load, good: str, tmp_path: Path, lines: dict[str, str], url: str, transport: str
) -> None:
    (tmp_path / "url").write_text("https://discord.com/api/webhooks/3/c\n")
    webhook = webhook_of(load(changed(good, **lines)))
    assert (webhook.url.reveal(), webhook.transport.name) == (url, transport)
    assert webhook.demo is url.startswith("demo:")


@pytest.mark.parametrize(
    ("written", "actions"),
    [
        ("support.replay", {"reply"}),
        ("[submit, Ticket.Closed, STAFFREPLY]", {"submit", "close", "staffreply"}),
        ("[Checkout_Completed]", {"checkout_completed"}),
        ('"*"', None),
        ('[Submit, "*"]', None),
    ],
)
def test_actions_in_all_their_words(load: Load, good: str, written: str, actions: set[str] | None) -> None:
    expected = None if actions is None else frozenset(actions)
    assert webhook_of(load(changed(good, action=written))).actions == expected


@pytest.mark.parametrize(
    ("written", "when"),
    [
        ("{department: Technique}", When(departments=frozenset({"technique"}))),
        ("{department: [' Été ', Sales]}", When(departments=frozenset({"été", "sales"}))),
        ("{priority: [HAUTE, low]}", When(priorities=frozenset({"high", "low"}))),
        ("{priority: Urgent!}", When(priorities=frozenset({"urgent!"}))),
        ("{source: ClientXCMS}", When(sources=frozenset({"clientxcms"}))),
        ("{}", When()),
        ("", When()),
    ],
)
def test_conditions_are_compared_without_case(load: Load, good: str, written: str, when: When) -> None:
    assert webhook_of(load(changed(good, when=written))).when == when


@pytest.mark.parametrize(
    ("written", "rates"),
    [("1/1s", (Rate(1, 1.0),)), ("none", ()), ("'10/min, 1/s'", (Rate(10, 60.0), Rate(1, 1.0)))],
)
def test_a_rate(load: Load, good: str, written: str, rates: tuple[Rate, ...]) -> None:
    assert webhook_of(load(changed(good, rate=written))).rates == rates


def test_options_and_the_rest(load: Load, good: str) -> None:
    webhook = webhook_of(
        load(
            changed(good, enabled="no", options="{username: 7, silent: yes, api_token: abc, colours: [a, 1]}")
        )
    )
    assert webhook.enabled is False
    options: Any = webhook.options
    assert (options.username, options.silent, options.colours) == ("7", True, ("a", "1"))
    assert options.api_token.reveal() == "abc"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"url": "¦''"}, "error url: is empty -> paste the URL that the service gave you"),
        ({"url": "¦discord.com/api/webhooks/1/x"}, "error url: must begin with https:// (or http://, demo:) -> write ht"),
        ({"url": "¦ftp://discord.com/x"}, "error url: must begin with https:// (or http://, demo:) -> or demo:discord"),
        ({"url": "¦$DISCORD_URL"}, "error url: must begin with https:// -> a variable of the environment is written ${N"),
        ({"url": "¦'https://discord.com/a b'"}, "error url: there is white space in it -> paste the URL whole"),
        ({"url": "¦'https://'"}, "error url: there is no usable host in it -> it should look like https://host/…"),
        ({"url": "¦'https://[::1/x'"}, "error url: there is no usable host in it"),
        ({"url": "¦https://h:99999/x"}, "error url: there is no usable host in it"),
        ({"url": "¦https://example.com/x"}, "error no transport recognises this URL -> say who sends there:  transport:"),
        ({"url": "¦[a, b]"}, "error url: must be text"),
        ({"url": "¦demo:slack"}, "error demo: the transport slack brings no service that could be played"),
        ({"url": "¦demo:discrod"}, "error demo channel: 'demo:discrod' is not one of discord -> did you mean 'discord'?"),
        ({"url": "demo:discord", "transport": "¦slack"}, "error transport: 'slack' does not fit the URL demo:discord"),
        ({"¦url_file": "url"}, "error there is a url and a url_file -> keep one of the two"),
        ({"url": "", "url_file": "¦none"}, "error url_file: 'none' cannot be read: no such file or directory"),
        ({"url": "", "url_file": "¦two"}, "error url_file: the file must hold one URL and nothing else"),
        ({"url": "", "url_file": "¦odd"}, "error url_file: must begin with https://"),
        ({"transport": "¦Discord"}, "error transport: 'Discord' is not one of discord, slack -> did you mean 'discord'?"),
        ({"transport": "¦telegram"}, "error transport: 'telegram' is not one of discord, slack -> if it is a plugin"),
        ({"transport": "¦my_chat"}, "error transport: 'my_chat' is not one of discord, slack -> if it is a plugin"),
        ({"transport": "¦matrix"}, "error transport: 'matrix' could not be loaded: No module named 'nio'"),
        ({"transport": "¦slack"}, "warning transport: 'slack' will post to a URL of discord -> transport: discord, or l"),
        ({"transport": "¦[discord]"}, "error transport: must be text"),
        ({"action": "¦support.submt"}, "error action: 'support.submt' is not one of checkout_completed, Close, Reopen, "),
        ({"action": "[Submit, ¦Clse]"}, "error action: 'Clse' is not one of checkout_completed, Close, Reopen, Reply, "),
        ({"action": "¦[]"}, 'error action: the list is empty -> for all events:  action: "*"'),
        ({"action": "¦''"}, "error action: '' is not one of checkout_completed, Close, Reopen, Reply, StaffReply, Sub"),
        ({"action": "¦{a: b}"}, "error action: must be text or a list of it"),
        ({"action": "¦Reopen"}, "warning action: no source sends Reopen today"),
        ({"enabled": "¦perhaps"}, "error enabled: must be true or false"),
        ({"when": "¦high"}, "error when: must be a mapping (key: value)"),
        ({"when": "{¦priorities: high}"}, "error unknown key 'priorities' -> did you mean 'priority'?"),
        ({"when": "{department: ¦[]}"}, "error when.department: there is an empty value -> name what must match, or lea"),
        ({"when": "{department: ¦[a, ' ']}"}, "error when.department: there is an empty value"),
        ({"when": "{priority: [low, ¦hihg]}"}, "warning when.priority: 'hihg' is no known priority; it is compared as"),
        ({"when": "{source: ¦clientxcm}"}, "error when.source: 'clientxcm' is not one of clientxcms -> did you mean"),
        ({"rate": "¦fast"}, "error rate: 'fast' is no rate -> write it like 5/2s or 30/60s, or none: do not pace"),
        ({"rate": "¦22:30"}, "error rate: '22:30' is no rate"),
        ({"rate": "¦[1/1s]"}, "error rate: must be text"),
        ({"options": "¦[]"}, "error options: must be a mapping (key: value)"),
        ({"options": "{¦usernme: x}"}, "error unknown key 'usernme' -> did you mean 'username'?"),
        ({"options": "{silent: ¦perhaps}"}, "error options.silent: must be true or false"),
        (
            {"options": "{colours: [a, ¦{}]}"},
            "error options.colours[1]: must be text -> put quotes round it if it is text",
        ),
        ({"¦username": "x"}, "error unknown key 'username' -> write it under options:  options: {username: …}"),
        ({"¦urll": "x"}, "error unknown key 'urll' -> did you mean 'url'?"),
    ],
)  # fmt: skip
def test_a_wrong_webhook_is_told_at_its_place(
    only_problem: Callable[..., str], good: str, tmp_path: Path, lines: dict[str, str], expected: str
) -> None:
    for name, content in {"url": DISCORD_URL, "two": "a b", "odd": "x"}.items():
        (tmp_path / name).write_text(content)
    text = changed(good, **lines)
    assert only_problem(text, broken={"matrix": "No module named 'nio'"}).startswith(expected)


def test_the_pip_command_is_the_distributions(problems: Problems, good: str) -> None:
    (found,) = problems(changed(good, transport="my_chat"))
    assert found.endswith("pip install deskbell-my-chat")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("name", "this webhook has no name -> give it one:  name: …"),
        ("url", "this webhook has no url -> paste the URL that the service gave you:  url: …"),
        ("action", 'this webhook has no action -> say which events it shows, or all:  action: "*"'),
        ("message", "this webhook has no message -> write one:  message: |"),
    ],
)
def test_a_key_that_must_be_there(problems: Problems, good: str, key: str, expected: str) -> None:
    keys = {"name": "support", "url": DISCORD_URL, "action": "Submit", "message": "x", "enabled": "true"}
    entry = "\n    ".join(f"{name}: {value}" for name, value in keys.items() if name != key)
    text = good[: good.index("  - name: support")] + f"  - {entry}\n"
    assert problems(text) == [f"6:5 error {expected}"]


def test_a_misspelt_key_is_told_once_and_not_missed_as_well(problems: Problems, good: str) -> None:
    text = good.replace("    url: https://discord.com/api/webhooks/1/a-secret-part", "    urll: ${UNSET}")
    assert [one.partition(" -> ")[0] for one in problems(text)] == [
        "7:5 error unknown key 'urll'",
        "7:11 error the environment variable UNSET is not set",
    ]


def test_names_that_differ_only_in_case_are_one_name(problems: Problems, good: str) -> None:
    entry = good[good.index("  - name: support") :]
    assert problems(good + entry.replace("support", "Support")) == [
        "11:11 error the webhook name 'Support' is used twice; the first is on line 6 -> give one of them another name"
    ]


def test_an_action_that_the_sources_of_the_webhook_do_not_send(problems: Problems, good: str) -> None:
    text = changed(good, action="checkout_completed", when="{source: own}").replace(
        "webhooks:", "  - {name: own, adapter: deskbell}\nwebhooks:"
    )
    assert problems(text) == ["9:13 warning action: no source of this webhook sends checkout_completed today"]


def test_an_action_of_an_adapter_that_no_source_uses(problems: Problems, good: str) -> None:
    text = changed(good, action="checkout_completed").replace("name: clientxcms", "name: own")
    (found,) = problems(text)
    assert found.endswith("-> the adapter clientxcms has it, but no source uses that")


def test_deskbells_own_event_has_every_ticket_action(load: Load, good: str) -> None:
    text = changed(good, action="Reopen").replace("name: clientxcms", "name: own")
    assert webhook_of(load(text)).actions == frozenset({"reopen"})


def test_two_transports_that_recognise_a_url(problems: Problems, good: str) -> None:
    (found,) = problems(good, transports=[Eager()])
    assert found == (
        "7:10 error discord and eager both recognise this URL -> say who sends there:  "
        "transport: one of discord, eager"
    )


def test_a_transport_that_fails_when_it_is_asked_harms_no_other(load: Load, good: str) -> None:
    loaded = load(good, transports=[Faulty()])
    assert loaded.config is not None
    assert [one.message for one in loaded.problems] == [
        "the transport faulty failed when it was asked about this URL (RuntimeError)"
    ]


def test_a_transport_that_fails_when_it_sees_a_message_says_nothing(load: Load, good: str) -> None:
    text = changed(good, url="https://chat.example/", transport="faulty")
    assert "the transport faulty failed when it was asked about this message (RuntimeError)" in [
        one.message for one in load(text.replace("New: ", ""), transports=[Faulty()]).problems
    ]


class StrictOptions(deskbell.Options):
    topic: str
    level: Literal["low", "high"] = "low"
    key: deskbell.Secret | None = None

    @field_validator("topic")
    @classmethod
    def _no_spaces(cls, topic: str) -> str:
        if topic == "crash":
            raise RuntimeError(topic)
        if " " in topic:
            raise ValueError(f"{topic} holds a space")
        return topic

    @field_validator("key")
    @classmethod
    def _tell_tale(cls, key: deskbell.Secret) -> deskbell.Secret:
        raise ValueError(f"{key.reveal()} is no key")


class Strict(deskbell.Transport[StrictOptions]):
    name = "strict"
    max_length = 100

    def format(self, notice: deskbell.Notice, options: StrictOptions) -> deskbell.Payload:
        return {"topic": options.topic, "text": notice.text(deskbell.plain, self.max_length)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("¦{level: low}", "error options.topic is missing"),
        ("{topic: ¦a b}", "error options.topic: a b holds a space"),
        ("{topic: a, level: ¦medium}", "error options.level: input should be 'low' or 'high'"),
        ("{topic: a, key: ¦this-is-a-secret}", "error options.key: ••• is no key"),
        ("¦{topic: crash}", "error the transport's own check of these options failed (RuntimeError)"),
    ],
)
def test_options_are_judged_by_the_transports_own_model(
    only_problem: Callable[..., str], good: str, options: str, expected: str
) -> None:
    text = changed(good, url="https://chat.example/", transport="strict", options=options)
    assert only_problem(text, transports=[Strict()]) == expected


def test_a_required_option_is_missed_at_the_webhook_without_options(problems: Problems, good: str) -> None:
    text = changed(good, url="https://chat.example/", transport="strict")
    assert problems(text, transports=[Strict()]) == ["6:5 error options.topic is missing"]


def test_a_transport_whose_own_rate_cannot_be_read(problems: Problems, good: str) -> None:
    found = problems(
        changed(good, url="https://chat.example/", transport="eager").replace("New: ", ""),
        transports=[Eager()],
    )
    assert [one.partition(" -> ")[0] for one in found] == [
        "6:5 error the transport eager declares no usable rate"
    ]


ALLOW = "egress: {allow: [10.0.0.0/8, '::1']}\n"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8080/hooks/x", "127.0.0.1"),
        ("https://192.168.1.9/hooks/x", "192.168.1.9"),
        ("http://[fd00::9]:8080/hooks/x", "fd00::9"),
        ("http://[::ffff:169.254.169.254]/hooks/x", "169.254.169.254"),
    ],
)
def test_an_address_that_is_not_public_must_be_allowed(
    problems: Problems, good: str, url: str, address: str
) -> None:
    refusal = f"{address} is not a public address; list its network under egress.allow if it is yours"
    assert problems(ALLOW + changed(good, url=url, transport="slack").replace("New: ", "")) == [
        f"8:10 warning url: {refusal} -> until then, nothing is sent there"
    ]


@pytest.mark.parametrize(
    "url",
    ["http://10.1.2.3/x", "http://[::1]/x", "https://1.1.1.1/x", "https://chat.example/x", "demo:discord"],
)
def test_an_address_that_is_public_or_allowed_is_fine(load: Load, good: str, url: str) -> None:
    transport = "discord" if url.startswith("demo:") else "slack"
    webhook_of(load(ALLOW + changed(good, url=url, transport=transport)))
