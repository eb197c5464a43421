"""Slack, as a deskbell plugin."""

import deskbell

from .transport import Slack

__all__ = ["Slack", "deskbell_transports"]

deskbell_api_version = 1


@deskbell.hookimpl
def deskbell_transports() -> deskbell.Transports:
    """Offer the one transport of this plugin."""
    return [Slack]
