"""Error answers as problem+json (RFC 9457). They never hold what the sender sent, nor a traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from aiohttp import web

from .errors import Fault


class Problem(Exception):  # noqa: N818 - it is the RFC's word for the answer itself
    """Raise it to answer a request with an error."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}
        self.close = close

    def response(self) -> web.Response:
        """The answer. ``close`` ends the connection: the rest of a refused body is not wanted."""
        body: dict[str, object] = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.faults:
            body["errors"] = [{"path": fault.path, "message": fault.message} for fault in self.faults]
        response = web.Response(
            status=self.status,
            body=json.dumps(body).encode(),
            content_type="application/problem+json",
            headers=self.headers,
        )
        if self.close:
            response.force_close()
        return response
