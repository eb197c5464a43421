"""A request as a line for a shell: what a person can paste, change and send. No secret is in it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping

from deskbell.log import one_line
from deskbell.transport import Payload

LONGEST_ARGUMENT = 100_000
"""Bytes. Linux takes 128 KiB in one argument (MAX_ARG_STRLEN, https://man7.org/linux/man-pages/man2/execve.2.html);
what is longer is piped: ``printf`` is the shell's own."""
URL_VARIABLE, TOKEN_VARIABLE = "WEBHOOK_URL", "TOKEN"
_JSON = {"content-type": "application/json"}
_TELLING_NOTHING = frozenset({"accept", "content-type", "user-agent"})
"""The headers that are shown. Any other may be, or be made from, a secret."""


def variables(headers: Mapping[str, str]) -> dict[str, str]:
    """The shell variables that stand for the values of headers that are not shown, by the header's name."""
    hidden = [name for name in headers if name.lower() not in _TELLING_NOTHING]
    return {name: f"HEADER_{re.sub('[^A-Z0-9]', '_', name.upper())}" for name in hidden}


def curl(payload: Payload, headers: Mapping[str, str], *, comments: Iterable[str]) -> str:
    """A POST of ``payload`` to ``$WEBHOOK_URL`` for a POSIX shell, below ``comments``.

    The body is what ``SendContext.post`` sends, byte for byte; ``headers`` are those on top of its own.
    """
    return _post(f'"${URL_VARIABLE}"', _header_words(headers), payload, comments)


def curl_event(url: str, body: Payload, *, comments: Iterable[str]) -> str:
    """A POST of an event to the source at ``url``, with ``$TOKEN``."""
    authorization = f'"Authorization: Bearer ${TOKEN_VARIABLE}"'
    return _post(shlex.quote(url), [authorization, *_header_words({})], body, comments)


def _post(url: str, headers: Iterable[str], payload: Payload, comments: Iterable[str]) -> str:
    """``url`` and ``headers`` are words of the shell already."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    lines = [f"curl -X POST {url}", *(f"-H {each}" for each in headers)]
    if len(body.encode()) <= LONGEST_ARGUMENT:
        command = " \\\n  ".join([*lines, f"--data-raw {shlex.quote(body)}"])
    else:
        command = f"printf %s {shlex.quote(body)} |\n  " + " \\\n  ".join([*lines, "--data-binary @-"])
    return "\n".join([*(f"# {one_line(comment)}" for comment in comments), command])


def _header_words(headers: Mapping[str, str]) -> Iterator[str]:
    """Each as one word of the shell."""
    hidden = variables(headers)
    shown = {name.lower(): value for name, value in headers.items() if name not in hidden}
    for name, value in (_JSON | shown).items():
        yield shlex.quote(f"{name}: {value}")
    for name, variable in hidden.items():
        yield f'{shlex.quote(f"{name}: ")}"${variable}"'
