"""Where a transport is put to the test: a real server on this machine that plays its service."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, TypeAlias, TypeVar

from aiohttp import web
from yarl import URL

from deskbell.client import Client, Resolver
from deskbell.egress import EgressPolicy
from deskbell.event import VARIABLES, Action, TicketEvent
from deskbell.isolation import from_any_loop
from deskbell.notice import Notice, Rendering
from deskbell.outcome import Outcome
from deskbell.secret import Secret
from deskbell.template import Template
from deskbell.transport import Options, Payload, Response, SendContext, Transport

from .guard import Watch, only_this_machine

T = TypeVar("T")

MESSAGE = "**%subject%** — %username% (%departmentName%, %priority%)\n%content%\n%url%"
"""The owner's message of every check that needs none of its own."""
CANARY = "C4NARYc4naryC4NARYc4nary"
"""A secret that must not be seen anywhere but on its way to the service."""
MADE_UP_URL = f"https://service.example/hooks/{CANARY}"
"""A webhook's URL where nobody names one."""
SERVER = "{server}"
"""Stands in a URL for the host and port of the played service."""
PATIENCE = 5.0
"""Seconds for one request that will be answered: a busy machine is no fault."""
TIMEOUT = 0.1
"""Seconds for one request that will not."""

Answer: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""How a played service answers a request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a service. ``body`` is sent as JSON unless it is bytes or text."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, _request: web.Request) -> web.StreamResponse:
        """As an ``Answer``."""
        headers = dict(self.headers)
        if isinstance(self.body, str):
            # As `text` it would get a content type, which `headers` may name as well.
            named = {"Content-Type": "text/plain; charset=utf-8", **headers}
            return web.Response(status=self.status, body=self.body.encode(), headers=named)
        if isinstance(self.body, bytes):
            return web.Response(status=self.status, body=self.body, headers=headers)
        return web.json_response(self.body, status=self.status, headers=headers)


@dataclass(frozen=True, slots=True)
class Received:
    """A request that reached the played service. ``headers`` by lower-case name."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded; ``ValueError`` when it is no JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class TransportCase:
    """A transport, and what its checks need to know. See ``TransportContract`` for each."""

    transport: Transport[Any]
    url: str
    given: Mapping[str, Any] = field(default_factory=dict)
    """The options, as an owner writes them."""
    ok_reply: Reply = Reply()
    refusals: tuple[Reply, ...] = ()
    hostile: tuple[str, ...] = ()
    measure: Callable[[str], int] = len
    golden: Path | None = None
    module: str = ""
    by_author: bool = False
    """True in a contract, whose author can say more; false where only the transport is known (``plugin-check``)."""

    @property
    def cls(self) -> type[Transport[Any]]:
        """The transport's class."""
        return type(self.transport)

    @cached_property
    def options(self) -> Options:
        """What the transport gets; pydantic's ``ValidationError`` where they do not fit."""
        return self.cls.options_type.model_validate(dict(self.given))

    def with_required_options(self) -> TransportCase:
        """As where an owner writes no option but those that must be there."""
        fields = self.cls.options_type.model_fields.items()
        required = {key for name, field in fields if field.is_required() for key in (name, field.alias)}
        return replace(self, given={key: value for key, value in self.given.items() if key in required})

    def payload(
        self,
        action: str = Action.SUBMIT,
        variables: Mapping[str, str] = MappingProxyType({}),
        *,
        message: str = MESSAGE,
    ) -> Payload:
        """What the transport makes of ``sample_notice``."""
        notice = sample_notice(action, variables, message=message)
        return self.transport.format(notice, self.options)


def sample_event(
    action: str = Action.SUBMIT, variables: Mapping[str, str] = MappingProxyType({})
) -> TicketEvent:
    """The sample event of the documentation. ``variables`` (by lower-case name) replace its own."""
    known = {name.casefold(): value for name, value in VARIABLES.items()}
    return TicketEvent(
        id="sample-event",
        source="deskbell",
        action=action,
        ticket=variables.get("ticket", "1"),
        variables={**known, "action": action, **variables},
    )


def sample_notice(
    action: str = Action.SUBMIT,
    variables: Mapping[str, str] = MappingProxyType({}),
    *,
    message: str = MESSAGE,
    renderings: list[Rendering] | None = None,
) -> Notice:
    """What a transport's ``format`` gets: ``sample_event`` with ``message`` as the owner's template."""
    event = sample_event(action, variables)
    template = Template.parse(message, {*VARIABLES, *event.variables})
    return Notice.of(event, template, timezone=UTC, date_format="%d/%m/%y %H:%M", renderings=renderings)


class Stage:
    """A played service, and a transport that reaches nothing but it. Made by ``on_stage``.

    ``answer`` may be changed at any time; ``received`` are the requests that came, ``asked`` the URLs that the
    transport asked its context for. ``rewrite`` says where a request for a URL goes instead. ``watch`` knows what
    else this process reached.
    """

    def __init__(self, case: TransportCase, client: Client, port: int, watch: Watch) -> None:
        self.case = case
        self.watch = watch
        self.answer: Answer = case.ok_reply
        self.received: list[Received] = []
        self.asked: list[str] = []
        self.rewrite: Callable[[str], str] = self.to_the_server
        self._client = client
        self._port = port

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        return await self.answer(request)

    @web.middleware
    async def note(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Note each request before it is answered, whoever does that."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.method, request.path_qs, headers, await request.read()))
        return await handler(request)

    async def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        """What the transport's requests go through: every host is this machine."""
        self.asked.append(url)
        return await self._client.request(method, self.rewrite(url), body, headers)

    def context(
        self, *, url: str = "", attempt: int = 1, delivery: str = "sample-event.1"
    ) -> SendContext[Any]:
        """What ``send`` gets beside the payload, for the webhook of the case or for ``url``."""
        url = (url or self.case.url).replace(SERVER, f"127.0.0.1:{self._port}")
        return SendContext(
            url=Secret(url),
            options=self.case.options,
            webhook="kit",
            delivery=delivery,
            attempt=attempt,
            request=from_any_loop(self.request),
        )

    async def send(self, payload: Payload | None = None, context: SendContext[Any] | None = None) -> Outcome:
        """One attempt, as deskbell makes it: on the loop, or in a thread for a transport that blocks."""
        made = self.case.payload() if payload is None else payload
        told = context or self.context()
        return await self._run(lambda transport: transport.send(made, told))

    async def probe(self, url: str = "") -> Outcome | None:
        """Whether the webhook of the case, or ``url``, is alive: asked where ``send`` runs."""
        told = self.context(url=url)
        return await self._run(lambda transport: transport.probe(told))

    async def _run(self, call: Callable[[Transport[Any]], Coroutine[Any, Any, T]]) -> T:
        transport = self.case.transport
        if transport.blocking:  # on this loop it would wait for a server that cannot answer meanwhile
            return await asyncio.to_thread(lambda: asyncio.run(call(transport)))
        return await call(transport)

    def to_the_server(self, url: str) -> str:
        """``url`` on the played service's host, which speaks no TLS."""
        return str(URL(url, encoded=True).with_scheme("http").with_host("127.0.0.1").with_port(self._port))


@asynccontextmanager
async def on_stage(
    case: TransportCase, *, patience: float = PATIENCE, app: web.Application | None = None
) -> AsyncIterator[Stage]:
    """A running service (``app``: another one than the stage's own answers), and the transport before it.

    ``patience``: seconds for one request.
    """
    here = EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    with only_this_machine(port) as watch:
        async with Client(here, timeout=patience, resolver=Resolver(_no_name)) as client:
            stage = Stage(case, client, port, watch)
            async with _served(app or _application(stage.handle), listening, stage.note):
                yield stage


@asynccontextmanager
async def _served(app: web.Application, listening: socket.socket, note: Any) -> AsyncIterator[None]:
    app.middlewares.append(note)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()


def _application(handle: Answer) -> web.Application:
    app = web.Application(client_max_size=2**20)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


def _no_name(host: str, *_: object, **__: object) -> NoReturn:
    """No check leaves this machine, not even to ask for a name."""
    raise socket.gaierror(socket.EAI_NONAME, f"{host} is not known here")
