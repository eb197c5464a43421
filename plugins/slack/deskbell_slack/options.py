"""What an owner may set under ``options:`` of a Slack webhook."""

from __future__ import annotations

from pydantic import Field

import deskbell


class SlackOptions(deskbell.Options):
    """Which links unfold a preview. Channel, name and icon belong to the webhook: Slack lets no message change them.

    Left out, Slack's own rule holds: pictures, videos and the like unfold, other pages do not.
    https://docs.slack.dev/messaging/unfurling-links-in-messages
    """

    unfurl_links: bool | None = Field(default=None, description="Show a preview below links to pages.")
    unfurl_media: bool | None = Field(
        default=None, description="Show the pictures, videos and sounds that links lead to."
    )
