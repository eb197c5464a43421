"""How a customer's text stays plain text, in each markup that a receiver may read."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deskbell import LINK, VALUE, Notice, plain

from . import markdown
from .body import units

_VALUE_AS_TAG = re.compile(rf"<(?=[/!?]?{VALUE})")
_IN_A_TAG = re.compile(rf"<[A-Za-z/!?][^<>]*{VALUE}")


@dataclass(frozen=True, slots=True)
class Markup:
    """The three treatments of ``Notice.text``: of values, of links, and of the owner's own words."""

    escape: Callable[[str], str]
    link: Callable[[str], str] = plain
    literal: Callable[[str], str] | None = None

    def text(self, notice: Notice, limit: int) -> str:
        """The notice's template with its values, at most ``limit`` UTF-16 units long."""
        return notice.text(self.escape, limit=limit, measure=units, literal=self.literal, link=self.link)


def _without_named_tags(skeleton: str) -> str:
    """The owner's words; ``<%content%>`` is text, for else a value would be a tag."""
    return _VALUE_AS_TAG.sub("&lt;", skeleton)


def has_value_in_tag(skeleton: str) -> bool:
    """Whether a value stands inside a tag: as an attribute or a part of one no escape makes it safe."""
    return _IN_A_TAG.search(skeleton.replace(LINK, "")) is not None


MARKUPS: Mapping[str, Markup] = {
    "plain": Markup(plain),
    "markdown": Markup(markdown.escape, markdown.link, markdown.literal),
    "html": Markup(html.escape, html.escape, _without_named_tags),
}
