"""Masks what of an Apprise URL must not be shown, in texts that may have been cut in the middle of it.

deskbell masks the parts of a URL as they stand in it. Apprise says them without their percent signs, sends the login in
base64, and cuts answers, and half a secret nobody would find any more.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

MASK = "•••"
SHORTEST = 6
"""Characters, as deskbell's own redaction of such URLs has it."""
_SHORTEST_PATH = 12
"""Likewise, of a whole path."""

_SIGNS = re.compile("[:/?&=#@,]+")
_FORM = re.compile(r"\w+://(?:(?P<login>[^/?#]*)@)?[^/?#]*(?P<rest>.*)", re.DOTALL)
_BETWEEN = re.compile("[/?&=#]")


def secrets_of(url: str) -> Sequence[str]:
    """Whatever of ``url`` may be one, in each way in which it may be written."""
    written = {url, *_SIGNS.split(url)[1:], *_SIGNS.split(unquote(url))[1:], *_longer_parts(url)}
    read = written | {unquote(part) for part in written}
    found = {form for part in read for form in (part, json.dumps(part, ensure_ascii=False)[1:-1])}
    return [each for each in found if len(each) >= SHORTEST]


def _longer_parts(url: str) -> Iterator[str]:
    """Those with signs inside: a password, a token, the path; and the login."""
    if found := _FORM.fullmatch(url):
        login, rest = found["login"] or "", found["rest"]
        yield from (*login.split(":", 1), *_BETWEEN.split(rest))
        yield rest if len(rest) >= _SHORTEST_PATH else ""
        yield from _as_sent(login)


def _as_sent(login: str) -> Iterator[str]:
    """In ``Authorization: Basic`` (https://www.rfc-editor.org/rfc/rfc7617#section-2), with and without padding.

    Services differ in how they write what is not ASCII: requests has Latin-1
    (https://github.com/psf/requests/blob/main/src/requests/auth.py).
    """
    user, _, password = (unquote(part) for part in login.partition(":"))
    for charset in ("utf-8", "latin-1"):
        sent = base64.b64encode(f"{user}:{password}".encode(charset, "replace")).decode()
        yield from (sent, sent.rstrip("="))


def masked(text: str, secrets: Sequence[str], *, is_cut: bool = False) -> str:
    """``text`` without any of them, nor the beginning of one at the end of a text that ``is_cut``."""
    shown, done = "", 0
    for begin, end in sorted(_spans(text, secrets, is_cut)):
        if begin >= done:
            shown += text[done:begin] + MASK
        done = max(done, end)
    return shown + text[done:]


def _spans(text: str, secrets: Sequence[str], is_cut: bool) -> Iterator[tuple[int, int]]:
    """Where they stand: they may overlap, each other and themselves."""
    for secret in secrets:
        for found in re.finditer(f"(?={re.escape(secret)})", text):
            yield found.start(), found.start() + len(secret)
        if is_cut and (begun := _begun(text, secret)):
            yield len(text) - begun, len(text)


def _begun(text: str, secret: str) -> int:
    """How many of the last characters of ``text`` are the first of ``secret``."""
    return next((size for size in range(len(secret) - 1, 0, -1) if text.endswith(secret[:size])), 0)
