"""What must not print: keys that hold secrets, and the secrets themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

from deskbell.secret import MASK, Secret
from deskbell.settings import DEMO_SCHEME
from deskbell.transport import Transport

from .model import ConfigFile

_KEYS = ("url", "token", "signing_secret", "secret", "password")
_SUSPICIOUS = re.compile(r"url|token|secret|passw|pwd|credential|api_?key|auth|bearer|private", re.IGNORECASE)
_ALMOST = 0.66  # "ulr" for "url"
_LONGEST_KEY = 40
_URL = re.compile(r"(?<!sqlite)://(?P<rest>[^\s'\"]+)")
_SHORTEST_VALUE = 8
"""Characters; a shorter value could be a part of any sentence."""


class Masks:
    """Knows secrets by their keys, by their values, and by what the transports know of their services."""

    def __init__(self, transports: Iterable[Transport[Any]]) -> None:
        self._transports = tuple(transports)
        self._values = set[str]()
        models: list[type[BaseModel]] = [
            ConfigFile,
            *(transport.options_type for transport in self._transports),
        ]
        fields = [field for model in models for field in _fields(model, set())]
        self._secret = {*_KEYS, *(name for name, secret in fields if secret)}
        self._plain = {name for name, _ in fields} - self._secret

    def is_secret(self, key: str) -> bool:
        """True for a key that holds a secret, and for an unknown one that may be meant to."""
        word = key.casefold()[:_LONGEST_KEY]
        if word in self._secret or word in self._plain:
            return word in self._secret
        return bool(_SUSPICIOUS.search(word) or get_close_matches(word, _KEYS, 1, _ALMOST))

    def learn(self, data: Any) -> None:
        """Never print what secret keys hold anywhere in ``data``, whoever names it."""
        if isinstance(data, list):
            for item in data:
                self.learn(item)
        elif isinstance(data, dict):
            for key, value in data.items():
                if self.is_secret(key):
                    self._values.update(text for text in _texts(value) if self.is_worth_hiding(text))
                else:
                    self.learn(value)

    @staticmethod
    def is_worth_hiding(text: str) -> bool:
        """False for a demo channel, and for what is too short to be a secret."""
        return len(text.rpartition("://")[2]) >= _SHORTEST_VALUE and not text.startswith(DEMO_SCHEME)

    def scrub(self, text: str) -> str:
        """``text`` without the values that were remembered, and without what a transport calls secret."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, MASK)
        for transport in self._transports:
            text = _redacted(transport, text)
        return text


def url_spans(text: str) -> list[tuple[int, int]]:
    """Where URLs stand, without their ``https://``: any of them may hold a token or a password."""
    return [found.span("rest") for found in _URL.finditer(text)]


def hide_urls(text: str) -> str:
    """``text`` with only the schemes of its URLs."""
    return _URL.sub(f"://{MASK}", text)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _redacted(transport: Transport[Any], text: str) -> str:
    try:
        return transport.redact(text)
    except (Exception, SystemExit):  # noqa: BLE001 - a plugin's own code; showing nothing beats showing a secret
        return MASK


def _fields(model: type[BaseModel], seen: set[type]) -> Iterator[tuple[str, bool]]:
    """Each key of a model and of the models inside it, and whether it holds a Secret."""
    seen.add(model)
    for name, field in model.model_fields.items():
        parts = list(_parts(field.annotation))
        yield from ((key.casefold(), Secret in parts) for key in (name, field.alias) if key)
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel) and part not in seen:
                yield from _fields(part, seen)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)
