"""What became of a message, as far as Apprise tells: yes or no, and lines in its log.

Nearly all of its services log ``error=401`` with the status of a refusal. ``Retry-After``, receipts and the service's
own error codes are lost on the way.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Sequence

from deskbell import Delivered, Outcome, Response, TemporaryFailure, classify_response

from .logs import Heard
from .masking import masked, secrets_of

_LONGEST_ANSWER = 300
"""Characters of a service's answer that are shown."""
_CUT_BY_APPRISE = 2_000
"""Bytes of an answer that most of its services log; some log all of it."""
_MOST_READ = 20_000
"""Bytes of an answer, or characters of a line, that are looked at."""

_STATUS = re.compile(r"\berror\s*=\s*([345]\d\d)\b")
_CAUSE = "Socket Exception:"
_ANSWER = "Response Details"
_BEFORE_IT_LEFT = re.compile(
    r"(?:NewConnectionError|ConnectTimeoutError|NameResolutionError|ProxyError|SSLError\(SSLCertVerificationError)\("
)
"""What urllib3 says when the request never left:
https://urllib3.readthedocs.io/en/stable/reference/urllib3.exceptions.html"""
_REFUSED = re.compile(r"refused to connect: [^'\")]+")
"""What deskbell's egress policy says where the library wants to connect to an address that the owner did not allow."""
_ERRNO = re.compile(r"\[Errno (-?\d+)\]")
_UNREACHABLE = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})


def outcome_of(sent: bool, heard: Heard, url: str, *, cut_to: int = 0) -> Outcome:
    """``cut_to``: the characters that the service took of a longer text; 0: it took all."""
    if sent:
        cut = f"; its end was cut off, set max_length: {cut_to}" if cut_to else ""
        return Delivered(detail=f"sent by Apprise, which says no more{cut}")
    said = [line.getMessage() for line in heard if line.levelno >= logging.WARNING]
    if refused := _refused(heard):
        return TemporaryFailure(refused)
    words = _words(said, heard, secrets_of(url))
    if status := _last_status(said):
        return classify_response(Response(status, {}, words.encode()))
    unsent = " (no connection came about)" if (never_left := _never_left(heard)) else ""
    return TemporaryFailure(
        f"Apprise: {words or 'it was not sent, and no reason is known'}{unsent}",
        maybe_received=not never_left,
    )


def _refused(heard: Heard) -> str:
    """Why nothing was sent at all; empty when that is not the reason."""
    found = [told for line in heard for told in _REFUSED.findall(line.getMessage())]
    return str(found[-1]) if found else ""


def _last_status(said: Sequence[str]) -> int:
    """0: none was told."""
    found = [status for line in said for status in _STATUS.findall(line)]
    return int(found[-1]) if found else 0


def _words(said: Sequence[str], heard: Heard, secrets: Sequence[str]) -> str:
    """The last line, and what the service answered. Masked before it is cut."""
    lines = [masked(line[:_MOST_READ], secrets, is_cut=len(line) > _MOST_READ) for line in said[-1:]]
    answers = [f"({_beginning(body, secrets)})" for body in _answer(heard)]
    return " ".join([*lines, *answers])


def _beginning(body: bytes, secrets: Sequence[str]) -> str:
    """Of an answer, which may end in half a secret, or in half a character of one."""
    is_cut = len(body) >= _CUT_BY_APPRISE
    text = body[:_MOST_READ].decode("utf-8", "replace")
    return masked(text.rstrip("\ufffd") if is_cut else text, secrets, is_cut=is_cut)[:_LONGEST_ANSWER]


def _answer(heard: Heard) -> list[bytes]:
    """The service's answer to the last request, where Apprise logs it by itself."""
    answers = [line.args for line in heard if str(line.msg).startswith(_ANSWER)]
    match answers[-1:]:
        case [(bytes() as body,)] if body:
            return [body]
    return []


def _never_left(heard: Heard) -> bool:
    """True when it is certain: no connection came about. The cause stands last, after what may be a customer's words."""
    causes = [line.getMessage() for line in heard if str(line.msg).startswith(_CAUSE)]
    if not causes:
        return False
    if "(Caused by " in causes[-1]:
        return _BEFORE_IT_LEFT.match(causes[-1].rpartition("(Caused by ")[2]) is not None
    number = _ERRNO.match(causes[-1].removeprefix(_CAUSE).lstrip())
    return number is not None and (
        int(number[1]) in _UNREACHABLE or int(number[1]) < 0
    )  # below 0: no such name
