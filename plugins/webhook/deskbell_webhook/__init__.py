"""Any system that takes JSON over HTTP, as a deskbell plugin."""

import deskbell

from .transport import Webhook

__all__ = ["Webhook", "deskbell_transports"]
deskbell_api_version = 1


@deskbell.hookimpl
def deskbell_transports() -> deskbell.Transports:
    """Offer the one transport of this plugin."""
    return [Webhook]
