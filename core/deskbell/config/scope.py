"""What decoding has at hand: where to note faults, what plugins offer, where the file is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbell.source import Source
from deskbell.transport import Transport

from .findings import Findings
from .modes import READABLE, everybody_reads
from .problem import KeyPath
from .suggest import did_you_mean, one_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_LONGEST_NAME = 64
_NAME_RULE = "letters, digits, '.', '_' and '-', at most 64; a letter or a digit first"
_PLUGIN_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_LARGEST_SECRET_FILE = 65_536
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """``transports`` and ``adapters`` by name; ``broken`` has the reason of each plugin that could not load."""

    findings: Findings
    folder: Path
    transports: Mapping[str, Transport[Any]]
    adapters: Mapping[str, Source]
    broken: Mapping[str, str]

    def name(self, value: str | None, entry: KeyPath, kind: str) -> str:
        """The name of an entry, for commands and addresses; empty when there is no good one."""
        path = (*entry, "name")
        if value is None:
            self.missing(path, f"this {kind} has no name", "give it one:  name: …")
            return ""
        if _NAME.fullmatch(value):
            return value
        better = _NOT_IN_NAMES.sub("-", _without_accents(value)).strip("-._")[:_LONGEST_NAME]
        shown = self.findings.word(path)
        taken = better and shown == f"'{value}'"
        self.findings.error(
            path,
            f"name: {shown} does not fit into commands and addresses",
            f"for example:  name: {better}" if taken else _NAME_RULE,
        )
        return ""

    def missing(self, path: KeyPath, message: str, hint: str) -> None:
        """A key that must be there: said at its entry, unless its value was called wrong already."""
        if not self.findings.spoilt(path):
            self.findings.error(path, message, hint)

    def unknown(self, kind: str, name: str, known: Iterable[str], path: KeyPath) -> None:
        """A plugin's thing that is not here: say whether it is broken, misspelt or not installed."""
        shown = f"{kind}: {self.findings.word(path)}"
        if name in self.broken:
            self.findings.error(path, f"{shown} could not be loaded: {self.broken[name]}")
            return
        hint = "`deskbell plugins` shows what is installed"
        if _PLUGIN_NAME.fullmatch(name) and name in shown:
            hint = f"if it is a plugin, install it:  pip install deskbell-{name.replace('_', '-')}"
        names = tuple(known)
        self.findings.error(path, f"{shown} is not {one_of(names)}", did_you_mean(name, names, hint))

    def secrets_in_file(self, name: str, path: KeyPath) -> list[str]:
        """The words of a file that holds secrets, one a line; none when it cannot be used."""
        return self.secret_in_file(name, path).split()

    def secret_in_file(self, name: str, path: KeyPath) -> str:
        """What a file holds, without the white space round it; empty when it cannot be used."""
        shown = f"{path[-1]}: {self.findings.word(path)}"
        try:
            with (self.folder / name).open("rb") as file:
                text = file.read(_LARGEST_SECRET_FILE).decode().strip()
        except OSError as error:
            self.findings.error(
                path, f"{shown} cannot be read: {(error.strerror or 'unknown error').lower()}"
            )
            return ""
        except ValueError:
            self.findings.error(path, f"{shown} is no file with text in UTF-8")
            return ""
        if not text:
            self.findings.error(path, f"{shown} is empty")
        if everybody_reads(self.folder / name):
            self.findings.warning(path, f"{shown}: {READABLE}", f"chmod 600 {name}")
        return text


def note_repeated(names: Iterable[tuple[str, KeyPath]], kind: str, findings: Findings) -> None:
    """Names must differ in more than case: people mix such names up."""
    first = dict[str, KeyPath]()
    for name, path in names:
        earlier = first.setdefault(name.casefold(), path)
        if name and earlier != path:
            said = f"the {kind} name {findings.word(path)} is used twice; the first is on line {findings.line(earlier)}"
            findings.error(path, said, "give one of them another name")


def _without_accents(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
