"""Holds every connection of this process to the egress policy, whoever opens it.

deskbell's own client asks the policy by itself. A plugin may bring a library that opens connections of its own
(Apprise, an SDK): Python tells its audit hooks of each TCP connection before it is made, with the final address
(https://docs.python.org/3/library/audit_events.html, ``socket.connect``). What connects in C, past Python's sockets, it
does not see.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

Refusal: TypeAlias = Callable[[str, int], str]
"""Why a connection to this host and port is refused; empty when it may be made."""

_asked: list[Refusal] = []


@contextmanager
def guarded(refusal: Refusal) -> Iterator[None]:
    """Ask ``refusal`` about each connection while the context is open; one that is refused is a ``PermissionError``."""
    _listen()
    _asked.append(refusal)
    try:
        yield
    finally:
        _asked.remove(refusal)


@cache
def _listen() -> None:
    """Once: an audit hook can never be taken away."""
    sys.addaudithook(_judge)


def _judge(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not _asked:
        return
    connecting, address = arguments
    is_tcp = connecting.family in (socket.AF_INET, socket.AF_INET6) and connecting.type == socket.SOCK_STREAM
    if is_tcp and (refusal := _refusal(str(address[0]), int(address[1]))):
        raise PermissionError(errno.EACCES, f"refused to connect: {refusal}")


def _refusal(host: str, port: int) -> str:
    try:
        return next(filter(None, (refusal(host, port) for refusal in _asked)), "")
    except ValueError:
        return f"{host} is a name, which may lead anywhere: look it up first"
