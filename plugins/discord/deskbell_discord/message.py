"""One ticket event as a Discord message: text, author, flags, and who may be pinged."""

from __future__ import annotations

import re
from typing import Any

import deskbell

from . import markdown
from .options import DiscordOptions

MAX_CONTENT = 2000
"""Code points: https://docs.discord.com/developers/resources/webhook#execute-webhook and, for the unit,
https://github.com/discord/discord-api-docs/issues/1315"""
MAX_MENTIONS = 100
"""Users, and roles: https://docs.discord.com/developers/resources/message#allowed-mentions-object"""

SUPPRESS_EMBEDS = 1 << 2
SUPPRESS_NOTIFICATIONS = 1 << 12
"""https://docs.discord.com/developers/resources/message#message-object-message-flags"""

NOTHING_TO_SHOW = "…"
"""Sent where every word of the message is empty. Discord refuses an empty message (50006), and an event that
nobody sees would be lost; the same sign marks a text that was cut."""

VALUE_IN_CODE = (
    "a variable stands between backticks: there Discord shows every backslash of the escape, "
    "and a backtick in the value ends the code; put the variable outside of the backticks"
)

EVERYONE = re.compile(r"(?<![\w.+-])@(?:everyone|here)(?!\w)")  # and not contact@hereford.example
_USER = re.compile(r"<@!?([1-9]\d{16,19})>", re.ASCII)
_ROLE = re.compile(r"<@&([1-9]\d{16,19})>", re.ASCII)


def message(notice: deskbell.Notice, options: DiscordOptions) -> dict[str, Any]:
    """``{"content", "allowed_mentions"}``, and ``username``, ``avatar_url``, ``flags`` where the options say so."""
    content = notice.text(markdown.escape, MAX_CONTENT, literal=markdown.separate, link=markdown.link)
    made: dict[str, Any] = {
        "content": content if content.strip() else NOTHING_TO_SHOW,
        "allowed_mentions": allowed_mentions(notice.template.skeleton),
    }
    if options.username:
        made["username"] = options.username
    if options.avatar_url:
        made["avatar_url"] = options.avatar_url
    if flags := SUPPRESS_EMBEDS * options.suppress_embeds | SUPPRESS_NOTIFICATIONS * options.silent:
        made["flags"] = flags
    return made


def allowed_mentions(skeleton: str) -> dict[str, list[str]]:
    """Whom the message may ping: those whom the owner wrote into the template, and nobody else.

    It is always sent: without it Discord lets a webhook's text ping every user that it names.
    """
    allowed: dict[str, list[str]] = {"parse": []}
    if "@" in skeleton:
        words = markdown.active_words(skeleton)
        if EVERYONE.search(words):
            allowed["parse"] = ["everyone"]
        for kind, pattern in (("users", _USER), ("roles", _ROLE)):
            if ids := list(dict.fromkeys(pattern.findall(words)))[:MAX_MENTIONS]:
                allowed[kind] = ids
    return allowed


def refusals(skeleton: str) -> list[str]:
    """What the owner should mend: the one place where no escape works."""
    inside_code = any(deskbell.VALUE in code for code in markdown.code_spans(skeleton))
    return [VALUE_IN_CODE] if inside_code else []
