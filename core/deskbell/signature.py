"""Standard Webhooks: is a request signed by someone who has the secret, and fresh?

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator

from .errors import ConfigError, SignatureError
from .secret import Secret

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with, not one
TOLERANCE = 300.0
"""Seconds that a timestamp may lie in the past or in the future."""
MOST_SIGNATURES = 10
"""Signatures in one header; a sender needs one for each of its secrets."""
SHORTEST_KEY, LONGEST_KEY = 24, 64
"""Bytes of a key, as the specification wants them."""

# A full stop separates id, timestamp and body: an id with one could be cut in another place.
_ID = re.compile(r"[!-\-/-~]{1,256}")
_TIMESTAMP = re.compile(r"[0-9]{1,11}")
_VERSION = "v1,"


def key_of(secret: Secret) -> bytes:
    """The key in ``whsec_…``; ``ConfigError`` when it is none."""
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ConfigError(
            f"a signing secret is {SECRET_PREFIX} and the base64 of {SHORTEST_KEY} to {LONGEST_KEY} random bytes"
        )
    return key


def verify(
    secrets: Sequence[Secret],
    *,
    body: bytes,
    headers: Mapping[str, str],
    now: float,
    tolerance: float = TOLERANCE,
) -> str:
    """The message id of a request that one of ``secrets`` signed; ``SignatureError`` for any other.

    ``headers`` by lower-case name; ``now`` in seconds since 1970. The error's text is for the owner's log: the
    sender must not learn which check failed.
    """
    message_id, timestamp = headers.get(ID_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    if not _ID.fullmatch(message_id):
        raise SignatureError(f"{ID_HEADER} is missing or unusable")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureError(f"{TIMESTAMP_HEADER} is missing or no whole number of seconds")
    if abs(now - int(timestamp)) > tolerance:
        raise SignatureError(
            f"{TIMESTAMP_HEADER} is more than {tolerance:g} s away from this machine's clock"
        )
    signed = f"{message_id}.{timestamp}.".encode() + body
    candidates = _signatures(headers.get(SIGNATURE_HEADER, ""))
    if not _any_matches(candidates, [_sign(key_of(secret), signed) for secret in secrets]):
        raise SignatureError(f"no signature in {SIGNATURE_HEADER} is made with a known secret")
    return message_id


def signature_headers(secret: Secret, message_id: str, body: bytes, at: float) -> dict[str, str]:
    """The three headers that tell a receiver who sent ``body`` and when; ``at`` in seconds since 1970.

    ``message_id`` stays the same over every attempt of one message (``SendContext.delivery``).
    """
    timestamp = str(int(at))
    signature = _sign(key_of(secret), f"{message_id}.{timestamp}.".encode() + body)
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: f"{_VERSION}{signature.decode()}",
    }


def _with_a_key(secret: Secret) -> Secret:
    try:
        key_of(secret)
    except ConfigError as error:
        raise ValueError(str(error)) from None  # pydantic's own way to refuse a value
    return secret


SigningSecret = Annotated[Secret, AfterValidator(_with_a_key)]
"""The type of an option that holds a ``whsec_…``."""


def _signatures(header: str) -> list[bytes]:
    """The base64 texts of version 1; other versions are not for us."""
    entries = header.split()
    if len(entries) > MOST_SIGNATURES:
        raise SignatureError(f"{SIGNATURE_HEADER} holds more than {MOST_SIGNATURES} signatures")
    found = [entry.removeprefix(_VERSION) for entry in entries if entry.startswith(_VERSION)]
    return [text.encode("ascii", "replace") for text in found]


def _sign(key: bytes, signed: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def _any_matches(candidates: Sequence[bytes], expected: Sequence[bytes]) -> bool:
    """Every pair is compared, in constant time: how long it takes tells nothing."""
    matches = [hmac.compare_digest(one, other) for one in candidates for other in expected]
    return any(matches)
