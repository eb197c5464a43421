"""Where plugins are found: installed distributions, and single files in ``plugins_dir``. Nothing is imported yet."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import metadata
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

from .errors import PluginError

GROUP = "deskbell"
"""The entry-point group of plugins."""
DISABLE_VARIABLE = "DESKBELL_DISABLE_PLUGINS"
"""Names of plugins that are left out, separated by commas."""
_NO_PLUGIN = re.compile(r"_|test_|tests$|conftest\.py$")
"""Names in ``plugins_dir`` that are no plugins: what was put aside, and tests
(https://docs.pytest.org/en/stable/explanation/goodpractices.html#conventions-for-python-test-discovery)."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """A plugin and where it comes from. A single-file plugin's distribution is its file; it has no version."""

    name: str
    distribution: str
    version: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a file of ``plugins_dir``."""
        return self.distribution.endswith(".py")

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that was found. ``load`` imports it, which may raise anything; ``module`` is what it imports.

    ``own``: it is whoever's works on it (a file, an editable install), so that no other version would mend it.
    """

    origin: Origin
    module: str
    load: Callable[[], object]
    own: bool = False


def find_candidates(
    plugins_dir: Path | None, entry_points: Iterable[metadata.EntryPoint] | None = None
) -> list[Candidate]:
    """Every plugin, by name. ``entry_points`` stands in for the installed ones."""
    points = _installed() if entry_points is None else entry_points
    found = [*_of_entry_points(points), *_of_files(plugins_dir)]
    return sorted(found, key=lambda each: (each.origin.name, str(each.origin)))


def names_to_leave_out(disabled: Collection[str] | None, candidates: Sequence[Candidate]) -> frozenset[str]:
    """Those of ``disabled`` (None: of the variable) that exist; a name that does not is logged."""
    wanted = _of_environment() if disabled is None else frozenset(disabled)
    known = [each.origin.name for each in candidates]
    for name in sorted(wanted.difference(known)):
        _log.warning("%s: there is no plugin %s%s", DISABLE_VARIABLE, name, did_you_mean(name, known))
    return wanted.intersection(known)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean …?)``, or nothing when no known word is near."""
    near = get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _of_environment() -> frozenset[str]:
    names = os.environ.get(DISABLE_VARIABLE, "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def _installed() -> Iterable[metadata.EntryPoint]:
    try:
        return metadata.entry_points(group=GROUP)
    except Exception:  # noqa: BLE001 - one malformed entry_points.txt of any distribution raises anything
        return _installed_one_by_one()


def _installed_one_by_one() -> list[metadata.EntryPoint]:
    points = dict[str, list[metadata.EntryPoint]]()
    for distribution in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").casefold()
        if name in points:  # an older copy, further down the path
            continue
        points[name] = []
        try:
            points[name] += [point for point in distribution.entry_points if point.group == GROUP]
        except Exception:  # noqa: BLE001 - as above, but here it is known whose it is
            _log.warning("the entry points of %s cannot be read: reinstall it", name or "a distribution")
    return [point for found in points.values() for point in found]


def _of_entry_points(points: Iterable[metadata.EntryPoint]) -> Iterator[Candidate]:
    for point in points:
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("", "")
        origin = Origin(point.name, distribution or "an unknown distribution", version or "")
        yield Candidate(origin, point.module, point.load, own=_is_editable(point))


def _is_editable(point: metadata.EntryPoint) -> bool:
    """https://packaging.python.org/en/latest/specifications/direct-url/"""
    told = point.dist.read_text("direct_url.json") if point.dist else None
    return told is not None and re.search(r'"editable":\s*true', told) is not None


def _of_files(plugins_dir: Path | None) -> Iterator[Candidate]:
    if plugins_dir is None:
        return
    if not plugins_dir.is_dir():
        yield Candidate(Origin(plugins_dir.name, "plugins_dir"), "", partial(_no_folder, plugins_dir))
    for path in plugins_dir.glob("*.py"):
        if not _NO_PLUGIN.match(path.name):
            origin = Origin(path.stem, f"{plugins_dir.name}/{path.name}")
            yield Candidate(origin, path.stem, partial(_load_file, path), own=True)
    for path in plugins_dir.glob("*/__init__.py"):
        if not _NO_PLUGIN.match(name := path.parent.name):
            # With a slash it can have the name of no plugin, which it would break.
            yield Candidate(Origin(f"{name}/", f"{plugins_dir.name}/{name}/"), "", _no_file)


def _no_folder(plugins_dir: Path) -> object:
    raise PluginError(
        f"plugins_dir {plugins_dir.name} is no folder", fix="make it, or take plugins_dir out of the config"
    )


def _no_file() -> object:
    raise PluginError(
        "it is a folder, and plugins_dir is for plugins of one file each",
        fix="make it a package and pip install that (deskbell new-plugin begins one), or one file; "
        "a folder whose name begins with _ is passed over",
    )


def _load_file(path: Path) -> ModuleType:
    name = f"deskbell_plugin_file_{path.stem}"
    loader = SourceFileLoader(name, str(path))
    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = sys.modules[name] = module_from_spec(spec)  # pydantic looks annotations up there
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
