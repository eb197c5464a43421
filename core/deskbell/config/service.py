"""The keys about the service itself: where it listens, what it keeps, how it writes times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, tzinfo
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from deskbell.egress import EgressPolicy, Network

from .findings import Findings
from .suggest import did_you_mean

DEFAULT_LISTEN = "127.0.0.1:8700"
DEFAULT_STORE = "sqlite:///deskbell.db"
DEFAULT_TIMEZONE = "Europe/Paris"
DEFAULT_DATE_FORMAT = "%d/%m/%y %H:%M"

_LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})", re.ASCII)
_HIGHEST_PORT = 65_535
_SQLITE = "sqlite:///"
_DIRECTIVE = re.compile(r"%[-_0^#]?(.?)", re.DOTALL)
_DIRECTIVES = frozenset("aAwdbBmyYHIMpSfzZjUWcxXGuV%DeFkhlPrRsTgC")
"""https://docs.python.org/3/library/datetime.html#format-codes, and what glibc adds."""


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; IPv6 in brackets, port 0 picks one. ``ValueError`` says what is wrong."""
    found = _LISTEN.fullmatch(text.strip())
    if not found:
        raise ValueError(f"must be HOST:PORT, for example {DEFAULT_LISTEN}")
    if int(found["port"]) > _HIGHEST_PORT:
        raise ValueError(f"the port is larger than {_HIGHEST_PORT}")
    return found["host"].strip("[]"), int(found["port"])


def read_listen(text: str | None, findings: Findings) -> tuple[str, int]:
    """``server.listen``."""
    try:
        return parse_listen(DEFAULT_LISTEN if text is None else text)
    except ValueError as error:
        findings.error(("server", "listen"), f"server.listen: {error}")
        return parse_listen(DEFAULT_LISTEN)


def read_store(text: str | None, folder: Path, findings: Findings) -> Path:
    """``store``: the SQLite file."""
    url = DEFAULT_STORE if text is None else text
    scheme, _, rest = url.partition("://")
    file = rest.removeprefix("/")
    if scheme in ("postgresql", "postgres"):
        message = "store: PostgreSQL comes later; this deskbell keeps its deliveries in an SQLite file"
        findings.error(("store",), message, f"for now:  store: {DEFAULT_STORE}")
    elif not url.startswith(_SQLITE) or not file:
        findings.error(("store",), f"store: must be {_SQLITE} and a file", f"store: {DEFAULT_STORE}")
    elif ":memory:" in file:
        message = "store: memory forgets what was accepted when deskbell stops"
        findings.error(("store",), message, f"name a file:  store: {DEFAULT_STORE}")
    elif "?" in file or "\0" in file:
        findings.error(("store",), "store: takes a file and nothing else", f"store: {DEFAULT_STORE}")
    return folder / file


def read_timezone(text: str | None, findings: Findings) -> tzinfo:
    """``timezone``: a name of the tz database."""
    name = DEFAULT_TIMEZONE if text is None else text.strip()
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = _zones()
        message = (
            f"timezone: {findings.word(('timezone',)) if text is not None else name} is no known time zone"
        )
        hint = did_you_mean(name, known, "name it like Europe/Paris, or UTC")
        findings.error(
            ("timezone",), message, hint if known else "this machine has none:  pip install tzdata"
        )
        return UTC


@cache
def _zones() -> dict[str, None]:
    names = sorted(available_timezones())
    return dict.fromkeys(names)


def read_date_format(text: str | None, findings: Findings) -> str:
    """``date_format``: for ``strftime``."""
    pattern = DEFAULT_DATE_FORMAT if text is None else text
    path, word = ("date_format",), findings.word(("date_format",))
    wrong = [sign for sign in _DIRECTIVE.findall(pattern) if sign not in _DIRECTIVES or not sign]
    if not pattern.strip():
        findings.error(path, "date_format: is empty", f"for example:  date_format: '{DEFAULT_DATE_FORMAT}'")
    elif wrong:
        hint = f"as in '{DEFAULT_DATE_FORMAT}'; %% is a percent sign"
        findings.error(path, f"date_format: %{wrong[0]} means nothing", hint)
    elif "%" not in pattern:
        findings.warning(
            path, f"date_format: every date would read {word}", f"for example:  '{DEFAULT_DATE_FORMAT}'"
        )
    return pattern


def read_egress(networks: Sequence[str], findings: Findings) -> EgressPolicy:
    """``egress.allow``."""
    allowed = [_network(text, index, findings) for index, text in enumerate(networks)]
    return EgressPolicy(allowed=tuple(network for network in allowed if network))


def _network(text: str, index: int, findings: Findings) -> Network | None:
    path = ("egress", "allow", index)
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        message = f"egress.allow: {findings.word(path)} is no network"
        findings.error(path, message, "write an address or a network, like 192.168.1.0/24")
        return None
    if network.prefixlen == 0:
        findings.warning(path, "egress.allow: this allows every address, also those of this machine")
    return network
