"""config.yaml -> Config: read, expand, validate, decode; all problems in one pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from deskbell.settings import Config, is_loopback
from deskbell.source import NativeSource, Source
from deskbell.transport import Transport

from . import durations, exhibit, service, sign_in
from .comments import cut_texts
from .document import Document, UnreadableError, read_text, split_lines
from .environment import expand
from .findings import Findings, problems
from .masking import Masks
from .model import VERSION, ConfigFile, ServerEntry
from .modes import note_inline_secrets
from .problem import Note, Problem, Severity
from .scope import Scope
from .sources import decode_sources
from .validation import read_file
from .webhooks import decode_webhooks

_STORE_LINE = re.compile(r"^store:.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Loaded:
    """``config`` is None when ``problems`` has an error. Problems are in the order of the file.

    ``sketch``: what could be made out, also beside errors. It is for looking at, never to work by.
    """

    config: Config | None
    problems: tuple[Problem, ...] = ()
    sketch: Config | None = None

    def after(self, problems: tuple[Problem, ...]) -> Loaded:
        """The same, with problems that were found before: an error among them leaves no config."""
        failed = any(problem.severity is Severity.ERROR for problem in problems)
        return replace(self, config=None if failed else self.config, problems=(*problems, *self.problems))


class ReadConfig(Protocol):
    """Decodes a config as ``deskbell check`` does: the file at ``path``, or ``text`` as if it stood there."""

    def __call__(self, path: Path, text: str | None = None) -> Loaded: ...


def load_config(
    path: Path,
    *,
    transports: Mapping[str, Transport[Any]],
    sources: Mapping[str, Source],
    broken: Mapping[str, str] = MappingProxyType({}),
    environ: Mapping[str, str],
    text: str | None = None,
) -> Loaded:
    """Read ``path``, or ``text`` in its place. Never raises for what is in the file, or because it is not there.

    ``transports`` and ``sources`` (adapters) by name; ``broken`` has the reason of each plugin that did not load.
    """
    masks = Masks(transports.values())
    try:
        document, faults, lines = _read(read_text(path) if text is None else text, masks)
    except UnreadableError as error:
        lines = exhibit.of_text(split_lines(error.text), masks)
        return Loaded(None, problems(str(path), error.notes, masks, lines))
    findings = Findings(document)
    findings.notes.extend(faults)  # they spoil no value: it is mended
    for note in (*document.notes, *cut_texts(document)):
        findings.add(note)
    data = expand(document.data, environ, findings)
    masks.learn(data)
    note_inline_secrets(path, document, masks, findings)
    file = read_file(data, findings, _option_names(transports))
    scope = Scope(
        findings=findings,
        folder=path.absolute().parent,
        transports=transports,
        adapters={NativeSource.name: NativeSource(), **sources},
        broken=broken,
    )
    config = _decode(file, path, scope)
    found = problems(str(path), findings.notes, masks, lines)
    return Loaded(None if findings.failed else config, found, config)


def _read(text: str, masks: Masks) -> tuple[Document, list[Note], exhibit.Exhibit]:
    """The document, what kept the file from being YAML, and how its lines are shown.

    Where the faults are understood, the document is what the owner meant: so the rest is told in the same run.
    """
    try:
        document = Document.parse(text, masks.is_secret)
    except UnreadableError as error:
        if not error.mended:
            raise
        mended = Document.parse(error.mended, masks.is_secret)
        return mended, error.notes, exhibit.of_text(split_lines(text), masks)
    return document, [], exhibit.of_document(document, masks)


def read_plugins_dir(path: Path, environ: Mapping[str, str]) -> Path | None:
    """``plugins_dir`` alone: plugins are loaded before the config is decoded.

    None when the file names none or cannot be read: ``load_config`` says why.
    """
    try:
        folder = _value_of("plugins_dir", read_text(path), environ)
    except UnreadableError:
        return None
    return path.absolute().parent / folder if folder else None


def read_store_path(path: Path, environ: Mapping[str, str]) -> Path:
    """``store`` alone, by its own line: a config with errors elsewhere still says where its ``serve`` is to be found.

    The default when no line says it.
    """
    try:
        line = _STORE_LINE.search(read_text(path))
        url = _value_of("store", line[0], environ) if line else None
    except UnreadableError:
        url = None
    return service.read_store(url, path.absolute().parent, Findings(Document.parse("{}", lambda _: True)))


def _value_of(key: str, text: str, environ: Mapping[str, str]) -> str | None:
    """The text that stands at ``key``; None when there is none."""
    document = Document.parse(text, lambda _: True)
    value = document.data.get(key) if isinstance(document.data, dict) else None
    expanded = expand(value, environ, Findings(document), (key,))
    return expanded if isinstance(expanded, str) else None


def _option_names(transports: Mapping[str, Transport[Any]]) -> frozenset[str]:
    return frozenset(
        name for transport in transports.values() for name in transport.options_type.model_fields
    )


def _decode(file: ConfigFile, path: Path, scope: Scope) -> Config:
    findings = scope.findings
    vocabulary = decode_sources(file.sources or (), scope)
    server = file.server or ServerEntry()
    host, port = service.read_listen(server.listen, findings)
    egress = service.read_egress((file.egress and file.egress.allow) or (), findings)
    config = Config(
        path=path,
        host=host,
        port=port,
        store=service.read_store(file.store, scope.folder, findings),
        password=sign_in.read_password(server, scope),
        public_url=sign_in.read_public_url(server.public_url, findings),
        timezone=service.read_timezone(file.timezone, findings),
        date_format=service.read_date_format(file.date_format, findings),
        egress=egress,
        retention=durations.read_retention(file.retention, findings),
        sources=vocabulary.sources,
        webhooks=decode_webhooks(file.webhooks or (), scope, vocabulary, egress),
        priorities=vocabulary.priorities,
    )
    _note_the_rest(file, scope)
    _note_open_doors(config, file, scope)
    return config


def _note_open_doors(config: Config, file: ConfigFile, scope: Scope) -> None:
    if is_loopback(config.host):
        return
    sign_in.note_missing_password(config, scope.findings)
    for index, entry in enumerate(file.sources or ()):
        source = config.sources.get(entry.name or "")
        if source and source.open and not scope.findings.spoilt(("sources", index)):
            said = f"{source.why_closed(config.host)}: anybody could post events"
            scope.findings.error(("sources", index), said, "set a token of at least 16 characters")


def _note_the_rest(file: ConfigFile, scope: Scope) -> None:
    findings = scope.findings
    if file.version not in (None, VERSION):
        findings.error(("version",), f"version: this deskbell reads version {VERSION}", f"version: {VERSION}")
    if not file.sources and not findings.spoilt(("sources",)):
        findings.warning(
            (), "there are no sources: nobody can post events", "see sources: in docs/configuration.md"
        )
    if not file.webhooks and not findings.spoilt(("webhooks",)):
        findings.warning((), "there are no webhooks: events are kept, and shown nowhere")
    if file.plugins_dir and not (scope.folder / file.plugins_dir).is_dir():
        message = f"plugins_dir: {findings.word(('plugins_dir',))} is no folder"
        findings.warning(("plugins_dir",), message, "make it, or take the key out")
