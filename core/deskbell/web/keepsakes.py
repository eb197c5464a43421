"""Secrets that were typed into a form which is not saved yet: the page gets a word for each, never the secret."""

from __future__ import annotations

import secrets

from deskbell.secret import Secret

MOST = 200
"""Kept at once; the oldest is forgotten, and must then be typed again."""


class Keepsakes:
    """In memory alone."""

    def __init__(self) -> None:
        self._kept: dict[str, Secret] = {}

    def keep(self, secret: str) -> str:
        """The word for it; none for nothing."""
        if not secret:
            return ""
        word = secrets.token_urlsafe(18)
        self._kept[word] = Secret(secret)
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
        return word

    def find(self, word: str) -> str:
        """The secret; empty where none is known by this word any more."""
        kept = self._kept.get(word)
        return kept.reveal() if kept else ""
