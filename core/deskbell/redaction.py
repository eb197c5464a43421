"""Masks what of a webhook must not be shown: its URL, what in it tells, and the secrets of its options."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from pydantic import BaseModel

from .breakoff import breakable
from .secret import MASK, SHORTEST_TOKEN, Secret, secret_parts
from .settings import Webhook, is_demo
from .signature import SECRET_PREFIX

SHORTEST_SECRET = 4
"""Characters of an option's secret: whoever knows a shorter one knows nothing, and to mask every ``1`` helps nobody."""
SHORTEST_PART = 8
"""Characters of a part of such a secret: a shorter one is an ordinary word, such as ``Bearer``."""
_BETWEEN_PARTS = re.compile(r"[\s,;:=\"]+")
_LOGIN = re.compile(r"\w+://([^/?#]+)@")


class Redactor:
    """Masks ``url`` and the webhook's own, their telling parts, every secret of its options, and the transport's.

    What is secret is found once: it costs more than a masking, and a plugin may change its options afterwards.
    """

    def __init__(self, webhook: Webhook, url: Secret) -> None:
        self._webhook = webhook
        self._url = url
        urls = [each.reveal() for each in (url, webhook.url) if each and not is_demo(each)]
        found = {*_secrets(webhook.options), *(part for each in urls for part in _parts_of_url(each))}
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
            yield from _parts(value.reveal())
        case BaseModel():
            # `dict()` would trip over a field named `keys`
            yield from _secrets([inner for _, inner in value])
        case Mapping():
            yield from _secrets(list(value.values()))
        case list() | tuple() | set() | frozenset():
            for each in value:
                yield from _secrets(each)


def _parts(secret: str) -> Iterator[str]:
    """``secret``, and what of it tells by itself: of ``Bearer abc…`` a service may repeat the token alone."""
    if len(secret) >= SHORTEST_SECRET:
        yield secret
    parts = [part for part in _BETWEEN_PARTS.split(secret.removeprefix(SECRET_PREFIX)) if part]
    telling = [*filter(_is_token, parts[:-1]), *parts[-1:]]
    yield from (part for part in telling if len(part) >= SHORTEST_PART)


def _is_token(part: str) -> bool:
    """Not an ordinary word, which would be masked in messages as well."""
    return len(part) >= SHORTEST_TOKEN or any(char.isdigit() for char in part)


def _parts_of_url(url: str) -> Iterator[str]:
    """Its telling parts, and its login as ``Authorization`` has it (https://www.rfc-editor.org/rfc/rfc7617#section-2)."""
    yield from secret_parts(url)
    if found := _LOGIN.match(url):
        user, _, password = found[1].partition(":")
        login = f"{unquote(user)}:{unquote(password)}"
        # Clients differ in the characters beyond ASCII.
        for sent in (login.encode(errors="replace"), login.encode("latin-1", "replace")):
            yield base64.b64encode(sent).decode()
