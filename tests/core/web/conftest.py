"""A running service in this process, with all its doors, and a reader of its pages."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deskbell.app import Door, serving
from deskbell.config import Loaded, load_config
from deskbell.metrics import Metrics
from deskbell.plugins import Plugins, load_plugins

TOKEN = "a-token-of-the-tests"
HEAD = (
    'version: 1\nserver: {listen: "127.0.0.1:0"}\negress: {allow: [127.0.0.0/8]}\ntimezone: UTC\n'
    f"sources:\n  - {{name: clientxcms, token: {TOKEN}}}\n"
)
PASSWORD = "correct horse battery staple"
PASSWORD_HASH = "scrypt:16:1:1:YSBzYWx0IG9mIHNpeHRlZQ:a-_1RKeoCTcl_hhuRFpHoswB9XMjO0YShdDBwf6Wf9U"
"""Of that, as cheap as can be."""
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Page(HTMLParser):
    """A page, read strictly: every element is closed in its turn. ``text`` is what a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.text = ""
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1:] == [tag], f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """The attributes of each element like this."""
        return [
            found
            for name, found in self.elements
            if name == tag and all(found.get(key.rstrip("_")) == value for key, value in attributes.items())
        ]

    @property
    def form_token(self) -> str:
        return self.all("input", name="form_token")[0]["value"]

    @property
    def words(self) -> str:
        """The text with single spaces."""
        return " ".join(self.text.split())


@dataclass
class Answer:
    """One complete answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def page(self) -> Page:
        assert self.headers["content-type"] == "text/html; charset=utf-8"
        return Page(self.text)


@dataclass
class Site:
    """The service, and a reader in front of it. Redirects are not followed."""

    door: Door
    session: aiohttp.ClientSession
    folder: Path
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, **arguments: Any) -> Answer:
        headers = {**self.headers, **arguments.pop("headers", {})}
        url = path if path.startswith("http") else self.door.address + path
        async with self.session.request(
            method, url, headers=headers, allow_redirects=False, **arguments
        ) as got:
            found = {name.lower(): value for name, value in got.headers.items()}
            return Answer(got.status, found, await got.text())

    async def get(self, path: str, **headers: str) -> Answer:
        """``headers`` by their names with ``_``."""
        return await self.ask(
            "GET", path, headers={name.replace("_", "-"): each for name, each in headers.items()}
        )

    async def page(self, path: str) -> Page:
        """A page that must be there."""
        answer = await self.get(path)
        assert answer.status == 200, answer.text
        return answer.page

    async def send(self, path: str, fields: dict[str, Any] | None = None, *, at: str = "/health") -> Answer:
        """Send a form as the page ``at`` would: with its token."""
        token = (await self.page(at)).form_token
        return await self.ask("POST", path, data=[("form_token", token), *_pairs(fields or {})])

    async def post_event(self, **values: Any) -> dict[str, Any]:
        """A ClientXCMS event, through the receiver."""
        body = {"payload": {"action": "helpdesk_created", "ticketid": "1", **values}}
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        answer = await self.ask("POST", "/events/clientxcms", data=json.dumps(body), headers=headers)
        assert answer.status == 202, answer.text
        found: dict[str, Any] = json.loads(answer.text)
        return found

    async def until(self, path: str, holds: Callable[[Page], Any], seconds: float = 20.0) -> Page:
        """The page, once it holds what it shall."""
        async with asyncio.timeout(seconds):
            while not holds(page := await self.page(path)):  # noqa: ASYNC110 - see below
                await asyncio.sleep(0.02)  # a reader's reload: the page is all that can be waited for
        return page


def _pairs(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """A list is a field that comes several times."""
    return [
        (name, each)
        for name, value in fields.items()
        for each in (value if isinstance(value, list) else [value])
    ]


Open = Callable[..., Awaitable[Site]]


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture
async def open_site(tmp_path: Path, plugins: Plugins) -> AsyncIterator[Open]:
    """``open_site(webhooks, head=…)``: serve a config of these webhooks until the test ends."""
    async with AsyncExitStack() as stack:

        async def open_it(webhooks: str, head: str = HEAD, environ: dict[str, str] | None = None) -> Site:
            path = tmp_path / "config.yaml"
            path.write_text(head + webhooks, "utf-8")

            def read(path: Path, text: str | None = None) -> Loaded:
                return load_config(
                    path,
                    transports=plugins.transports,
                    sources=plugins.sources,
                    environ=environ or {},
                    text=text,
                )

            loaded = read(path)
            assert loaded.config, loaded.problems
            door = await stack.enter_async_context(serving(loaded.config, plugins, Metrics([]), read))
            jar = aiohttp.CookieJar(unsafe=True)  # it keeps those of an IP address, too
            session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
            return Site(door, session, tmp_path)

        yield open_it


def with_password(head: str = HEAD, public_url: str = "") -> str:
    """``head`` with ``PASSWORD`` before the pages, which a proxy shows at ``public_url``."""
    more = f', admin_password: "{PASSWORD_HASH}"' + (f', public_url: "{public_url}"' if public_url else "")
    return head.replace('"127.0.0.1:0"', f'"127.0.0.1:0"{more}')


def rows_of(page: Page) -> int:
    """The rows of tables, without their heads."""
    return len(re.findall(r"<tr[ >]", page.html)) - len(page.all("thead"))
