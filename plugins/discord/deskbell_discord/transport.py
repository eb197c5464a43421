"""The transport: what Discord's webhooks can do, and how deskbell asks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import deskbell

from . import api, markdown
from .message import MAX_CONTENT, message, refusals
from .options import DiscordOptions
from .picture import picture


class Discord(deskbell.Transport[DiscordOptions]):
    """Sends ticket events to a Discord channel, through the channel's webhook."""

    name = "discord"
    max_length = MAX_CONTENT
    example_url = f"https://discord.com/api/webhooks/123456789012345678/{'x' * 68}"
    rates = "5/2s, 30/60s"
    """A webhook's own limit, and the hidden one of its channel
    (https://github.com/discord/discord-api-docs/issues/367). What the headers say comes on top."""
    service_rate = "50/s"
    """Requests without a bot's token are counted by IP address:
    https://docs.discord.com/developers/topics/rate-limits#global-rate-limit"""

    def format(self, notice: deskbell.Notice, options: DiscordOptions) -> deskbell.Payload:
        """The body of "execute webhook"."""
        return message(notice, options)

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[DiscordOptions]
    ) -> deskbell.Outcome:
        """One POST that waits for the message, so that a 2xx means that the channel shows it."""
        url = context.url.reveal()
        response = await context.post(
            payload,
            url=api.execute_url(url, context.options.thread_id),
            headers=self.headers(context.options),
        )
        return api.outcome(response, own_host=api.recognises(url))

    async def probe(self, context: deskbell.SendContext[DiscordOptions]) -> deskbell.Outcome:
        """One GET of the webhook, which posts nothing; ``detail`` says its name, and the id of its channel.

        https://docs.discord.com/developers/resources/webhook#get-webhook-with-token
        """
        url = context.url.reveal()
        response = await context.get(url=api.webhook_url(url), headers=self.headers(context.options))
        return api.identity(response, own_host=api.recognises(url))

    def headers(self, options: DiscordOptions) -> Mapping[str, str]:  # noqa: ARG002 - equal for every webhook
        """Discord asks for a User-Agent of its own form."""
        return {"User-Agent": api.USER_AGENT}

    @classmethod
    def recognises(cls, url: str) -> bool:
        """``https://discord.com/api/webhooks/…``, with or without a version, and its other hosts."""
        return api.recognises(url)

    @classmethod
    def redact(cls, text: str) -> str:
        """``text`` without the tokens of webhooks."""
        return api.redact(text)

    def readable(self, payload: deskbell.Payload) -> str:
        """The text as the channel's readers see it."""
        return markdown.as_read(payload["content"])

    def picture(self, payload: deskbell.Payload) -> str:
        """The message as the channel shows it."""
        return picture(payload)

    def refusals(self, skeleton: str) -> Sequence[str]:
        """Variables that stand where no escape works."""
        return refusals(skeleton)

    @classmethod
    def fake(cls) -> deskbell.FakeService:
        """A webhook of a channel that exists in this process only."""
        from .fake import FakeDiscord

        return FakeDiscord()
