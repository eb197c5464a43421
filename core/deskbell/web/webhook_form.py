"""The form of one webhook: its entry of the config as fields, and what was typed as changes of the entry.

Only what was typed anew is a change: so what a form cannot say, or says otherwise than the file, stays as it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deskbell.config.document import split_lines
from deskbell.event import action_named

from .option_fields import OptionField

WORDS = ("name", "transport", "rate", "retry", "max_age")
"""The keys of an entry that hold one text on one line."""
CONDITIONS = ("department", "priority", "source")
"""The keys of ``when``."""
EVERY_ACTION = "*"
Entry = Mapping[str, Any]
"""A webhook as ``Draft.webhooks`` gives it; a new one is empty."""
OptionFields = Mapping[str, Sequence[OptionField]]
"""By transport."""


@dataclass(frozen=True, slots=True)
class WebhookForm:
    """What each field holds, by its name: ``message``, ``when.priority``, ``options.discord.username``, …

    ``url`` and secret options hold what was typed, and nothing of what the config has.
    """

    fields: Mapping[str, Sequence[str]]

    @classmethod
    def of_entry(cls, entry: Entry, transport: str, options: OptionFields) -> WebhookForm:
        """As the config has it; ``transport`` is the one that sends, also where the entry does not name it."""
        fields = {word: [_text(entry.get(word))] for word in WORDS}
        fields["transport"] = [transport]
        fields["message"] = [_lines(_text(entry.get("message")))]
        fields["enabled"] = [] if entry.get("enabled") is False else ["on"]
        fields["action"] = _actions(entry.get("action"))
        when = _mapping(entry.get("when"))
        fields |= {f"when.{key}": _texts(when.get(key)) for key in CONDITIONS}
        given = _mapping(entry.get("options"))
        for field in options.get(transport, ()):
            fields[f"options.{transport}.{field.name}"] = [_option(field, given.get(field.name))]
        return cls(fields)

    @classmethod
    def of_typed(cls, typed: Mapping[str, Sequence[str]]) -> WebhookForm:
        """As a browser sent it."""
        fields = {name: [value.strip() for value in values] for name, values in typed.items()}
        fields["message"] = [_lines("".join(typed.get("message", ())))]
        fields["when.department"] = list(_lines_of(typed.get("when.department", ())))
        return cls(fields)

    def one(self, name: str) -> str:
        """The only value of a field; empty where there is none."""
        return "".join(self.fields.get(name, ())[:1])

    def many(self, name: str) -> list[str]:
        """All values of a field that holds several."""
        return [value for value in self.fields.get(name, ()) if value]

    def changes_of(self, entry: Entry, shown: WebhookForm, options: OptionFields) -> dict[str, Any]:
        """What differs from ``shown``, the form of ``entry``, as changes of its keys: None takes one out."""
        found: dict[str, Any] = {
            key: self.one(key) or None for key in (*WORDS, "message") if self.one(key) != shown.one(key)
        }
        if self.many("enabled") != shown.many("enabled"):
            found["enabled"] = bool(self.many("enabled"))
        if _differ(self.many("action"), shown.many("action")):
            found["action"] = _one_or_more(self.many("action"))
        if url := self.one("url"):
            found |= {"url": url, "url_file": None}
        if when := self._conditions(shown):
            found["when"] = _merged(_mapping(entry.get("when")), when)
        same_transport = self.one("transport") == shown.one("transport")
        if (given := self._options(shown, options)) or not same_transport:
            found["options"] = _merged(_mapping(entry.get("options")) if same_transport else {}, given)
        return found

    def _conditions(self, shown: WebhookForm) -> dict[str, Any]:
        names = {key: f"when.{key}" for key in CONDITIONS}
        return {
            key: self.many(name) or None
            for key, name in names.items()
            if _differ(self.many(name), shown.many(name))
        }

    def _options(self, shown: WebhookForm, options: OptionFields) -> dict[str, Any]:
        transport = self.one("transport")
        names = {field: f"options.{transport}.{field.name}" for field in options.get(transport, ())}
        return {
            field.name: field.value(self.one(name))
            for field, name in names.items()
            if self.one(name) != shown.one(name)
        }


def inexpressible(entry: Entry, options: Sequence[OptionField]) -> Iterator[str]:
    """The keys of an entry that the form does not show, and keeps."""
    known = {field.name: field for field in options}
    for name, value in _mapping(entry.get("options")).items():
        if name not in known or isinstance(value, (dict, list)):
            yield f"options.{name}"


def _option(field: OptionField, value: Any) -> str:
    return "" if field.kind == "secret" or isinstance(value, (dict, list)) else _text(value)


def _actions(value: Any) -> list[str]:
    """By their own names, whichever words the file has for them."""
    words = [action_named(word) for word in _texts(value)]
    return [EVERY_ACTION] if EVERY_ACTION in words else words


def _differ(words: Iterable[str], others: Iterable[str]) -> bool:
    """Neither case nor order counts in a config."""
    return set(map(str.casefold, words)) != set(map(str.casefold, others))


def _one_or_more(words: Sequence[str]) -> str | list[str] | None:
    """As owners write it."""
    if EVERY_ACTION in words:
        return EVERY_ACTION
    return list(words) if len(words) > 1 else "".join(words) or None


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """Without what is None; None where nothing is left."""
    return {key: value for key, value in {**old, **new}.items() if value is not None} or None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any) -> list[str]:
    """One or more, each as text."""
    return [_text(each) for each in (value if isinstance(value, list) else [value]) if each is not None]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def _lines(text: str) -> str:
    """As a file has them: browsers send CRLF."""
    return "\n".join(split_lines(text)).rstrip()


def _lines_of(values: Iterable[str]) -> Iterator[str]:
    """Each line that is not blank."""
    for value in values:
        yield from filter(None, map(str.strip, split_lines(value)))
