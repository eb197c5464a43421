"""The only file that opens an outgoing connection: one session, one guard, bounded answers, no secret in an error."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from .egress import EgressPolicy
from .errors import SendError
from .transport import Response

LONGEST_ANSWER = 20_000
"""Bytes of an answer that are read; the rest is of no use and may be endless."""
CONNECT_TIMEOUT = 5.0
ATTEMPT_TIMEOUT = 15.0
"""Seconds for one whole attempt: `sock_read` alone never fires on an answer that drips."""
_AT_ONCE = 100
USER_AGENT = "deskbell (https://pypi.org/project/deskbell/)"


class RefusedAddressError(OSError):
    """The egress policy refuses this address."""


class Client:
    """Sends requests for transports. Use it as an async context manager."""

    def __init__(self, egress: EgressPolicy) -> None:
        self._egress = egress
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_AT_ONCE, socket_factory=self._guarded_socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=ATTEMPT_TIMEOUT, sock_connect=CONNECT_TIMEOUT),
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

    async def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        """One request. Redirects are not followed. ``SendError`` when no complete answer came in time."""
        if self._session is None:
            raise RuntimeError("the client is used outside its `async with`")
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                data=body,
                headers={"Accept-Encoding": "identity", **headers},
                allow_redirects=False,
            ) as answer:
                content = await answer.content.read(LONGEST_ANSWER) if answer.content else b""
                while len(content) < LONGEST_ANSWER and not answer.content.at_eof():
                    content += await answer.content.read(LONGEST_ANSWER - len(content))
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status, found, content)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # `from None`: the originals carry the URL, which is a secret.
            raise SendError(_reason(error)) from None

    def _guarded_socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if reason := self._egress.refusal(str(address[0]), int(address[1])):
            raise RefusedAddressError(reason)
        return socket.socket(family=family, type=kind, proto=protocol)


def _reason(error: Exception) -> str:
    """What went wrong, in words that hold no URL."""
    if refused := _cause(error, RefusedAddressError):
        return f"refused to connect: {refused}"
    if isinstance(error, asyncio.TimeoutError):
        return f"no complete answer within {ATTEMPT_TIMEOUT:g} s"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "the certificate of the service cannot be trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return (
            f"cannot connect to {error.host}:{error.port}: {error.os_error.strerror or type(error).__name__}"
        )
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return "the URL of the webhook cannot be used"
    return f"the connection failed: {type(error).__name__}"


def _cause(error: BaseException | None, kind: type[Exception]) -> BaseException | None:
    seen = 0
    while error is not None and seen < 8:
        if isinstance(error, kind):
            return error
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, kind):
            return error.os_error
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None
