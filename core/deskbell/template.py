"""``%variable%`` templates: parsed once, rendered in one pass, fitted to a service's limit.

The rules, all of them here:

- Only known names are variables, so that ``entre 5 % et 10 %`` is text. Case and spaces inside the signs
  do not matter. A value is data: it is never read as a template again.
- Variables side by side (``%a%%b%``) are one value, joined *before* the escape: two correct escapes side
  by side could together spell something active.
- A variable whose name ends in ``url`` holds a link of the sender's and is written raw when it looks like
  one. A value inside a URL of the template is percent-encoded, for every transport: no escape survives there.
- A value in a quoted line (``> %content%``) is quoted in all its lines.
- A line of the template whose variables are all empty is left out, unless nothing would remain.
- What is too long is cut in the longest values, before the escape, so that no escape sequence is split;
  never in the template's words, and a link is kept or left out whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache, partial
from typing import Any
from urllib.parse import quote

from pydantic import ValidationInfo

from .event import VARIABLES
from .fitting import cut, share_out
from .shortcodes import expand

VALUE = "\x00"
"""Stands for a value in a skeleton."""
LINK = "\x01"
"""Stands for a link, or for a value that continues a URL, in a skeleton."""

Escape = Callable[[str], str]
Measure = Callable[[str], int]

_PLACES = re.compile(f"[{VALUE}{LINK}]")
_OPEN_URL = re.compile(r"(?:<https?://[^\s<>|]*|(?<!<)https?://[^\s<>]*)\Z")
_URL_GOES_ON = re.compile(r"[^\s<>|]*\Z")
_SAFE_LINK = re.compile(r"https?://[\w.:/?#@!$&',;=%+-]+", re.ASCII)
_LINE_QUOTE = re.compile(r"(?:\A|\n)(?!>>>)(> ?)[^\n]*\Z")
_WORD = re.compile(r"%([^\W\d]\w*)%")
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value. ``names`` has several when variables stand side by side."""

    names: tuple[str, ...]
    link: bool
    inside_url: bool
    quote: str

    def raw(self, values: Mapping[str, str]) -> str:
        """The value as it is, before any escape."""
        return "".join([values.get(name, "") for name in self.names])

    def fixed(self, raw: str) -> bool:
        """True when the value is kept whole or left out: half a URL leads nowhere."""
        return self.inside_url or (self.link and _SAFE_LINK.fullmatch(raw) is not None)

    def render(self, raw: str, escape: Escape, link: Escape) -> str:
        """The value as it goes out."""
        if self.inside_url and not (self.link and _SAFE_LINK.fullmatch(raw)):
            return quote(raw, safe="").replace("_", "%5F").replace("~", "%7E")
        if self.link and _SAFE_LINK.fullmatch(raw):
            return link(raw)
        text = escape(raw)
        return text.replace("\n", "\n" + self.quote) if self.quote else text


@dataclass(frozen=True, slots=True)
class Fitted:
    """A rendered text, and the names of the variables that had to be cut."""

    text: str
    cut: tuple[str, ...] = ()


class Template:
    """``literals`` has one more part than ``slots``: literal, slot, literal, …, literal.

    No dataclass: as the default of an option, pydantic would show its parts in the JSON schema, not its text.
    """

    def __init__(self, source: str, literals: tuple[str, ...], slots: tuple[Slot, ...]) -> None:
        self.source = source
        self.literals = literals
        self.slots = slots

    @classmethod
    def parse(cls, text: str, names: Iterable[str]) -> Template:
        """Read ``text``; only ``names`` (in any case) are variables."""
        pieces = _pattern(frozenset(name.casefold() for name in names)).split(_PLACES.sub("", text))
        literals, slots = [pieces[0]], list[Slot]()
        for name, literal in zip(pieces[1::2], pieces[2::2], strict=True):
            if slots and literals[-1] == "":
                before = slots.pop()
                slots.append(_slot((*before.names, name.casefold()), literals[:-1], slots))
                literals[-1] = literal
            else:
                slots.append(_slot((name.casefold(),), literals, slots))
                literals.append(literal)
        return cls(text, tuple(literals), tuple(slots))

    @classmethod
    def of_option(cls, text: str, names: Iterable[str] = VARIABLES, *, complete: bool = True) -> Template:
        """Read an option of a webhook; ``ValueError`` for a word that is none of ``names``, if those are ``complete``."""
        known = tuple(names)
        if complete and (unknown := unknown_words(text, known)):
            word = unknown[0][0]
            near = get_close_matches(word, known, n=1)
            raise ValueError(f"unknown variable %{word}%{f'; did you mean %{near[0]}%?' if near else ''}")
        return cls.parse(expand(text).text, known)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        """As the type of an option it is read from text. The context names the variables, and says if they are all."""

        def read(text: str, info: ValidationInfo) -> Template:
            known = info.context or {"variables": VARIABLES, "complete": False}
            return cls.of_option(text, known["variables"], complete=known.get("complete", True))

        return {
            "type": "function-after",
            "function": {"type": "with-info", "function": read},
            "schema": handler(str),
            "serialization": {"type": "to-string", "when_used": "always"},
        }

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names in use, in lower case."""
        return frozenset(name for slot in self.slots for name in slot.names)

    @cached_property
    def skeleton(self) -> str:
        """The owner's own words, with ``VALUE`` and ``LINK`` where values go."""
        marks = [LINK if slot.link or slot.inside_url else VALUE for slot in self.slots]
        return _weave(self.literals, marks)

    def fit(
        self,
        values: Mapping[str, str],
        *,
        escape: Escape,
        limit: int,
        measure: Measure = len,
        literal: Escape | None = None,
        link: Escape = str,
    ) -> Fitted:
        """Render, and cut what exceeds ``limit`` units of ``measure``. See ``Notice.text``."""
        template = self._filled(values)
        literals = _treated(template, literal) if literal else template.literals
        # An escape never shortens: what is longer than the limit will be cut anyway, so do not escape it all.
        raws = [slot.raw(values)[: limit + 1] for slot in template.slots]
        rendered = [slot.render(raw, escape, link) for slot, raw in zip(template.slots, raws, strict=True)]
        text = _weave(literals, rendered)
        if measure(text) <= limit:
            return Fitted(text)
        return _squeeze(
            template.slots, literals, raws, rendered, escape=escape, link=link, limit=limit, measure=measure
        )

    def _filled(self, values: Mapping[str, str]) -> Template:
        """Without the lines that have nothing to say."""
        empty = frozenset(name for name in self.variables if not values.get(name))
        return _without_lines_of(self, empty) if empty else self


def unknown_words(text: str, names: Iterable[str]) -> list[tuple[str, int]]:
    """Each ``%word%`` that is no variable, with its offset in ``text``; ``%C3%A9`` of a URL is none."""
    known = _pattern(frozenset(name.casefold() for name in names))
    rest = known.sub(lambda found: " " * len(found[0]), text)
    return [(word[1], word.start()) for word in _WORD.finditer(rest) if not _HEX_PAIR.fullmatch(word[1])]


@lru_cache(maxsize=64)
def _pattern(names: frozenset[str]) -> re.Pattern[str]:
    """Known names only: a general ``%(\\w+)%`` would eat the first sign of the next variable."""
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or r"(?!)"
    return re.compile(rf"%[ \t]*({words})[ \t]*%", re.IGNORECASE | re.ASCII)


def _slot(names: tuple[str, ...], literals: Sequence[str], slots: Sequence[Slot]) -> Slot:
    before = literals[-1]
    follows_url = bool(
        slots
        and (slots[-1].link or slots[-1].inside_url)
        and len(literals) > 1
        and _URL_GOES_ON.fullmatch(before)
    )
    line = _LINE_QUOTE.search(_weave(literals, [VALUE] * (len(literals) - 1)))
    return Slot(
        names,
        link=len(names) == 1 and names[0].endswith("url"),
        inside_url=follows_url or _OPEN_URL.search(before) is not None,
        quote=line[1] if line else "",
    )


@lru_cache(maxsize=1024)
def _without_lines_of(template: Template, empty: frozenset[str]) -> Template:
    used = _pattern(template.variables)
    lines = template.source.split("\n")
    kept = [
        line for line in lines if not (names := used.findall(line)) or {*map(str.casefold, names)} - empty
    ]
    return Template.parse("\n".join(kept), template.variables) if "".join(kept).strip() else template


def _squeeze(
    slots: Sequence[Slot],
    literals: Sequence[str],
    raws: Sequence[str],
    rendered: list[str],
    *,
    escape: Escape,
    link: Escape,
    limit: int,
    measure: Measure,
) -> Fitted:
    room = limit - sum(map(measure, literals))
    if room < 0:  # `check` refuses such a template; cutting it beats losing the event
        return Fitted(cut("".join(literals), str, limit, measure), _names(slots))
    shortened = list[int]()
    for index, slot in enumerate(slots):
        if slot.fixed(raws[index]):
            size = measure(rendered[index])
            if size > room:
                rendered[index], size = "", 0
                shortened.append(index)
            room -= size
    loose = [index for index, slot in enumerate(slots) if not slot.fixed(raws[index])]
    share = share_out([measure(rendered[index]) for index in loose], room)
    for index in loose:
        if measure(rendered[index]) > share:
            render = partial(slots[index].render, escape=escape, link=link)
            rendered[index] = cut(raws[index], render, share, measure)
            shortened.append(index)
    return Fitted(_weave(literals, rendered), _names(slots[index] for index in sorted(shortened)))


def _names(slots: Iterable[Slot]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for slot in slots for name in slot.names))


@lru_cache(maxsize=1024)
def _treated(template: Template, literal: Escape) -> tuple[str, ...]:
    literals = tuple(_PLACES.split(literal(template.skeleton)))
    if len(literals) != len(template.literals):
        raise ValueError("literal() must keep every VALUE and LINK of the skeleton")
    return literals


def _weave(literals: Sequence[str], between: Sequence[str]) -> str:
    parts = [""] * (2 * len(literals) - 1)
    parts[::2] = literals
    parts[1::2] = between
    return "".join(parts)
