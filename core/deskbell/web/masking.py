"""What strangers wrote, as a page may show it."""

from __future__ import annotations

from deskbell.log import SHORTEST_PROTECTED
from deskbell.secret import MASK, secret_parts
from deskbell.settings import Config


def masked(config: Config, text: str) -> str:
    """What a sender wrote is shown, but not the secrets of this config that are in it."""
    parts = {part for secret in config.secrets for part in secret_parts(secret.reveal())}
    for part in sorted(parts, key=len, reverse=True):  # the whole before its parts
        text = text.replace(part, MASK) if len(part) >= SHORTEST_PROTECTED else text
    return text
