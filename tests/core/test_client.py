"""The client against real sockets: what it refuses, what it bounds, and what it never says."""

from __future__ import annotations

import asyncio
import gc
import gzip
import logging
import socket
import ssl
import struct
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from ipaddress import ip_network
from typing import Any

import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from deskbell import SendError
from deskbell.client import LONGEST_ANSWER, USER_AGENT, Client, Resolver
from deskbell.egress import EgressPolicy

TOKEN = "t0ken-that-must-never-print"
LOOPBACK = EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

PATIENCE = 10.0
"""Seconds until a test that waits for something gives up."""

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Service:
    """A server on loopback that plays ``script`` to each connection, and keeps the heads of the requests."""

    def __init__(self, script: Script, greeting: bytes = b"") -> None:
        self.script = script
        self.greeting = greeting
        self.connections = 0
        self.heads: list[str] = []
        self.port = 0

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/hooks/{TOKEN}"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(self.greeting)
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await self.script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, which is what some tests are about
        finally:
            writer.close()


Serve = Callable[..., Awaitable[Service]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(script: Script, tls: ssl.SSLContext | None = None, greeting: bytes = b"") -> Service:
            service = Service(script, greeting)
            server = await asyncio.start_server(service.converse, "127.0.0.1", 0, ssl=tls, backlog=256)
            await stack.enter_async_context(server)
            service.port = server.sockets[0].getsockname()[1]
            return service

        yield start


def answering(answer: bytes) -> Script:
    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return script


async def failure_of(url: str, client: Client, body: bytes = b"{}") -> SendError:
    """The ``SendError``, after looking for the token in everything that a log would show of it."""
    with pytest.raises(SendError) as caught:
        async with client:
            await client.request("POST", url, body, {})
    shown = "".join(traceback.format_exception(caught.value, chain=True)) + repr(caught.value)
    assert TOKEN not in shown
    return caught.value


async def reason_for(url: str, client: Client) -> str:
    """The text of a ``SendError`` that says that nothing was sent."""
    error = await failure_of(url, client)
    assert not error.maybe_received
    return str(error)


class TestAnswer:
    async def test_status_headers_and_body_come_back_with_lower_case_header_names(self, serve: Serve) -> None:
        service = await serve(
            answering(b"HTTP/1.1 404 Not Found\r\nX-Who: me\r\nContent-Length: 4\r\n\r\ngone")
        )
        async with Client(LOOPBACK) as client:
            answer = await client.request("POST", service.url(), b"{}", {})
        assert (answer.status, answer.headers["x-who"], answer.body) == (404, "me", b"gone")

    async def test_request_names_deskbell_asks_for_no_compression_and_sends_the_headers_given(
        self, serve: Serve
    ) -> None:
        service = await serve(answering(OK))
        async with Client(LOOPBACK) as client:
            await client.request("POST", service.url(), b"{}", {"Authorization": "Bearer x"})
        head = service.heads[0]
        assert head.startswith(f"POST /hooks/{TOKEN} HTTP/1.1\r\n")
        assert f"User-Agent: {USER_AGENT}\r\n" in head
        assert "Accept-Encoding: identity\r\n" in head
        assert "Authorization: Bearer x\r\n" in head

    async def test_percent_encoding_of_the_url_is_sent_as_it_is_written(self, serve: Serve) -> None:
        service = await serve(answering(OK))
        async with Client(LOOPBACK) as client:
            await client.request("POST", f"http://127.0.0.1:{service.port}/a%2Fb%20c?x=%26", b"", {})
        assert service.heads[0].startswith("POST /a%2Fb%20c?x=%26 HTTP/1.1\r\n")

    async def test_redirect_is_an_answer_and_is_not_followed(self, serve: Serve) -> None:
        service = await serve(
            answering(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        )
        async with Client(LOOPBACK) as client:
            answer = await client.request("POST", service.url(), b"{}", {})
        assert (answer.status, answer.body, service.connections) == (302, b"", 1)

    async def test_endless_answer_is_read_to_the_limit_and_hung_up_on(self, serve: Serve) -> None:
        hung_up = asyncio.Event()

        async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                while True:
                    writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
                    await writer.drain()
            finally:
                hung_up.set()

        service = await serve(endless)
        async with Client(LOOPBACK) as client:
            answer = await client.request("POST", service.url(), b"{}", {})
            await asyncio.wait_for(hung_up.wait(), 5)
        assert answer.body == b"x" * LONGEST_ANSWER

    async def test_compressed_answer_is_not_inflated(self, serve: Serve) -> None:
        bomb = gzip.compress(bytes(10_000_000))
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
        service = await serve(answering(head + bomb))
        async with Client(LOOPBACK) as client:
            answer = await client.request("POST", service.url(), b"{}", {})
        assert answer.body == bomb

    async def test_proxy_of_the_environment_is_ignored(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service, proxy = await serve(answering(OK)), await serve(answering(OK))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with Client(LOOPBACK) as client:
            await client.request("POST", service.url(), b"{}", {})
        assert (service.connections, proxy.connections) == (1, 0)

    async def test_cookies_are_not_kept(self, serve: Serve) -> None:
        service = await serve(
            answering(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
        )
        async with Client(LOOPBACK) as client:
            await client.request("POST", service.url("localhost"), b"{}", {})
            await client.request("POST", service.url("localhost"), b"{}", {})
        assert [("cookie:" in head.lower()) for head in service.heads] == [False, False]


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)  # the drip itself: a byte now and then


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()
    await reset_at_once(reader, writer)


async def reset_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    linger_none = struct.pack("ii", 1, 0)  # closing then sends RST
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
    writer.transport.abort()


class TestFailure:
    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            (drip, "no complete answer within 0.3 s"),
            (silence, "no complete answer within 0.3 s"),
            (reset, "the answer broke off"),
            (answering(b""), "the connection was closed without an answer"),
            (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "the answer broke off"),
            (answering(b"\0garbage\r\n\r\n"), "the answer breaks the rules of HTTP"),
            (answering(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000), "the answer breaks the rules of HTTP"),
        ],
        ids=["drip", "silence", "reset", "hung up", "cut short", "no HTTP", "endless header"],
    )
    async def test_without_a_complete_answer_the_request_may_have_been_received(
        self, serve: Serve, script: Script, reason: str
    ) -> None:
        service = await serve(script)
        error = await failure_of(service.url(), Client(LOOPBACK, timeout=0.3))
        assert (str(error), error.maybe_received) == (reason, True)

    async def test_reset_under_a_long_body_tells_the_url_to_nobody(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        """aiohttp's own error for it holds the URL, and it is raised in a task of its own."""
        caplog.set_level(logging.DEBUG)
        service = await serve(reset_at_once)
        error = await failure_of(service.url(), Client(LOOPBACK), body=bytes(1_000_000))
        gc.collect()  # what nobody has asked a future for is logged when it is gone
        assert error.maybe_received
        assert TOKEN not in caplog.text

    async def test_refused_connection_names_host_and_port(self, unused_tcp_port: int) -> None:
        url = f"http://127.0.0.1:{unused_tcp_port}/{TOKEN}"
        reason = await reason_for(url, Client(LOOPBACK))
        assert reason == f"cannot connect to 127.0.0.1:{unused_tcp_port}: Connection refused"

    async def test_unknown_name_is_named(self) -> None:
        reason = await reason_for(f"https://no-such-host.invalid/{TOKEN}", Client(EgressPolicy()))
        assert reason == "the name no-such-host.invalid cannot be resolved"

    async def test_certificate_that_nobody_vouches_for_is_refused(self, serve: Serve) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trustme.CA().issue_cert("localhost").configure_cert(tls)
        service = await serve(answering(OK), tls)
        reason = await reason_for(service.url("localhost", "https"), Client(LOOPBACK))
        assert reason.startswith("the certificate of localhost cannot be trusted: unable to get local issuer")
        assert service.heads == []

    @pytest.mark.parametrize(
        ("greeting", "reason"),
        [(b"", "no connection within 0.1 s"), (b"220 mail.example.org\r\n", "no secure connection with ")],
        ids=["silent", "not TLS"],
    )
    async def test_service_that_speaks_no_tls_is_a_send_error(
        self, serve: Serve, greeting: bytes, reason: str
    ) -> None:
        service = await serve(silence, greeting=greeting)
        url = service.url("localhost", "https")
        assert (await reason_for(url, Client(LOOPBACK, timeout=0.3))).startswith(reason)

    @pytest.mark.parametrize(
        "url",
        ["", TOKEN, "http://", f"http://[::1/{TOKEN}", f"ftp://127.0.0.1/{TOKEN}", f"demo:{TOKEN}",
         f"ws://127.0.0.1/{TOKEN}", f"//127.0.0.1/{TOKEN}", f"unix:/{TOKEN}",
         f"http://127.0.0.1:99999/{TOKEN}", f"http://a..b/{TOKEN}", f"http://{'x' * 70}.org/{TOKEN}"],
    )  # fmt: skip
    async def test_url_that_is_none_is_a_send_error_that_does_not_repeat_it(self, url: str) -> None:
        reason = await reason_for(url, Client(LOOPBACK))
        assert reason.startswith(("the URL of the webhook, or a header", "the name ", "cannot connect"))

    @pytest.mark.parametrize("inside", ["a b", "a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\x00b"])
    async def test_url_cannot_smuggle_a_header(self, serve: Serve, inside: str) -> None:
        service = await serve(answering(OK))
        async with Client(LOOPBACK) as client:
            try:
                await client.request("POST", f"{service.url()}/{inside}", b"{}", {})
            except SendError:
                assert service.heads == []
        assert not any("\nX-Evil" in head for head in service.heads)

    async def test_header_with_a_line_break_is_a_send_error(self, serve: Serve) -> None:
        service = await serve(answering(OK))
        async with Client(LOOPBACK) as client:
            with pytest.raises(SendError, match="header") as caught:
                await client.request("POST", service.url(), b"{}", {"X-A": "b\r\nX-Evil: 1"})
        assert not caught.value.maybe_received
        assert service.heads == []

    async def test_one_failure_does_not_harm_the_next_request(self, serve: Serve) -> None:
        broken, good = await serve(reset), await serve(answering(OK))
        async with Client(LOOPBACK) as client:
            with pytest.raises(SendError):
                await client.request("POST", broken.url(), b"{}", {})
            assert (await client.request("POST", good.url(), b"{}", {})).body == b"ok"

    async def test_request_outside_the_block_is_the_callers_mistake(self) -> None:
        with pytest.raises(RuntimeError, match="async with"):
            await Client(LOOPBACK).request("GET", "http://127.0.0.1/", None, {})


class TestConnections:
    async def test_many_silent_services_hold_up_no_other(self, serve: Serve) -> None:
        hanging = asyncio.Queue[None]()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            hanging.put_nowait(None)
            await silence(reader, writer)

        silent, good = await serve(hang), await serve(answering(OK))
        async with Client(LOOPBACK) as client, asyncio.timeout(PATIENCE):
            waiting = [
                asyncio.create_task(client.request("POST", silent.url(), b"{}", {})) for _ in range(130)
            ]
            for _ in waiting:
                await hanging.get()
            assert (await client.request("POST", good.url(), b"{}", {})).body == b"ok"
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def test_connection_is_used_again_but_not_until_its_server_may_close_it(self, serve: Serve) -> None:
        """Many servers close an idle one after five seconds: a message on its way then may be lost, or doubled."""

        async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await reader.readuntil(b"{}")
                writer.write(OK)

        service = await serve(patient)
        async with Client(LOOPBACK) as client:
            await client.request("POST", service.url(), b"{}", {})
            await asyncio.sleep(1)  # the idling itself, and so below
            await client.request("POST", service.url(), b"{}", {})
            assert service.connections == 1
            await asyncio.sleep(4.5)
            await client.request("POST", service.url(), b"{}", {})
            assert service.connections == 2

    async def test_reused_connection_that_breaks_is_no_second_request(self, serve: Serve) -> None:
        """The service may have read it: only the engine may send it again, and mark it."""

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(OK)
            await reader.readuntil(b"{}")
            await reader.readuntil(b"{}")

        service = await serve(once)
        async with Client(LOOPBACK) as client:
            await client.request("POST", service.url(), b"{}", {})
            with pytest.raises(SendError) as caught:
                await client.request("POST", service.url(), b"{}", {})
        assert caught.value.maybe_received
        assert service.connections == 1


class TestNames:
    async def test_silent_name_servers_hold_up_no_other_name(self, serve: Serve) -> None:
        """Far more than an event loop has threads for lookups. A name that is being looked up is not asked for again."""
        service, answer, asked = await serve(answering(OK)), threading.Event(), Counter[str]()

        def look_up(host: str, port: int, **how: int) -> list[tuple[Any, ...]]:
            asked[host] += 1
            if host.startswith("silent"):
                answer.wait(PATIENCE)
            return socket.getaddrinfo("127.0.0.1", port, type=how["type"])

        async with Client(LOOPBACK, resolver=Resolver(look_up)) as client:
            waiting = [
                asyncio.create_task(client.request("POST", service.url(f"silent{number % 40}"), b"{}", {}))
                for number in range(80)
            ]
            async with asyncio.timeout(PATIENCE / 2):
                assert (await client.request("POST", service.url("quick"), b"{}", {})).body == b"ok"
            answer.set()
            assert {(await each).status for each in waiting} == {200}
        assert set(asked.values()) == {1}

    def test_process_does_not_wait_for_a_name_server_when_it_ends(self) -> None:
        script = (
            "import asyncio, time, uvloop\n"
            "from deskbell.client import Client, Resolver\n"
            "from deskbell.egress import EgressPolicy\n"
            "async def main():\n"
            "    resolver = Resolver(lambda *_, **__: time.sleep(60))\n"
            "    async with Client(EgressPolicy(), timeout=1.5, resolver=resolver) as client:\n"
            "        await client.request('GET', 'http://silent.example/', None, {})\n"
            "uvloop.run(main())\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
        )
        assert ended.stderr.strip().endswith(
            "SendError: no connection within 0.5 s (1.2 s with the lookup of the name)"
        )

    async def test_link_local_address_keeps_its_zone(self) -> None:
        scoped = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 80, 0, 3))
        [found] = await Resolver(lambda *_, **__: [scoped]).resolve("near", 80)
        assert (found["host"], found["port"], found["family"]) == ("fe80::1%3", 80, socket.AF_INET6)


class LyingResolver(AbstractResolver):
    """Answers every name with ``addresses``, as a hostile name server would."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


WAYS_TO_WRITE_LOOPBACK = [
    "127.0.0.1",
    "localhost",
    "0.0.0.0",  # noqa: S104 - a target, not a bind
    "[::ffff:127.0.0.1]",
    "x@127.0.0.1",
    "127。0。0。1",
]


class TestGuard:
    @pytest.mark.parametrize("host", WAYS_TO_WRITE_LOOPBACK)
    async def test_own_machine_is_refused_however_it_is_written(self, serve: Serve, host: str) -> None:
        """A resolver alone would miss these: aiohttp never asks it about a literal address."""
        service = await serve(answering(OK))
        reason = await reason_for(service.url(host), Client(EgressPolicy()))
        assert reason.startswith("refused to connect: ")
        assert "egress.allow" in reason
        assert service.connections == 0

    @pytest.mark.parametrize(
        "addresses", [("127.0.0.1",), ("127.0.0.1", "::1"), ("10.1.2.3", "fd00:ec2::254", "169.254.169.254")]
    )
    async def test_name_that_leads_inside_is_refused(self, serve: Serve, addresses: tuple[str, ...]) -> None:
        service = await serve(answering(OK))
        client = Client(EgressPolicy(), resolver=LyingResolver(*addresses))
        reason = await reason_for(service.url("hooks.example.org"), client)
        assert reason.startswith("refused to connect: ")
        assert service.connections == 0

    async def test_only_the_allowed_one_of_several_addresses_is_used(self, serve: Serve) -> None:
        service = await serve(answering(OK))
        resolver = LyingResolver("10.1.2.3", "127.0.0.1", "::1")
        async with Client(LOOPBACK, resolver=resolver) as client:
            assert (await client.request("POST", service.url("hooks.example.org"), b"{}", {})).body == b"ok"

    async def test_own_channel_is_let_through_by_its_exact_port(self, serve: Serve) -> None:
        channel, other = await serve(answering(OK)), await serve(answering(OK))
        policy = EgressPolicy(own_channels=frozenset({("127.0.0.1", channel.port)}))
        async with Client(policy) as client:
            assert (await client.request("POST", channel.url(), b"{}", {})).status == 200
            with pytest.raises(SendError, match="refused to connect"):
                await client.request("POST", other.url(), b"{}", {})
        assert (channel.connections, other.connections) == (1, 0)
