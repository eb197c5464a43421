"""The control socket: the real one of a running ``serve``, and what a command makes of others."""

from __future__ import annotations

import logging
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web
from tests.faults.shelf import Past, Shelf

from deskbell import DestinationGone, PermanentFailure, TemporaryFailure
from deskbell.control import Control, ask, control_site, socket_path
from deskbell.errors import DeskbellError

if TYPE_CHECKING:
    from tests.conftest import Serve, Server

CONFIG = """\
webhooks:
  - {name: desk, url: "http://127.0.0.1:9/desk", transport: slack, action: "*", message: "%subject%"}
  - {name: shop, url: "http://127.0.0.1:9/shop", transport: slack, action: "*", message: "%subject%"}
  - {name: quiet, url: "demo:slack", action: "*", message: "%subject%"}
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "deskbell.db"


@pytest.fixture
async def server(serve: Serve, config_file: Callable[[str], Path], tmp_path: Path) -> Server:
    """A ``serve`` with a paused webhook, a waiting one, and one that is well."""
    config_file(CONFIG)
    waits = Past(TemporaryFailure("503 busy", retry_after=600), "shop")
    await Shelf(tmp_path).fill(
        Past(PermanentFailure("400 no_text")), Past(DestinationGone("404 gone")), waits
    )
    return serve()


@asynccontextmanager
async def playing(
    store: Path, answer: Callable[[web.Request], web.Response] | None = None
) -> AsyncIterator[None]:
    """Somebody else's idea of a control socket."""

    async def handle(request: web.Request) -> web.Response:
        assert answer
        return answer(request)

    app = web.Application()
    if answer:
        app.router.add_post("/{command}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket_path(store))).start()
    yield
    await runner.cleanup()


async def test_without_a_server_nobody_answers(store: Path) -> None:
    assert await ask(store, "resume", webhook="desk") is None


async def test_a_socket_that_a_crash_left_is_nobody_until_the_next_server_takes_its_place(
    store: Path, config_file: Callable[[str], Path], serve: Serve
) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(socket_path(store)))
    left.close()
    assert await ask(store, "resume", webhook="desk") is None
    config_file(CONFIG)
    server = serve()
    assert await ask(store, "resume", webhook="desk") == {"paused": False, "reason": ""}
    server.end()
    assert not socket_path(store).exists()


@pytest.mark.usefixtures("server")
async def test_only_the_owner_reaches_the_socket(store: Path) -> None:
    assert stat.S_IMODE(socket_path(store).stat().st_mode) == 0o600


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("command", "arguments", "answer"),
    [
        ("resume", {"webhook": "desk"}, {"paused": True, "reason": "404 gone"}),
        ("resume", {"webhook": "shop"}, {"paused": False, "reason": "503 busy"}),
        ("resume", {"webhook": "quiet"}, {"paused": False, "reason": ""}),
        ("replay", {"ids": [1, 2, 9]}, {
            "ids": [1], "refused": {"2": "it is ready, and has not ended", "9": "there is no such delivery"},
        }),
        ("replay", {"ids": []}, {"ids": [], "refused": {}}),
    ],
)  # fmt: skip
async def test_what_a_running_server_answers(
    store: Path, command: str, arguments: dict[str, Any], answer: dict[str, Any]
) -> None:
    assert await ask(store, command, **arguments) == answer


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("resume", {"webhook": "lost"}, "`deskbell reload` makes it"),
        (
            "send",
            {"webhook": "lost", "body": "{}", "adapter": ""},
            "`deskbell reload` makes it",
        ),
        ("send", {"webhook": "quiet", "body": "{", "adapter": ""}, "not JSON"),
    ],
)
async def test_what_cannot_be_done_is_told_in_words(
    store: Path, command: str, arguments: dict[str, Any], words: str
) -> None:
    answer = await ask(store, command, **arguments)
    assert answer
    assert words in answer["error"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "older than this command; restart it"),
        (lambda _: web.Response(text="who are you?"), "did not answer: JSONDecodeError"),
        (lambda _: web.Response(status=500, text="500: Internal Server Error"), "did not answer"),
    ],
)
async def test_a_server_that_answers_otherwise_is_an_error_in_words(
    store: Path, answer: Callable[[web.Request], web.Response] | None, words: str
) -> None:
    async with playing(store, answer):
        with pytest.raises(DeskbellError, match=words):
            await ask(store, "replay", ids=[1])


async def test_a_path_too_long_for_a_socket_is_told_of_and_nothing_listens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / ("x" * 120) / "deskbell.db"
    with caplog.at_level(logging.WARNING):
        async with control_site(cast("Control", None), store):
            assert await ask(store, "replay", ids=[1]) is None
    assert "too long for a control socket" in caplog.text
