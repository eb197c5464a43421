"""How a customer's text stays plain text, in each markup that a receiver may read."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deskbell import Notice, plain

from . import markdown
from .body import units


@dataclass(frozen=True, slots=True)
class Markup:
    """The three treatments of ``Notice.text``: of values, of links, and of the owner's own words."""

    escape: Callable[[str], str]
    link: Callable[[str], str] = plain
    literal: Callable[[str], str] | None = None

    def text(self, notice: Notice, limit: int) -> str:
        """The notice's template with its values, at most ``limit`` UTF-16 units long."""
        return notice.text(self.escape, limit=limit, measure=units, literal=self.literal, link=self.link)


MARKUPS: Mapping[str, Markup] = {
    "plain": Markup(plain),
    "markdown": Markup(markdown.escape, markdown.link, markdown.literal),
    "html": Markup(html.escape, html.escape),
}
