"""The request's own headers: which ones an owner may set, and what their values may be."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deskbell import Secret

from .faults import Faults

MAX_HEADERS = 30
MAX_VALUE = 4_096
"""Characters of a value. Many servers take 8 KiB for all headers of a request together."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2"""
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_JSON_TYPE = re.compile(r"application/(?:[\w.!#$&^-]+\+)?json(?:\s*;.*)?", re.IGNORECASE | re.ASCII)

_REFUSED: Mapping[str, str] = {
    # https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
    "connection expect host keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade": "it belongs to the connection, not to the message",
    "accept-encoding content-encoding content-length content-range range": "deskbell knows what it sends and reads",
    "webhook-id webhook-signature webhook-timestamp": "deskbell sends it itself, see signing_secret",
}
"""Names in lower case -> why an owner cannot set them."""
_WHY_REFUSED = {name: why for names, why in _REFUSED.items() for name in names.split()}


def refuse_unusable(headers: Mapping[str, Secret]) -> None:
    """Raise for what cannot be sent, or would change what is sent; each fault names its header."""
    faults = Faults()
    if len(headers) > MAX_HEADERS:
        faults.add((), f"has {len(headers)} headers; it may have {MAX_HEADERS}")
    seen = set[str]()
    for name, value in headers.items():
        if fault := _fault_of_name(name, seen) or _fault_of_value(name.lower(), value.reveal()):
            faults.add((name,), fault)
        seen.add(name.lower())
    faults.raise_any()


def _fault_of_name(name: str, seen: set[str]) -> str:
    if not _TOKEN.fullmatch(name):
        return "is no name of a header: it has letters, digits and - only"
    if name.lower() in seen:
        return "this header is there twice; its name means the same in any case"
    if why := _WHY_REFUSED.get(name.lower()):
        return f"this header cannot be set: {why}"
    return ""


def _fault_of_value(name: str, value: str) -> str:
    """Without the value: it may be a secret."""
    if not value.strip():
        return "is empty; leave the header out, or set the variable that it comes from"
    if len(value) > MAX_VALUE:
        return f"has {len(value)} characters; a header may have {MAX_VALUE}"
    if _CONTROLS.search(value):
        return "holds a line break or another control character, which no header can carry"
    if value != value.strip():
        return "begins or ends with white space, which a header loses on its way"
    if name == "content-type" and not _JSON_TYPE.fullmatch(value):
        return "what is sent is JSON: application/json, or a name that ends in +json"
    return ""
