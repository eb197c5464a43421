"""``deskbell serve``."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

import deskbell

from .setting import Setting, config_option, read_config, read_setting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from deskbell.app import Door
    from deskbell.config import Loaded, ReadConfig
    from deskbell.settings import Config
    from deskbell.supervisor import Supervisor

    Begin = Callable[[Door, Config], Awaitable[None]]

_LAST_WORDS = 1.0
"""Seconds that cancelled tasks have to end at a stop."""

FAILED = 1
"""Exit code after the store failed while it ran: whoever supervises the process starts it again."""

_STOPPING = "stopping: what is in flight may end, the rest waits in the store"

_log = logging.getLogger("deskbell")


listen_option = click.option(
    "--listen", metavar="HOST:PORT", help="Listen here instead; port 0 picks a free one."
)


@click.command()
@config_option
@listen_option
def command(config_path: Path, listen: str | None) -> None:
    """Accept events and deliver them, until SIGTERM or Ctrl+C."""
    from deskbell.log import configure_logging

    configure_logging()
    serve(read_setting(config_path), listen, _announce)


def serve(setting: Setting, listen: str | None, begin: Begin) -> None:
    """Serve until SIGTERM or Ctrl+C. ``begin`` is called as soon as events are accepted."""
    from deskbell.config import report
    from deskbell.log import protect

    config = setting.config()
    protect(*config.secrets)
    if setting.loaded.problems:
        click.echo(report(setting.loaded.problems), err=True)
    for broken in setting.plugins.broken:
        _log.warning(
            "plugin %s is not loaded: %s; `deskbell plugins` says what to do", broken.name, broken.reason
        )
    config = _at(config, listen)

    def read(path: Path, text: str | None = None) -> Loaded:
        loaded = read_config(path, setting.plugins, text)
        if loaded.config is None:
            return loaded
        if text is None:  # half a secret that is being typed would hide ordinary words in the log
            protect(*loaded.config.secrets)
        return replace(loaded, config=_at(loaded.config, listen))

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(config, setting, read, begin))


def _at(config: Config, listen: str | None) -> Config:
    """``config``, with the place of ``--listen`` where that is given."""
    if listen is None:
        return config
    host, port = _place(listen)
    return replace(config, host=host, port=port)


async def _serve(config: Config, setting: Setting, read: ReadConfig, begin: Begin) -> None:
    from deskbell.app import serving
    from deskbell.metrics import Metrics
    from deskbell.supervisor import Supervisor

    stop = asyncio.Event()
    supervisor = Supervisor(os.environ)
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    plugins = setting.plugins
    metrics = Metrics(action for source in plugins.sources.values() for action in source.actions)
    plugins.register("metrics", metrics)
    async with supervisor.watching(), serving(config, plugins, metrics, read) as door:
        _reload_on_hangup(door, supervisor)
        await begin(door, config)
        _set_start_aside()
        supervisor.ready(f"listening on {door.address}")
        supervisor.stopping(await _until(stop, door.failure))
    await _leave_stubborn_tasks(FAILED if door.failure.done() else 0)


def _reload_on_hangup(door: Door, supervisor: Supervisor) -> None:
    """SIGHUP loads the config anew."""
    running = set[asyncio.Task[None]]()

    async def reload() -> None:
        with supervisor.reloading():
            await door.reload()

    def begin() -> None:
        task = asyncio.create_task(reload())
        running.add(task)
        task.add_done_callback(running.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, begin)


async def _until(stop: asyncio.Event, failure: asyncio.Future[str]) -> str:
    """Wait for the end, and say why it comes."""
    failure.add_done_callback(lambda _: stop.set())
    await stop.wait()
    if failure.done():
        _log.critical("deskbell ends, so that nothing more is promised: %s", failure.result())
        return failure.result()
    _log.info(_STOPPING)
    return _STOPPING


async def _leave_stubborn_tasks(code: int) -> None:
    """The store is closed by now; a plugin that ignores its cancellation must not keep the process.

    Nor may a thread: Python waits at its end for those of executors (``asyncio.to_thread``), however long.
    """
    end = threading.Timer(2 * _LAST_WORDS, _leave, [code])
    end.daemon = True
    end.start()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left and (await asyncio.wait(left, timeout=_LAST_WORDS))[1]:
        _leave(code)
    if code:
        sys.exit(code)


def _leave(code: int) -> NoReturn:
    _log.error("a plugin goes on though it was cancelled; the process ends without it")
    logging.shutdown()
    os._exit(code)


async def _announce(door: Door, config: Config) -> None:
    click.echo(f"deskbell {deskbell.__version__} listening on {door.address}")
    for name, token in door.fresh_tokens.items():
        click.echo(
            f"source {name} has no token in {config.path.name}, so this start made one. Post its events to:\n"
            f"  {door.address}/events/{name}/{token.reveal()}",
            err=True,
        )
    if any(webhook.demo for webhook in config.active_webhooks):
        click.echo(f"demo channels, played by this program: {door.address}/demo/", err=True)


def _set_start_aside() -> None:
    """What is loaded by now stays: the garbage collector need not walk it at each round (a tenth per event)."""
    gc.collect()
    gc.freeze()


def _place(listen: str) -> tuple[str, int]:
    from deskbell.config import parse_listen

    try:
        return parse_listen(listen)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--listen") from None


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop where the platform has it: it costs a fifth less per event."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
