"""``/webhooks/new`` and ``/webhooks/NAME/edit``: type, see what becomes of it, look at the lines that change, save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web
from multidict import MultiDict

from deskbell.edit import ChangedError, EditError
from deskbell.secret import MASK
from deskbell.store import Backlog

from .deliveries import known_actions, with_chosen
from .desk import Desk
from .drawing import variables
from .edits import put_in_force
from .studying import Study, known_options, study, tells_no_secret, usual_transport
from .switching import known_name
from .visit import Route, Visit
from .webhook_form import Entry, WebhookForm, inexpressible

FIRST = {"action": "Submit", "message": "%subject%\n%username%: %content%\n%url%"}
"""What a new webhook begins with."""
_KEPT = "kept."
"""Before the name of a field: the word for a secret that was typed there."""


async def get_new(visit: Visit) -> web.Response:
    """An empty form, but for what is likely."""
    transport = visit.query("transport") or usual_transport(visit.desk)
    empty = WebhookForm.of_entry(FIRST, transport, known_options(visit.desk))
    return await _show(visit, await study(visit.desk, "", empty, visit.words.language))


async def get_edit(visit: Visit) -> web.Response:
    """The webhook as it is."""
    return await _show(visit, await study(visit.desk, known_name(visit), None, visit.words.language))


async def post_new(visit: Visit) -> web.Response:
    """Another look at a new one, or the end."""
    return await _look_or_save(visit, "")


async def post_edit(visit: Visit) -> web.Response:
    """Another look, or the end."""
    return await _look_or_save(visit, known_name(visit))


async def _look_or_save(visit: Visit, name: str) -> web.Response:
    """It is saved only when it is what the reader saw: its lines, and the file round them."""
    form = await visit.form()
    typed, do, revision = _typed(visit.desk, form), form.get("do", ""), form.get("revision", "")
    found = await study(visit.desk, name, typed, visit.words.language, revision=revision)
    seen = found.proposal and form.get("seen") == found.proposal.digest
    if do == "save" and seen and found.proposal and found.saveable and not found.stale:
        try:
            reloaded = await put_in_force(visit.desk, found.proposal)
            visit.go("/webhooks", **({"said": "saved"} if reloaded.ok else {}))
        except ChangedError:
            found = replace(await study(visit.desk, name, typed, visit.words.language), stale=True)
        except EditError as error:
            found = replace(found, refusal=str(error))
    return await _show(visit, found, reviewed=do != "preview", unseen=do == "save" and not seen)


async def post_preview(visit: Visit) -> web.Response:
    """The picture alone, for a page that is being typed into."""
    form = await visit.form()
    form["name"] = name = form.get("was", "")  # a picture needs no other, and half a name may be another's
    found = await study(visit.desk, name, _typed(visit.desk, form), visit.words.language)
    return await visit.page("webhook_preview.html", study=found)


def _typed(desk: Desk, form: MultiDict[str]) -> WebhookForm:
    """What was typed now, and the secrets that were typed before."""
    fields = {name: form.getall(name) for name in form}
    for name, word in form.items():
        field = name.removeprefix(_KEPT)
        if field != name and not "".join(fields.get(field, ())).strip():
            fields[field] = [desk.keepsakes.find(word)]
    return WebhookForm.of_typed(fields)


async def _show(visit: Visit, found: Study, *, reviewed: bool = False, unseen: bool = False) -> web.Response:
    """``unseen``: it was to be saved, but is not what the reader saw."""
    desk, config, form = visit.desk, visit.desk.config(), found.form
    transport = form.one("transport")
    options = known_options(desk)
    return await visit.page(
        "webhook_form.html",
        status=_status(found, reviewed),
        study=found,
        form=form,
        reviewed=reviewed,
        testable=found.name in {webhook.name for webhook in config.active_webhooks},
        unseen=unseen and not found.stale,
        waiting=_waiting(desk, found.name),
        transports=desk.plugins.transports,
        options=options,
        also=list(inexpressible(found.entry, options.get(transport, ()))),
        kept=_kept(desk, form),
        url_now=_shown_url(found.entry),
        url_typed=form.one("url") if tells_no_secret(form.one("url")) else "",
        actions=with_chosen(known_actions(desk), form.many("action")),
        priorities=with_chosen(["low", "medium", "high"], form.many("when.priority")),
        sources=with_chosen(list(config.sources), form.many("when.source")),
        variables=variables(config, visit.words.language),
    )


def _status(found: Study, reviewed: bool) -> int:
    if found.stale:
        return 409
    return 422 if reviewed and not found.saveable else 200


def _waiting(desk: Desk, name: str) -> int:
    backlog = desk.backlog().get(name, Backlog())
    return backlog.ready + backlog.sending + backlog.held


def _kept(desk: Desk, form: WebhookForm) -> Mapping[str, str]:
    """The words for the secrets that were typed, by field."""
    secret = ["url"] if not tells_no_secret(form.one("url")) else []
    for transport, fields in known_options(desk).items():
        secret += [f"options.{transport}.{field.name}" for field in fields if field.kind == "secret"]
    return {f"{_KEPT}{name}": desk.keepsakes.keep(form.one(name)) for name in secret if form.one(name)}


def _shown_url(entry: Entry) -> str:
    """Where the webhook posts to, without its secret; empty for a new one."""
    if file := entry.get("url_file"):
        return f"url_file: {file}"
    url = str(entry.get("url") or "")
    return url if not url or tells_no_secret(url) else MASK


ROUTES = (
    Route("GET", "/webhooks/new", get_new),
    Route("POST", "/webhooks/new", post_new),
    Route("POST", "/webhooks/preview", post_preview),
    Route("GET", "/webhooks/{name}/edit", get_edit),
    Route("POST", "/webhooks/{name}/edit", post_edit),
)
