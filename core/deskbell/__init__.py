"""deskbell: support-ticket events, shown in every chat. This module is the plugin author's API.

What is in ``__all__`` is public and kept compatible within one ``API_VERSION``; all else is private.
Names are loaded on first use, so that ``deskbell --help`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

API_VERSION = 1
__version__ = "0.1.0"

if TYPE_CHECKING:
    from .delivery import Attempt
    from .errors import EventError, Fault, PluginError, SendError
    from .event import VARIABLES, Action, TicketEvent, action_named
    from .fake import Arrival, FakeService, Trouble
    from .fields import Fields
    from .hookspecs import hookimpl
    from .notice import Notice, plain
    from .outcome import Delivered, DestinationGone, Outcome, PermanentFailure, TemporaryFailure, Throttled
    from .secret import Secret
    from .signature import SigningSecret, signature_headers
    from .source import EventRequest, Source, Sources, last_number, scalar_text
    from .template import LINK, VALUE, Template
    from .transport import (
        Options,
        Payload,
        Response,
        SendContext,
        Transport,
        Transports,
        classify_response,
        retry_after,
        seconds_in,
        seconds_in_header,
    )

_HOMES = {
    "delivery": ("Attempt",),
    "errors": ("EventError", "Fault", "PluginError", "SendError"),
    "event": ("VARIABLES", "Action", "TicketEvent", "action_named"),
    "fake": ("Arrival", "FakeService", "Trouble"),
    "fields": ("Fields",),
    "hookspecs": ("hookimpl",),
    "notice": ("Notice", "plain"),
    "outcome": (
        "Delivered",
        "DestinationGone",
        "Outcome",
        "PermanentFailure",
        "TemporaryFailure",
        "Throttled",
    ),
    "secret": ("Secret",),
    "source": ("EventRequest", "Source", "Sources", "last_number", "scalar_text"),
    "signature": ("SigningSecret", "signature_headers"),
    "template": ("LINK", "VALUE", "Template"),
    "transport": (
        "Options",
        "Payload",
        "Response",
        "SendContext",
        "Transport",
        "Transports",
        "classify_response",
        "retry_after",
        "seconds_in",
        "seconds_in_header",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "API_VERSION",
    "LINK",
    "VALUE",
    "VARIABLES",
    "Action",
    "Arrival",
    "Attempt",
    "Delivered",
    "DestinationGone",
    "EventError",
    "EventRequest",
    "FakeService",
    "Fault",
    "Fields",
    "Notice",
    "Options",
    "Outcome",
    "Payload",
    "PermanentFailure",
    "PluginError",
    "Response",
    "Secret",
    "SendContext",
    "SendError",
    "SigningSecret",
    "Source",
    "Sources",
    "Template",
    "TemporaryFailure",
    "Throttled",
    "TicketEvent",
    "Transport",
    "Transports",
    "Trouble",
    "__version__",
    "action_named",
    "classify_response",
    "hookimpl",
    "last_number",
    "plain",
    "retry_after",
    "scalar_text",
    "seconds_in",
    "seconds_in_header",
    "signature_headers",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    return value
