"""What ``deskbell plugins`` and the page of the plugins tell of each plugin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from .discovery import DISABLE_VARIABLE
from .plugins import BrokenPlugin, PluginInfo
from .settings import Config

_PROVIDING = ("deskbell_transports", "deskbell_sources")


def users_of(config: Config) -> dict[str, list[str]]:
    """The webhooks and sources of the config by what they use, named as in ``transport discord``."""
    used_by = defaultdict[str, list[str]](list)
    for webhook in config.webhooks:
        used_by[f"transport {webhook.transport.name}"].append(webhook.name)
    for source in config.sources.values():
        used_by[f"source {source.adapter.name}"].append(source.name)
    return dict(used_by)


def users(info: PluginInfo, used_by: Mapping[str, Sequence[str]]) -> list[str]:
    """Who uses what the plugin provides; ``used_by`` as ``users_of`` gives it."""
    return [user for provided in info.provided() for user in used_by.get(provided, ())]


def observed(info: PluginInfo) -> list[str]:
    """The hooks by which it is told of events."""
    return [hook for hook in info.hooks if hook not in _PROVIDING]


def way_round(broken: BrokenPlugin) -> str:
    """How to leave it out, where its own fix does not say so."""
    return "" if DISABLE_VARIABLE in broken.fix else f"{DISABLE_VARIABLE}={broken.name}"
