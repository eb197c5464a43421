"""``/live``: tells open pages that something changed (server-sent events), so that they fetch themselves anew.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

MOST_LISTENERS = 100
"""Open pages. A further one is told so, and shows what was there when it was loaded."""
PAUSE = 0.25
"""Seconds between two tellings of one page: a burst of events is one change to a reader."""
SIGN_OF_LIFE = 15.0
"""Seconds; proxies end what is silent for a minute."""

_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Live:
    """``ring`` costs nothing while nobody listens, and next to nothing else."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._listeners = 0
        self._closed = False

    def ring(self) -> None:
        """Something that a page shows has changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Let every listener go: the service stops."""
        self._closed = True
        self.ring()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The stream, until the reader leaves or the service stops."""
        if self._listeners >= MOST_LISTENERS or self._closed:
            return web.Response(status=503, text="too many pages are open", headers={"Retry-After": "30"})
        response = web.StreamResponse(headers=_HEADERS)
        if request.method == "HEAD":
            return response
        self._listeners += 1
        try:
            await response.prepare(request)
            async for words in self._changes():
                await response.write(words)
        except ConnectionError:
            pass  # the reader left
        finally:
            self._listeners -= 1
        return response

    async def _changes(self) -> AsyncIterator[bytes]:
        changed = self._changed
        yield b": hello\n\n"
        while not self._closed:
            try:
                await asyncio.wait_for(changed.wait(), SIGN_OF_LIFE)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            changed = self._changed  # what rings from here on, also in the pause, is a further change
            yield b"data: changed\n\n"
            await asyncio.sleep(PAUSE)
