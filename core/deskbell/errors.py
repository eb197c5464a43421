"""What can go wrong, by whose fault it is. Each message says what happened and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DeskbellError(Exception):
    """Any error that deskbell raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong field of an event: ``path`` as in ``payload.subject`` (empty: the whole body)."""

    path: str
    message: str


class EventError(DeskbellError):
    """The sender's fault: the body cannot be read as an event.

    ``status`` is the HTTP answer: 400 when it is not JSON, 422 when it is JSON but no event.
    """

    def __init__(self, detail: str, *, status: int = 422, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.faults = tuple(faults)


class SignatureError(DeskbellError):
    """The sender's fault: the request is not signed, or not rightly. The text is for the log, never for the answer."""


class ConfigError(DeskbellError):
    """The owner's fault: the configuration cannot be used. The text lists every problem found."""


class PluginError(DeskbellError):
    """A plugin's fault. ``fix`` tells the owner or the author what to do."""

    def __init__(self, reason: str, *, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix


class SendError(DeskbellError):
    """The network's fault: no complete answer came back from the service.

    ``maybe_received``: false when it is certain that the service got nothing, so that a repeat cannot be a double.
    """

    def __init__(self, detail: str, *, maybe_received: bool = True) -> None:
        super().__init__(detail)
        self.maybe_received = maybe_received


class StoreError(DeskbellError):
    """The machine's fault: the store cannot be opened, written or trusted."""


class StoreBusyError(StoreError):
    """The store has more work waiting than it may hold: the sender should try again soon."""
