"""``retry:`` and ``max_age:`` of a webhook, and ``retention:``: how long deliveries are tried, and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from deskbell.delivery import RetryPolicy
from deskbell.pace import parse_duration
from deskbell.settings import Retention, Webhook

from .findings import Findings
from .model import RetentionEntry, WebhookEntry
from .problem import KeyPath

_DEFAULT = RetryPolicy()
_MOST_WAITS = 20
_HASTE = 1.0
"""Seconds; who tries a service that is down more often than this only fills the log."""


@dataclass(frozen=True, slots=True)
class _Range:
    """The shortest and the longest duration of a key, as an owner would write them."""

    least: str
    most: str


_WAITS = _Range("0.001s", "1h")
_AGES = _Range("1min", "365d")
_KEEPING = _Range("1d", "3650d")


class _WrongError(Exception):
    """What a duration is, and what to write instead; it never holds the words of the file."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice


def read_retry(entry: WebhookEntry, path: KeyPath, findings: Findings) -> RetryPolicy:
    """The waits and the age that the owner says, else the usual ones."""
    ladder, max_age = _DEFAULT.ladder, _DEFAULT.max_age
    if entry.retry is not None:
        ladder = _ladder(entry.retry, (*path, "retry"), findings) or ladder
    if entry.max_age is not None:
        place = (*path, "max_age")
        max_age = _duration("max_age", entry.max_age, _AGES, place, findings) or max_age
    policy = replace(_DEFAULT, ladder=ladder, max_age=max_age)
    _note_risks(policy, path, findings)
    return policy


def _ladder(text: str, path: KeyPath, findings: Findings) -> tuple[float, ...]:
    """The waits in seconds, without the wrong ones: each of those is noted at its own place."""
    waits, offset, words = list[float](), 0, text.split(",")
    if len(words) > _MOST_WAITS:
        said = f"retry: these are {len(words)} waits, more than {_MOST_WAITS}"
        findings.error(path, said, "leave out the rest: the last wait repeats")
        return ()
    for number, word in enumerate(words, 1):
        try:
            waits.append(_wait(word, waits[-1] if waits else 0.0))
        except _WrongError as wrong:
            # The wait is numbered, not quoted: it may come from the environment, and be a secret.
            place = findings.find(path, word.strip(), offset) if word.strip() else None
            findings.error(path, f"retry: wait {number} is {wrong.what}", wrong.advice, place=place)
        offset += len(word) + len(",")
    return tuple(waits)


def _wait(word: str, before: float) -> float:
    """One wait of the ladder, which follows the wait ``before``."""
    wait = _seconds(word, _WAITS)
    if wait < before:
        raise _WrongError("shorter than one before it", "let the waits grow, as in 1s, 5s, 30s, 2min, 15min")
    return wait


def _duration(key: str, text: str, allowed: _Range, path: KeyPath, findings: Findings) -> float | None:
    """Seconds; None when it is no duration, or out of range, which is noted."""
    try:
        return _seconds(text, allowed)
    except _WrongError as wrong:
        findings.error(path, f"{key}: {findings.word(path)} is {wrong.what}", wrong.advice)
        return None


def _seconds(text: str, allowed: _Range) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise _WrongError("no duration", str(error)) from None
    if seconds < parse_duration(allowed.least):
        raise _WrongError("too short", f"write at least {allowed.least}")
    if seconds > parse_duration(allowed.most):
        raise _WrongError("too long", f"write at most {allowed.most}")
    return seconds


def _note_risks(policy: RetryPolicy, path: KeyPath, findings: Findings) -> None:
    """What an owner can hardly mean."""
    retry, max_age = (*path, "retry"), (*path, "max_age")
    longest = policy.ladder[-1]
    if findings.spoilt(retry):
        return
    if longest < _HASTE:
        said = f"retry: a service that is down would be tried every {longest:g} s, for as long as it is"
        findings.warning(retry, said, "let the last wait be longer: it repeats")
    if policy.max_age <= longest:
        said = f"max_age: a delivery may die between two tries, which are up to {longest:g} s apart"
        findings.warning(max_age, said, "make max_age longer, or the last wait of retry shorter")


def note_shared_lanes(webhooks: Mapping[KeyPath, Webhook], findings: Findings) -> None:
    """Warn of webhooks with one transport and URL that differ in ``retry``: their lane has only one."""
    lanes = dict[str, list[tuple[KeyPath, Webhook]]]()
    for path, webhook in webhooks.items():
        if webhook.enabled and webhook.url and not findings.spoilt((*path, "retry")):
            lanes.setdefault(webhook.destination, []).append((path, webhook))
    for lane in lanes.values():
        _note_other_waits(lane, findings)


def _note_other_waits(lane: Sequence[tuple[KeyPath, Webhook]], findings: Findings) -> None:
    """At each ``retry`` that does not count; where none of them is written, at the one that counts."""
    first, counts = max(lane, key=lambda entry: entry[1].patience)
    others = [path for path, webhook in lane if webhook.retry.ladder != counts.retry.ladder]
    written = [path for path in others if findings.written((*path, "retry"))]
    same_url = "posts to the same URL, and has other waits"
    hint = "one URL has one lane: the retry whose waits sum up longest counts; write the same for all"
    for path in written:
        said = f"retry: does not count: webhook {findings.word((*first, 'name'))} {same_url}"
        findings.warning((*path, "retry"), said, hint)
    if others and not written:
        said = f"retry: counts for webhook {findings.word((*others[0], 'name'))}, too, which {same_url}"
        findings.warning((*first, "retry"), said, hint)


def read_retention(entry: RetentionEntry | None, findings: Findings) -> Retention:
    """``retention``: what is left out has its default."""
    said = {key: text for key, text in entry or RetentionEntry() if text is not None}
    kept = {
        key: _duration(f"retention.{key}", text, _KEEPING, ("retention", key), findings)
        for key, text in said.items()
    }
    retention = replace(Retention(), **{key: seconds for key, seconds in kept.items() if seconds})
    if retention.dead < retention.delivered and None not in kept.values():
        place = ("retention", "dead" if "dead" in said else "delivered")
        message = "retention: what failed would be forgotten before what was delivered"
        findings.warning(place, message, "keep dead at least as long as delivered")
    return retention
