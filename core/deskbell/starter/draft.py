"""A config that is yet to be written: its webhooks, in the order of the file, and the variables that they read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template

import yaml

from deskbell.config.service import DEFAULT_LISTEN
from deskbell.languages import text
from deskbell.secret import Secret
from deskbell.settings import DEMO_SCHEME

from .block import as_comment, block

TOKEN_VARIABLE = "DESKBELL_TOKEN"  # noqa: S105 - a name
_DATE_FORMATS = {"en": "%Y-%m-%d %H:%M"}
_DATE_FORMAT = "%d/%m/%y %H:%M"
_ACTIONS: Mapping[str, str] = {
    "new-tickets": "Submit",
    "replies": "[Reply, StaffReply]",
    "closures": "Close",
    "shop": "[checkout_completed, service_renewed, service_upgraded]",
}
"""The webhooks that a channel begins with: the end of each one's name, and its ``action``."""
TICKETS = ("new-tickets", "replies", "closures")
"""Those of them that are about tickets."""


class _Head(Template):
    delimiter = "@"
    """``$`` is a sign of the config itself."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages go. ``name`` fits into commands; without a URL, deskbell plays the service of ``transport``."""

    name: str
    transport: str
    url: Secret | None = None

    @property
    def variable(self) -> str:
        """The variable that holds the URL."""
        return f"DESKBELL_{re.sub(r'[^A-Z0-9]+', '_', self.name.upper())}_URL"

    @property
    def reference(self) -> str:
        """What config.yaml says."""
        return f"${{{self.variable}}}" if self.url else f"${{{self.variable}:-{DEMO_SCHEME}{self.transport}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One webhook of the file. ``action`` as YAML; ``remarks`` stand above it; ``left_out``: as a comment only.

    ``retry``: its waits, where they are not the usual ones.
    """

    name: str
    url: str
    action: str
    message: str
    remarks: tuple[str, ...] = ()
    left_out: bool = False
    retry: str = ""

    def __str__(self) -> str:
        lines = [
            f"- name: {self.name}",
            f"  url: {self.url}",
            f"  action: {self.action}",
            *([f"  retry: {self.retry}"] if self.retry else []),
            f"  message: {block(self.message, indent=4)}",
        ]
        entry = "\n".join(lines)
        indented = "\n".join(f"  {line}".rstrip() for line in entry.split("\n"))
        shown = as_comment(entry, indent=2) if self.left_out else indented
        return "\n".join([*(as_comment(remark, indent=2) for remark in self.remarks), shown])


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Everything that the files hold but the schema."""

    language: str
    token: Secret
    timezone: str
    channels: Sequence[Channel]
    entries: Sequence[Entry]
    listen: str = DEFAULT_LISTEN
    variables: Sequence[str] = field(default=())

    def config(self) -> str:
        """The text of config.yaml."""
        declared = f"\n    variables: [{', '.join(self.variables)}]" if self.variables else ""
        head = _Head(_words(f"head.{self.language}.yaml.tmpl")).substitute(
            listen=self.listen,
            timezone=self.timezone,
            date_format=_DATE_FORMATS.get(self.language, _DATE_FORMAT),
            variables=declared,
        )
        entries = "\n\n".join(map(str, self.entries))
        used = any(not entry.left_out for entry in self.entries)
        return f"{head}{entries}\n" if used else f"{head.rstrip().removesuffix(':')}: []\n{entries}\n"

    def secrets(self) -> str:
        """The text of secrets.env."""
        head = text(self.language, "secrets.head")
        lines = [f"{name}={secret.reveal() if secret else ''}" for name, secret in self.values().items()]
        return "\n".join([f"# {head}", *lines, ""])

    def values(self) -> dict[str, Secret | None]:
        """Each variable of secrets.env; None is yet to be set."""
        return {TOKEN_VARIABLE: self.token, **{channel.variable: channel.url for channel in self.channels}}


def usual_entries(
    channels: Iterable[Channel], language: str, kinds: Collection[str] = tuple(_ACTIONS)
) -> list[Entry]:
    """What a new config shows in each channel, in the words of ``language``."""
    messages = default_messages(language)
    return [
        Entry(name=f"{channel.name}-{kind}", url=channel.reference, action=action, message=messages[kind])
        for channel in channels
        for kind, action in _ACTIONS.items()
        if kind in kinds
    ]


def default_messages(language: str) -> Mapping[str, str]:
    """The messages that deskbell proposes: ``new-tickets``, ``replies``, ``closures`` and ``shop``."""
    messages: dict[str, str] = yaml.safe_load(_words(f"messages.{language}.yaml"))
    return messages


def _words(name: str) -> str:
    return (files(__package__) / "words" / name).read_text("utf-8")
