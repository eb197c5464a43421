"""The transport itself: what deskbell asks of it, put together from the other files."""

from __future__ import annotations

from collections.abc import Sequence

import deskbell

from . import api, message
from .options import SlackOptions
from .picture import picture


class Slack(deskbell.Transport[SlackOptions]):
    """Post ticket events to a Slack channel, through an incoming webhook.

    There is no ``probe``: an incoming webhook answers a POST only, and what it takes it posts
    (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
    """

    name = "slack"
    max_length = message.MAX_TEXT
    example_url = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
    rates = api.RATE

    def format(self, notice: deskbell.Notice, options: SlackOptions) -> deskbell.Payload:
        """``{"text": …}``, in mrkdwn, and the options that are set.

        Never ``link_names`` or ``parse``: they would turn plain names in a customer's text into mentions.
        """
        text = notice.text(
            escape=message.escape,
            limit=self.max_length,
            measure=message.measure,
            literal=message.literal,
            link=message.entities,
        )
        shown = text if text.strip() else message.NOTHING_TO_SHOW
        return {"text": shown, **options.model_dump(exclude_none=True)}

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[SlackOptions]
    ) -> deskbell.Outcome:
        """One POST; see ``api.outcome_of``."""
        if refusal := self.refuses(context.url.reveal()):
            return deskbell.DestinationGone(refusal)
        return api.outcome_of(await context.post(payload))

    @classmethod
    def recognises(cls, url: str) -> bool:
        """Incoming webhooks, of the commercial and of the government service."""
        return api.recognises(url)

    @classmethod
    def refuses(cls, url: str) -> str:
        """The URL of a workflow: it takes no text."""
        return api.WORKFLOW_REFUSAL if api.starts_workflow(url) else ""

    @classmethod
    def redact(cls, text: str) -> str:
        """Slack's URLs keep workspace and webhook, which help to find them, and lose the secret."""
        return api.redact(text)

    def readable(self, payload: deskbell.Payload) -> str:
        """The text, as the channel shows it."""
        return message.readable(str(payload.get("text", "")))

    def picture(self, payload: deskbell.Payload) -> str:
        """The same with its marks, links and mentions."""
        return picture(payload)

    def warnings(self, skeleton: str) -> Sequence[str]:
        """Other services' markup, and mentions that will not work."""
        return message.warnings(skeleton)

    @classmethod
    def fake(cls) -> deskbell.FakeService:
        """Slack, played."""
        from .fake import FakeSlack

        return FakeSlack()
