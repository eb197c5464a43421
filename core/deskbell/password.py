"""The owner's password: how it is kept, and how a guess is compared with it."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from .secret import Secret

SHORTEST_PASSWORD = 12
"""Characters."""
HOW_TO_SET_ONE = "`deskbell password` makes the line to put there"
_N, _R, _P = 2**15, 8, 3
"""https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#scrypt, with 32 MiB of memory."""
_LARGEST_N, _LARGEST_R, _LARGEST_P = 2**17, 16, 16
_LENGTH = 32
_MARK = "scrypt:"
_HASH = re.compile(
    r"scrypt:(?P<n>[0-9]{1,6}):(?P<r>[0-9]{1,2}):(?P<p>[0-9]{1,2}):(?P<salt>[\w-]{22,86}):(?P<key>[\w-]{43})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Password:
    """As its owner wrote it: a hash, or (in a file of its own) the password itself. ``ValueError`` for a broken hash."""

    written: Secret

    def __post_init__(self) -> None:
        if self.hashed and not _is_sound(self.written.reveal()):
            raise ValueError("this hash is not whole, or asks for more than a sign-in may cost")

    @property
    def hashed(self) -> bool:
        """True for a hash: what the file holds does not open the pages."""
        return self.written.reveal().startswith(_MARK)

    def matches(self, guess: str) -> bool:
        """Compare; with a hash that takes half a second and 32 MiB, so that guessing is slow: call it in a thread."""
        if not self.hashed:
            return Secret(_normal(self.written.reveal())).matches(_normal(guess))
        _, n, r, p, salt, key = self.written.reveal().split(":")
        return hmac.compare_digest(_scrypt(guess, _decoded(salt), int(n), int(r), int(p)), _decoded(key))


def hash_password(password: str, salt: bytes) -> str:
    """``scrypt:N:r:p:salt:key``: without a ``$``, which means something in config.yaml."""
    key = _scrypt(password, salt, _N, _R, _P)
    return f"{_MARK}{_N}:{_R}:{_P}:{_encoded(salt)}:{_encoded(key)}"


def _is_sound(text: str) -> bool:
    found = _HASH.fullmatch(text)
    if found is None:
        return False
    n, r, p = (int(found[name]) for name in ("n", "r", "p"))
    return n > 1 and n & (n - 1) == 0 and n <= _LARGEST_N and 0 < r <= _LARGEST_R and 0 < p <= _LARGEST_P


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    enough = 128 * r * (n + p + 2)  # https://www.rfc-editor.org/rfc/rfc7914#section-2
    given = _normal(password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(given, salt=salt, n=n, r=r, p=p, maxmem=enough, dklen=_LENGTH)


def _normal(password: str) -> str:
    """One spelling of what keyboards spell differently (RFC 8265 §4.2.2): an é may be one sign, or two."""
    return unicodedata.normalize("NFC", password)


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
