"""Whatever comes out of a plugin becomes a ``PluginError``: one line, whose fault it is, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

from .discovery import Candidate
from .errors import PluginError

_LONGEST_REASON = 500
"""Characters."""
_OTHERS = frozenset({"deskbell", "pluggy", *sys.stdlib_module_names})
"""Packages in whose code an error is raised for a plugin, and not by it."""


@contextmanager
def blamed_on(candidate: Candidate) -> Iterator[None]:
    """Whatever comes out of a plugin becomes a ``PluginError`` with a fix; Ctrl-C stays what it is."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except PluginError as error:
        raise PluginError(_in_one_line(str(error)), fix=error.fix or _fix(candidate)) from error
    except BaseException as error:  # a module may even call sys.exit()
        raise PluginError(in_words(error), fix=_fix(candidate, error)) from error


def _fix(candidate: Candidate, error: BaseException | None = None) -> str:
    origin = candidate.origin
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = error.name.partition(".")[0]
        if missing == candidate.module.partition(".")[0]:
            return f"pip install --force-reinstall {origin.distribution}"
        return f"pip install {missing} (or whichever package provides the module {missing})"
    if candidate.own:
        return (
            f"mend {candidate.module} ({origin.distribution})"
            if origin.version
            else f"mend {origin.distribution}"
        )
    return f"pip install --upgrade {origin.distribution}"


def in_words(error: BaseException) -> str:
    """Its type, its text and its place in the plugin, on one line."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - an exception's own text is a plugin's code too
        said = "(its text cannot be read)"
    return _in_one_line(f"{type(error).__name__}: {said}") + place_of(error)


def place_of(error: BaseException) -> str:
    """Which line of the plugin it came through last, as in `` (deskbell_ntfy/api.py, line 12)``; empty when none."""
    lines = [
        (str(frame.f_globals.get("__name__")).partition(".")[0], frame.f_code.co_filename, number)
        for frame, number in walk_tb(error.__traceback__)
    ]
    plugin = next((package for package, _, _ in lines if package not in _OTHERS), None)
    for package, file, number in reversed(lines):
        if package == plugin:
            return f" ({'/'.join(Path(file).parts[-2:])}, line {number})"
    return ""


def _in_one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_REASON]
