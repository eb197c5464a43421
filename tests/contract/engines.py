"""The engines of the store: every test of its contract runs on each of them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbell.delivery import Delivery
from deskbell.store import Listed, Store, open_store
from deskbell.store.reading import Filter, list_deliveries


@dataclass(frozen=True)
class Engine:
    """How a test opens a store in a folder, and looks at what lies in it beside the running store."""

    name: str
    open: Callable[[Path], Store]
    deliveries: Callable[[Path], list[Listed]]
    select: Callable[[Path, str], list[tuple[Any, ...]]]


def select_sqlite(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{folder}/x.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


ENGINES = [
    Engine(
        "sqlite",
        lambda folder: open_store(folder / "x.db"),
        lambda folder: list_deliveries(folder / "x.db", Filter(limit=None))[::-1],
        select_sqlite,
    )
]
"""A further engine is one more entry."""


@dataclass(frozen=True)
class Shop:
    """One folder with a store in it, opened as often as a test likes."""

    engine: Engine
    folder: Path

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        store = self.engine.open(self.folder)
        try:
            yield store
        finally:
            await store.close()

    def deliveries(self) -> list[Delivery]:
        """All of them, oldest first."""
        return [listed.delivery for listed in self.engine.deliveries(self.folder)]

    def select(self, query: str) -> list[tuple[Any, ...]]:
        return self.engine.select(self.folder, query)
