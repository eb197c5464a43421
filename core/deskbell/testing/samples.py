"""What a check needs where nobody wrote it down: options are made up, and the service's yes is learnt from its fake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from pydantic.fields import FieldInfo
from yarl import URL

from deskbell.secret import Secret
from deskbell.transport import Options

from .stage import CANARY, Reply, TransportCase, on_stage

_TEXT = "sample"


def sample_options(kind: type[Options], given: Mapping[str, Any]) -> Options:
    """``given``, and a value for each other field that has no default: its first example, else one of its type.

    pydantic's ``ValidationError`` where that is not enough.
    """
    made_up = {
        field.alias or name: _value(field) for name, field in kind.model_fields.items() if field.is_required()
    }
    return kind.model_validate({**made_up, **given})


def _value(field: FieldInfo) -> Any:
    if field.examples:
        return field.examples[0]
    if field.annotation is Secret:
        return CANARY
    numbers: dict[object, object] = {int: 1, float: 1.0, bool: True}
    return numbers.get(field.annotation, _TEXT)


async def reply_of_fake(case: TransportCase) -> Reply:
    """How the transport's own fake says that it has a message; ``ok_reply`` where it ships none, or takes none."""
    fake = case.cls.fake()
    if fake is None:
        return case.ok_reply
    replies = [case.ok_reply]

    @web.middleware
    async def listen(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        answer = await handler(request)
        if isinstance(answer, web.Response) and answer.status < 300 and isinstance(answer.body, bytes):
            kind = answer.headers.get("Content-Type", "text/plain")
            replies.append(Reply(answer.status, answer.body, {"Content-Type": kind}))
        return answer

    app = fake.app()
    app.middlewares.append(listen)
    async with on_stage(case, app=app) as stage:
        url = str(URL(case.url).with_path(fake.path))
        await stage.send(context=stage.context(url=url))
    return replies[-1]
