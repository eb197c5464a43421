"""A played service in trouble: its transport reads each as what it is, and the trouble ends when it is over."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests import kit

import deskbell
from deskbell import fake
from deskbell.plugins import load_plugins
from deskbell.testing import sample_notice

WAIT = 0.25


class FakeBell(deskbell.FakeService):
    """Says nothing of troubles."""

    path = "/room"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.keep(request, await request.json())
        return web.Response(text="rung")


class Bell(kit.Bell):
    """One that can be played."""

    @classmethod
    def fake(cls) -> deskbell.FakeService:
        return FakeBell()


PLAYED = [Bell(), *(each for each in load_plugins(disabled=()).transports.values() if each.fake())]
each_played = pytest.mark.parametrize("transport", PLAYED, ids=lambda each: each.name)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "WAIT", WAIT)


async def outcomes(
    transport: deskbell.Transport[Any], *troubles: deskbell.Trouble | None
) -> tuple[deskbell.FakeService, list[deskbell.Outcome]]:
    """One message under each of ``troubles``, through the real client; and the service afterwards."""
    service = transport.fake()
    assert service
    found = []
    async with TestServer(service.app(), host="127.0.0.1") as server, kit.loopback_client() as client:
        options = transport.options_type()
        payload = transport.format(sample_notice(), options)
        for number, trouble in enumerate(troubles, 1):
            service.trouble = trouble
            context = deskbell.SendContext(
                url=deskbell.Secret(str(server.make_url(service.path))), options=options, webhook="desk",
                delivery=f"event.{number}", attempt=number, request=client.request,
            )  # fmt: skip
            found.append(await transport.send(payload, context))
    return service, found


@each_played
async def test_each_trouble_is_told_in_the_services_own_way(transport: deskbell.Transport[Any]) -> None:
    troubles = deskbell.Trouble
    service, (down, limited, deleted) = await outcomes(
        transport, troubles.DOWN, troubles.RATE_LIMITED, troubles.DELETED
    )
    assert isinstance(down, deskbell.TemporaryFailure)
    assert not down.maybe_received
    assert isinstance(limited, deskbell.Throttled)
    assert WAIT <= limited.retry_after <= 1.0
    assert limited.scope == "destination"
    assert isinstance(deleted, deskbell.DestinationGone)
    assert deleted.certain
    assert not service.arrivals


@each_played
async def test_a_slow_service_takes_the_message_in_its_own_time(transport: deskbell.Transport[Any]) -> None:
    began = time.monotonic()
    service, (slow,) = await outcomes(transport, deskbell.Trouble.SLOW)
    assert isinstance(slow, deskbell.Delivered)
    assert time.monotonic() - began >= WAIT
    assert len(service.arrivals) == 1


@each_played
@pytest.mark.parametrize("trouble", deskbell.Trouble)
async def test_a_trouble_ends(transport: deskbell.Transport[Any], trouble: deskbell.Trouble) -> None:
    """But for what was told to wait: that may still be too early."""
    service, (_, after) = await outcomes(transport, trouble, None)
    assert isinstance(after, deskbell.Delivered | deskbell.Throttled)
    assert isinstance(after, deskbell.Throttled) <= (trouble is deskbell.Trouble.RATE_LIMITED)
    assert len(service.arrivals) == isinstance(after, deskbell.Delivered) + (trouble is deskbell.Trouble.SLOW)
