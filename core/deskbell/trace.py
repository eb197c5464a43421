"""``DESKBELL_TRACE=1``: each call of a plugin's code in the log, with what it got and what came of it.

Of an event it shows which one it is; of a payload its beginning. Secrets are masked, as in any line of the log.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from .delivery import Attempt
from .event import TicketEvent
from .notice import Notice
from .source import EventRequest

VARIABLE = "DESKBELL_TRACE"
"""The variable of the environment that turns it on; ``0`` and nothing leave it off."""
_LONGEST = 2_000
"""Characters of a line."""
_log = logging.getLogger(__name__)


@cache
def is_on() -> bool:
    """Whether the environment asks for it. Read once: it is asked at every event."""
    return os.environ.get(VARIABLE, "0") not in ("", "0")


def call(who: str, function: Callable[..., Any], given: Mapping[str, object]) -> Any:
    """``function`` with what is ``given``; where tracing is on, a line about it. ``who`` is the plugin's name."""
    if not is_on():
        return function(*given.values())
    asked = f"{function.__name__}({', '.join(f'{name}={shown(value)}' for name, value in given.items())})"
    began = time.perf_counter()
    try:
        result = function(*given.values())
    except BaseException as error:
        say(who, asked, f"raised {type(error).__name__}: {error}", time.perf_counter() - began)
        raise
    say(who, asked, result, time.perf_counter() - began)
    return result


def say(who: str, asked: str, came: object, seconds: float) -> None:
    """One line: ``asked`` was asked of ``who``, and ``came`` came of it.

    The log cuts it, once every secret in it is masked: half a secret would not be found any more.
    """
    _log.setLevel(logging.INFO)  # whatever the level of the others
    told = "%s: %.1f ms for %s -> %s"
    _log.info(told, who, seconds * 1000, asked, shown(came), extra={"longest": _LONGEST})


def shown(value: object) -> str:
    """``value`` in short: which event it is, rather than all that stands in it."""
    match value:
        case TicketEvent():
            return f"<{value.action} {value.id} of {value.source}, ticket {value.ticket or 'none'}>"
        case Attempt():
            return f"<attempt {value.number} of {value.event_id} to {value.webhook}: {value.outcome!r}>"
        case EventRequest():
            return f"<{len(value.body)} bytes>"
        case Notice():
            return shown(value.event)
        case str():
            return value
        case type():
            return value.__name__
        case list() | tuple():
            return f"[{', '.join(map(shown, value))}]"
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a plugin's own code, and a trace must not change what it does
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
