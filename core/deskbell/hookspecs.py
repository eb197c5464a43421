"""The hooks: what a plugin may offer, and what it may be told. All are synchronous."""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from .delivery import Attempt
from .event import TicketEvent
from .source import Sources
from .transport import Transports

PROJECT = "deskbell"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of its name."""


@hookspec
def deskbell_transports() -> Transports:  # type: ignore[empty-body]
    """Offer transports. Called once, before the configuration is read."""


@hookspec
def deskbell_sources() -> Sources:  # type: ignore[empty-body]
    """Offer adapters of ticket systems. Called once, before the configuration is read."""


@hookspec
def deskbell_event_accepted(event: TicketEvent, webhooks: Sequence[str]) -> None:
    """``event`` is stored and goes to ``webhooks`` (their names; none when nothing matches)."""


@hookspec
def deskbell_attempt_finished(attempt: Attempt) -> None:
    """One attempt was made and its outcome is stored."""
