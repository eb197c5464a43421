"""What strangers wrote, as a page may show it."""

from __future__ import annotations

from collections.abc import Callable

from deskbell.log import SHORTEST_PROTECTED
from deskbell.secret import MASK, secret_parts
from deskbell.settings import Config


def masking(config: Config) -> Callable[[str], str]:
    """Shows what a sender wrote, but not the secrets of this config that are in it."""
    parts = {part for secret in config.secrets for part in secret_parts(secret.reveal())}
    telling = [part for part in parts if len(part) >= SHORTEST_PROTECTED]
    telling.sort(key=len, reverse=True)  # the whole before its parts

    def masked(text: str) -> str:
        for part in telling:
            text = text.replace(part, MASK)
        return text

    return masked
