"""A transport that keeps every rule of every level; the tests of the kit break one at a time."""

import html
import re

from aiohttp import web
from pydantic import Field

import deskbell

deskbell_api_version = 1

SIGNS = re.compile(r"[*_<&@\\]")


def escape(text: str) -> str:
    return SIGNS.sub(lambda sign: "\\" + sign[0], text)


def unescape(text: str) -> str:
    return re.sub(r"\\([*_<&@\\])", r"\1", text)


class BellOptions(deskbell.Options):
    room: str = Field(description="The room that the bell is in.")
    token: deskbell.Secret = Field(description="What opens it.")


class FakeBell(deskbell.FakeService):
    path = "/hooks/the-room-that-exists"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path != self.path:
            return web.json_response({"error": "no such room"}, status=404)
        if request.method == "GET":
            return web.json_response({"room": "desk"})
        self.keep(request, await request.json())
        return web.json_response({"ok": True, "id": "m1"})


class Bell(deskbell.Transport[BellOptions]):
    """Rings in a room."""

    name = "bell"
    max_length = 500

    def format(self, notice: deskbell.Notice, options: BellOptions) -> deskbell.Payload:
        text = notice.text(escape, self.max_length)
        return {"room": options.room, "blocks": [{"text": text}], "tags": [notice.event.action]}

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[BellOptions]
    ) -> deskbell.Outcome:
        key = context.delivery
        headers = {"Authorization": f"Bearer {context.options.token.reveal()}", "Idempotency-Key": key}
        response = await context.post(payload, headers=headers)
        return self.judged(response)

    def judged(self, response: deskbell.Response) -> deskbell.Outcome:
        answer = response.json()
        if response.status == 200 and isinstance(answer, dict) and "id" in answer:
            return deskbell.Delivered(receipt=str(answer["id"]))
        return deskbell.classify_response(response)

    async def probe(self, context: deskbell.SendContext[BellOptions]) -> deskbell.Outcome | None:
        return deskbell.classify_response(await context.get())

    @classmethod
    def recognises(cls, url: str) -> bool:
        return url.startswith("https://bell.example/hooks/")

    def readable(self, payload: deskbell.Payload) -> str:
        return "".join(unescape(block["text"]) for block in payload["blocks"])

    def picture(self, payload: deskbell.Payload) -> str:
        return f"<p>{html.escape(self.readable(payload))}</p>"

    @classmethod
    def fake(cls) -> deskbell.FakeService:
        return FakeBell()


@deskbell.hookimpl
def deskbell_transports() -> deskbell.Transports:
    return [Bell]
