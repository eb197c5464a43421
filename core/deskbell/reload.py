"""Load the config anew beside the traffic. A file that cannot be used changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from .config import Loaded, report
from .errors import DeskbellError
from .settings import Config

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of it. ``report`` is what ``deskbell check`` prints; ``restart`` names what only a restart changes.

    ``at``: when; None where nothing was loaded anew since the start.
    """

    ok: bool
    report: str = ""
    restart: tuple[str, ...] = ()
    at: datetime | None = None


class Reloader:
    """Loads with ``load`` (in a thread), and hands what it got to ``apply``: one after the other.

    ``current`` gives the config that is in force.
    """

    def __init__(
        self,
        load: Callable[[], Loaded],
        *,
        current: Callable[[], Config],
        apply: Callable[[Config], Awaitable[None]],
        clock: Callable[[], datetime],
    ) -> None:
        self._load = load
        self._current = current
        self._apply = apply
        self._clock = clock
        self._turn = asyncio.Lock()
        self.last = Reloaded(ok=True)

    async def reload(self) -> Reloaded:
        """Never raises for what is in the file."""
        async with self._turn:
            self.last = replace(await self._reload(), at=self._clock())
        return self.last

    async def _reload(self) -> Reloaded:
        loaded = await asyncio.to_thread(self._load)
        told = report(loaded.problems, "Nothing was changed.") if loaded.problems else ""
        if loaded.config is None:
            for problem in loaded.problems:
                _log.error("the config cannot be loaded anew: %s", problem)
            return Reloaded(ok=False, report=told)
        restart = _fixed(loaded.config, self._current())
        kept = self._current()
        config = replace(loaded.config, host=kept.host, port=kept.port, store=kept.store)
        try:
            await self._apply(config)
        except DeskbellError as error:
            _log.error("the config cannot be loaded anew: %s", error)
            return Reloaded(ok=False, report=str(error))
        for what in restart:
            _log.warning("%s stays as it was until deskbell is started again", what)
        _log.info("the config is loaded anew: %d webhooks", len(config.active_webhooks))
        return Reloaded(ok=True, report=told, restart=restart)


def _fixed(new: Config, old: Config) -> tuple[str, ...]:
    """What differs, and cannot change while the process runs."""
    differs = {
        "server.listen": (new.host, new.port) != (old.host, old.port),
        "store": new.store != old.store,
    }
    return tuple(what for what, changed in differs.items() if changed)
