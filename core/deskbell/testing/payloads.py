"""What the checks ask of ``format``, and how they look at what it makes."""

from __future__ import annotations

import inspect
import json
import string
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from deskbell.blame import in_words
from deskbell.event import VARIABLES, Action
from deskbell.notice import Notice
from deskbell.transport import Payload

from .checks import NotMet
from .stage import MESSAGE, TransportCase, sample_notice

OWN_ACTION = "invoice_paid"
"""An action that only some source knows."""
ACTIONS = (*Action, OWN_ACTION)
TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "no text": "",
        "blanks": " \t\n ",
        "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 🇫🇷 👍🏽",
        "text from right to left": "مرحبا \u202eעולם\u202c",
        "control characters": "".join(map(chr, range(32))) + "\x7f\x85\u2028",
        "half of a surrogate pair": "\ud83d und \udc00",
        "HTML": '<b onclick="x()">&amp;</b><!-- <script>',
        "Markdown": "**a** _b_ ~~c~~ `d` ```\n# e\n> f\n- g\n1. h\n[i](https://j.example) ||k|| <@1> @everyone :l:",
        "braces, signs and backslashes": "{0} {{x}} ${y} %s %d %(z)s \\ \\n \" ' \\u0000 #{q} <%= r %>",
        "accents without end": "a" + "\u0301" * 500,
    }
)
"""Texts that a customer may write, by what they are called in a sentence."""
FRAGMENTS = (
    *(chr(code) for code in range(33)),
    *string.punctuation,
    *"aZ09",
    *"é€ß漢ـ\u200b\u200d\u202e\u2028\ufeff\ufe0f\u0301\ud83d\udc00🐦👍🏽🇫🇷",
    *(
        "**",
        "__",
        "~~",
        "||",
        "```",
        "<@",
        "<!",
        "](",
        "://",
        "https://x.example/",
        "%",
        "%email%",
        "\n> ",
        "&amp;",
    ),
    "a word ",
)
"""What generated texts are put together from."""
LONG_TEXT = 100_000
"""Characters: more than any ticket system lets a customer write."""
FREE = ("subject", "content", "username", "email", "departmentname", "priority", "related", "relatedid")
"""The variables whose text is a customer's, or comes near it."""


def filled(text: str) -> dict[str, str]:
    """``text`` in every free variable."""
    return dict.fromkeys(FREE, text)


def every_variable(text: str) -> dict[str, str]:
    """``text`` in every variable, links and times too."""
    return {name.casefold(): text for name in VARIABLES if name != "action"}


def formatted(case: TransportCase, what: str, notice: Notice | None = None) -> Payload:
    """What ``format`` makes of ``notice``; ``NotMet``, in the words of ``what`` it was given, when it fails."""
    notice = notice or sample_notice()
    try:
        payload: Any = case.transport.format(notice, case.options)
    except Exception as error:
        raise NotMet(
            f"format() raised {in_words(error)} for {what}: it must cope with every event"
        ) from error
    if inspect.iscoroutine(payload):
        payload.close()
        raise NotMet("format() is async: write def, and leave the network to send()")
    if not isinstance(payload, Mapping):
        raise NotMet(f"format() returned {type(payload).__name__} for {what}: return a dict")
    return payload


def payload_with(
    case: TransportCase, what: str, variables: Mapping[str, str], *, message: str = MESSAGE
) -> Payload:
    """The payload of the sample event with ``variables``."""
    return formatted(case, what, sample_notice(Action.SUBMIT, variables, message=message))


def require_json(payload: Payload, what: str) -> None:
    """``NotMet`` when ``payload``, which was made of ``what``, is no JSON to every reader."""
    try:
        json.dumps(payload, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise NotMet(
            f"the payload of {what} is no JSON ({error}): use dict, list, str, int, float, bool and None"
        ) from None


def require_encodable(payload: Payload, what: str) -> None:
    """``NotMet`` when a text of ``payload`` cannot be sent."""
    try:
        "".join(strings_in(payload)).encode()
    except UnicodeEncodeError:
        raise NotMet(
            f"the payload of {what} holds half of a surrogate pair, which cannot be sent: take texts from "
            "notice.text() or notice.values, which are clean, not from notice.event.variables"
        ) from None


def strings_in(value: Any) -> Iterator[str]:
    """Every text of a payload, however deep, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from strings_in(key)
            yield from strings_in(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from strings_in(inner)


def holders_in(value: Any) -> Iterator[dict[Any, Any] | list[Any]]:
    """Every part of a payload that could be changed."""
    if isinstance(value, (dict, list)):
        yield value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from holders_in(inner)


def shape_of(value: Any) -> Any:
    """A payload without its texts: equal for two messages that differ in words only."""
    if isinstance(value, Mapping):
        return {key: shape_of(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [shape_of(inner) for inner in value]
    return type(value).__name__


def shortened(text: str, length: int = 60) -> str:
    """``text`` for a sentence, quoted."""
    return repr(text if len(text) <= length else text[: length - 1] + "…")
