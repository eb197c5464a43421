"""What the configured sources can say: their actions, variables and priorities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deskbell.event import VARIABLES, Action, action_named
from deskbell.settings import SourceSettings
from deskbell.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """``complete`` is false when the adapter of a source is not known: then no word can be called unknown."""

    sources: Mapping[str, SourceSettings]
    adapters: Mapping[str, Source]
    complete: bool = True

    @property
    def actions(self) -> tuple[str, ...]:
        """The ticket actions, and what the adapters of the configured sources add."""
        own = [action for source in self.sources.values() for action in source.adapter.actions]
        return tuple(dict.fromkeys([*Action, *own]))

    @property
    def variables(self) -> tuple[str, ...]:
        """Every name that may stand in a template."""
        names = dict.fromkeys(VARIABLES)
        for source in self.sources.values():
            names |= dict.fromkeys((*source.adapter.variables, *source.variables))
        return tuple(names)

    @property
    def priorities(self) -> dict[str, str]:
        """Every adapter's labels, in lower case -> level."""
        adapters = self.adapters.values()
        return {
            label.casefold(): level for adapter in adapters for label, level in adapter.priorities.items()
        }

    def action(self, word: str) -> str:
        """The action that ``word`` stands for; empty when there is none."""
        wanted = action_named(word).casefold()
        return next((action for action in self.actions if action.casefold() == wanted), "")

    def sends(self, action: str, sources: Iterable[str]) -> bool:
        """True when one of ``sources`` (in lower case; none means all) sends ``action`` today."""
        chosen = frozenset(sources)
        return any(
            action.casefold() in map(str.casefold, source.adapter.actions)
            for name, source in self.sources.items()
            if not chosen or name.casefold() in chosen
        )
