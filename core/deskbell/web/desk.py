"""What the pages are handed: the running service, as far as they show and steer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from deskbell.arrivals import Arrivals
from deskbell.config import ReadConfig
from deskbell.dispatcher import Dispatcher
from deskbell.intake import Intake
from deskbell.played import Channel
from deskbell.plugins import Plugins
from deskbell.reload import Reloaded
from deskbell.samples import Sample
from deskbell.secret import Secret
from deskbell.settings import Config
from deskbell.store import Added, Backlog

from .access import Access
from .keepsakes import Keepsakes
from .live import Live


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The service behind the pages.

    ``config`` is the one in force, ``read_config`` decodes another as ``deskbell check`` does. ``troubles`` says what an
    operator should know, by what it concerns. ``play`` takes an event for ``channels`` alone. ``fresh_tokens`` were
    made for this start alone, by source. ``arrivals`` is what came to each source; under an empty name, what named none.
    """

    config: Callable[[], Config]
    read_config: ReadConfig
    reload: Callable[[], Awaitable[Reloaded]]
    last_reload: Callable[[], Reloaded]
    plugins: Plugins
    intake: Intake
    dispatcher: Dispatcher
    backlog: Callable[[], Mapping[str, Backlog]]
    troubles: Callable[[], Mapping[str, str]]
    channels: Callable[[], Sequence[Channel]]
    play: Callable[[Sample], Awaitable[Added]]
    fresh_tokens: Mapping[str, Secret]
    arrivals: Mapping[str, Arrivals]
    started_at: datetime
    live: Live
    access: Access
    keepsakes: Keepsakes = field(default_factory=Keepsakes)
