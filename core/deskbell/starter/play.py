"""Events to play, in the reader's language: what a customer might write, well meant or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from deskbell.event import VARIABLES, Action
from deskbell.languages import catalogue
from deskbell.samples import Sample, read_sample
from deskbell.source import NativeSource

from .sample import said_in

KINDS = ("usual", "hostile", "long")
ACTIONS = (Action.SUBMIT, Action.REPLY, Action.STAFF_REPLY, Action.CLOSE)
_LONG = 5000
"""Characters: more than the channels of most services take."""


def values_of(kind: str, language: str) -> dict[str, str]:
    """Every variable but ``action``, as it is written, with the value that one of ``KINDS`` gives it.

    ``created_at`` is empty: such an event is of the moment at which it is received.
    """
    ticket = str(KINDS.index(kind) + 1)
    own = {"ticket": ticket, "url": f"{VARIABLES['url'].rpartition('/')[0]}/{ticket}", "created_at": ""}
    said = {**said_in(language), **said_in(language, f"story.{kind}."), **own}
    values = {name: said.get(name.casefold(), value) for name, value in VARIABLES.items()}
    del values["action"]
    if kind == "long":
        content = values["content"] + "\n"
        values["content"] = content * (_LONG // len(content) + 1)
    return values


def event_of(action: str, values: Mapping[str, str], source: str) -> Sample:
    """The native event with these values, as if ``source`` had sent it; ``EventError`` when it is none."""
    body = json.dumps({**values, "action": action}, ensure_ascii=False)
    return replace(read_sample(body.encode("utf-8", "backslashreplace"), NativeSource()), source=source)


def opening(language: str, source: str) -> list[Sample]:
    """What a demo begins with: a ticket from its opening to its end, and one that means harm."""
    usual, hostile = values_of("usual", language), values_of("hostile", language)
    answer = catalogue(language)["demo.answer"]
    return [
        event_of(Action.SUBMIT, usual, source),
        event_of(Action.SUBMIT, hostile, source),
        event_of(Action.STAFF_REPLY, {**usual, "content": answer}, source),
        event_of(Action.CLOSE, usual, source),
    ]
