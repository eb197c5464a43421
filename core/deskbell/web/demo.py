"""``/demo/``: what arrived in the channels that deskbell plays itself."""

from __future__ import annotations

from aiohttp import web

from .visit import Route, Visit


async def get_demo(visit: Visit) -> web.Response:
    """The channels side by side, the newest message of each first."""
    return await visit.page("demo.html", channels=visit.desk.channels())


async def to_demo(visit: Visit) -> web.StreamResponse:
    """``/demo`` means ``/demo/``."""
    visit.go("/demo/")


ROUTES = (Route("GET", "/demo/", get_demo), Route("GET", "/demo", to_demo))
