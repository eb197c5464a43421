"""Masks what of a webhook must not be shown: its URL, what in it tells, and the secrets of its options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from .breakoff import breakable
from .secret import MASK, Secret, secret_parts
from .settings import Webhook

SHORTEST_SECRET = 4
"""Characters of an option's secret: whoever knows a shorter one knows nothing, and to mask every ``1`` helps nobody."""


class Redactor:
    """Masks ``url`` and the webhook's own, their telling parts, every secret of its options, and the transport's.

    What is secret is found once: it costs more than a masking, and a plugin may change its options afterwards.
    """

    def __init__(self, webhook: Webhook, url: Secret) -> None:
        self._webhook = webhook
        self._url = url
        urls = (url.reveal(), webhook.url.reveal())
        found = {*_secrets(webhook.options), *(part for each in urls for part in secret_parts(each))}
        escaped = {
            json.dumps(secret, ensure_ascii=False)[1:-1] for secret in found
        }  # as it stands in a payload
        self._secrets = sorted(found | escaped, key=len, reverse=True)  # the whole before its parts

    def is_for(self, webhook: Webhook, url: Secret) -> bool:
        """Whether it was made for these very two."""
        return self._webhook is webhook and self._url is url

    @breakable
    def __call__(self, text: str) -> str:
        """``text`` without them. What the transport fails to redact is masked whole."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        try:
            return str(self._webhook.transport.redact(text))
        except BaseException:  # noqa: BLE001 - what cannot be redacted is not shown
            return MASK


def _secrets(value: object) -> Iterator[str]:
    """Every ``Secret`` in options, however deep."""
    match value:
        case Secret():
            yield from (text for text in [value.reveal()] if len(text) >= SHORTEST_SECRET)
        case BaseModel():
            # `dict()` would trip over a field named `keys`
            yield from _secrets([inner for _, inner in value])
        case Mapping():
            yield from _secrets(list(value.values()))
        case list() | tuple() | set() | frozenset():
            for each in value:
                yield from _secrets(each)
