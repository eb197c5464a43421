"""What transports and sources have in common: deskbell finds their plugin, whose import is quiet, for this API."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module

from deskbell import API_VERSION
from deskbell.discovery import Candidate, find_candidates
from deskbell.plugins import load_plugins

from .checks import NotApplicable, NotMet
from .import_report import package_of, path_of_file, report_on


def require_found(kind: str, offered: type) -> None:
    """``offered`` (a ``transport`` or a ``source``) is what deskbell loads under its name; ``NotMet`` otherwise."""
    if path_of_file(offered):
        raise NotApplicable("it is a file of plugins_dir: there is no entry point")
    name = getattr(offered, "name", "")
    plugins = load_plugins(disabled=())
    loaded = {"transport": plugins.transports, "source": plugins.sources}[kind].get(name)
    if type(loaded) is offered:
        return
    if loaded is not None:
        where = f"{type(loaded).__module__}.{type(loaded).__name__}"
        raise NotMet(
            f"the {kind} {name} that deskbell loads is {where}: uninstall it, or choose another name"
        )
    candidates = list(_candidates(offered))
    names = {candidate.origin.name for candidate in candidates}
    if reasons := [f"{each.reason} ({each.fix})" for each in plugins.broken if each.name in names]:
        raise NotMet(f"deskbell finds the plugin, but cannot use it: {'; '.join(reasons)}")
    if candidates:
        raise NotMet(f"{offered.__name__} is offered by no hook: return it from deskbell_{kind}s()")
    raise NotMet(
        f"no entry point of the group deskbell leads to {package_of(offered)}: add it to pyproject.toml under "
        "[project.entry-points.deskbell], then run pip install -e . (a file of plugins_dir has none: leave this "
        "check out by skip)"
    )


def require_quiet_import(offered: type) -> None:
    """Importing its module does nothing else: no output, no network, no process, no thread, no event loop."""
    if did := report_on(offered).did:
        raise NotMet(
            f"importing {package_of(offered)} {', '.join(did)}: every command of deskbell imports it; do that in a "
            "function, when it is needed"
        )


def require_supported_api(offered: type) -> None:
    """Its module says for which API it is written, and this deskbell has it."""
    if offered.__module__.partition(".")[0] == "deskbell":
        raise NotApplicable("it is a part of deskbell")
    modules = [candidate.module for candidate in _candidates(offered)] or [package_of(offered)]
    for name in modules:
        wanted = getattr(_module(name), "deskbell_api_version", None)
        if wanted is None:
            raise NotMet(f"say for which API it is written: deskbell_api_version = {API_VERSION} in {name}")
        if wanted != API_VERSION:
            raise NotMet(f"{name} is written for API {wanted!r}, and this deskbell has API {API_VERSION}")


def _candidates(offered: type) -> Iterator[Candidate]:
    """The entry points that lead into its package."""
    package = package_of(offered)
    return (each for each in find_candidates(None) if each.module.partition(".")[0] == package)


def _module(name: str) -> object:
    return sys.modules.get(name) or import_module(name)
