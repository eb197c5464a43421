"""One request for a page: who asks in which language, and how to answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from aiohttp import web
from multidict import MultiDict
from yarl import URL

from deskbell.receiver import SLOWEST_BODY

from . import rendering
from .desk import Desk
from .words import Words

FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
"""The field of each form that proves that the form is ours."""
_LOCAL = re.compile(r"/(?![/\\])[!-~]*")
"""Browsers leave tabs and line breaks out of an address, and read ``/\\`` as ``//``."""
_UNREADABLE = (ValueError, LookupError, RuntimeError, ConnectionError)
"""What aiohttp raises for a form in no known encoding, in broken parts, or without its end."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page gets. ``form_token`` goes into each form; ``signed_in``: with a password, not by being local.

    ``admitted``: signed in, or need not.
    """

    request: web.Request
    desk: Desk
    words: Words
    form_token: str
    signed_in: bool
    admitted: bool

    async def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """``template`` with ``values``; a template further knows ``visit``, ``say`` and ``words``."""
        html = await rendering.render(template, visit=self, say=self.words.say, words=self.words, **values)
        # What senders wrote may hold half of a surrogate pair, which no encoding has.
        body = html.encode("utf-8", "backslashreplace")
        return web.Response(status=status, body=body, content_type="text/html", charset="utf-8")

    async def form(self) -> MultiDict[str]:
        """The fields of the form that was sent, as text; what is no text is left out."""
        said = self.words.say("page.error.unreadable")
        try:
            async with asyncio.timeout(SLOWEST_BODY):
                fields = await self.request.post()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=said) from None
        except _UNREADABLE:
            raise web.HTTPBadRequest(text=said) from None
        return MultiDict((name, value) for name, value in fields.items() if isinstance(value, str))

    def query(self, name: str) -> str:
        """A part of the query, without the white space round it; what is no Unicode in it is replaced."""
        return self.request.query.get(name, "").encode("utf-8", "replace").decode().strip()

    def go(self, path: str, **query: str) -> NoReturn:
        """See ``path`` now: after a form. ``said=KEY`` shows the words of ``page.said.KEY`` there."""
        raise web.HTTPSeeOther(str(URL(path).update_query(query)) if query else path)

    @property
    def said(self) -> str:
        """What the last form came to, in words; empty where there is nothing to say."""
        return self.words.named("page.said", self.query("said"), otherwise="")


def local(path: str, otherwise: str = "/") -> str:
    """``path``, if it is a page of ours, and ``otherwise`` if it leads to another host: forms say where to go back."""
    return path if _LOCAL.fullmatch(path) else otherwise


Answer = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """A page's address, and who answers. ``open``: also to visitors who have yet to sign in."""

    method: str
    path: str
    answer: Answer
    open: bool = False
