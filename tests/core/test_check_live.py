"""``deskbell check --live``: the real program asks played services on real sockets whether webhooks live."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.kit import Bell, loopback_client, webhook

import deskbell
from deskbell.probing import Answer, Probed, probe_all
from deskbell.settings import Webhook
from deskbell_discord import Discord
from deskbell_discord.fake import CHANNEL_ID, TOKEN, WEBHOOK_NAME, FakeDiscord
from deskbell_discord.options import DiscordOptions

if TYPE_CHECKING:
    from tests.conftest import Run

LIVES = f'webhook "{WEBHOOK_NAME}", channel {CHANNEL_ID}'
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextmanager
def playing(service: FakeDiscord) -> Iterator[str]:
    """``service`` on a thread of its own, so that a test may wait for a process; its URL."""
    loop = asyncio.new_event_loop()
    server = TestServer(service.app())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start_server(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{server.port}{service.path}"
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def entry(name: str, url: str, **more: Any) -> str:
    given = {"name": name, "url": url, "action": "Submit", "message": "%subject%", **more}
    return f"  - {json.dumps(given)}\n"


def test_each_enabled_webhook_is_told_on_a_line_of_its_own(
    run: Run, config_file: Callable[[str], Path]
) -> None:
    service = FakeDiscord()
    with playing(service) as url:
        config_file(
            "webhooks:\n"
            + entry("support", url, transport="discord")
            + entry("again", url, transport="discord")
            + entry(
                "billing", "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
            )
            + entry("toy", "demo:discord")
            + entry("off", "http://127.0.0.1:1/x", transport="discord", enabled=False)
        )
        checked = run("check", "--live")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.splitlines()[1:] == [
        f"  support  discord  reachable: {LIVES}",
        f"  again    discord  reachable: {LIVES}",
        "  billing  slack    not probed; slack has no question that posts nothing; try: deskbell send billing",
        "  toy      discord  demo channel; deskbell plays it itself",
    ]
    assert not service.arrivals
    assert service.webhook.used == 1  # the two that would ask the same share one question


def test_a_deleted_webhook_ends_it_with_1_and_says_what_to_do(
    run: Run, config_file: Callable[[str], Path]
) -> None:
    service = FakeDiscord()
    service.trouble = deskbell.Trouble.DELETED
    with playing(service) as url:
        config_file("webhooks:\n" + entry("support", url, transport="discord"))
        checked = run("check", "--live")
        as_json = run("check", "--live", "--json")
        unasked = run("check")
    assert checked.returncode == as_json.returncode == 1
    assert "  support  discord  GONE: 404 Unknown Webhook (10015); make a new webhook there" in checked.stdout
    answer = json.loads(as_json.stdout)
    assert (answer["ok"], answer["problems"]) == (False, [])
    (live,) = answer["live"]
    assert (live["webhook"], live["answer"], live["detail"]) == (
        "support",
        "gone",
        "404 Unknown Webhook (10015)",
    )
    assert TOKEN not in checked.stdout + as_json.stdout
    assert unasked.returncode == 0


def test_nobody_at_the_other_end_ends_it_with_1(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file("webhooks:\n" + entry("support", "http://127.0.0.1:1/api/webhooks/1/x", transport="discord"))
    checked = run("check", "--live")
    assert checked.returncode == 1
    assert "UNREACHABLE: cannot connect to 127.0.0.1:1: Connection refused" in checked.stdout


def test_the_egress_policy_of_the_config_holds(run: Run, config_file: Callable[..., Path]) -> None:
    service = FakeDiscord()
    with playing(service) as url:
        head = "version: 1\nsources: [{name: clientxcms, token: a-token-of-the-tests}]\n"
        config_file("webhooks:\n" + entry("support", url, transport="discord"), head)
        checked = run("check", "--live")
    assert checked.returncode == 1
    assert "127.0.0.1 is not a public address" in checked.stdout
    assert service.webhook.used == 0


def test_a_bad_config_is_told_and_nobody_asked(run: Run, config_file: Callable[[str], Path]) -> None:
    service = FakeDiscord()
    with playing(service) as url:
        config_file("webhooks:\n" + entry("support", url, transport="discord", urll="x"))
        assert run("check", "--live").returncode == 1
    assert service.webhook.used == 0


def test_as_json_without_live_there_is_no_live(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file("webhooks:\n" + entry("toy", "demo:discord"))
    assert "live" not in json.loads(run("check", "--json").stdout)
    (live,) = json.loads(run("check", "--json", "--live").stdout)["live"]
    assert live["answer"] == "demo"


def desk(url: str, name: str = "desk") -> Webhook:
    return webhook(name, url, Discord(), options=DiscordOptions())


async def probed(*webhooks: Webhook, patience: float = 5.0) -> list[Probed]:
    async with loopback_client() as client:
        return await probe_all(webhooks, client.request, patience=patience)


async def test_who_is_asked_too_often_may_live() -> None:
    service = FakeDiscord(clock=lambda: 1000.0)
    service.webhook.fill(1000.0, 1.5)
    async with TestServer(service.app()) as server:
        (found,) = await probed(desk(str(server.make_url(service.path))))
    assert (found.answer, found.failed) == (Answer.BUSY, False)


async def test_one_that_never_answers_holds_up_no_other() -> None:
    released = asyncio.Event()

    async def silent(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", silent)
    service = FakeDiscord()
    async with TestServer(app) as mute, TestServer(service.app()) as lively:
        found = await probed(
            desk(str(mute.make_url("/a")), "mute"),
            desk(str(lively.make_url(service.path)), "lively"),
            patience=0.5,
        )
        released.set()
    assert [(each.webhook.name, each.answer) for each in found] == [
        ("mute", Answer.UNREACHABLE),
        ("lively", Answer.REACHABLE),
    ]
    assert found[0].detail == "no answer within 0.5 s"


class Raising(Bell):
    async def probe(self, context: deskbell.SendContext[deskbell.Options]) -> deskbell.Outcome:
        raise ValueError(f"cannot ask {context.url.reveal()}\x1b[31m\nnow")


async def test_a_plugin_that_fails_is_told_without_the_url() -> None:
    (found,) = await probed(webhook(url="https://chat.example/a-very-secret-path", transport=Raising()))
    assert found.answer is Answer.UNREACHABLE
    assert found.detail == "the transport bell failed: ValueError: cannot ask •••[31m now"


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (deskbell.PermanentFailure("400 no"), Answer.UNREACHABLE),
        (deskbell.TemporaryFailure("503"), Answer.UNREACHABLE),
        (deskbell.DestinationGone("404", certain=False), Answer.GONE),
        (deskbell.Delivered(detail="here"), Answer.REACHABLE),
        (None, Answer.NOT_PROBED),
    ],
)
async def test_every_outcome_is_an_answer(outcome: deskbell.Outcome | None, answer: Answer) -> None:
    class Saying(Bell):
        async def probe(self, _: deskbell.SendContext[deskbell.Options]) -> deskbell.Outcome | None:
            return outcome

    (found,) = await probed(webhook(transport=Saying()))
    assert (found.answer, found.detail) == (answer, outcome.detail if outcome else "")
