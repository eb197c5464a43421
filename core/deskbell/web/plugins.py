"""``/plugins``: what is installed, who uses it, what it may be told; and what is broken, with its fix."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

import deskbell
from deskbell.inventory import observed, users_of, way_round
from deskbell.plugins import PluginInfo
from deskbell.source import Source
from deskbell.transport import Transport

from .aside import aside
from .masking import masking
from .options import Option, options_of
from .visit import Route, Visit


@dataclass(frozen=True, slots=True)
class Provided:
    """One thing that a plugin provides. ``kind`` is a word of ``plugins.provides``; ``options`` is None where its plugin
    cannot say."""

    kind: str
    name: str
    about: str
    users: Sequence[str]
    actions: Sequence[str] = ()
    options: Sequence[Option] | None = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A plugin that is loaded."""

    info: PluginInfo
    provided: Sequence[Provided]
    observed: Sequence[str]


async def get_plugins(visit: Visit) -> web.Response:
    """All of them: first those that cannot be used."""
    plugins, config = visit.desk.plugins, visit.desk.config()
    used_by = users_of(config)
    return await visit.page(
        "plugins.html",
        version=deskbell.__version__,
        api_version=deskbell.API_VERSION,
        loaded=await asyncio.gather(*(_shown(visit, info, used_by) for info in plugins.loaded)),
        broken=plugins.broken,
        disabled=plugins.disabled,
        way_round=way_round,
        masked=masking(config),
    )


async def _shown(visit: Visit, info: PluginInfo, used_by: Mapping[str, Sequence[str]]) -> Shown:
    plugins = visit.desk.plugins
    transports = [await _transport(plugins.transports[name], used_by) for name in info.transports]
    sources = [_source(plugins.sources[name], used_by) for name in info.sources]
    return Shown(info, [*transports, *sources], observed(info))


async def _transport(transport: Transport[Any], used_by: Mapping[str, Sequence[str]]) -> Provided:
    name = transport.name
    try:
        options = await aside(lambda: options_of(transport))
    except Exception:  # noqa: BLE001 - a plugin's own types: the rest of it is shown all the same
        options = None
    return Provided(
        "transport", name, _about(transport), used_by.get(f"transport {name}", ()), options=options
    )


def _source(source: Source, used_by: Mapping[str, Sequence[str]]) -> Provided:
    name = source.name
    return Provided("source", name, _about(source), used_by.get(f"source {name}", ()), tuple(source.actions))


def _about(provided: object) -> str:
    """How its author begins to describe it, without the marks of code."""
    begun = (type(provided).__doc__ or "").partition("\n\n")[0]
    return " ".join(begun.replace("``", "").split())


ROUTES = (Route("GET", "/plugins", get_plugins),)
