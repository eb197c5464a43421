"""The composition root: builds everything, and owns the order of start and stop."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from .client import Client
from .config import ReadConfig
from .connections import guarded
from .control import Control, control_site
from .dispatcher import STOP_GRACE, Dispatcher
from .errors import ConfigError
from .intake import Intake
from .lane import Engine
from .listener import Connections, listen, warn_of_a_lenient_parser
from .metrics import Metrics, Standing
from .password import HOW_TO_SET_ONE
from .played import LOOPBACK, Played
from .plugins import Plugins
from .receiver import Receiver, not_found
from .refusals import Refusals
from .reload import Reloaded, Reloader
from .routing import webhooks_for
from .samples import Sample
from .secret import Secret
from .sender import Sender
from .settings import Config, SourceSettings, Webhook, is_loopback
from .store import Added, Store, open_store
from .upkeep import Upkeep
from .watchdog import Watchdog
from .web.access import Access
from .web.desk import Desk
from .web.live import Live
from .web.site import add_pages

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Core:
    """Everything but the doors: what ``serve`` and a lone ``send`` share."""

    config: Config
    store: Store
    client: Client
    sender: Sender
    dispatcher: Dispatcher
    intake: Intake
    upkeep: Upkeep
    watchdog: Watchdog
    played: Played
    live: Live

    async def reload(self, config: Config) -> None:
        """Work by ``config`` from now on; what is in flight ends as it began."""
        await self.played.play(config.webhooks)
        self.client.obey(self.played.egress(config))
        self.sender.write_times(config.timezone, config.date_format)
        self.upkeep.keep_for(config.retention)
        self.intake.route_by(config.active_webhooks, config.priorities)
        self.config = config
        await self.dispatcher.reload(config.active_webhooks)
        await self.upkeep.measure()  # pages show at once what is held, or free again
        self.live.ring()

    async def play(self, sample: Sample) -> Added:
        """Take an event for the channels played here, and for no others that its action would reach."""
        demo = [webhook for webhook in self.config.active_webhooks if webhook.demo]
        webhooks = webhooks_for(sample.event_at(now()), demo, self.config.priorities)
        return await self.intake.accept(sample.event, sample.raw, source=sample.source, only=webhooks)


@dataclass(frozen=True, slots=True)
class Door:
    """Where ``serve`` listens, and the tokens made for this start alone, by source.

    ``failure`` resolves, with the reason, when the process must end. ``play`` takes an event for demo channels alone.
    """

    address: str
    fresh_tokens: Mapping[str, Secret]
    failure: asyncio.Future[str]
    reload: Callable[[], Awaitable[Reloaded]]
    play: Callable[[Sample], Awaitable[Added]]


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@asynccontextmanager
async def running_core(
    config: Config, plugins: Plugins, *, wake: Callable[[Webhook], bool] = lambda _: True
) -> AsyncIterator[Core]:
    """Open the store and start the lanes of the webhooks that ``wake`` chooses; stop them in order at the end."""
    async with AsyncExitStack() as stack:
        store = open_store(config.store)
        stack.push_async_callback(store.close)
        watchdog = stack.enter_context(Watchdog())
        live = Live()
        played = Played(lambda app: listen(app, LOOPBACK, 0, stack))
        await played.play(config.webhooks)
        client = await stack.enter_async_context(Client(played.egress(config)))
        stack.enter_context(guarded(client.refusal))
        sender = Sender(client.request, timezone=config.timezone, date_format=config.date_format, clock=now)
        dispatcher = Dispatcher(
            config.active_webhooks,
            Engine(
                store=store,
                sender=sender,
                clock=now,
                noise=lambda: random.uniform(-1, 1),  # noqa: S311 - jitter needs no cryptography
                settled=_both(lambda _, attempt: plugins.attempt_finished(attempt), live.ring),
            ),
            locate=played.url,
        )
        dispatcher.watch(played.note)
        await dispatcher.start(wake)
        stack.push_async_callback(_stop, dispatcher, store)
        upkeep = Upkeep(store, retention=config.retention, clock=now)
        intake = Intake(
            store,
            webhooks=config.active_webhooks,
            priorities=config.priorities,
            wake=dispatcher.wake,
            accepted=_both(plugins.event_accepted, live.ring),
            clock=now,
            refusal=upkeep.refusal,
        )
        yield Core(config, store, client, sender, dispatcher, intake, upkeep, watchdog, played, live)


def _both(tell: Callable[[Any, Any], None], ring: Callable[[], None]) -> Callable[[Any, Any], None]:
    """Tell the plugins, and the open pages."""

    def told(one: Any, other: Any) -> None:
        ring()
        tell(one, other)

    return told


async def _stop(dispatcher: Dispatcher, store: Store) -> None:
    """What a store cannot keep any more need not be waited for."""
    await dispatcher.stop(0.0 if store.failure.done() else STOP_GRACE)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def serving(
    config: Config, plugins: Plugins, metrics: Metrics, read_config: ReadConfig
) -> AsyncIterator[Door]:
    """Accept events while the context is open. ``read_config`` decodes a file, also the config's own anew."""
    sources, fresh = _with_tokens(config, {})
    _check_password(config)
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(running_core(config, plugins))
        await stack.enter_async_context(_running(core.upkeep.run()))
        refusals = Refusals(metrics.refused)
        access = Access(lambda: core.config)
        receiver = Receiver(
            sources,
            accept=core.intake.accept,
            ready=lambda: _troubles(core, reloader.last),
            metrics=metrics.render,
            refusals=refusals,
            metrics_refusal=access.metrics_refusal,
        )

        async def apply(new: Config) -> None:
            sources, made = _with_tokens(new, fresh)
            _check_password(new)
            await core.reload(new)
            receiver.listen_to(sources)
            fresh.update(made)

        reloader = Reloader(
            lambda: read_config(config.path), current=lambda: core.config, apply=apply, clock=now
        )
        control = Control(lambda: core.config, core.intake, core.dispatcher, reloader.reload)
        await stack.enter_async_context(control_site(control, config.store))
        metrics.watch(lambda: _standing(core, reloader.last))
        app = receiver.app()
        add_pages(app, _desk(core, plugins, reloader, read_config, fresh, receiver, access))
        app.router.add_route("*", "/{path:.*}", not_found)
        warn_of_a_lenient_parser()
        port = await listen(app, config.host, config.port, stack, Connections(refusals))
        host = f"[{config.host}]" if ":" in config.host else config.host
        yield Door(f"http://{host}:{port}", fresh, core.store.failure, reloader.reload, core.play)


def _desk(
    core: Core,
    plugins: Plugins,
    reloader: Reloader,
    read_config: ReadConfig,
    fresh: Mapping[str, Secret],
    receiver: Receiver,
    access: Access,
) -> Desk:
    return Desk(
        config=lambda: core.config,
        read_config=read_config,
        reload=reloader.reload,
        last_reload=lambda: reloader.last,
        plugins=plugins,
        intake=core.intake,
        dispatcher=core.dispatcher,
        backlog=lambda: core.upkeep.backlog,
        troubles=lambda: _troubles(core, reloader.last),
        channels=core.played.channels,
        play=core.play,
        fresh_tokens=fresh,
        arrivals=receiver.arrivals,
        started_at=now(),
        live=core.live,
        access=access,
    )


def _with_tokens(
    config: Config, known: Mapping[str, Secret]
) -> tuple[dict[str, SourceSettings], dict[str, Secret]]:
    """The sources, each with a way to authenticate: a fresh token on loopback, else a refusal to start.

    ``known``: the tokens that this start made before, which stay.
    """
    sources, fresh = dict(config.sources), dict[str, Secret]()
    for name, source in config.sources.items():
        if not source.open:
            continue
        if not is_loopback(config.host):
            raise ConfigError(
                f"{source.why_closed(config.host)}: anybody could post events. Set a token of at least 16 characters "
                "(DESKBELL_TOKEN, for the shipped config)"
            )
        fresh[name] = known.get(name) or Secret(secrets.token_urlsafe(24))
        sources[name] = replace(source, tokens=(fresh[name],))
    return sources, fresh


def _check_password(config: Config) -> None:
    if said := config.why_no_password_is_too_little:
        raise ConfigError(f"{said}: {HOW_TO_SET_ONE}")


def _standing(core: Core, last: Reloaded) -> Standing:
    active, closed = core.config.active_webhooks, core.dispatcher.services()
    return Standing(
        at=now(),
        backlog=core.upkeep.backlog,
        webhooks={webhook.name: core.dispatcher.health(webhook.name) for webhook in active},
        services={webhook.transport.name: webhook.transport.name in closed for webhook in active},
        store_ok=not core.store.trouble,
        config_ok=last.ok,
        blocked_seconds=core.watchdog.blocked_seconds,
        refused_connections=core.client.refused,
    )


def _troubles(core: Core, last: Reloaded) -> dict[str, str]:
    """What an operator should know, by what it concerns; with ``store`` or ``queue`` in it no event can be taken."""
    closed = core.dispatcher.services()
    found = {"store": core.store.trouble, "queue": core.upkeep.refusal()}
    found |= {
        f"service {name}": f"waits until {health.until}: {health.reason}" for name, health in closed.items()
    }
    found |= {f"webhook {name}": f"paused: {reason}" for name, reason in core.dispatcher.paused().items()}
    found["config"] = "" if last.ok else f"it was not loaded anew, the one before is in force: {last.report}"
    return {what: trouble for what, trouble in found.items() if trouble}
