"""Writing the store where no ``serve`` runs that could be asked to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deskbell.store import Store


@asynccontextmanager
async def own_store(path: Path) -> AsyncIterator[Store]:
    """The store, locked for this command. ``StoreError`` when it cannot be: perhaps a ``serve`` runs unheard."""
    from deskbell.control import socket_path
    from deskbell.errors import StoreError
    from deskbell.store import open_store

    try:
        store = open_store(path)
    except StoreError as error:
        raise StoreError(
            f"no running deskbell answers at {socket_path(path)}, and the store cannot be written without one: {error}"
        ) from None
    try:
        yield store
    finally:
        await store.close()
