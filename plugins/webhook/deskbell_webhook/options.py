"""What an owner may set under ``options:`` of a webhook whose transport is ``webhook``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

import deskbell

from .body import MESSAGE, Body
from .headers import refuse_unusable


class WebhookOptions(deskbell.Options):
    """What is sent besides the message, and how the receiver reads it."""

    headers: dict[str, deskbell.Secret] = Field(
        default={},
        description="Further headers of each request. Every value counts as a secret and is never shown.",
        examples=[{"Authorization": "Bearer ${HELPDESK_TOKEN}"}],
    )
    body: Body = Field(
        default={"text": MESSAGE},
        validate_default=True,
        description="The JSON to send: keys as they are, texts with %variables%, and %message%, alone, for the message.",
        examples=[{"title": "Ticket %ticket%", "ticket": {"subject": "%subject%", "link": "%url%"}, "v": 1}],
    )
    markup: Literal["plain", "markdown", "html"] = Field(
        default="plain",
        description="How the receiver reads texts. Whichever it is, what customers wrote stays plain text in it.",
        examples=["markdown"],
    )
    signing_secret: deskbell.SigningSecret | None = Field(
        default=None,
        description="Sign each request by Standard Webhooks: whsec_ and the base64 of 24 to 64 random bytes.",
        examples=["${WEBHOOK_SIGNING_SECRET}"],
    )

    @field_validator("headers")
    @classmethod
    def _usable(cls, headers: dict[str, deskbell.Secret]) -> dict[str, deskbell.Secret]:
        refuse_unusable(headers)
        return headers
