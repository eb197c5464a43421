"""What the tests of the Apprise plugin share: a service on a real socket, and a message to it through the real sender."""

from __future__ import annotations

import asyncio
import itertools
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import pytest
from aiohttp import web
from tests.kit import NOW, answer, event, loopback_client, now, serving, webhook

import deskbell
from deskbell.delivery import Attempt, Delivery, State
from deskbell.sender import Sender
from deskbell.store import Claimed
from deskbell.template import Template
from deskbell_apprise import Apprise
from deskbell_apprise.options import AppriseOptions

_ids = itertools.count(1)


def options(**given: Any) -> AppriseOptions:
    """As they are read from a config: a title is a template of the known variables."""
    return AppriseOptions.model_validate(given, context={"variables": deskbell.VARIABLES})


@dataclass
class Service:
    """Answers each request as ``replies`` says of its path; the first that fits, else 200."""

    place: str = ""
    got: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)
    replies: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The handler of every path."""
        body = await (request.json() if "json" in request.content_type else request.text())
        self.got.append((request.path, dict(request.headers), body))
        for path, reply in self.replies.items():
            if path in request.path:
                return await reply(request)
        return answer(200, "ok")

    def says(self, path: str, status: int, text: str = "", **headers: str) -> None:
        """From now on, of every path that has ``path`` in it."""

        async def reply(_: web.Request) -> web.StreamResponse:
            return answer(status, text, **headers)

        self.replies[path] = reply

    def url(self, path: str = "/hook", scheme: str = "json") -> str:
        """As Apprise writes it."""
        return f"{scheme}://{self.place}{path}"


@dataclass
class Desk:
    """Sends as a lane does: through the sender, and the threads that it keeps for transports that block."""

    sender: Sender

    async def send(self, url: str, text: str = "hello", **changes: Any) -> Attempt:
        """One attempt of a message whose content is ``text``; ``options`` and ``template`` as in a config."""
        variables = {"content": text, "subject": "Refund", **changes.get("variables", {})}
        hook = webhook(
            "w",
            url,
            Apprise(),
            options=changes.get("options", options()),
            template=Template.parse(changes.get("template", "%content%"), deskbell.VARIABLES),
        )
        sent = event(variables=variables)
        delivery = Delivery(
            id=next(_ids), event_id=sent.id, webhook="w", transport="apprise", ticket="1", action="Reply",
            state=State.SENDING, due_from=NOW, attempts=1,
        )  # fmt: skip
        return await self.sender.attempt(Claimed(delivery, sent), hook, hook.url)


@pytest.fixture(scope="session", autouse=True)
def _loaded() -> None:
    """Apprise loads its plugins when it is first asked, and one of them a module that is to go away."""
    if Apprise.unavailable():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        Apprise.refuses("json://127.0.0.1")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    async with serving(service.handle) as url:
        service.place = url.removeprefix("http://")
        yield service


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with loopback_client() as client:
        yield Desk(Sender(client.request, timezone=UTC, date_format="%H:%M", clock=now, timeout=5))


class Postbox:
    """A mail server, played: it takes every message."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[bytes] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """RFC 5321, as far as a client needs it."""
        writer.write(b"220 played\r\n")
        while line := await reader.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                break
        writer.close()


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    postbox = Postbox()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(await asyncio.start_server(postbox.talk, "127.0.0.1", 0))
        postbox.port = server.sockets[0].getsockname()[1]
        yield postbox
