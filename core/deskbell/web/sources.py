"""``/sources``: for each, the URL to paste into its help desk, how long it has been silent, and what was refused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from yarl import URL

from deskbell.arrivals import Arrivals
from deskbell.event import Action
from deskbell.languages import DEFAULT
from deskbell.settings import SourceSettings, is_loopback
from deskbell.source import Source
from deskbell.store.searching import Heard, find_latest

from .aside import aside
from .curl import TOKEN_VARIABLE, curl_event
from .masking import masking
from .visit import Route, Visit


@dataclass(frozen=True, slots=True)
class Shown:
    """A source of the config. ``url`` has a word in the place of its token; ``fresh_url`` is whole, where this start
    made the token. ``heard`` is its newest event, ``silence`` how long ago that was."""

    settings: SourceSettings
    url: str
    fresh_url: str
    setup: str
    curl: str
    heard: Heard | None
    silence: str
    arrivals: Arrivals

    @property
    def wants_token(self) -> bool:
        """A source that has only a signing secret takes every token, and none."""
        return bool(self.settings.tokens or self.fresh_url)


async def get_sources(visit: Visit) -> web.Response:
    """All of them, in the order of the config."""
    config = visit.desk.config()
    latest = await asyncio.to_thread(find_latest, config.store, config.sources)
    shown = [_shown(visit, source, latest.events.get(name)) for name, source in config.sources.items()]
    return await visit.page(
        "sources.html",
        sources=await asyncio.gather(*shown),
        searched_since=latest.searched_since,
        strangers=visit.desk.arrivals.get("", Arrivals()),
        local=is_loopback(URL(public_address(visit)).host or ""),
        masked=masking(config),
    )


def public_address(visit: Visit) -> str:
    """What the address of this service begins with for others: as the config says, else as the browser asked for it."""
    return visit.desk.config().public_url or f"{visit.request.scheme}://{visit.request.host}"


async def _shown(visit: Visit, source: SourceSettings, heard: Heard | None) -> Shown:
    say, url = visit.words.say, f"{public_address(visit)}/events/{source.name}"
    fresh = visit.desk.fresh_tokens.get(source.name) if source.open else None
    wants_token = bool(fresh or source.tokens)
    return Shown(
        settings=source,
        url=f"{url}/{say('sources.token.here')}" if wants_token else url,
        fresh_url=f"{url}/{fresh.reveal()}" if fresh else "",
        setup=_in_language(source.adapter.setup, visit.words.language),
        curl="" if source.signing_secrets else await _curl(visit, source, url),
        heard=heard,
        silence=visit.words.span(datetime.now(UTC) - heard.at) if heard else "",
        arrivals=visit.desk.arrivals.get(source.name, Arrivals()),
    )


def _in_language(texts: Mapping[str, str], language: str) -> str:
    """In the reader's language; else in English; else in the one that there is."""
    return texts.get(language) or texts.get(DEFAULT) or next(iter(texts.values()), "")


async def _curl(visit: Visit, source: SourceSettings, url: str) -> str:
    """A sample event as a line for a shell; empty where the plugin has none."""
    comment = visit.words.say("sources.curl.token", variable=TOKEN_VARIABLE, source=source.name)
    try:
        return await aside(lambda: curl_event(url, _sample(source.adapter), comments=[comment]))
    except Exception:  # noqa: BLE001 - a plugin's own code: the rest of the page is shown all the same
        return ""


def _sample(adapter: Source) -> dict[str, Any]:
    return adapter.sample(next(iter(adapter.actions), Action.SUBMIT))


ROUTES = (Route("GET", "/sources", get_sources),)
