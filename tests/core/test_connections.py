"""Connections that plugins' libraries open: sockets, the standard library, aiohttp under both event loops."""

from __future__ import annotations

import asyncio
import errno
import http.client
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from ipaddress import ip_network

import aiohttp
import pytest

from deskbell.client import Client
from deskbell.connections import guarded
from deskbell.egress import EgressPolicy

LOOPBACK = EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """It never accepts: a connection is there once it waits in the queue."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(EgressPolicy()) as one:
        yield one


def reached(listening: socket.socket) -> int:
    """How many connections wait."""
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


async def test_an_address_that_is_refused_is_not_reached_and_one_that_is_allowed_is(
    listener: socket.socket, client: Client
) -> None:
    place = listener.getsockname()
    with guarded(client.refusal):
        with pytest.raises(
            PermissionError, match=r"refused to connect: 127\.0\.0\.1 is not a public"
        ) as caught:
            socket.create_connection(place)
        with pytest.raises(PermissionError):
            http.client.HTTPConnection(*place).request("GET", "/")
        with closing(socket.socket()) as one, pytest.raises(PermissionError):
            one.connect_ex(place)
        with closing(socket.socket()) as one, pytest.raises(PermissionError, match="localhost is a name"):
            one.connect(("localhost", place[1]))
        assert reached(listener) == 0
        client.obey(LOOPBACK)
        socket.create_connection(place).close()
        assert reached(listener) == 1
    assert caught.value.errno == errno.EACCES
    assert client.refused == 3


async def test_a_session_of_a_plugins_own_is_held_to_it(listener: socket.socket, client: Client) -> None:
    host, port = listener.getsockname()
    with guarded(client.refusal):
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError, match="refused to connect"):
                await session.get(f"http://{host}:{port}/")
    assert reached(listener) == 0


async def test_afterwards_nothing_is_judged_any_more(listener: socket.socket, client: Client) -> None:
    with guarded(client.refusal):
        pass
    socket.create_connection(listener.getsockname()).close()
    assert (reached(listener), client.refused) == (1, 0)


async def test_what_is_no_tcp_is_left_alone(client: Client) -> None:
    """The system's log, the supervisor's socket, a name server."""
    with guarded(client.refusal):
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as datagrams:
            datagrams.connect(("127.0.0.1", 53))
        ours, theirs = socket.socketpair()
        ours.close()
        theirs.close()
        with closing(socket.socket(socket.AF_UNIX)) as local, pytest.raises(FileNotFoundError):
            local.connect("/nowhere/at/all")
    assert client.refused == 0


def test_it_holds_under_the_event_loop_that_serve_uses(listener: socket.socket) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not there on this system")
    host, port = listener.getsockname()

    async def get() -> None:
        async with Client(EgressPolicy()) as client, aiohttp.ClientSession() as session:
            with guarded(client.refusal), pytest.raises(aiohttp.ClientConnectorError, match="refused"):
                await session.get(f"http://{host}:{port}/")

    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(get())
    assert reached(listener) == 0
