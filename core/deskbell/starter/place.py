"""What a new config can tell of this machine: its time zone, and an address that is free."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from deskbell.config import parse_listen
from deskbell.config.service import DEFAULT_LISTEN, DEFAULT_TIMEZONE

_LOCALTIME = Path("/etc/localtime")
_ZONES = "zoneinfo/"


def local_timezone(environ: Mapping[str, str], localtime: Path = _LOCALTIME) -> str:
    """The machine's zone by its name; the usual one where it has none (UTC is what containers say: none)."""
    try:
        linked = str(localtime.readlink())
    except OSError:
        linked = ""
    for name in (environ.get("TZ", "").lstrip(":"), linked.rpartition(_ZONES)[2]):
        if "/" in name and not name.startswith(("/", "Etc/", "posix", "right")) and _is_zone(name):
            return name
    return DEFAULT_TIMEZONE


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def is_free(listen: str) -> bool:
    """True when somebody could listen at HOST:PORT now."""
    host, port = parse_listen(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_listen(wanted: str = DEFAULT_LISTEN, *, tries: int = 20) -> str:
    """``wanted``, or with the next port that is free; ``wanted`` itself where none is."""
    host, _, port = wanted.rpartition(":")
    places = (f"{host}:{int(port) + step}" for step in range(tries))
    return next(filter(is_free, places), wanted)
