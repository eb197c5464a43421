"""What Apprise says of one message: it returns true or false, and tells its log the rest.

Handlers that come and go on Apprise's own logger would lose records: Python looks at a logger's handlers without a lock,
and two threads send at once. So a service gets a logger of its own, and one filter, which stays, takes what Apprise logs
beside it: never anybody else's, and nobody's log gets a line of ours, which may hold half a URL.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LOGGER = "apprise"
"""https://github.com/caronc/apprise/blob/master/apprise/logger.py"""
_CHATTERS = (LOGGER, "urllib3.connectionpool", "urllib3.util.retry")
"""The last two, by which it sends, log the path of each request at DEBUG: a token, for many services."""

Heard = list[logging.LogRecord]

_heard: ContextVar[Heard | None] = ContextVar("deskbell_apprise_heard", default=None)


class Ear(logging.Logger):
    """A logger for one service and one message, which keeps every record, and passes none on."""

    def __init__(self, heard: Heard) -> None:
        super().__init__(LOGGER, logging.DEBUG)
        self._heard = heard

    def handle(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._heard.append(record)


def _aside(record: logging.LogRecord) -> bool:
    heard = _heard.get()
    if heard is None:
        return True
    heard.append(record)
    return False


def listen() -> None:
    """From now on ``hearing`` hears. For all others the loggers stay what they are."""
    for name in _CHATTERS:
        logging.getLogger(name).addFilter(_aside)


@contextmanager
def hearing() -> Iterator[Heard]:
    """What Apprise logs in this thread meanwhile, and what an ``Ear`` adds to it."""
    heard: Heard = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)
