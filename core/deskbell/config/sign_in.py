"""``server:`` who may see the pages, and under which address."""

from __future__ import annotations

from urllib.parse import urlsplit

from deskbell.password import HOW_TO_SET_ONE, SHORTEST_PASSWORD, Password
from deskbell.secret import Secret
from deskbell.settings import Config

from .findings import Findings
from .model import ServerEntry
from .problem import KeyPath
from .scope import Scope

_PASSWORD: KeyPath = ("server", "admin_password")
_FILE: KeyPath = ("server", "admin_password_file")
_URL: KeyPath = ("server", "public_url")
_EXAMPLE = "public_url: https://deskbell.example"


def read_password(server: ServerEntry, scope: Scope) -> Password | None:
    """``admin_password``, which is hashed, or what is in ``admin_password_file``, which need not be."""
    given = server.admin_password
    if server.admin_password_file is None:
        return _hash(given, scope.findings) if given else None
    if given:
        said = "there is an admin_password and an admin_password_file"
        scope.findings.error_at_key(_FILE, said, "keep one of the two")
        return None
    written = scope.secret_in_file(server.admin_password_file, _FILE)
    return _password(written, _FILE, scope.findings) if written else None


def _hash(given: Secret, findings: Findings) -> Password | None:
    """The file is read by more people, and copied to more places, than a secret should be."""
    password = _password(given.reveal(), _PASSWORD, findings)
    if password and not password.hashed:
        said = "admin_password: this is no hash, and a password itself does not belong in here"
        findings.error(_PASSWORD, said, f"{HOW_TO_SET_ONE}; or keep it in a file:  admin_password_file: …")
        return None
    return password


def _password(written: str, path: KeyPath, findings: Findings) -> Password | None:
    try:
        password = Password(Secret(written))
    except ValueError as error:
        findings.error(path, f"{path[-1]}: {error}", HOW_TO_SET_ONE)
        return None
    if path == _FILE and not password.hashed and len(written) < SHORTEST_PASSWORD:
        said = f"admin_password_file: the password in it is shorter than {SHORTEST_PASSWORD} characters"
        findings.error(path, said, "take a few words that nobody would put together")
        return None
    return password


def read_public_url(text: str | None, findings: Findings) -> str:
    """``public_url``: scheme and host; the pages lie at the root of it."""
    if not text:
        return ""
    try:
        parts = urlsplit(text.strip())
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or "@" in parts.netloc:
        findings.error(
            _URL, "public_url: must be http:// or https:// and a host", f"for example:  {_EXAMPLE}"
        )
        return ""
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        said = "public_url: the pages lie at the root of a host, so nothing follows it"
        findings.error(_URL, said, f"for example:  {_EXAMPLE}")
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}"


def note_missing_password(config: Config, findings: Findings) -> None:
    """Beyond loopback, where the address alone says nothing about who asks."""
    wrong = any(findings.spoilt(path) for path in (_PASSWORD, _FILE))
    if (said := config.why_no_password_is_too_little) and not wrong:
        findings.error(("server", "listen"), said, HOW_TO_SET_ONE)
