"""The one file that imports Apprise (https://github.com/caronc/apprise): half a second, and only where it is used."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import apprise
from apprise.common import PersistentStoreMode

from . import escape, logs
from .options import Format

CONNECT = 4.0
READ = 10.0
"""Seconds, at most, whatever the URL says (``?cto=``, ``?rto=``): together less than deskbell's 15 for an attempt."""

logs.listen()


@cache
def _settings() -> apprise.AppriseAsset:
    """Without all that Apprise does beyond sending: it neither tries again, nor waits, nor keeps files, nor splits.

    Without a time limit of its own it stays in this thread; with one it would use a pool that all destinations share,
    and that the end of the process waits for.
    """
    return apprise.AppriseAsset(
        app_id="deskbell",
        app_desc="deskbell",
        async_mode=False,
        service_timeout=0,
        storage_mode=PersistentStoreMode.MEMORY,
        interpret_emojis=False,
        interpret_escapes=False,
        default_service_retry=0,
        pgp_autogen=False,
        pem_autogen=False,
        image_url_mask="",  # no picture from a third party's server in every message
        image_url_logo="",
        secure_logging=True,
        language="en",
    )


def service_at(url: str) -> apprise.NotifyBase | None:
    """What sends to ``url``; None when Apprise cannot read it, or cannot work with it here."""
    with logs.hearing():
        service = apprise.Apprise.instantiate(url, asset=_settings())
    if service is None:
        return None
    service.retry = 0
    service.optional = False
    service.redirects = False
    service.overflow_mode = apprise.OverflowMode.TRUNCATE
    service.request_rate_per_sec = 0  # it would sleep between the requests of one message, up to 5.5 s
    service.socket_connect_timeout = _at_most(CONNECT, service.socket_connect_timeout)
    service.socket_read_timeout = _at_most(READ, service.socket_read_timeout)
    return service


def _at_most(limit: float, seconds: float) -> float:
    return seconds if 0 < seconds <= limit else limit


def send(service: apprise.NotifyBase, title: str, body: str, written_in: Format) -> tuple[bool, logs.Heard]:
    """One notification, in this thread: whether Apprise says that it was sent, and what it said besides."""
    with logs.hearing() as heard:
        sender = apprise.Apprise(asset=_settings())
        sender.add(service)
        service.logger = logs.Ear(heard)
        headline = _title(service, title, written_in)
        sent = sender.notify(body, headline, body_format=apprise.NotifyFormat(written_in))
    return bool(sent), heard


def _title(service: apprise.NotifyBase, title: str, written_in: Format) -> str:
    """Plain text where the service has titles. Where it has none, Apprise puts it into the body as it is."""
    if service.title_maxlen > 0 or written_in == "text":
        return title
    return escape.markdown(title) if written_in == "markdown" else escape.html(title)


def known(scheme: str) -> Mapping[str, Any] | None:
    """What Apprise tells of the service whose URLs begin with ``scheme://``; None when there is none."""
    with logs.hearing():
        services = apprise.Apprise().details(show_requirements=True, show_disabled=True)["schemas"]
    for service in services:
        if scheme in {*(service["protocols"] or ()), *(service["secure_protocols"] or ())}:
            found: Mapping[str, Any] = service
            return found
    return None
