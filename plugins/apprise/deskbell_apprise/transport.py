"""The transport itself: what deskbell asks of it, put together from the other files. Nothing here imports Apprise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import deskbell

from . import answer, escape, urls
from .options import LONGEST, AppriseOptions, Format

MAX_TITLE = 200
"""Characters: ntfy takes no longer one, most services take 250."""
NOTHING_TO_SHOW = "…"
"""Sent where every word of the message is empty: Apprise refuses an empty one, and nobody would see the event."""
OLDEST = (2, 0, 1)
"""Of the library. Before 2.0 its time limit cannot be taken away, and 2.0.0 reads Markdown another way."""
MISSING = "the Apprise library is not installed: pip install 'deskbell[apprise]'"
TOO_OLD = "the Apprise library here is older than 2.0.1: pip install --upgrade 'deskbell[apprise]'"

_ESCAPES: Mapping[Format, Callable[[str], str]] = {
    "text": escape.text,
    "markdown": escape.markdown,
    "html": escape.html,
}


class Apprise(deskbell.Transport[AppriseOptions]):
    """Send ticket events through the Apprise library to any of its services: Telegram, e-mail, Matrix, ntfy, …"""

    name = "apprise"
    max_length = LONGEST
    blocking = True
    own_urls = True

    def format(self, notice: deskbell.Notice, options: AppriseOptions) -> deskbell.Payload:
        """``{"title", "body", "format"}``. The title is one line of plain text, whatever the format."""
        body = notice.text(
            escape=_ESCAPES[options.format],
            limit=options.max_length,
            literal=escape.literal,
            link=escape.html_link if options.format == "html" else deskbell.plain,
        )
        return {
            "title": _title(notice, options),
            "body": body if body.strip() else NOTHING_TO_SHOW,
            "format": options.format,
        }

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[AppriseOptions]
    ) -> deskbell.Outcome:
        """One notification, in this thread, which it blocks; see ``library``."""
        if lacks := self.unavailable():
            return deskbell.DestinationGone(lacks)
        from . import library

        url = context.url.reveal()
        service = library.service_at(url)
        if service is None:
            return deskbell.DestinationGone("Apprise cannot read this URL here; deskbell check says why")
        body = payload["body"]
        sent, heard = library.send(service, payload["title"], body, payload["format"])
        cut = len(body) > service.body_maxlen
        return answer.outcome_of(sent, heard, url, cut_to=service.body_maxlen if cut else 0)

    @classmethod
    def unavailable(cls) -> str:
        """The library is an extra: it brings a dozen packages that who writes to Discord or Slack does not need."""
        if not getattr(find_spec("apprise"), "origin", None):  # a mere folder of that name has none
            return MISSING
        return TOO_OLD if _installed() < OLDEST else ""

    @classmethod
    def recognises(cls, url: str) -> bool:
        """URLs in Apprise's own form, never one of the web."""
        return urls.recognises(url)

    @classmethod
    def refuses(cls, url: str) -> str:
        """What Apprise cannot read, or would not send, or would send to several."""
        return "" if cls.unavailable() else urls.refusal(url)

    def readable(self, payload: deskbell.Payload) -> str:
        """Title and text, in the format that they are written in, without what is invisible."""
        shown = (payload.get("title"), payload.get("body"))
        return "\n".join(str(part) for part in shown if part).replace(escape.GAP, "")

    def warnings(self, skeleton: str) -> Sequence[str]:
        """Where an escape does not help."""
        return escape.warnings(skeleton)


def _title(notice: deskbell.Notice, options: AppriseOptions) -> str:
    if options.title is None:
        return ""
    title = notice.using(options.title).text(escape=escape.text, limit=MAX_TITLE, literal=escape.literal)
    return escape.one_line(title)


def _installed() -> tuple[int, ...]:
    """Its version; an unknown one is taken for new enough."""
    try:
        return tuple(map(int, re.findall(r"\d+", version("apprise"))[:3]))
    except PackageNotFoundError:
        return OLDEST
