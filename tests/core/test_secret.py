"""A secret never prints, whatever is done to what holds it."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from deskbell import Options, Secret
from deskbell.secret import secret_parts

URL = "https://discord.com/api/webhooks/1/s3cr3t"


class Held(Options):
    token: Secret
    spare: Secret | None = None


@dataclass
class Settings:
    url: Secret


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        ascii,
        "{}".format,
        "{:>60}".format,
        "%s".__mod__,
        lambda secret: f"{secret!r:.100}",
        lambda secret: repr([secret, {"a": secret}, (secret,)]),
        lambda secret: repr(Settings(secret)),
        lambda secret: repr(Held(token=secret.reveal(), spare=secret.reveal())),
        lambda secret: repr(Held.model_validate({"token": secret.reveal()}).model_dump()),
        lambda secret: Held.model_validate({"token": secret.reveal()}).model_dump_json(),
        lambda secret: json.dumps({"a": secret}, default=str),
    ],
)
def test_no_way_of_printing_shows_it(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(URL))
    assert "s3cr3t" not in shown
    assert "•••" in shown or "\\u2022" in shown


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, "".join, len, iter])
def test_ways_that_would_take_it_out_are_refused(take: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError) as refused:
        take([Secret(URL)] if take == "".join else Secret(URL))
    assert "s3cr3t" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("value", [["s3cr3t"], {"a": "s3cr3t"}, None])
def test_a_wrong_option_is_refused_without_showing_it(value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Held.model_validate({"token": value})
    assert "s3cr3t" not in str(refused.value)


def test_reveal_is_the_one_way_to_read_it() -> None:
    assert Secret(URL).reveal() == URL
    assert Held.model_validate({"token": URL}).token.reveal() == URL
    assert Held.model_validate({"token": 12345}).token.reveal() == "12345"  # YAML read it as a number


def test_secrets_are_compared_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"
    assert bool(Secret("a"))
    assert not Secret("")


@pytest.mark.parametrize(
    ("value", "candidate", "equal"),
    [
        ("token", "token", True),
        ("token", "Token", False),
        ("token", "", False),
        ("é", "é", True),
        ("\udce9", "\udce9", True),  # what an environment variable that is not UTF-8 looks like
        ("\udce9", "x", False),
        ("x", "\ud83d", False),
    ],
)
def test_candidates_of_any_text_are_compared(value: str, candidate: str, equal: bool) -> None:
    assert Secret(value).matches(candidate) is equal


def test_the_schema_of_an_option_is_a_string() -> None:
    assert Held.model_json_schema()["properties"]["token"]["type"] == "string"


def test_what_is_no_url_of_the_web_may_hold_a_token_anywhere() -> None:
    parts = set(secret_parts("tgram://123456:AAbot-token/chat-42/?format=markdown"))
    assert {"123456", "AAbot-token", "chat-42", "markdown"} <= parts
    assert "hooks.slack.com" not in set(
        secret_parts("https://hooks.slack.com/services/T/B/XXXXXXXXXXXXXXXXXXXX")
    )
