"""``/deliveries/replay``: a second chance for all that is dead of what the filter asks for, after a look at how many."""

from __future__ import annotations

import asyncio

from aiohttp import web

from deskbell.delivery import State
from deskbell.outlook import helpings
from deskbell.store.reading import find_ids

from .sought import Sought
from .told import Told
from .visit import Route, Visit


async def get_replay(visit: Visit) -> web.Response:
    """Ask first: how many they are, and what would hold them up."""
    sought = Sought.of(visit.query)
    dead = await _dead(visit, sought)
    return await visit.page("replay.html", sought=sought, count=len(dead), told=Told.to(visit))


async def post_replay(visit: Visit) -> web.StreamResponse:
    """Let them go, the oldest first, in helpings between which others have their turn."""
    form = await visit.form()
    sought = Sought.of(lambda name: form.get(name, "").strip())
    count = 0
    for helping in helpings(await _dead(visit, sought)):
        count += len((await visit.desk.dispatcher.replay(helping, state=State.DEAD)).ids)
    visit.go(sought.link(), said="replayed_all" if count else "replayed_none")


async def _dead(visit: Visit, sought: Sought) -> list[int]:
    return await asyncio.to_thread(find_ids, visit.desk.config().store, sought.filter(State.DEAD))


ROUTES = (Route("GET", "/deliveries/replay", get_replay), Route("POST", "/deliveries/replay", post_replay))
