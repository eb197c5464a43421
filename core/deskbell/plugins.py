"""Plugins: found, checked, kept apart. The only file that touches pluggy's manager and its relay.

Nothing that a plugin does may harm another one or the service: each is loaded and called in a ``try`` of its own,
and one that cannot be used is kept as *broken*, with its reason and what to do.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import pluggy

from . import API_VERSION, __version__, hookspecs, trace
from .blame import blamed_on, in_words
from .breakoff import BrokenOff, breakable
from .conformance import (
    NO_HOOK,
    RESERVED_NAMES,
    implemented_hooks,
    offered_classes,
    plugin_faults,
    source_faults,
    transport_faults,
)
from .delivery import Attempt
from .discovery import DISABLE_VARIABLE, Candidate, Origin, find_candidates, names_to_leave_out
from .errors import PluginError
from .event import TicketEvent
from .hookspecs import PROJECT, hookimpl
from .source import NativeSource, Source, Sources
from .transport import Transport

_ANY_URL = "https://deskbell.example/"
_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PluginInfo(Origin):
    """A loaded plugin, and the names of what it provides. ``lacks``: why some of it cannot work here."""

    transports: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def provided(self) -> Iterator[str]:
        """As in ``transport discord`` and ``source clientxcms``: a transport and a source may share a name."""
        yield from (f"transport {name}" for name in self.transports)
        yield from (f"source {name}" for name in self.sources)


@dataclass(frozen=True, slots=True)
class BrokenPlugin(Origin):
    """A plugin that cannot be used: why, and what the owner can do."""

    reason: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class _Admitted:
    info: PluginInfo
    transports: tuple[Transport[Any], ...]
    sources: tuple[Source, ...]


class _Core:
    """What deskbell itself provides, as one more plugin."""

    @hookimpl
    def deskbell_sources(self) -> Sources:
        return [NativeSource]


_CORE = Origin(PROJECT, PROJECT, __version__)
_RESERVED = RESERVED_NAMES


class Plugins:
    """What the plugins provide, and the way to tell them. Made by ``load_plugins``."""

    def __init__(
        self,
        manager: pluggy.PluginManager,
        admitted: Iterable[_Admitted],
        *,
        broken: Iterable[BrokenPlugin],
        disabled: Iterable[Origin],
    ) -> None:
        self.loaded: tuple[PluginInfo, ...] = ()
        self.broken = tuple(sorted(broken, key=lambda each: each.name))
        self.disabled = tuple(disabled)
        self._transports, self._sources = dict[str, Transport[Any]](), dict[str, Source]()
        self.transports: Mapping[str, Transport[Any]] = MappingProxyType(self._transports)
        self.sources: Mapping[str, Source] = MappingProxyType(self._sources)
        self._manager = manager
        self._complained = set[tuple[str, str]]()
        self._silenced = set[pluggy.HookImpl]()
        self._take(admitted)

    def missing(self) -> dict[str, str]:
        """Why each plugin is not there that somebody may ask for, by its name."""
        left_out = {origin.name: f"it is left out by {DISABLE_VARIABLE}" for origin in self.disabled}
        return left_out | {broken.name: broken.reason for broken in self.broken}

    def register(self, name: str, plugin: object) -> None:
        """Add a plugin that is an object of this process, such as the metrics. ``PluginError`` when it is unusable."""
        admitted = _admit(self._manager, Origin(name, _CORE.distribution, _CORE.version), plugin)
        taken = {provided for info in self.loaded for provided in info.provided()}
        if shared := sorted(taken.intersection(admitted.info.provided())):
            self._manager.unregister(name=name)
            raise PluginError(f"{', '.join(shared)}: provided by another plugin already")
        self._take([admitted])

    def _take(self, admitted: Iterable[_Admitted]) -> None:
        for each in admitted:
            self.loaded = tuple(sorted((*self.loaded, each.info), key=lambda info: info.name))
            self._transports.update((transport.name, transport) for transport in each.transports)
            self._sources.update((source.name, source) for source in each.sources)
        # Found once, not at every call: an event that nobody observes costs nothing.
        self._on_event_accepted = _by_plugin(self._manager.hook.deskbell_event_accepted)
        self._on_attempt_finished = _by_plugin(self._manager.hook.deskbell_attempt_finished)

    def event_accepted(self, event: TicketEvent, webhooks: Sequence[str]) -> None:
        """Tell every ``deskbell_event_accepted``. Never raises."""
        if self._on_event_accepted:
            self._tell(self._on_event_accepted, {"event": event, "webhooks": tuple(webhooks)})

    def attempt_finished(self, attempt: Attempt) -> None:
        """Tell every ``deskbell_attempt_finished``. Never raises."""
        if self._on_attempt_finished:
            self._tell(self._on_attempt_finished, {"attempt": attempt})

    @breakable
    def _tell(self, observers: Sequence[pluggy.HookImpl], given: Mapping[str, object]) -> None:
        for observer in observers:
            if observer in self._silenced:
                continue
            try:
                _call(observer, given)
            except BaseException as error:  # noqa: BLE001 - not even a plugin's sys.exit() may end the service
                self._complain(observer, error)
                if isinstance(error, BrokenOff):
                    self._silenced.add(observer)
                    _log.error("plugin %s: its %s is not called any more", *self._which(observer))

    @staticmethod
    def _which(observer: pluggy.HookImpl) -> tuple[str, str]:
        return observer.plugin_name, observer.function.__name__

    def _complain(self, observer: pluggy.HookImpl, error: BaseException) -> None:
        """With the traceback once; then in one line, so that a busy day does not fill the disk."""
        which = self._which(observer)
        traceback = error if which not in self._complained else None
        self._complained.add(which)
        _log.error("plugin %s: %s raised %s", *which, in_words(error), exc_info=traceback)


def load_plugins(
    *,
    plugins_dir: Path | None = None,
    disabled: Collection[str] | None = None,
    entry_points: Iterable[EntryPoint] | None = None,
) -> Plugins:
    """Load what is installed and the files of ``plugins_dir``. Never raises for a plugin's fault.

    ``disabled`` names plugins to leave out (default: the variable DESKBELL_DISABLE_PLUGINS).
    ``entry_points`` stands in for the installed ones.
    """
    candidates = find_candidates(plugins_dir, entry_points)
    left_out = names_to_leave_out(disabled, candidates)
    chosen = [each for each in candidates if each.origin.name not in left_out]
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    admitted, broken = [_admit(manager, _CORE, _Core())], list[BrokenPlugin]()
    for candidate in chosen:
        try:
            with blamed_on(candidate):
                _refuse_shared_name(candidate.origin, chosen)
                admitted.append(_admit(manager, candidate.origin, candidate.load()))
        except PluginError as error:
            broken.append(_broken(candidate.origin, str(error), error.fix))
    clashing = list(_clashes(admitted))
    for clash in clashing:
        manager.unregister(name=clash.name)
    return Plugins(
        manager,
        [each for each in admitted if manager.has_plugin(each.info.name)],
        broken=[*broken, *clashing],
        disabled=[each.origin for each in candidates if each.origin.name in left_out],
    )


# -- admitting


def _admit(manager: pluggy.PluginManager, origin: Origin, plugin: object) -> _Admitted:
    """Register ``plugin`` and read what it provides; ``PluginError``, and nothing stays registered, if it is wrong."""
    _refuse_other_api(plugin)
    _refuse_registered(manager, origin, plugin)
    _refuse_faulty(origin, plugin)
    try:
        manager.register(plugin, origin.name)
        offered = _classes_of(manager.hook.deskbell_transports, origin, Transport)
        transports = tuple(_built(cls, transport_faults(cls)) for cls in offered)
        adapters = _classes_of(manager.hook.deskbell_sources, origin, Source)
        sources = tuple(_built(cls, source_faults(cls)) for cls in adapters)
        for provided in (*transports, *sources):
            provided.plugin = str(origin)
        lacks = tuple(filter(None, map(_asked, transports)))
    except BaseException:
        manager.unregister(name=origin.name)  # pluggy itself may leave half of it behind
        raise
    info = PluginInfo(
        origin.name,
        origin.distribution,
        origin.version,
        transports=tuple(transport.name for transport in transports),
        sources=tuple(source.name for source in sources),
        hooks=implemented_hooks(plugin),
        lacks=lacks,
    )
    return _Admitted(info, transports, sources)


def _refuse_other_api(plugin: object) -> None:
    wanted = getattr(plugin, "deskbell_api_version", API_VERSION)
    if wanted != API_VERSION:
        newer = isinstance(wanted, int) and wanted > API_VERSION
        raise PluginError(
            f"it is written for API {wanted!r}; deskbell {__version__} has API {API_VERSION}",
            fix="pip install --upgrade deskbell" if newer else "",
        )


def _refuse_registered(manager: pluggy.PluginManager, origin: Origin, plugin: object) -> None:
    if manager.has_plugin(origin.name) or manager.is_registered(plugin):
        name = manager.get_name(plugin) or origin.name
        raise PluginError(f"it is already loaded, as {name}", fix="remove one of the two entry points")


def _refuse_faulty(origin: Origin, plugin: object) -> None:
    faults = list(plugin_faults(plugin))
    if faults == [NO_HOOK] and origin.is_file:
        raise PluginError(NO_HOOK, fix=f"mend {origin}, or call it _{origin.name}.py if it is no plugin")
    _refuse_any(faults)


def _refuse_any(faults: Iterable[str]) -> None:
    if found := list(faults):
        raise PluginError("; ".join(found))


def _classes_of(caller: pluggy.HookCaller, origin: Origin, kind: type) -> list[type[Any]]:
    """What this plugin's own implementations of ``caller`` return, checked."""
    classes = list[type[Any]]()
    for implementation in _by_plugin(caller):
        if implementation.plugin_name == origin.name:
            offered: Any = _call(implementation, {})
            _refuse_any(offered_classes(caller.name, offered, kind))
            classes += offered
    return classes


def _call(implementation: pluggy.HookImpl, given: Mapping[str, object]) -> Any:
    """With the arguments that it takes: it may leave some out."""
    taken = {name: given[name] for name in implementation.argnames}
    return trace.call(implementation.plugin_name, implementation.function, taken)


def _built(cls: type[T], faults: Iterable[str]) -> T:
    _refuse_any(faults)
    return cls()


def _asked(transport: Transport[Any]) -> str:
    """What the transport lacks. Every config asks it such things, those that do not use it as well."""
    if not isinstance(transport.redact("text"), str):
        raise PluginError(f"redact of the transport {transport.name} gives no text back")
    transport.recognises(_ANY_URL)
    return str(transport.unavailable() or "")


def _by_plugin(caller: pluggy.HookCaller) -> tuple[pluggy.HookImpl, ...]:
    """pluggy's own order is an accident of registration."""
    return tuple(sorted(caller.get_hookimpls(), key=lambda each: each.plugin_name))


def _refuse_shared_name(origin: Origin, candidates: Iterable[Candidate]) -> None:
    """Neither of two is taken: which one is meant, nobody knows."""
    sharing = [each.origin for each in candidates if each.origin.name == origin.name]
    holders = [str(each) for each in sharing]
    if origin.name in _RESERVED:
        holders.append(f"{_CORE} itself")
    if len(holders) > 1:
        file = next((f"rename {each}" for each in sharing if each.is_file), "")
        raise PluginError(
            f"the name {origin.name} is used by {' and '.join(holders)}",
            fix=f"{file or 'keep one of them: uninstall the others'} "
            f"({DISABLE_VARIABLE} leaves out all of that name)",
        )


def _clashes(admitted: Sequence[_Admitted]) -> Iterator[BrokenPlugin]:
    """The plugins that provide what another one provides too: neither is taken. Core keeps its own."""
    owners = defaultdict[str, list[PluginInfo]](list)
    for each in admitted:
        for provided in each.info.provided():
            owners[provided].append(each.info)
    for each in admitted:
        shared = next((provided for provided in each.info.provided() if len(owners[provided]) > 1), "")
        if shared and each.info.name != _CORE.name:
            names = " and ".join(f"{owner.name} ({owner})" for owner in owners[shared])
            fix = _fix_of_clash(each.info, shared.partition(" ")[0], owners[shared])
            yield _broken(each.info, f"the {shared} is provided by {names}", fix)


def _fix_of_clash(info: PluginInfo, kind: str, owners: Iterable[PluginInfo]) -> str:
    """A file is its owner's own, and easily changed: rather that one than what is installed."""
    if file := next((owner for owner in owners if owner.is_file), None):
        return (
            f"give the {kind} of {file} another name, or leave that file out: {DISABLE_VARIABLE}={file.name}"
        )
    return f"leave one of them out: {DISABLE_VARIABLE}={info.name}"


def _broken(origin: Origin, reason: str, fix: str) -> BrokenPlugin:
    return BrokenPlugin(origin.name, origin.distribution, origin.version, reason=reason, fix=fix)
