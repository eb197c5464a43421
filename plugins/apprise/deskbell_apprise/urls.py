"""Which URLs are Apprise's, and which of them deskbell sends to. No sentence here holds a URL: it is a secret."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"([a-z][a-z0-9]{0,31})://", re.ASCII | re.IGNORECASE)
_ANOTHER = re.compile(r"[\s,;]+[a-z0-9]{1,32}://", re.ASCII | re.IGNORECASE)
_NOT_OURS = frozenset({"http", "https", "demo"})

ON_THIS_MACHINE = frozenset(
    {"blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"}
)
"""Services that send nothing: they show a window, start a program, light a lamp or write the log of this machine. As a
service deskbell has no desktop, and what a customer wrote shall start no program here."""


def scheme_of(url: str) -> str:
    """In lower case; empty when it has none of Apprise's form (letters and digits, then ``://``)."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def recognises(url: str) -> bool:
    """Every scheme but the web's: whose it is only Apprise knows, and it need not be installed."""
    return scheme_of(url) not in {"", *_NOT_OURS}


def refusal(url: str) -> str:
    """Why nothing can be sent to ``url``; empty when it can. It asks Apprise, which must be installed."""
    scheme = scheme_of(url)
    if scheme in ON_THIS_MACHINE:
        return f"{scheme}:// acts on the machine that deskbell runs on, and sends nothing: name a service"
    if _ANOTHER.search(url):
        return "there are several URLs in it: write one webhook for each, or a failure at one repeats all"
    from . import library

    service = library.service_at(url)
    if service is None:
        return _why_not(scheme)
    if len(service) > 1:
        return (
            f"this {scheme}:// URL names {len(service)} recipients, and a failure at one would repeat the message at "
            "the others: write one webhook for each"
        )
    return ""


def _why_not(scheme: str) -> str:
    from . import library

    service = library.known(scheme)
    if service is None:
        web = scheme in _NOT_OURS or not scheme
        return (
            "Apprise knows no service by this URL: write it in Apprise's own form"
            if web
            else f"Apprise knows no service whose URLs begin with {scheme}://"
        ) + " (https://appriseit.com/services/)"
    wanted = ", ".join(service["requirements"]["packages_required"])
    if not service["enabled"]:
        return f"Apprise cannot send to {scheme}:// here" + (f": pip install {wanted!r}" if wanted else "")
    return f"Apprise cannot read this {scheme}:// URL; how to write one: {service['setup_url']}"
