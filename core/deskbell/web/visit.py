"""One request for a page: who asks in which language, and how to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiDict

from . import rendering
from .desk import Desk
from .words import Words

FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
"""The field of each form that proves that the form is ours."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page gets. ``form_token`` goes into each form; ``signed_in``: with a password, not by being local."""

    request: web.Request
    desk: Desk
    words: Words
    form_token: str
    signed_in: bool = False

    async def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """``template`` with ``values``; a template further knows ``visit``, ``say`` and ``words``."""
        html = await rendering.render(template, visit=self, say=self.words.say, words=self.words, **values)
        return web.Response(status=status, text=html, content_type="text/html")

    async def form(self) -> MultiDict[str]:
        """The fields of the form that was sent, as text; what is no text is left out."""
        fields = await self.request.post()
        return MultiDict((name, value) for name, value in fields.items() if isinstance(value, str))

    def query(self, name: str) -> str:
        """A part of the query, without the white space round it."""
        return self.request.query.get(name, "").strip()

    def go(self, path: str, **query: str) -> NoReturn:
        """See ``path`` now: after a form. ``said=KEY`` shows the words of ``page.said.KEY`` there."""
        raise web.HTTPSeeOther(f"{path}?{urlencode(query)}" if query else path)

    @property
    def said(self) -> str:
        """What the last form came to, in words; empty where there is nothing to say."""
        return self.words.named("page.said", self.query("said"), otherwise="")


Answer = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """A page's address, and who answers. ``open``: also to visitors who have yet to sign in."""

    method: str
    path: str
    answer: Answer
    open: bool = False
