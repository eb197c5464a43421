"""A config file on the disk, read with two small transports and an adapter that belong to these tests alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiohttp import web

import deskbell
from deskbell.config import Loaded, load_config

GOOD = """\
version: 1
sources:
  - name: clientxcms
    token: a-token-of-the-tests
webhooks:
  - name: support
    url: https://discord.com/api/webhooks/1/a-secret-part
    action: Submit
    message: |
      New: %subject%
"""
MESSAGE = "    message: |\n      New: %subject%\n"


class DiscordOptions(deskbell.Options):
    username: str | None = None
    silent: bool = False
    avatar_url: str | None = None
    api_token: deskbell.Secret | None = None
    colours: tuple[str, ...] = ()


class PlayedDiscord(deskbell.FakeService):
    path = "/api/webhooks/1/a"

    async def handle(self, request: web.Request) -> web.StreamResponse:  # noqa: ARG002 - answers all alike
        return web.Response()


class Discord(deskbell.Transport[DiscordOptions]):
    name = "discord"
    max_length = 200
    rates = "5/2s, 30/60s"

    def format(self, notice: deskbell.Notice, options: DiscordOptions) -> deskbell.Payload:
        return {"content": notice.text(deskbell.plain, self.max_length), **options.model_dump()}

    @classmethod
    def recognises(cls, url: str) -> bool:
        return url.startswith("https://discord.com/api/webhooks/")

    @classmethod
    def redact(cls, text: str) -> str:
        return re.sub(r"(webhooks/\d+/)[\w-]+", r"\1•••", text)

    def warnings(self, skeleton: str) -> Sequence[str]:
        return ["a variable stands in a code block"] if f"`{deskbell.VALUE}`" in skeleton else ()

    @classmethod
    def fake(cls) -> deskbell.FakeService:
        return PlayedDiscord()


class Slack(deskbell.Transport):
    """Without a played service, and without limits of its own."""

    name = "slack"
    max_length = 40_000

    def format(self, notice: deskbell.Notice, options: deskbell.Options) -> deskbell.Payload:
        return {"text": notice.text(deskbell.plain, self.max_length), **options.model_dump()}

    @classmethod
    def recognises(cls, url: str) -> bool:
        return url.startswith("https://hooks.slack.com/")


class ClientXCMS(deskbell.Source):
    name = "clientxcms"
    actions = ("Submit", "Reply", "StaffReply", "Close", "checkout_completed")
    variables: ClassVar[Mapping[str, str]] = {"appname": "Host"}
    priorities: ClassVar[Mapping[str, str]] = {"haute": "high", "basse": "low"}

    def parse(self, request: deskbell.EventRequest) -> deskbell.TicketEvent:
        return deskbell.TicketEvent(action=str(request.json_object()["action"]))

    def sample(self, action: str) -> dict[str, Any]:
        return {"action": action}


Load = Callable[..., Loaded]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Write ``config.yaml`` in an empty folder and load it from there; more transports or adapters may be given."""
    monkeypatch.chdir(tmp_path)

    def load(
        text: str | bytes,
        *,
        environ: Mapping[str, str] | None = None,
        transports: Sequence[deskbell.Transport[Any]] = (),
        sources: Sequence[deskbell.Source] = (),
        broken: Mapping[str, str] | None = None,
    ) -> Loaded:
        Path("config.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
        every: list[deskbell.Transport[Any]] = [Discord(), Slack(), *transports]
        return load_config(
            Path("config.yaml"),
            transports={transport.name: transport for transport in every},
            sources={source.name: source for source in (ClientXCMS(), *sources)},
            broken=broken or {},
            environ=environ or {},
        )

    return load


@pytest.fixture
def good() -> str:
    """A small config without any problem. The webhook begins on line 6, its message on line 9."""
    return GOOD


@pytest.fixture
def with_line() -> Callable[[str], str]:
    """The good config with another line 9 instead of its message."""
    return lambda line: GOOD.replace(MESSAGE, f"    {line}\n")


@pytest.fixture
def only_problem(problems: Callable[..., list[str]]) -> Callable[..., str]:
    """The one problem of a text, which must be at the sign ``¦`` (left out before the text is read)."""

    def found(text: str, **given: Any) -> str:
        before = text.partition("¦")[0]
        place = f"{before.count(chr(10)) + 1}:{len(before.rpartition(chr(10))[2]) + 1} "
        (one,) = problems(text.replace("¦", ""), **given)
        assert one.startswith(place)
        return one.removeprefix(place)

    return found


@pytest.fixture
def problems(load: Load) -> Callable[..., list[str]]:
    """Every problem of a text, each on one line: ``9:14 error message -> hint``."""

    def found(text: str | bytes, **given: Any) -> list[str]:
        return [
            f"{one.line}:{one.column} {one.severity} {one.message}" + (f" -> {one.hint}" if one.hint else "")
            for one in load(text, **given).problems
        ]

    return found
