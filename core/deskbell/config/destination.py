"""``url:``, ``transport:``, ``options:`` and ``rate:`` of a webhook: where its messages go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from deskbell.egress import EgressPolicy
from deskbell.pace import Rate, parse_rates
from deskbell.settings import DEMO_SCHEME
from deskbell.transport import Options, Transport

from .model import WebhookEntry
from .problem import KeyPath
from .scope import Scope
from .suggest import one_of
from .validation import read_options
from .vocabulary import Vocabulary

_NOT_IN_URLS = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff]")
_LOOKS_LIKE_A_HOST = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?(/|\Z)", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:", re.ASCII)
_OF_THE_WEB = frozenset({"http", "https"})
_BARE_REFERENCE = re.compile(r"\$[A-Za-z_]\w*", re.ASCII)


def read_url(entry: WebhookEntry, path: KeyPath, scope: Scope) -> str:
    """The URL; empty when there is none that can be used."""
    place = (*path, _given(entry))
    if entry.url_file is not None:
        url = _url_in_file(entry, entry.url_file, place, scope)
    elif entry.url is not None:
        url = entry.url.reveal().strip()
    else:
        scope.missing(place, "this webhook has no url", "paste the URL that the service gave you:  url: …")
        return ""
    fault, hint = ("", "") if _is_anothers(url, entry, scope) else _fault_of(url)
    if fault and not scope.findings.spoilt(place):
        scope.findings.error(place, f"{place[-1]}: {fault}", hint)
    return "" if fault else url


def _url_in_file(entry: WebhookEntry, file: str, path: KeyPath, scope: Scope) -> str:
    if entry.url is not None:
        scope.findings.error_at_key(path, "there is a url and a url_file", "keep one of the two")
        return ""
    words = scope.secrets_in_file(file, path)
    if len(words) > 1:
        scope.findings.error(path, "url_file: the file must hold one URL and nothing else")
    return words[0] if len(words) == 1 else ""


def _is_anothers(url: str, entry: WebhookEntry, scope: Scope) -> bool:
    """True for the URL of a transport whose URLs are none of the web: that one says what is wrong with it."""
    if not _SCHEME.match(url) or url.startswith(DEMO_SCHEME) or _NOT_IN_URLS.search(url):
        return False
    named = scope.transports.get(entry.transport or "")
    if named is not None:
        return named.own_urls
    return any(each.own_urls and _recognises(name, url, (), scope) for name, each in scope.transports.items())


def _fault_of(url: str) -> tuple[str, str]:
    """What is wrong with a URL, never with a part of it; and what to do."""
    if not url:
        return "is empty", "paste the URL that the service gave you"
    if url.startswith(DEMO_SCHEME):
        return "", ""
    if _NOT_IN_URLS.search(url):
        return "there is white space in it", "paste the URL whole, on one line"
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if url.casefold().startswith(("http://", "https://")):
        return ("", "") if usable else ("there is no usable host in it", "it should look like https://host/…")
    if _BARE_REFERENCE.fullmatch(url):
        return "must begin with https://", "a variable of the environment is written ${NAME}"
    hint = (
        "write https:// before it" if _LOOKS_LIKE_A_HOST.match(url) else "or demo:discord to try deskbell out"
    )
    return "must begin with https:// (or http://, demo:)", hint


def note_refused_address(
    url: str, egress: EgressPolicy, entry: WebhookEntry, path: KeyPath, scope: Scope
) -> None:
    """An address that no message will reach. Where a name leads to, only the connection tells."""
    try:
        parts = urlsplit(url)
        refusal = egress.refusal(parts.hostname or "", parts.port or 0) if parts.scheme in _OF_THE_WEB else ""
    except ValueError:  # a name, or no URL
        return
    if refusal:
        place = (*path, _given(entry))
        scope.findings.warning(place, f"{_given(entry)}: {refusal}", "until then, nothing is sent there")


def read_transport(entry: WebhookEntry, url: str, path: KeyPath, scope: Scope) -> Transport[Any] | None:
    """Who sends to ``url``: the one that is named, else the one that recognises it."""
    transport = _sender_to(entry, url, path, scope)
    if transport is not None:
        _ask_about(url, transport, entry, path, scope)
    return transport


def _ask_about(url: str, transport: Transport[Any], entry: WebhookEntry, path: KeyPath, scope: Scope) -> None:
    """Whether the transport can work here at all, and send there."""
    told_at = (*path, "transport" if entry.transport is not None else _given(entry))
    try:
        if lacks := str(transport.unavailable() or ""):
            scope.findings.error(told_at, f"the transport {transport.name} cannot work here: {lacks}")
        elif url and not url.startswith(DEMO_SCHEME) and (refusal := str(transport.refuses(url) or "")):
            scope.findings.error((*path, _given(entry)), f"{_given(entry)}: {refusal}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's own code; its words may hold the URL
        message = f"the transport {transport.name} failed when it was asked about this URL"
        scope.findings.warning(path, f"{message} ({type(error).__name__})")


def _sender_to(entry: WebhookEntry, url: str, path: KeyPath, scope: Scope) -> Transport[Any] | None:
    place = (*path, "transport")
    if entry.transport is not None and entry.transport not in scope.transports:
        scope.unknown("transport", entry.transport, scope.transports, place)
        return None
    if not url or scope.findings.spoilt(place):
        return scope.transports.get(entry.transport or "")
    if url.startswith(DEMO_SCHEME):
        return _played(entry, url.removeprefix(DEMO_SCHEME), path, scope)
    by_url = [name for name in sorted(scope.transports) if _recognises(name, url, path, scope)]
    if entry.transport is not None:
        if by_url and entry.transport not in by_url:
            message = f"transport: {scope.findings.word(place)} will post to a URL of {' or '.join(by_url)}"
            scope.findings.warning(place, message, f"transport: {by_url[0]}, or leave it out")
        if not by_url and (hint := _diagnosis(url, [scope.transports[entry.transport]])):
            place = (*path, _given(entry))
            scope.findings.warning(place, f"{_given(entry)}: no webhook's URL of {entry.transport}", hint)
        return scope.transports[entry.transport]
    if len(by_url) == 1:
        return scope.transports[by_url[0]]
    said = f"{' and '.join(by_url)} both recognise" if by_url else "no transport recognises"
    hint = f"say who sends there:  transport: {one_of(by_url or scope.transports)}"
    scope.findings.error(
        (*path, _given(entry)), f"{said} this URL", _diagnosis(url, scope.transports.values()) or hint
    )
    return None


def _diagnosis(url: str, transports: Iterable[Transport[Any]]) -> str:
    """What a transport says of a URL that is nearly its own: on its host, but not of a webhook."""
    host = urlsplit(url).hostname
    for transport in transports:
        example = transport.example_url
        if example and urlsplit(example).hostname == host:
            with suppress(Exception):  # a plugin's own code, which said what it could
                if refusal := str(transport.refuses(url) or ""):
                    return refusal
            return f"a webhook's URL of {transport.name} looks like {example}"
    return ""


def _played(entry: WebhookEntry, name: str, path: KeyPath, scope: Scope) -> Transport[Any] | None:
    """``demo:NAME``: a service that deskbell plays itself."""
    place = (*path, _given(entry))
    transport = scope.transports.get(name)
    if transport is None:
        known = [other for other, transport in scope.transports.items() if _is_played(transport)]
        scope.unknown("demo channel", name, known, place)
    elif not _is_played(transport):
        scope.findings.error(place, f"demo: the transport {name} brings no service that could be played")
    elif entry.transport not in (None, name):
        message = f"transport: {scope.findings.word((*path, 'transport'))} does not fit the URL demo:{name}"
        scope.findings.error((*path, "transport"), message, "leave it out")
    else:
        return transport
    return None


def _is_played(transport: Transport[Any]) -> bool:
    """Asked without ``fake()``: that would load a web server."""
    return next(kind for kind in type(transport).__mro__ if "fake" in vars(kind)) is not Transport


def _recognises(name: str, url: str, path: KeyPath, scope: Scope) -> bool:
    try:
        return bool(scope.transports[name].recognises(url))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's own code; its words may hold the URL
        message = f"the transport {name} failed when it was asked about this URL ({type(error).__name__})"
        scope.findings.warning(path, message)
        return False


def _given(entry: WebhookEntry) -> str:
    return "url" if entry.url_file is None else "url_file"


def read_destination_options(
    entry: WebhookEntry, transport: Transport[Any], path: KeyPath, scope: Scope, vocabulary: Vocabulary
) -> Options | None:
    """The transport's own settings, validated by its own model."""
    place = (*path, "options")
    if scope.findings.spoilt(place):
        return None
    return read_options(transport.options_type, entry.options or {}, place, scope.findings, vocabulary)


def read_rates(
    entry: WebhookEntry, transport: Transport[Any], path: KeyPath, scope: Scope
) -> tuple[Rate, ...]:
    """What the owner says, else what the transport declares."""
    try:
        return parse_rates(transport.rates if entry.rate is None else entry.rate)
    except ValueError:
        place = (*path, "rate")
        said = f"rate: {scope.findings.word(place)} is no rate"
        if entry.rate is None:
            said = f"the transport {transport.name} declares no usable rate"
        scope.findings.error(place, said, "write it like 5/2s or 30/60s, or none: do not pace")
        return ()
