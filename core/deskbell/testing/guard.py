"""Sees every connection that this process opens while it watches, and stops those that would leave this machine."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOCAL = re.compile(r"127(?:\.\d+){3}|::1|localhost|0\.0\.0\.0|")
_BY_NAME = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyname_ex"})
_BY_ADDRESS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


class Watch:
    """What was reached beside ``port`` of this machine: ``strayed``, as in ``api.example:443``."""

    def __init__(self, port: int) -> None:
        self.strayed: list[str] = []
        self._port = port

    def see(self, host: str, port: object) -> None:
        """Note it; ``OSError``, inside whatever asked for it, when it is not this machine."""
        if _LOCAL.fullmatch(host) and str(port) == str(self._port):
            return
        self.strayed.append(f"{host}:{port}" if port else host)
        if not _LOCAL.fullmatch(host):
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


_watches: list[Watch] = []
_installed: list[bool] = []


@contextmanager
def only_this_machine(port: int) -> Iterator[Watch]:
    """Watch the whole process; its own server listens at ``port``."""
    if not _installed:  # an audit hook stays until the process ends
        sys.addaudithook(_listen)
        _installed.append(True)
    watch = Watch(port)
    _watches.append(watch)
    try:
        yield watch
    finally:
        _watches.remove(watch)


def _listen(event: str, args: tuple[Any, ...]) -> None:
    if not _watches:
        return
    if event in _BY_NAME:
        _tell(args[0], args[1] if len(args) > 1 else None)
    elif event in _BY_ADDRESS and isinstance(args[1], tuple):
        _tell(*args[1][:2])


def _tell(host: str | bytes | None, port: object) -> None:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host or ""
    for watch in _watches:
        watch.see(name, port)
