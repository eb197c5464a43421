"""Discord, as a deskbell plugin."""

import deskbell

from .transport import Discord

__all__ = ["Discord", "deskbell_transports"]

deskbell_api_version = 1


@deskbell.hookimpl
def deskbell_transports() -> deskbell.Transports:
    """Offer the one transport of this plugin."""
    return [Discord]
