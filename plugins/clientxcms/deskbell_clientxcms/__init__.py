"""ClientXCMS, as a deskbell plugin."""

import deskbell

from .source import ClientXCMS

__all__ = ["ClientXCMS", "deskbell_sources"]

deskbell_api_version = 1


@deskbell.hookimpl
def deskbell_sources() -> deskbell.Sources:
    """Offer the one adapter of this plugin."""
    return [ClientXCMS]
