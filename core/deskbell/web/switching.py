"""``/webhooks/NAME/disable`` (``enable``, ``delete``): what would change, and what becomes of what waits; then do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from aiohttp import web

from deskbell.edit import ChangedError, Draft, EditError
from deskbell.store import Backlog

from .edits import Proposal, propose, put_in_force
from .visit import Route, Visit

DEEDS: Mapping[str, Callable[[Draft, str], None]] = {
    "disable": lambda draft, name: draft.switch_webhook(name, enabled=False),
    "enable": lambda draft, name: draft.switch_webhook(name, enabled=True),
    "delete": lambda draft, name: draft.remove_webhook(name),
}


async def get_deed(visit: Visit, deed: str) -> web.Response:
    """Ask first."""
    try:
        return await _ask(visit, deed, await _proposed(visit, deed))
    except EditError as error:
        return await _ask(visit, deed, refusal=str(error))


async def post_deed(visit: Visit, deed: str) -> web.Response:
    """Do it, if the file is still the one that the reader saw."""
    proposal, refusal = None, ""
    try:
        proposal = await _proposed(visit, deed, (await visit.form()).get("revision", ""))
        if not proposal.errors:
            reloaded = await put_in_force(visit.desk, proposal)
            visit.go("/webhooks", **({"said": f"{deed}d"} if reloaded.ok else {}))
    except ChangedError:
        raise web.HTTPConflict(text=visit.words.say("webhooks.changed")) from None
    except EditError as error:
        refusal = str(error)
    return await _ask(visit, deed, proposal, refusal=refusal, status=422)


async def _proposed(visit: Visit, deed: str, revision: str = "") -> Proposal:
    name = known_name(visit)
    return await propose(visit.desk, lambda draft: DEEDS[deed](draft, name), revision=revision)


async def _ask(
    visit: Visit, deed: str, proposal: Proposal | None = None, *, refusal: str = "", status: int = 200
) -> web.Response:
    name = known_name(visit)
    return await visit.page(
        "deed.html",
        status=status,
        deed=deed,
        name=name,
        backlog=visit.desk.backlog().get(name, Backlog()),
        proposal=proposal,
        refusal=refusal,
    )


def known_name(visit: Visit) -> str:
    """The webhook of the address; it must be one of the config in force."""
    name = visit.request.match_info["name"]
    if visit.desk.config().webhook(name) is None:
        raise web.HTTPNotFound(text=visit.words.say("webhooks.unknown", webhook=name))
    return name


ROUTES = tuple(
    Route(method, f"/webhooks/{{name}}/{deed}", partial(answer, deed=deed))
    for deed in DEEDS
    for method, answer in (("GET", get_deed), ("POST", post_deed))
)
