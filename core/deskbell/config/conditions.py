"""``action:`` and ``when:`` of a webhook: which events it takes."""

from __future__ import annotations

from collections.abc import Iterator

from deskbell.event import ACTION_WORDS
from deskbell.routing import priority_level
from deskbell.settings import When

from .model import WebhookEntry, WhenEntry
from .problem import KeyPath
from .scope import Scope
from .suggest import closest, did_you_mean, one_of
from .vocabulary import Vocabulary

EVERY_ACTION = "*"
_LIKE = 0.75


def read_actions(
    entry: WebhookEntry, when: When, path: KeyPath, scope: Scope, vocabulary: Vocabulary
) -> frozenset[str] | None:
    """The actions in lower case; None takes every one."""
    place = (*path, "action")
    if entry.action is None:
        scope.missing(place, "this webhook has no action", 'say which events it shows, or all:  action: "*"')
        return frozenset()
    if not entry.action:
        scope.findings.error(place, "action: the list is empty", 'for all events:  action: "*"')
    if EVERY_ACTION in map(str.strip, entry.action):
        return None
    actions = [
        _action(word, (*place, index), when, scope, vocabulary) for index, word in enumerate(entry.action)
    ]
    return frozenset(action.casefold() for action in actions)


def _action(word: str, path: KeyPath, when: When, scope: Scope, vocabulary: Vocabulary) -> str:
    action = vocabulary.action(word)
    if not action and vocabulary.complete:
        known = vocabulary.actions
        message = f"action: {scope.findings.word(path)} is not {one_of(known)}"
        hint = did_you_mean(word, (*ACTION_WORDS, *known), _adapter_with(word, vocabulary))
        scope.findings.error(path, message, hint)
    elif action and vocabulary.complete and vocabulary.sources and not vocabulary.sends(action, when.sources):
        message = f"action: no source{' of this webhook' if when.sources else ''} sends {action} today"
        scope.findings.warning(path, message)
    return action


def _adapter_with(word: str, vocabulary: Vocabulary) -> str:
    """The hint when an adapter that no source uses has this action."""
    for name, adapter in vocabulary.adapters.items():
        if word.casefold() in map(str.casefold, adapter.actions):
            return f"the adapter {name} has it, but no source uses that"
    return ""


def read_when(entry: WhenEntry | None, path: KeyPath, scope: Scope, vocabulary: Vocabulary) -> When:
    """The conditions, in lower case."""
    if entry is None:
        return When()
    for key, words in entry:
        if words is not None and not all(map(str.strip, words or ("",))):
            hint = f"name what must match, or leave {key} out"
            scope.findings.error((*path, key), f"when.{key}: there is an empty value", hint)
    return When(
        departments=frozenset(word.strip().casefold() for word in entry.department or ()),
        priorities=frozenset(_levels(entry, path, scope, vocabulary)),
        sources=frozenset(_sources(entry, path, scope, vocabulary)),
    )


def _levels(entry: WhenEntry, path: KeyPath, scope: Scope, vocabulary: Vocabulary) -> Iterator[str]:
    known = vocabulary.priorities
    for index, word in enumerate(entry.priority or ()):
        level = priority_level(word, known)
        if level not in known.values() and (like := closest(word, known, likeness=_LIKE)):
            place = (*path, "priority", index)
            message = f"when.priority: {scope.findings.word(place)} is no known priority; it is compared as it is sent"
            scope.findings.warning(place, message, f"did you mean '{like}'?")
        yield level


def _sources(entry: WhenEntry, path: KeyPath, scope: Scope, vocabulary: Vocabulary) -> Iterator[str]:
    names = {name.casefold(): name for name in vocabulary.sources}
    for index, word in enumerate(entry.source or ()):
        if word.strip().casefold() in names:
            yield word.strip().casefold()
        elif names:
            place = (*path, "source", index)
            message = f"when.source: {scope.findings.word(place)} is not {one_of(names.values())}"
            scope.findings.error(place, message, did_you_mean(word, names.values()))
