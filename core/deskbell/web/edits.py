"""Edits of config.yaml by pages: made in memory and looked at first; then saved and put in force, or refused."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from deskbell.config import Loaded, Problem, Severity
from deskbell.edit import Draft, EditError
from deskbell.reload import Reloaded

from .aside import aside
from .desk import Desk

Change = Callable[[Draft], None]


@dataclass(frozen=True)
class Proposal:
    """The config as it would be. ``diff`` is masked; ``loaded`` is what ``deskbell check`` says of it."""

    draft: Draft
    diff: Sequence[str]
    loaded: Loaded

    @property
    def errors(self) -> list[Problem]:
        """What keeps it from being saved."""
        return [problem for problem in self.loaded.problems if problem.severity is Severity.ERROR]

    @cached_property
    def digest(self) -> str:
        """Tells it from any other: what is saved is what was looked at."""
        return hashlib.sha256(self.draft.text.encode()).hexdigest()


async def propose(desk: Desk, change: Change, *, revision: str = "") -> Proposal:
    """The config with ``change``. ``EditError`` where none can be written or judged, or the file is no ``revision``."""
    path, transports = desk.config().path, desk.plugins.transports.values()

    def draft() -> Draft:
        made = Draft.of(path, revision=revision)
        change(made)
        return made

    changed = await asyncio.to_thread(draft)
    try:
        return await aside(
            lambda: Proposal(changed, changed.diff(transports), desk.read_config(path, changed.text))
        )
    except TimeoutError:
        raise EditError("a plugin did not say in time what it thinks of this config", "repeat it") from None


async def put_in_force(desk: Desk, proposal: Proposal) -> Reloaded:
    """Save it, and load it. ``EditError`` where it cannot be saved: then the file is as it was."""
    await asyncio.to_thread(proposal.draft.save)
    return await desk.reload()
