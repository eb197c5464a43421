"""``sources:`` who may post events, and how they prove it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deskbell.errors import ConfigError
from deskbell.secret import Secret
from deskbell.settings import SourceSettings
from deskbell.signature import key_of
from deskbell.source import NativeSource, Source

from .model import SourceEntry
from .problem import KeyPath
from .scope import Scope, note_repeated
from .suggest import closest
from .vocabulary import Vocabulary

SHORTEST_TOKEN = 16
MOST_SECRETS = 2
"""The old one and the new one, while an owner rotates."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TOKEN = re.compile(r"[!-~]+")
_MEANS_MORE_IN_A_URL = re.compile(r"[/?#%\\]")
_LIKE = 0.75


def decode_sources(entries: Sequence[SourceEntry], scope: Scope) -> Vocabulary:
    """The sources, by name; each fault is noted."""
    named, sources = list[tuple[str, KeyPath]](), dict[str, SourceSettings]()
    complete = True
    for index, entry in enumerate(entries):
        path: KeyPath = ("sources", index)
        name = scope.name(entry.name, path, "source")
        named.append((name, (*path, "name")))
        adapter = _adapter(entry, name, path, scope)
        complete = complete and adapter is not None
        sources[name] = SourceSettings(
            name=name,
            adapter=adapter or NativeSource(),
            tokens=_tokens(entry, path, scope),
            signing_secrets=_signing_secrets(entry.signing_secret or (), (*path, "signing_secret"), scope),
            variables=_variables(entry.variables or (), (*path, "variables"), scope),
            token_key="token" if entry.token_file is None else "token_file",
        )
    note_repeated(named, "source", scope.findings)
    return Vocabulary(sources=sources, adapters=scope.adapters, complete=complete)


def _adapter(entry: SourceEntry, name: str, path: KeyPath, scope: Scope) -> Source | None:
    place = (*path, "adapter")
    if entry.adapter is not None:
        if entry.adapter not in scope.adapters:
            scope.unknown("adapter", entry.adapter, scope.adapters, place)
        return scope.adapters.get(entry.adapter)
    if scope.findings.spoilt(place) or not name:
        return None
    if name in scope.broken:
        scope.unknown("adapter", name, (), (*path, "name"))
        return None
    if name not in scope.adapters and (like := _like(name, scope)):
        said = f"the source {scope.findings.word((*path, 'name'))} takes deskbell's own event"
        scope.findings.warning((*path, "name"), said, f"for the other:  adapter: {like}")
    return scope.adapters.get(name, scope.adapters[NativeSource.name])


def _like(name: str, scope: Scope) -> str:
    """The adapter that the name of a source makes one think of."""
    inside = (adapter for adapter in scope.adapters if adapter in name.casefold())
    found = next(inside, "") or closest(name, scope.adapters, likeness=_LIKE)
    return "" if found == NativeSource.name else found


def _tokens(entry: SourceEntry, path: KeyPath, scope: Scope) -> tuple[Secret, ...]:
    place = (*path, "token")
    tokens = [token.reveal() for token in entry.token or ()]
    if entry.token_file is not None:
        place = (*path, "token_file")
        if entry.token is not None:
            scope.findings.error_at_key(place, "there is a token and a token_file", "keep one of the two")
            return ()
        tokens = scope.secrets_in_file(entry.token_file, place)
    for index, token in enumerate(filter(None, tokens)):
        _check_token(token, (*place, index), scope)
    return _at_most_two([Secret(token) for token in tokens if token], place, scope)


def _check_token(token: str, path: KeyPath, scope: Scope) -> None:
    if len(token) < SHORTEST_TOKEN:
        hint = 'make one:  python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
        said = f"this token is shorter than {SHORTEST_TOKEN} characters"
        scope.findings.error(path, said, hint)
    elif not _TOKEN.fullmatch(token):
        said = "this token holds a space, or a character that is not ASCII"
        scope.findings.error(path, said, "use letters, digits, '-' and '_'")
    elif _MEANS_MORE_IN_A_URL.search(token):
        said = "this token holds one of / ? # % \\, which must be percent-encoded in an address"
        scope.findings.warning(path, said, "use letters, digits, '-' and '_'")


def _at_most_two(secrets: Sequence[Secret], path: KeyPath, scope: Scope) -> tuple[Secret, ...]:
    if len(secrets) > MOST_SECRETS:
        scope.findings.error(path, f"{path[-1]}: at most two, the old one and the new one")
    return tuple(secrets)


def _signing_secrets(secrets: Sequence[Secret], path: KeyPath, scope: Scope) -> tuple[Secret, ...]:
    given = [secret for secret in secrets if secret]
    for index, secret in enumerate(given):
        try:
            key_of(secret)
        except ConfigError as error:
            scope.findings.error((*path, index), str(error), "copy it whole, as the sender shows it")
    return _at_most_two(given, path, scope)


def _variables(names: Sequence[str], path: KeyPath, scope: Scope) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if not _VARIABLE.fullmatch(name):
            word = scope.findings.word((*path, index))
            hint = (
                "write the name alone, without %"
                if "%" in name
                else "letters, digits and '_', no digit first"
            )
            scope.findings.error((*path, index), f"variables: {word} is no name of a variable", hint)
    return tuple(names)
