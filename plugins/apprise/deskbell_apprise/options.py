"""What an owner may set under ``options:`` of an Apprise webhook."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

import deskbell

LONGEST = 32_768
"""Characters that Apprise itself lets most services have: ``body_maxlen`` in its ``plugins/base.py``
(https://github.com/caronc/apprise/blob/master/apprise/plugins/base.py)."""
USUAL = 1_000
"""Characters that nearly every chat behind Apprise takes: the shortest ``body_maxlen`` of those is 1,000, of Microsoft
Teams, Rocket.Chat and GroupMe. Only text messages, pagers and microblogs take less."""
SHORTEST = 60
"""Characters: APRS takes 67, the fewest of all."""

Format: TypeAlias = Literal["text", "markdown", "html"]


class AppriseOptions(deskbell.Options):
    """What the message is written in, its title, and its length. Everything else stands in Apprise's URL."""

    format: Format = Field(
        default="text",
        description="What the template is written in. Apprise turns it into what the service shows.",
    )
    title: deskbell.Template | None = Field(
        default=None,
        description="A title, or the subject of an e-mail: one line of plain text, with variables.",
    )
    max_length: int = Field(
        default=USUAL,
        ge=SHORTEST,
        le=LONGEST,
        description="The longest text that the service takes, in characters; longer values are cut.",
    )
