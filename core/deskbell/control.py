"""What commands ask of a running ``serve``: a private unix socket beside the store.

One process writes the store, so a command beside it asks it instead. Only the owner of the socket can.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from .dispatcher import Dispatcher
from .errors import DeskbellError
from .intake import Intake
from .reload import Reloaded
from .samples import Sample, read_sample
from .settings import Config, Webhook
from .source import NativeSource
from .trial import PATIENCE, try_webhook

_LONGEST_SOCKET_PATH = 100  # of the 108 bytes of sun_path, which differ a little between systems
_ANSWER_TIMEOUT = PATIENCE + 10.0

_NO_SUCH_COMMAND = 404
_NOT_LOADED = (
    "the running deskbell does not know this webhook; `deskbell reload` makes it read the config anew"
)

_log = logging.getLogger(__name__)


class Control:
    """Answers commands: JSON in, JSON out; an ``error`` key says why something cannot be done."""

    def __init__(
        self,
        config: Callable[[], Config],
        intake: Intake,
        dispatcher: Dispatcher,
        reload: Callable[[], Awaitable[Reloaded]],
    ) -> None:
        self._config = config
        self._intake = intake
        self._dispatcher = dispatcher
        self._reload = reload

    def app(self) -> web.Application:
        """The application behind the socket."""
        app = web.Application(middlewares=[_tell_errors])
        app.router.add_post("/send", self._send)
        app.router.add_post("/resume", self._resume)
        app.router.add_post("/replay", self._replay)
        app.router.add_post("/reload", self._reload_config)
        return app

    async def _send(self, request: web.Request) -> web.Response:
        asked = await request.json()
        webhook = self._webhook(asked["webhook"])
        if webhook is None:
            return _error(_NOT_LOADED)
        trial = await try_webhook(self._intake, self._dispatcher, webhook, self._sample(asked))
        return web.json_response(asdict(trial))

    def _sample(self, asked: dict[str, Any]) -> Sample:
        adapters = {source.adapter.name: source.adapter for source in self._config().sources.values()}
        return read_sample(asked["body"].encode(), adapters.get(asked["adapter"], NativeSource()))

    async def _resume(self, request: web.Request) -> web.Response:
        """What held it up is the answer."""
        webhook = self._webhook((await request.json())["webhook"])
        if webhook is None:
            return _error(_NOT_LOADED)
        before = await self._dispatcher.resume(webhook.name)
        return web.json_response({"paused": before.paused, "reason": before.reason})

    async def _replay(self, request: web.Request) -> web.Response:
        """Deliveries by id: few at once, for they share one transaction."""
        replayed = await self._dispatcher.replay((await request.json())["ids"])
        return web.json_response({"ids": replayed.ids, "refused": replayed.refused})

    async def _reload_config(self, _request: web.Request) -> web.Response:
        done = await self._reload()
        return web.json_response({"ok": done.ok, "report": done.report, "restart": done.restart})

    def _webhook(self, name: str) -> Webhook | None:
        webhook = self._config().webhook(name)
        return webhook if webhook and webhook.enabled else None


@asynccontextmanager
async def control_site(control: Control, store: Path) -> AsyncIterator[None]:
    """Listen on the socket while the context is open. The caller holds the store's lock."""
    path = socket_path(store)
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        _log.warning(
            "the path of the store is too long for a control socket: commands cannot reach this process"
        )
        yield
        return
    path.unlink(missing_ok=True)
    runner = web.AppRunner(control.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    before = os.umask(0o177)  # the socket is private from its first moment
    try:
        await web.UnixSite(runner, str(path)).start()
    finally:
        os.umask(before)
    try:
        yield
    finally:
        await runner.cleanup()
        path.unlink(missing_ok=True)


def socket_path(store: Path) -> Path:
    """The control socket of the process that owns the store."""
    return store.with_name(store.name + ".sock")


async def ask(store: Path, command: str, **arguments: Any) -> dict[str, Any] | None:
    """Ask the running ``serve`` of this store; None when there is none."""
    path = socket_path(store)
    if not path.exists():
        return None
    connector = aiohttp.UnixConnector(str(path))
    timeout = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        try:
            async with session.post(f"http://deskbell/{command}", json=arguments) as response:
                if response.status == _NO_SUCH_COMMAND:
                    raise DeskbellError("the running deskbell is older than this command; restart it")
                answer: dict[str, Any] = json.loads(await response.read())
        except aiohttp.ClientConnectorError:
            return None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise DeskbellError(f"the running deskbell did not answer: {type(error).__name__}") from None
    return answer


@web.middleware
async def _tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except DeskbellError as error:
        return _error(str(error))


def _error(reason: str) -> web.Response:
    return web.json_response({"error": reason})
