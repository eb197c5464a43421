"""``message:`` of a webhook: the template, with its emoji written and its variables known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from deskbell import shortcodes
from deskbell.notice import clean
from deskbell.template import Template, unknown_words
from deskbell.transport import Transport

from .problem import KeyPath
from .scope import Scope
from .suggest import did_you_mean
from .vocabulary import Vocabulary

_LINK = re.compile(r"%[ \t]*\w*url[ \t]*%", re.IGNORECASE | re.ASCII)
_MOST = 20
"""Of one kind in one message; the rest is told when these are mended."""
_ENCLOSED = (("<", ">"), ("<", "|"), ("](", ")"))
"""Signs that end a link for certain: ``<%url%>``, Slack's ``<%url%|text>``, Discord's ``[text](%url%)``."""


def read_template(
    text: str | None, transport: Transport[Any] | None, path: KeyPath, scope: Scope, vocabulary: Vocabulary
) -> Template | None:
    """The parsed template; None when there is nothing to send. ``path`` is the message's."""
    if text is None:
        scope.missing(path, "this webhook has no message", "write one:  message: |")
        return None
    if not clean(text):
        scope.findings.error(path, "message: is empty", "nothing could be sent; write at least a word")
        return None
    expanded = shortcodes.expand(text)
    template = Template.parse(expanded.text, vocabulary.variables)
    _note_unknown_codes(expanded, path, scope)
    _note_unknown_variables(text, path, scope, vocabulary)
    _note_open_links(text, path, scope)
    if transport is not None:
        _ask_transport(template, transport, path, scope)
    return template


def _note_unknown_codes(expanded: shortcodes.Expanded, path: KeyPath, scope: Scope) -> None:
    for name, offset in expanded.unknown[:_MOST]:
        place = scope.findings.find(path, f":{name}:", offset)
        hint = did_you_mean(name, shortcodes.names(), sign=":")
        scope.findings.warning(path, f"no emoji is called :{name}:, so it stays text", hint, place=place)


def _note_unknown_variables(text: str, path: KeyPath, scope: Scope, vocabulary: Vocabulary) -> None:
    if not vocabulary.complete:
        return
    for word, offset in unknown_words(text, vocabulary.variables)[:_MOST]:
        place = scope.findings.find(path, f"%{word}%", offset)
        otherwise = "if only the sender knows it, name it under its source:  variables: […]"
        hint = did_you_mean(word, vocabulary.variables, otherwise, sign="%")
        scope.findings.error(path, f"unknown variable %{word}%", hint, place=place)


def _note_open_links(text: str, path: KeyPath, scope: Scope) -> None:
    for found in islice(_LINK.finditer(text), _MOST):
        before, after = text[: found.start()], text[found.end() :]
        enclosed = any(before.endswith(start) and after.startswith(end) for start, end in _ENCLOSED)
        if after and not after[0].isspace() and not enclosed:
            place = scope.findings.find(path, found[0], found.start())
            message = f"what follows {found[0]} may become a part of the link"
            scope.findings.warning(path, message, "put a space or a line break behind it", place=place)


def _ask_transport(template: Template, transport: Transport[Any], path: KeyPath, scope: Scope) -> None:
    length = sum(map(len, template.literals))
    if length > transport.max_length:
        message = (
            f"message: its own words have {length} characters, {transport.name} takes {transport.max_length}"
        )
        scope.findings.error(path, message, "shorten them; values are cut to what remains")
    try:
        for refusal in _each(transport.refusals(template.skeleton)):
            scope.findings.error(path, refusal)
        for warning in _each(transport.warnings(template.skeleton)):
            scope.findings.warning(path, warning)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's own code
        message = f"the transport {transport.name} failed when it was asked about this message"
        scope.findings.warning(path, f"{message} ({type(error).__name__})")


def _each(said: Sequence[str] | str | None) -> Sequence[str]:
    """A plugin needs no type checker: a single sentence is one, not its letters."""
    return [said] if isinstance(said, str) else said or ()
