"""What a check needs where nobody wrote it down: options are made up, and the service's yes is learnt from its fake."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import yaml
from aiohttp import web
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from yarl import URL

from deskbell.blame import in_words
from deskbell.fake import FakeService
from deskbell.secret import Secret
from deskbell.transport import Options

from .checks import NotMet
from .stage import CANARY, Reply, TransportCase, on_stage

_TEXT = "sample"


def sample_options(kind: type[Options], given: Mapping[str, str]) -> dict[str, Any]:
    """``given``, and a value for each other field that has no default: its first example, else one of its type.

    What is given and cannot be had as text is read as YAML: ``[a, b]``. pydantic's ``ValidationError`` where that is
    not enough.
    """
    made_up = {
        field.alias or name: _value(field) for name, field in kind.model_fields.items() if field.is_required()
    }
    options = {**made_up, **given}
    try:
        kind.model_validate(options)
    except ValidationError as error:
        wrong = {fault["loc"][0] for fault in error.errors(include_url=False) if fault["loc"]}
        options |= {key: _read(text) for key, text in given.items() if key in wrong}
        kind.model_validate(options)
    return options


def _read(text: str) -> Any:
    """As in a config; text that is no YAML stays text."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _value(field: FieldInfo) -> Any:
    if field.examples:
        return field.examples[0]
    if field.annotation is Secret:
        return CANARY
    numbers: dict[object, object] = {int: 1, float: 1.0, bool: True}
    return numbers.get(field.annotation, _TEXT)


def fake_of(case: TransportCase) -> FakeService | None:
    """The service as the transport plays it, if it does; ``NotMet`` where that is neither."""
    try:
        fake: object = case.cls.fake()
    except (Exception, SystemExit) as error:
        raise NotMet(f"fake() raised {in_words(error)}: return a deskbell.FakeService, or None") from error
    if inspect.iscoroutine(fake):
        fake.close()
        raise NotMet("fake() is async: write def, and leave the network to the FakeService that it returns")
    if not isinstance(fake, FakeService | None):
        raise NotMet(f"fake() returned {fake!r}: return an instance of a subclass of deskbell.FakeService")
    return fake


async def reply_of_fake(case: TransportCase) -> Reply:
    """How the transport's own fake says that it has a message; ``ok_reply`` where it ships none, or takes none.

    What is wrong with the transport or its fake is for the checks to tell.
    """
    try:
        fake = fake_of(case)
        return await _reply_of(fake, case) if fake else case.ok_reply
    except (Exception, SystemExit):  # noqa: BLE001 - a plugin's own code
        return case.ok_reply


async def _reply_of(fake: FakeService, case: TransportCase) -> Reply:
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
