"""A preview raises nothing, whatever the plugin does."""

from __future__ import annotations

from datetime import UTC

from tests.kit import Bell, event, webhook

from deskbell.preview import preview


class Shy(Bell):
    """Cannot say what of a text is secret."""

    name = "shy"

    @classmethod
    def redact(cls, text: str) -> str:
        raise RuntimeError(text)


def test_what_cannot_be_redacted_is_not_shown_and_the_reason_is() -> None:
    made = preview(webhook("w", transport=Shy()), event(), timezone=UTC, date_format="%H:%M")
    assert (made.payload, made.renderings) == ({}, ())
    assert "transport shy" in made.fault
    assert "redact" in made.fault
