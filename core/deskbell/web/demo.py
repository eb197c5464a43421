"""``/demo/``: what arrived in the channels that deskbell plays itself. A plain page, without any script."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from aiohttp import web

from deskbell.fake import Arrival, FakeService
from deskbell.problem import Problem
from deskbell.receiver import is_loopback_host
from deskbell.transport import Transport

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STYLE = """\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
main { display: grid; gap: 2rem; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)) }
article { border-left: .25rem solid; padding: .25rem .75rem; margin: 1rem 0 }
article p { white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0 }
time, dd, .none { opacity: .75; font-size: .875rem }
pre { overflow-x: auto; font-size: .8rem }
"""


@dataclass(frozen=True, slots=True)
class Channel:
    """One played service, and the names of the webhooks that post to it."""

    transport: Transport[Any]
    fake: FakeService
    webhooks: Sequence[str]


def demo_app(channels: Callable[[], Sequence[Channel]]) -> web.Application:
    """The page and its style sheet; to this machine only, whatever a proxy in front forwards."""

    async def get_page(request: web.Request) -> web.Response:
        return _local(request, _page(channels()), "text/html")

    async def get_style(request: web.Request) -> web.Response:
        return _local(request, _STYLE, "text/css")

    app = web.Application()
    app.router.add_get("/", get_page)
    app.router.add_get("/style.css", get_style)
    return app


async def to_demo(_request: web.Request) -> web.StreamResponse:
    """``/demo`` means ``/demo/``."""
    raise web.HTTPPermanentRedirect("/demo/")


def _local(request: web.Request, text: str, content_type: str) -> web.Response:
    if not is_loopback_host(request):
        return Problem(404, "there is nothing here").response()
    return web.Response(text=text, content_type=content_type, headers=_HEADERS)


def _page(channels: Sequence[Channel]) -> str:
    shown = "".join(_channel(channel) for channel in channels) or "<p>No webhook uses a demo channel.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>deskbell: demo channels</title>'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">'
        '<link rel="stylesheet" href="/demo/style.css"></head><body><h1>Demo channels</h1>'
        "<p>Played by this program: nothing leaves this computer. The newest message stands first; "
        f"the page reloads itself.</p><main>{shown}</main></body></html>"
    )


def _channel(channel: Channel) -> str:
    name = escape(channel.transport.name)
    messages = "".join(_message(channel, arrival) for arrival in reversed(channel.fake.arrivals))
    return (
        f'<section aria-label="{name}"><h2>{name}</h2><p class="none">{escape(", ".join(channel.webhooks))}</p>'
        f"{messages or '<p class=none>Nothing has arrived yet.</p>'}</section>"
    )


def _message(channel: Channel, arrival: Arrival) -> str:
    request = json.dumps(arrival.payload, ensure_ascii=False, indent=2)
    return (
        f"<article><time>{arrival.at:%H:%M:%S} UTC</time><p>{escape(channel.transport.readable(arrival.payload))}</p>"
        f"<details><summary>request</summary><pre>{escape(request)}</pre></details></article>"
    )
