"""The floor: an aiohttp handler that parses the same JSON on the same loop, and keeps nothing."""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop
from aiohttp import web


async def post_event(request: web.Request) -> web.Response:
    event = json.loads(await request.read())
    return web.Response(
        status=202, body=b'{"id": "%d", "deliveries": 0}' % len(event), content_type="application/json"
    )


async def main() -> None:
    app = web.Application()
    app.router.add_post("/events/{source}/{token}", post_event)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"bare listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
