"""The original module's webhooks as deskbell's: what can be used is, what cannot stands as a comment, with the reason."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deskbell import shortcodes
from deskbell.event import VARIABLES, Action, action_named
from deskbell.languages import text
from deskbell.notice import clean
from deskbell.source import Source
from deskbell.template import Template, unknown_words
from deskbell.transport import Transport

from .block import as_lines
from .channels import channel_for, transport_of
from .draft import Channel, Entry
from .original import PARTS, OldSettings, OldWebhook

_KINDS: Mapping[str, str] = {
    Action.SUBMIT: "new-tickets",
    Action.REPLY: "replies",
    Action.CLOSE: "closures",
}
"""The old module's three actions, and how their webhooks are named."""
_REPLACED = frozenset(
    "subject url departmentName priority created_at action content email userId username related relatedUrl".split()  # noqa: SIM905
)
"""What the old module replaced, in this very spelling:
https://github.com/ClientXCMS/module-supportwebhook/blob/main/src/Supportwebhook/Event/WebhookManager.php"""
_WORD = re.compile(r"%[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*%", re.ASCII)
_PING = re.compile(r"@everyone|@here|<@[!&]?\d+>|<!(?:channel|here|everyone)>", re.ASCII)
_NOT_IN_A_LINE = re.compile(r"[\x00-\x20\x7f]")
_UNKNOWN_SERVICE = "other"


@dataclass(slots=True)
class Takeover:
    """``warnings``: the webhook's name (empty: all of them), and what its owner should know of it."""

    channels: list[Channel] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def take_over(
    old: OldSettings,
    transports: Mapping[str, Transport[Any]],
    sources: Mapping[str, Source],
    *,
    language: str,
) -> Takeover:
    """Everything that the old settings say, for deskbell."""
    known = [*VARIABLES, *(name for source in sources.values() for name in source.variables)]
    work = _Work(transports, known, language)
    if old.enabled is False:
        work.warn("", "import.was.off")
    if len(set(old.lengths.values())) > 1:
        work.warn("", "import.lengths", lengths=", ".join(f"{part} {old.lengths[part]}" for part in PARTS))
    for webhook in old.webhooks:
        work.add(webhook)
    return work.done


class _Work:
    def __init__(self, transports: Mapping[str, Transport[Any]], known: list[str], language: str) -> None:
        self.done = Takeover()
        self._transports = transports
        self._known = known
        self._language = language

    def warn(self, webhook: str, key: str, **values: Any) -> None:
        self.done.warnings.append((webhook, text(self._language, key, webhook=webhook, **values)))

    def add(self, old: OldWebhook) -> None:
        if not old.url:
            self.warn("", "import.no.url")
            return
        message = "\n".join(as_lines(html.unescape(old.message)))
        channel = self._channel(old.url)
        action = action_named(old.action)
        name = self._free_name(f"{channel.name}-{_KINDS.get(action, 'unknown')}")
        template = Template.parse(shortcodes.expand(message).text, self._known)
        reasons = list(self._obstacles(channel, action, message, template))
        for reason in reasons:
            self.done.warnings.append((name, reason))
        if not reasons:
            self._note(name, message)
        entry = Entry(
            name=name,
            url=channel.reference,
            action=action if action in _KINDS else old.action,
            message=message,
            remarks=tuple(reasons),
            left_out=bool(reasons),
        )
        self.done.entries.append(entry)

    def _channel(self, url: str) -> Channel:
        """The same for the same URL: one destination."""
        line = _NOT_IN_A_LINE.sub("", url)
        for channel in self.done.channels:
            if channel.url and channel.url.matches(line):
                return channel
        transport = transport_of(url, self._transports)
        taken = [channel.name for channel in self.done.channels]
        found = channel_for(line, transport or _UNKNOWN_SERVICE, taken)
        self.done.channels.append(found)
        return found

    def _free_name(self, wanted: str) -> str:
        taken, name, number = {entry.name for entry in self.done.entries}, wanted, 2
        while name in taken:
            name, number = f"{wanted}-{number}", number + 1
        return name

    def _obstacles(self, channel: Channel, action: str, message: str, template: Template) -> Iterator[str]:
        """What ``check`` would call an error."""
        transport = self._transports.get(channel.transport)
        if transport is None:
            yield text(self._language, "import.bad.url")
        if action not in _KINDS:
            yield text(self._language, "import.bad.action", action=repr(action))
        if not clean(message).strip():
            yield text(self._language, "import.empty")
        elif transport is not None:
            length, limit = sum(map(len, template.literals)), transport.max_length
            if length > limit:
                said = {"length": length, "limit": limit, "transport": transport.name}
                yield text(self._language, "import.too.long", **said)
            for refusal in transport.refusals(template.skeleton):
                yield text(self._language, "import.refused", reason=refusal)
        for word in self._unknown(message):
            if not word.isascii():  # no source can declare such a name
                yield text(self._language, "import.refused", reason=f"%{word}%")

    def _unknown(self, message: str) -> Iterable[str]:
        return dict.fromkeys(word for word, _ in unknown_words(message, self._known))

    def _note(self, name: str, message: str) -> None:
        """What is different now, or deserves a look."""
        known = {each.casefold() for each in self._known}
        for found in {found[0]: found for found in _WORD.finditer(message)}.values():
            if found[0] == f"%{found[1]}%" and found[1] in _REPLACED:
                if found[1] == "relatedUrl":
                    self.warn(name, "import.related.url")
            elif found[1].casefold() in known:
                self.warn(name, "import.was.literal", variable=found[0])
        for word in self._unknown(message):
            self.warn(name, "import.unknown", variable=f"%{word}%")
            if word.casefold() not in map(str.casefold, self.done.variables):
                self.done.variables.append(word)
        for ping in dict.fromkeys(_PING.findall(message)):
            self.warn(name, "import.ping", ping=ping)
