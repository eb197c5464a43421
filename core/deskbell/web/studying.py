"""One webhook that is being edited: what was typed, what that makes of the config, and what there is to say of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deskbell.config import Problem
from deskbell.edit import ChangedError, Draft, EditError, TakenError, as_lines
from deskbell.secret import MASK
from deskbell.settings import DEMO_SCHEME

from .aside import aside
from .desk import Desk
from .drawing import Drawing, draw
from .edits import Proposal, propose
from .option_fields import option_fields
from .webhook_form import Entry, OptionFields, WebhookForm

NAMELESS = "webhook-without-a-name"
"""What a new one is called until it gets a name: to be looked at, never to be saved."""
_KEY = re.compile(r"webhooks\[(\d+)\]\.?(.*)")
_TELLS_NO_SECRET = re.compile(rf"{DEMO_SCHEME}\w+|\$\{{\w+(?::-(?:{DEMO_SCHEME}\w+)?)?\}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Study:
    """``name``: of the webhook as the file has it, empty for a new one. ``entry``: what the file says of it.

    ``proposal`` is None where the edit cannot be made: ``refusal`` says why, ``to_paste`` holds what was typed as lines
    of the file, masked. ``stale``: somebody else changed the file since the reader saw it, and this is about the file as
    it is now. ``hangs``: its plugin draws nothing in time.
    """

    name: str
    entry: Entry
    form: WebhookForm
    proposal: Proposal | None = None
    refusal: str = ""
    to_paste: Sequence[str] = ()
    stale: bool = False
    drawing: Drawing | None = None
    hangs: bool = False
    problems: Mapping[str, Sequence[Problem]] = field(default_factory=dict)

    @property
    def saveable(self) -> bool:
        """True when it may be saved as it is."""
        return bool(self.proposal and not self.proposal.errors and self.form.one("name"))


class _Typing:
    """The change of a draft that was typed into a form; afterwards it knows the entry, and the form of that."""

    def __init__(self, desk: Desk, name: str, typed: WebhookForm | None) -> None:
        self._desk = desk
        self._name = name
        self._typed = typed
        self.entry: Entry = {}
        self.form = typed or WebhookForm({})

    def __call__(self, draft: Draft) -> None:
        options = known_options(self._desk)
        self.entry = next((each for each in draft.webhooks if str(each.get("name")) == self._name), {})
        shown = WebhookForm.of_entry(self.entry, _sender(self._desk, self.entry), options)
        self.form = self._typed or shown
        changes = self.form.changes_of(self.entry, shown, options)
        if self._name:
            draft.change_webhook(self._name, changes)
        else:
            draft.add_webhook({**changes, "name": changes.get("name") or NAMELESS})


async def study(
    desk: Desk, name: str, typed: WebhookForm | None, language: str, *, revision: str = ""
) -> Study:
    """What comes of ``typed``, of the webhook ``name``; without it, of the webhook as it is."""
    typing, stale = _Typing(desk, name, typed), False
    try:
        try:
            proposal = await propose(desk, typing, revision=revision)
        except ChangedError:
            proposal, stale = await propose(desk, typing), True
    except TakenError as error:
        return Study(name, typing.entry, typing.form, refusal=str(error))
    except EditError as error:
        return Study(name, typing.entry, typing.form, refusal=str(error), to_paste=_to_paste(desk, typed))
    called = typing.form.one("name") or NAMELESS
    drawing, hangs = await _drawn(proposal, called, language)
    problems = _by_field(proposal, called)
    return Study(
        name,
        typing.entry,
        typing.form,
        proposal,
        stale=stale,
        drawing=drawing,
        hangs=hangs,
        problems=problems,
    )


async def _drawn(proposal: Proposal, name: str, language: str) -> tuple[Drawing | None, bool]:
    sketch = proposal.loaded.sketch
    webhook = sketch and sketch.webhook(name)
    if not sketch or not webhook:
        return None, False
    try:
        return await aside(lambda: draw(sketch, webhook, language)), False
    except TimeoutError:
        return None, True


def _to_paste(desk: Desk, typed: WebhookForm | None) -> Sequence[str]:
    """What was typed, as lines of a config that a page cannot write."""
    if typed is None:
        return ()
    options = known_options(desk)
    entry = typed.changes_of({}, WebhookForm.of_entry({}, "", options), options)
    if not tells_no_secret(entry.get("url", "")):
        entry["url"] = MASK
    secret = {option.name for option in options.get(typed.one("transport"), ()) if option.kind == "secret"}
    entry["options"] = {
        key: MASK if key in secret else value for key, value in (entry.get("options") or {}).items()
    } or None
    try:
        return as_lines(entry)
    except EditError:
        return ()


def _by_field(proposal: Proposal, name: str) -> Mapping[str, Sequence[Problem]]:
    """What ``deskbell check`` says of the webhook, by the key of its entry: ``when.priority``, ``options.username``."""
    names = [str(entry.get("name")) for entry in proposal.draft.webhooks]
    found = defaultdict[str, list[Problem]](list)
    for problem in proposal.loaded.problems:
        place = _KEY.fullmatch(problem.key)
        if place and names[int(place[1])] == name:
            found[re.sub(r"\[\d+\]", "", place[2])].append(problem)
    return found


def known_options(desk: Desk) -> OptionFields:
    """The options that a form can ask for, by transport."""
    return {name: option_fields(each.options_type) for name, each in desk.plugins.transports.items()}


def _sender(desk: Desk, entry: Entry) -> str:
    """The transport of an entry that need not name it."""
    in_force = desk.config().webhook(str(entry.get("name")))
    return str(entry.get("transport") or (in_force.transport.name if in_force else ""))


def usual_transport(desk: Desk) -> str:
    """What a new webhook most likely is: as most of them are."""
    used = [webhook.transport.name for webhook in desk.config().webhooks]
    known = desk.plugins.transports
    return max(known, key=lambda name: (used.count(name), bool(known[name].example_url)), default="")


def tells_no_secret(url: str) -> bool:
    """True for what may stand on a page: a played channel, or a reference to the environment."""
    return _TELLS_NO_SECRET.fullmatch(url) is not None
