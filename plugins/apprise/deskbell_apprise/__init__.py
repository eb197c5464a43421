"""Apprise's services, as a deskbell plugin."""

import deskbell

from .transport import Apprise

__all__ = ["Apprise", "deskbell_api_version", "deskbell_transports"]

deskbell_api_version = 1


@deskbell.hookimpl
def deskbell_transports() -> deskbell.Transports:
    """Offer the one transport of this plugin. It loads without the library, and says so."""
    return [Apprise]
