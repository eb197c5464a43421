"""Who is signed in: a cookie that we signed names a session that we remember.

Both end with the process. So no key lies on the disk, and a session that was ended stays so after a restart.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deskbell.password import Password

if TYPE_CHECKING:
    from itsdangerous import Signer

LIFETIME = 7 * 86_400.0
"""Seconds from the sign-in."""
IDLE = 12 * 3_600.0
"""Seconds from the last page."""
MOST_SESSIONS = 20
"""A further one ends the one that was not used for longest."""


@dataclass(slots=True)
class Session:
    """``form_token`` is in its forms and in no others."""

    form_token: str
    began_at: float
    used_at: float


class Sessions:
    """The open ones. Each belongs to the password that opened it: with another one none of them counts."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._open = dict[str, Session]()

    def begin(self, password: Password) -> str:
        """Open a session; what the cookie says."""
        self._forget_old_ones()
        name, now = secrets.token_urlsafe(24), self._clock()
        self._open[name] = Session(secrets.token_urlsafe(24), now, now)
        return self._signer(password).sign(name).decode()

    def find(self, cookie: str, password: Password) -> Session | None:
        """The session of ``cookie``, which lives on by that."""
        session = self._open.get(self._name(cookie, password))
        if session is None or self._is_over(session):
            return None
        session.used_at = self._clock()
        return session

    def end(self, cookie: str, password: Password) -> None:
        """Whoever has a copy of the cookie is signed out as well."""
        self._open.pop(self._name(cookie, password), None)

    def _name(self, cookie: str, password: Password) -> str:
        """Which session a cookie names; none when somebody else signed it."""
        from itsdangerous import BadSignature

        try:
            return self._signer(password).unsign(cookie.encode("utf-8", "surrogatepass")).decode()
        except BadSignature:
            return ""

    def _signer(self, password: Password) -> Signer:
        from itsdangerous import Signer  # late: most services have no password

        return Signer(hmac.digest(self._key, password.written.reveal().encode(), "sha256"))

    def _is_over(self, session: Session) -> bool:
        now = self._clock()
        return now - session.began_at >= LIFETIME or now - session.used_at >= IDLE

    def _forget_old_ones(self) -> None:
        """Make room for one more."""
        lasting = [each for each in self._open.items() if not self._is_over(each[1])]
        lasting.sort(key=lambda each: each[1].used_at)
        self._open = dict(lasting[-(MOST_SESSIONS - 1) :])
