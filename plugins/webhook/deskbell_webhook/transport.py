"""The transport itself: what deskbell asks of it, put together from the other files."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import deskbell

from .body import MAX_TEXT, Leaf, units
from .markup import MARKUPS, has_value_in_tag
from .options import WebhookOptions

MAX_MESSAGE = 4_000
"""UTF-16 units of a message: what every chat takes that is reached this way. Rocket.Chat's ``Message_MaxAllowedSize`` is
5,000 unless it is set otherwise (https://github.com/RocketChat/Rocket.Chat), Typetalk's limit 4,000
(https://developer.nulab.com/docs/typetalk/incoming-webhooks). Other texts of a body may be longer: ``body.MAX_TEXT``."""
NOTHING_TO_SHOW = "…"
"""Sent where every word of the message is empty: chats refuse an empty text, and nobody would see the event."""

IN_A_TAG = (
    "with markup: html, a variable inside a tag of HTML is not made safe there (javascript:… in a link): only "
    "%url% and other links belong in one"
)


class Webhook(deskbell.Transport[WebhookOptions]):
    """Post ticket events to any system: one JSON body, with headers and a signature of your own."""

    name = "webhook"
    max_length = MAX_TEXT

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """``clock`` gives seconds since 1970, for signatures."""
        self._clock = clock

    def format(self, notice: deskbell.Notice, options: WebhookOptions) -> deskbell.Payload:
        """The body of the options, with its texts filled."""
        markup = MARKUPS[options.markup]

        def text_of(leaf: Leaf) -> str:
            if isinstance(leaf, deskbell.Template):
                return markup.text(notice.using(leaf), options.body.limit)
            text = markup.text(notice, MAX_MESSAGE)
            return text if text.strip() else NOTHING_TO_SHOW

        return options.body.filled(text_of)

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[WebhookOptions]
    ) -> deskbell.Outcome:
        """One POST. It is written once: what is signed is what is sent, byte for byte."""
        url, options = context.url.reveal(), context.options
        headers = self.headers(options)
        if "authorization" in map(str.lower, headers) and "@" in urlsplit(url).netloc:
            return deskbell.DestinationGone(
                "the URL holds a user, and options.headers an Authorization: keep one of the two"
            )
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        marks = self._marks(message_id(context.delivery), body, options)
        response = await context.request("POST", url, body, {**headers, **marks})
        return deskbell.classify_response(response)

    def headers(self, options: WebhookOptions) -> Mapping[str, str]:
        """The owner's own, and the type of the body unless they name it."""
        own = {name: value.reveal() for name, value in options.headers.items()}
        if "content-type" in map(str.lower, own):
            return own
        return {"Content-Type": "application/json", **own}

    def _marks(self, known_as: str, body: bytes, options: WebhookOptions) -> Mapping[str, str]:
        """What tells a receiver which message this is, and who sent it."""
        if options.signing_secret is None:
            return {"webhook-id": known_as}
        return deskbell.signature_headers(options.signing_secret, known_as, body, self._clock())

    def refusals(self, skeleton: str) -> Sequence[str]:
        """A message takes less than the other texts of a body, for which ``max_length`` speaks."""
        words = units(skeleton)
        too_long = (
            f"message: its own words have {words} characters, a message takes {MAX_MESSAGE}; shorten them"
        )
        return [too_long] if words > MAX_MESSAGE else []

    def warnings(self, skeleton: str) -> Sequence[str]:
        """Where no escape helps. It is not told the markup; in the others such a tag is rare."""
        return [IN_A_TAG] if has_value_in_tag(skeleton) else []

    def readable(self, payload: deskbell.Payload) -> str:
        """The text where there is nothing else, as in the default body; else the JSON."""
        match payload:
            case {"text": str(text)} if len(payload) == 1:
                return text
        return super().readable(payload)

    def picture(self, payload: deskbell.Payload) -> str:
        """What is sent, in a fixed font: nobody knows how a receiver shows it."""
        return f"<pre>{html.escape(self.readable(payload))}</pre>"

    @classmethod
    def fake(cls) -> deskbell.FakeService:
        """A receiver, played."""
        from .fake import FakeReceiver

        return FakeReceiver()


def message_id(delivery: str) -> str:
    """``delivery`` as a webhook-id, the same over all attempts.

    deskbell's is ``EVENT.ROW``. In what is signed, full stops part the id from the time and the body, so an id with one
    could be cut in another place: it gets a hyphen. The row's number keeps it unique.
    """
    return delivery.replace(".", "-")
