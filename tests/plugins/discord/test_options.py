"""What an owner may write under ``options:``, and what is said when it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from deskbell_discord.options import DiscordOptions

Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {}),
        ({"username": "  Support "}, {"username": "Support"}),
        ({"username": "x" * 80}, {"username": "x" * 80}),
        ({"username": 365}, {"username": "365"}),
        ({"username": "Atmosphere"}, {"username": "Atmosphere"}),
        ({"avatar_url": "https://x.example/a.png"}, {"avatar_url": "https://x.example/a.png"}),
        ({"silent": True}, {"flags": 1 << 12}),
        ({"suppress_embeds": "yes"}, {"flags": 1 << 2}),
        ({"silent": True, "suppress_embeds": True}, {"flags": 1 << 12 | 1 << 2}),
        ({"thread_id": 1097219411294621797}, {}),
    ],
)
def test_options_become_fields_of_the_message(
    make: Make, options: dict[str, Any], sent: dict[str, Any]
) -> None:
    """Flags: https://docs.discord.com/developers/resources/message#message-object-message-flags"""
    payload = make("x", options)
    assert {name: payload[name] for name in payload if name not in ("content", "allowed_mentions")} == sent


def test_an_unquoted_thread_id_keeps_every_digit() -> None:
    assert (
        DiscordOptions.model_validate({"thread_id": 1097219411294621797}).thread_id == "1097219411294621797"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"username": "My Discord bot"}, 'Discord refuses author names that contain "discord"'),
        ({"username": "CLYDE"}, 'Discord refuses author names that contain "clyde"'),
        ({"username": "Here"}, 'Discord refuses "Here" as an author name'),
        ({"username": "   "}, "at least 1 character"),
        ({"username": "x" * 81}, "at most 80 characters"),
        ({"avatar_url": "logo.png"}, "the whole address of a picture"),
        ({"avatar_url": "https://x.example/" + "a" * 2048}, "at most 2048 characters"),
        ({"thread_id": "general"}, "17 to 20 digits"),
        ({"thread_id": 12}, "17 to 20 digits"),
        ({"silent": "loud"}, "valid boolean"),
        ({"user_name": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_option_is_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        DiscordOptions.model_validate(options)
    (error,) = refused.value.errors(include_url=False)
    assert words in error["msg"]
    assert error["loc"] == tuple(options)


def test_every_option_is_described_for_editors() -> None:
    properties = DiscordOptions.model_json_schema()["properties"]
    assert set(properties) == {"username", "avatar_url", "thread_id", "silent", "suppress_embeds"}
    assert all(len(field["description"]) > 20 for field in properties.values())
