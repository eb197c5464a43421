"""The only file that opens an outgoing connection: one session, one guard, bounded answers, no secret in an error."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver
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

    def __init__(self, refusal: str) -> None:
        # A name may have several addresses: only errors that read alike come out as they are, not as a summary.
        super().__init__("refused by the egress policy")
        self.refusal = refusal


class Client:
    """Sends requests for transports. Use it as an async context manager.

    ``timeout`` (seconds) is for one whole request, from the name's lookup to the last byte of the answer.
    ``resolver`` looks names up (default: the system's); whatever it answers, the egress policy decides.
    """

    def __init__(
        self,
        egress: EgressPolicy,
        *,
        timeout: float = ATTEMPT_TIMEOUT,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._egress = egress
        self._resolver = resolver
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_TIMEOUT, timeout / 2))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_AT_ONCE, resolver=self._resolver, socket_factory=self._guarded_socket
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
                content = b""
                while len(content) < LONGEST_ANSWER and not answer.content.at_eof():
                    content += await answer.content.read(LONGEST_ANSWER - len(content))
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status, found, content)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # `from None`: the originals carry the URL, which is a secret.
            raise SendError(_reason(error, self._timeout)) from None

    def _guarded_socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if reason := self._egress.refusal(str(address[0]), int(address[1])):
            raise RefusedAddressError(reason)
        return socket.socket(family=family, type=kind, proto=protocol)


def _reason(error: Exception, timeout: aiohttp.ClientTimeout) -> str:
    """What went wrong, in words that hold no URL."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "the certificate of the service cannot be trusted"
        case aiohttp.ClientConnectorSSLError(host=host, port=port, os_error=cause):
            return f"no secure connection with {host}:{port}: {getattr(cause, 'reason', None) or 'it failed'}"
        case aiohttp.ClientConnectorDNSError(host=host):
            return f"the name {host} cannot be resolved"
        case aiohttp.ClientConnectorError(os_error=RefusedAddressError(refusal=refusal)):
            return f"refused to connect: {refusal}"
        case aiohttp.ClientConnectorError(host=host, port=port, os_error=cause):
            return f"cannot connect to {host}:{port}: {os.strerror(cause.errno) if cause.errno else cause}"
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {timeout.sock_connect:g} s"
        case TimeoutError():
            return f"no complete answer within {timeout.total:g} s"
        case aiohttp.NonHttpUrlClientError() | ValueError():
            return "the URL of the webhook, or a header for it, cannot be used"
        case _:
            return f"the connection failed: {type(error).__name__}"
