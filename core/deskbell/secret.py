"""A value that never prints; and which parts of a URL are such values by themselves."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

MASK = "•••"
SHORTEST_TOKEN = 16
"""Characters of a part of a URL that is taken for a token."""
_SHORTEST_PATH = 12
"""Characters: a shorter path holds no secret, and masking it would mask ordinary words."""
_SHORTEST_PART = 6
"""Characters of a part of another kind of URL that is taken for a secret."""
_WEB = re.compile("https?://", re.IGNORECASE)
_SIGNS = re.compile("[:/?&=#@,]+")
_URL = re.compile(r"\w+://(?:(?P<user>[^/?#]*)@)?[^/?#]*(?P<rest>.*)", re.DOTALL)


class Secret:
    """A token, password or webhook URL. ``reveal()`` is the one way to read it.

    It is deliberately no ``str``: a subclass would show itself in f-strings, ``join`` and JSON.
    As a field of a transport's options it is read from a plain string.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself: for the line that sends it, and for no other."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(_bytes(self._value), _bytes(candidate))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: it would be written in clear")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        # A core schema is plain data, so that this file needs no pydantic.
        return {
            "type": "function-after",
            "function": {"type": "no-info", "function": cls},
            "schema": handler(str),
            "serialization": {"type": "to-string", "when_used": "json"},  # the mask
        }


def secret_parts(url: str) -> Iterator[str]:
    """The whole of ``url``, and what of it is secret by itself: its password, its tokens, its path.

    What is no URL of the web may hold a token anywhere, even where the host stands (``tgram://token/chat``).
    """
    yield url
    if not _WEB.match(url):
        yield from (part for part in _SIGNS.split(url)[1:] if len(part) >= _SHORTEST_PART)
    if found := _URL.fullmatch(url):
        user, _, password = (found["user"] or "").partition(":")
        tokens = [part for part in re.split("[/?&=#]", found["rest"]) if len(part) >= SHORTEST_TOKEN]
        path = [found["rest"]] if len(found["rest"]) >= _SHORTEST_PATH else []
        yield from filter(None, [password or user, *tokens, *path])


def _bytes(text: str) -> bytes:
    """What an environment or a JSON body holds need not be valid Unicode."""
    return text.encode("utf-8", "surrogatepass")
