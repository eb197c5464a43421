"""The only file that opens an outgoing connection: one session, one guard, bounded answers, no secret in an error."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .egress import EgressPolicy
from .errors import SendError
from .transport import Response

LONGEST_ANSWER = 20_000
"""Bytes of an answer that are read; the rest is of no use and may be endless."""
CONNECT_TIMEOUT = 5.0
"""Seconds for a connection, its TLS handshake included."""
LOOKUP_TIMEOUT = 12.0
"""Seconds for it and the lookup of the name: whatever times out later may have been received."""
ATTEMPT_TIMEOUT = 15.0
"""Seconds for one whole attempt: `sock_read` alone never fires on an answer that drips."""
KEEP_ALIVE = 4.0
"""Seconds after which an idle connection is not used again: less than the five after which many servers close theirs,
perhaps just when the next message is on its way."""
_RECEIVE_BUFFER = 16_384
"""Bytes that the kernel holds of an answer. With its default, a service that pours out interim answers fills each turn
of the event loop with megabytes of them: everybody else waits for more than a second, and memory grows."""
USER_AGENT = "deskbell (https://pypi.org/project/deskbell/)"

_NOTHING_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.NonHttpUrlClientError,
    ValueError,
)
"""Of all that goes wrong, what does so before a byte of the request is out."""

_log = logging.getLogger(__name__)

_Infos = list[tuple[Any, ...]]
"""What ``socket.getaddrinfo`` finds."""


class RefusedAddressError(OSError):
    """The egress policy refuses this address."""

    def __init__(self, refusal: str) -> None:
        # A name may have several addresses: only errors that read alike come out as they are, not as a summary.
        super().__init__("refused by the egress policy")
        self.refusal = refusal


class Resolver(AbstractResolver):
    """Looks names up as the system does (``look_up``), each in a thread of its own, one for a name at a time.

    A name server that is silent costs up to half a minute. The event loop's own lookups share four threads, so that a
    few such names would hold up all others; and a process cannot end before those threads do. These are daemons.
    """

    def __init__(self, look_up: Callable[..., _Infos] = socket.getaddrinfo) -> None:
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of ``host``, as aiohttp wants them."""
        found: Future[_Infos] = Future()

        def ask() -> None:
            with suppress(InvalidStateError):  # nobody waits for it any more
                try:
                    infos = self._look_up(
                        host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                    )
                    found.set_result(infos)
                except (OSError, ValueError) as error:
                    found.set_exception(error)

        threading.Thread(target=ask, name=f"lookup of {host}", daemon=True).start()
        return [_resolved(host, port, info) for info in await asyncio.wrap_future(found)]

    async def close(self) -> None:
        """Nothing is kept."""


def _resolved(host: str, port: int, info: tuple[Any, ...]) -> ResolveResult:
    family, _, protocol, _, (address, _, *scope) = info
    zone = f"%{scope[1]}" if scope and scope[1] else ""  # without it, a link-local address of IPv6 is none
    return ResolveResult(
        hostname=host,
        host=f"{address}{zone}",
        port=port,
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


class Client:
    """Sends requests for transports. Use it as an async context manager.

    ``timeout`` (seconds) is for one whole request, from the name's lookup to the last byte of the answer; the times
    to connect are shares of it. ``resolver`` looks names up; whatever it answers, the egress policy decides.
    ``tls`` says whom to trust (default: whom the system trusts). ``refused`` counts the connections that the policy
    refused.
    """

    def __init__(
        self,
        egress: EgressPolicy,
        *,
        timeout: float = ATTEMPT_TIMEOUT,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.refused = 0
        self._egress = egress
        self._resolver = resolver or Resolver()
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(
            total=timeout,
            connect=timeout * LOOKUP_TIMEOUT / ATTEMPT_TIMEOUT,
            sock_connect=timeout * CONNECT_TIMEOUT / ATTEMPT_TIMEOUT,
            ceil_threshold=math.inf,  # else limits of more than five seconds are rounded up
        )
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # a lane has one request in flight: destinations that hang must not use up the places
                keepalive_timeout=KEEP_ALIVE,
                resolver=self._resolver,
                socket_factory=self._guarded_socket,
                ssl=self._tls or True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            headers={"User-Agent": USER_AGENT},
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    def refusal(self, host: str, port: int) -> str:
        """What the policy says of a connection to this address; a refusal is counted and logged."""
        refusal = self._egress.refusal(host, port)
        if refusal:
            self.refused += 1
            _log.warning("no connection to %s port %d: %s", host, port, refusal)
        return refusal

    def obey(self, egress: EgressPolicy) -> None:
        """Ask this policy about connections that are opened from now on."""
        self._egress = egress

    async def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        """One request. Redirects are not followed. ``SendError`` when no complete answer came in time.

        Nothing is sent twice, not even when a connection that was kept open turns out to be closed.
        """
        if self._session is None:
            raise RuntimeError("the client is used outside its `async with`")
        try:
            async with self._session.request(
                method,
                _of_the_web(url),
                data=body,
                headers={"Accept-Encoding": "identity", **headers},
                allow_redirects=False,
            ) as answer:
                content = b""
                while len(content) < LONGEST_ANSWER and not answer.content.at_eof():
                    content += await answer.content.read(LONGEST_ANSWER - len(content))
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status, found, content)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # `from None`: the originals carry the URL, which is a secret.
            if isinstance(error, _NOTHING_SENT):
                raise SendError(_why_not_sent(error, self._timeout), maybe_received=False) from None
            raise SendError(_why_no_answer(error, self._timeout)) from None

    def _guarded_socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if refusal := self.refusal(str(address[0]), int(address[1])):
            raise RefusedAddressError(refusal)
        guarded = socket.socket(family=family, type=kind, proto=protocol)
        guarded.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        return guarded


def _of_the_web(url: str) -> URL:
    """aiohttp takes other schemes, too (``ws``, ``unix``, none at all), and stumbles over some."""
    read = URL(url, encoded=True)
    if read.scheme not in ("http", "https") or not read.host:
        raise ValueError("no URL of the web")
    return read


def _why_not_sent(error: Exception, timeout: aiohttp.ClientTimeout) -> str:
    """In words that hold no URL."""
    match error:
        case aiohttp.ClientConnectorCertificateError(host=host, certificate_error=cause):
            why = getattr(cause, "verify_message", "") or "it is not valid"
            return f"the certificate of {host} cannot be trusted: {why}"
        case aiohttp.ClientConnectorSSLError(host=host, port=port, os_error=cause):
            return f"no secure connection with {host}:{port}: {_words(cause)}"
        case aiohttp.ClientConnectorDNSError(host=host):
            return f"the name {host} cannot be resolved"
        case aiohttp.ClientConnectorError(os_error=RefusedAddressError(refusal=refusal)):
            return f"refused to connect: {refusal}"
        case aiohttp.ClientConnectorError(host=host, port=port, os_error=cause):
            return f"cannot connect to {host}:{port}: {_words(cause, unknown=str(cause))}"
        case aiohttp.ConnectionTimeoutError():
            with_lookup = f"{timeout.connect:g} s with the lookup of the name"
            return f"no connection within {timeout.sock_connect:g} s ({with_lookup})"
        case _:
            return "the URL of the webhook, or a header for it, cannot be used"


def _why_no_answer(error: Exception, timeout: aiohttp.ClientTimeout) -> str:
    """In words that hold no URL."""
    match error:
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case aiohttp.ClientResponseError():
            return "the answer breaks the rules of HTTP"
        case TimeoutError():
            return f"no complete answer within {timeout.total:g} s"
        case OSError():
            return f"the connection broke: {_words(error)}"
        case _:
            return f"the connection failed: {type(error).__name__}"


def _words(error: OSError, *, unknown: str = "") -> str:
    """Of TLS, or of the system: an error's own text may hold the URL."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason)
    return os.strerror(error.errno) if error.errno else unknown or "it was closed"
