"""What the import of a plugin's module does beside defining things: seen in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

from deskbell.discovery import find_candidates

from .checks import NotApplicable, NotMet

_PLUGIN_FILE = "deskbell_plugin_file_"
"""How the module of a file of ``plugins_dir`` begins."""
_TRIES = 3
_SCRIPT = """
import sys
names, path, *sys.path[:] = sys.argv[1:]
import time
began = time.process_time()
import asyncio, gc, json, threading
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
import deskbell
for name in deskbell.__all__:
    getattr(deskbell, name)
import deskbell.testing.stage  # what a running deskbell has imported anyway: aiohttp, pluggy, …
own = time.process_time() - began
told, before = [], threading.active_count()
quiet = ("socket.", "subprocess.Popen", "os.system")
def listen(event, args):
    if event.startswith(quiet) and event not in ("socket.__new__", "socket.gethostname"):
        told.append("calls " + event)
sys.addaudithook(listen)
began = time.process_time()
for name in names.split(","):
    if path:
        spec = spec_from_file_location(name, path)
        sys.modules[name] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        import_module(name)
seconds = time.process_time() - began
if threading.active_count() > before:
    told.append("starts a thread")
gc.collect()
if any(isinstance(each, asyncio.AbstractEventLoop) and not each.is_closed() for each in gc.get_objects()):
    told.append("makes an event loop")
sys.stderr.flush()
print("\\n" + json.dumps([told, seconds, own]))
"""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """``did``: what it should not have; ``error``: why it cannot be imported.

    ``seconds``: what it took of the processor; ``own``: what deskbell itself took, in the same process just before.
    """

    did: tuple[str, ...] = ()
    seconds: float = 0.0
    own: float = 1.0
    error: str = ""

    @property
    def share(self) -> float:
        """How long it took, measured by deskbell itself: seconds alone would say how slow the machine is."""
        return self.seconds / self.own


@lru_cache(maxsize=8)
def import_report(modules: tuple[str, ...], path: str = "") -> ImportReport:
    """Import ``modules`` (from the file at ``path``, where it is given) in a process of its own."""
    command = [sys.executable, "-c", _SCRIPT, ",".join(modules), path, *sys.path]
    done = subprocess.run(  # noqa: S603 - this very program
        command, capture_output=True, text=True, check=False, encoding="utf-8", env=_environment()
    )
    *printed, last = done.stdout.splitlines() or [""]
    if done.returncode:
        return ImportReport(error=(done.stderr.strip().splitlines() or ["it ended the process"])[-1])
    told, seconds, own = json.loads(last)
    if "".join(printed).strip() or done.stderr.strip():
        told.append("prints")
    return ImportReport(tuple(dict.fromkeys(told)), seconds, own)


def report_on(offered: type) -> ImportReport:
    """What the import of the plugin does that ``offered`` is of; ``NotMet`` when it cannot be imported."""
    path = path_of_file(offered)
    report = import_report((offered.__module__,) if path else _modules_of(offered), path)
    if report.error:
        raise NotMet(f"importing {package_of(offered)} in a fresh process fails: {report.error}")
    return report


def quickest_report_on(offered: type, *, enough: float) -> ImportReport:
    """Of a few tries the one with the least share; none is made after one with no more than ``enough``.

    The first time Python may have compiled the plugin, and at any time the machine may have been busy.
    """
    best = report_on(offered)
    for _ in range(_TRIES - 1):
        if best.share <= enough:
            break
        import_report.cache_clear()
        best = min(best, report_on(offered), key=lambda report: report.share)
    return best


def path_of_file(offered: type) -> str:
    """Where its file is, if it is one of ``plugins_dir``."""
    if not offered.__module__.startswith(_PLUGIN_FILE):
        return ""
    return str(getattr(sys.modules.get(offered.__module__), "__file__", "") or "")


def package_of(offered: type) -> str:
    """The top of its module's name."""
    return offered.__module__.partition(".")[0]


def _modules_of(offered: type) -> tuple[str, ...]:
    """Those that its entry points name, and the one that the class is in."""
    package = package_of(offered)
    named = {each.module for each in find_candidates(None) if each.module.partition(".")[0] == package}
    if not named and find_spec(package) is None:
        raise NotApplicable(f"{offered.__module__} cannot be imported by its name")
    return tuple(sorted(named | {offered.__module__}))


def _environment() -> dict[str, str]:
    """The child's output is read as UTF-8."""
    return {**os.environ, "PYTHONIOENCODING": "utf-8"}
