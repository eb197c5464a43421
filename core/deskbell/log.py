"""Logging to stderr: one record is one line, and no line holds a secret.

Both are done to the finished text, traceback and all, so that neither a plugin nor a library can forget them.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TextIO
from urllib.parse import quote

from .errors import ConfigError
from .secret import MASK, SHORTEST_TOKEN, Secret, secret_parts

LEVEL_VARIABLE = "DESKBELL_LOG_LEVEL"
SHORTEST_PROTECTED = 6
"""Characters: shorter values would mask ordinary words."""
_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"

# Controls, line separators, bidirectional overrides, zero-width characters, lone surrogates: they forge lines,
# drive terminals, or reorder and hide what is read.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_URL = re.compile(r"(https?://)([^\s/\"'<>]*@)?([^\s/\"'<>]*)([^\s\"'<>]*)", re.IGNORECASE)
_TOKEN = re.compile(rf"(?<=[/=])[\w.~%:+-]{{{SHORTEST_TOKEN},}}")
# What introduces a secret, whoever's it is; what follows is masked.
_INTRODUCED = re.compile(
    r"""( /events/[\w.-]+/                                                        # the path of a sender
        | whsec_
        | \b (?:bearer | authorization\W{1,6}basic) \s+
        | \b (?:token | secret | password | passwd | api_?key) (?:= | ["']\s*:\s*["'])
        ) [^\s"'<>,;&?\#/]+""",
    re.IGNORECASE | re.VERBOSE,
)

# Of the process, as logging itself is: a secret that was ever known here must never be printed, even when the
# config that held it is gone.
_protected = set[str]()


def protect(*secrets: Secret) -> None:
    """Never let these values, nor the token inside a URL, into a log line from now on."""
    for secret in secrets:
        _protected.update(form for form in _forms(secret.reveal()) if len(form) >= SHORTEST_PROTECTED)
    _known_secrets.cache_clear()


def redact(text: str) -> str:
    """``text`` without the protected values, and without what looks like a token."""
    text = _known_secrets().sub(MASK, text)
    return _INTRODUCED.sub(rf"\1{MASK}", _URL.sub(_masked_url, text))


def one_line(text: str) -> str:
    r"""``text`` with line breaks and other unsafe characters as escapes (``\n``, ``\x1b``, ``\u202e``)."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def configure_logging(level: str = "", *, secrets: Iterable[Secret] = ()) -> None:
    """Log to stderr from ``level`` up, or from what ``DESKBELL_LOG_LEVEL`` says. Harmless when repeated.

    ``ConfigError`` for a level that does not exist.
    """
    level = level or os.environ.get(LEVEL_VARIABLE) or "INFO"
    if level.upper() not in logging.getLevelNamesMapping():
        raise ConfigError(f"{level!r} is no log level: write DEBUG, INFO, WARNING or ERROR")
    protect(*secrets)
    handler = _OwnHandler(sys.stderr)
    handler.setFormatter(_OneSafeLine(_FORMAT, "%Y-%m-%dT%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [*(each for each in root.handlers if not isinstance(each, _OwnHandler)), handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    # The path of a request may hold a token, and there is a line for each event anyway.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


class _OwnHandler(logging.StreamHandler[TextIO]):
    """Told apart from handlers that others installed."""


class _OneSafeLine(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        try:
            text = super().format(record)
        except Exception as error:  # noqa: BLE001 - logging would print the arguments to stderr, raw
            text = super().format(_without_arguments(record, error))
        return one_line(redact(text)[: getattr(record, "longest", None)])


def _without_arguments(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    message = record.msg if isinstance(record.msg, str) else f"a {type(record.msg).__name__}"
    said = f"{message} (its arguments do not fit: {type(error).__name__})"
    return logging.makeLogRecord({**vars(record), "msg": said, "args": ()})


def _masked_url(url: re.Match[str]) -> str:
    scheme, user, host, rest = url.groups()
    return f"{scheme}{f'{MASK}@' if user else ''}{host}{_TOKEN.sub(MASK, rest)}"


def _forms(value: str) -> Iterator[str]:
    """The ways in which a secret may stand in a text: as it is, percent-encoded, and the telling parts of a URL."""
    yield quote(value, safe="", errors="replace")
    yield from secret_parts(value)


@cache
def _known_secrets() -> re.Pattern[str]:
    """The longest first, so that a whole URL is masked before its parts are."""
    forms = sorted(_protected, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, forms)) or r"(?!)")
