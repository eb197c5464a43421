"""``/demo/``: the channels that deskbell plays itself, a form to play events, and switches for what may go wrong."""

from __future__ import annotations

from aiohttp import web

from deskbell.errors import EventError
from deskbell.event import VARIABLES
from deskbell.fake import Trouble
from deskbell.source import NativeSource
from deskbell.starter.play import ACTIONS, KINDS, event_of, values_of

from .channels import shown
from .told import Told
from .visit import Route, Visit

_FIRST = ("subject", "content", "username", "priority", "departmentName")
"""The variables whose fields show at once; those of the others are a click away."""


async def get_demo(visit: Visit) -> web.Response:
    """The channels side by side, the newest message of each first, beside the form."""
    kind = _kind(visit.query("sample"))
    values = values_of(kind, visit.words.language)
    return await visit.page(
        "demo.html",
        channels=await shown(visit.desk),
        told=Told.to(visit),
        troubles=tuple(Trouble),
        kinds=KINDS,
        kind=kind,
        actions=ACTIONS,
        sources=_sources(visit),
        first={name: values[name] for name in _FIRST},
        further={name: value for name, value in values.items() if name not in _FIRST},
    )


async def post_event(visit: Visit) -> web.StreamResponse:
    """Take the event of the form, as if its source had posted it, for the channels that are played here."""
    form = await visit.form()
    values = {name: form[name] for name in VARIABLES if name in form and name != "action"}
    sources = _sources(visit)
    source = form.get("source", "")
    try:
        sample = event_of(form.get("action", ""), values, source if source in sources else sources[0])
    except EventError as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    added = await visit.desk.play(sample)
    said = "played" if added.deliveries else "played_none"
    visit.go("/demo/", sample=_kind(form.get("sample", "")), said=said)


async def post_trouble(visit: Visit) -> web.StreamResponse:
    """Let the service that the form names be in trouble, or well again."""
    form = await visit.form()
    name, wanted = form.get("channel", ""), form.get("trouble", "")
    channel = next((each for each in visit.desk.channels() if each.transport.name == name), None)
    if channel is None or wanted not in ("", *Trouble):
        raise web.HTTPNotFound(text=visit.words.say("demo.unknown"))
    channel.fake.trouble = Trouble(wanted) if wanted else None
    visit.desk.live.ring()
    visit.go(f"/demo/#{name}")


def _kind(name: str) -> str:
    """The kind of sample of that name, else the usual one."""
    return name if name in KINDS else KINDS[0]


def _sources(visit: Visit) -> list[str]:
    """Who may have sent it: routing may ask."""
    return list(visit.desk.config().sources) or [NativeSource.name]


async def to_demo(visit: Visit) -> web.StreamResponse:
    """``/demo`` means ``/demo/``."""
    visit.go("/demo/")


ROUTES = (
    Route("GET", "/demo/", get_demo),
    Route("GET", "/demo", to_demo),
    Route("POST", "/demo/events", post_event),
    Route("POST", "/demo/troubles", post_trouble),
)
