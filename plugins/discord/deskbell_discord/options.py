"""What an owner may set under ``options:`` of a Discord webhook."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

import deskbell

MAX_USERNAME = 80
"""https://docs.discord.com/developers/resources/webhook#create-webhook"""
MAX_AVATAR_URL = 2048
"""``avatar_url`` in https://github.com/discord/discord-api-spec"""

FORBIDDEN_PARTS = ("clyde", "discord")
FORBIDDEN_NAMES = ("everyone", "here")
"""https://docs.discord.com/developers/resources/user#usernames-and-nicknames"""

_WEB_ADDRESS = re.compile(r"https?://[^\s/]\S*", re.ASCII)
_SNOWFLAKE = re.compile(r"[1-9]\d{16,19}", re.ASCII)

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_USERNAME)]


class DiscordOptions(deskbell.Options):
    """How the messages of one webhook look, and where in its channel they go."""

    username: Name | None = Field(
        default=None,
        description="The name shown as the author, instead of the webhook's own (1 to 80 characters).",
    )
    avatar_url: str | None = Field(
        default=None,
        max_length=MAX_AVATAR_URL,
        description="The address of the picture shown beside it, instead of the webhook's own.",
    )
    thread_id: str | None = Field(
        default=None, description="Post into this thread (or forum post) of the webhook's channel."
    )
    silent: bool = Field(default=False, description="Nobody gets a push or desktop notification.")
    suppress_embeds: bool = Field(default=False, description="Show no previews below the message's links.")

    @field_validator("username")
    @classmethod
    def _allowed_name(cls, name: str | None) -> str | None:
        folded = (name or "").casefold()
        for part in FORBIDDEN_PARTS:
            if part in folded:
                raise ValueError(f'Discord refuses author names that contain "{part}"; choose another')
        if folded in FORBIDDEN_NAMES:
            raise ValueError(f'Discord refuses "{name}" as an author name; choose another')
        return name

    @field_validator("avatar_url")
    @classmethod
    def _picture(cls, url: str | None) -> str | None:
        if url is not None and not _WEB_ADDRESS.fullmatch(url):
            raise ValueError("write the whole address of a picture, as in https://example.com/bell.png")
        return url

    @field_validator("thread_id")
    @classmethod
    def _thread(cls, thread_id: str | None) -> str | None:
        if thread_id is not None and not _SNOWFLAKE.fullmatch(thread_id):
            raise ValueError(
                "the id of a thread is a number of 17 to 20 digits "
                "(Discord: right-click the thread, Copy Thread ID)"
            )
        return thread_id
