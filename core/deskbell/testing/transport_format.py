"""First level, formatting: pure, total, JSON, within the limit; and the service's yes is a delivery."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import UTC
from itertools import product
from typing import Any

from pydantic import ValidationError

from deskbell.event import VARIABLES, TicketEvent
from deskbell.notice import Notice, Rendering
from deskbell.outcome import Delivered
from deskbell.secret import Secret
from deskbell.template import Template
from deskbell.transport import Payload

from .answers import kind_of, outcome_of
from .checks import Checks, NotApplicable, NotMet
from .payloads import (
    ACTIONS,
    LONG_TEXT,
    OWN_ACTION,
    TEXTS,
    every_variable,
    filled,
    formatted,
    holders_in,
    payload_with,
    require_encodable,
    require_json,
    strings_in,
)
from .stage import MESSAGE, Received, TransportCase, on_stage, sample_notice
from .transport_bronze import types_in

FORMAT_CHECKS = Checks[TransportCase]()

TICKET_URL = VARIABLES["url"]
_ROOM_FOR_LINK = 2 * len(TICKET_URL) + len(MESSAGE)
_LONG_LINES = "long *text*\n"
_LONG = {
    "words": "word ",
    "markup": "*_~`<[#@&>]-|\\",
    "emoji": "🐦",
    "lines": "a\n",
    "one word": "x",
}
"""What long texts repeat: some escapes double them, some units count an emoji four times."""


@FORMAT_CHECKS.bronze
def format_is_pure(case: TransportCase) -> None:
    """The same event gives the same payload, nothing it was given is changed, and no two payloads share a part."""
    notice = sample_notice()
    before = _state_of(notice, case)
    first, second = (formatted(case, "the sample event", notice) for _ in range(2))
    if first != second:
        raise NotMet(
            "format() gives two payloads for one event: leave clocks, counters and random numbers to send()"
        )
    if _state_of(notice, case) != before:
        raise NotMet("format() changes the notice or the options, which all webhooks share: change a copy")
    own = {id(part) for part in holders_in(first)}
    if shared := [part for part in holders_in(second) if id(part) in own]:
        raise NotMet(
            f"two payloads share {shared[0]!r}: whoever changes one message changes the next; make it inside format()"
        )


@FORMAT_CHECKS.bronze
def format_gives_json(case: TransportCase) -> None:
    """The payload is a dict that is JSON to every reader, for every action."""
    for action in ACTIONS:
        what = f"the action {action}"
        require_json(formatted(case, what, sample_notice(action)), what)


@FORMAT_CHECKS.bronze
def format_takes_any_text(case: TransportCase) -> None:
    """Any text in any variable can be formatted: emoji, control characters, markup, 100,000 characters."""
    long = {f"a text of {LONG_TEXT} characters": _LONG_LINES * (LONG_TEXT // len(_LONG_LINES))}
    for (called, text), action in product({**TEXTS, **long}.items(), ACTIONS):
        what = f"{called} in {action}"
        require_encodable(formatted(case, what, sample_notice(action, every_variable(text))), what)


@FORMAT_CHECKS.bronze
def format_takes_missing_values(case: TransportCase) -> None:
    """Every single variable may be empty, or all of them absent."""
    for name in every_variable(""):
        payload_with(case, f"an event with an empty {name}", {name: ""})
    event = TicketEvent(action=OWN_ACTION, id="sample-event", source="deskbell")
    bare = Notice.of(event, sample_notice().template, timezone=UTC, date_format="%d/%m/%y")
    formatted(case, f"an event of {OWN_ACTION} without any variable", bare)


@FORMAT_CHECKS.bronze
def format_takes_defaults(case: TransportCase) -> None:
    """Every action can be formatted where no option is set but the required ones."""
    bare = case.with_required_options()
    _require_usable_defaults(bare)
    for action in ACTIONS:
        what = f"the action {action} with the required options only"
        formatted(bare, what, sample_notice(action))


@FORMAT_CHECKS.bronze
def format_keeps_to_max_length(case: TransportCase) -> None:
    """No text of the payload is longer than `max_length`, whatever a customer writes."""
    transport = case.transport
    for called, text in _long_texts(transport.max_length):
        renderings = list[Rendering]()
        notice = sample_notice(variables=filled(text), renderings=renderings)
        require_length(case, formatted(case, f"long {called}", notice), f"long {called}")
        for each in renderings:
            if each.limit > transport.max_length:
                raise NotMet(
                    f"notice.text() is given the limit {each.limit}, and {transport.name} allows "
                    f"{transport.max_length}: use limit=self.max_length"
                )


@FORMAT_CHECKS.bronze
def format_keeps_the_link(case: TransportCase) -> None:
    """When the message is cut, the link to the ticket stays."""
    if case.transport.max_length < _ROOM_FOR_LINK:
        raise NotApplicable(f"{case.transport.max_length} characters have no room for a link")
    payload = payload_with(case, "a long text", filled("word " * case.transport.max_length))
    shown = (*strings_in(payload), case.transport.readable(payload))
    if not any(TICKET_URL in text for text in shown):
        raise NotMet(
            "format() cuts the ticket's link off: let notice.text(..., limit=…) do the cutting, "
            "it shortens what customers wrote and keeps %url% whole"
        )


@FORMAT_CHECKS.bronze
async def success_is_delivered(case: TransportCase) -> None:
    """The service's yes is `Delivered`, after one request whose body is what its content type says."""
    async with on_stage(case) as stage:
        outcome = await outcome_of(stage, f"on the service's yes (HTTP {case.ok_reply.status})")
        if not isinstance(outcome, Delivered):
            raise NotMet(
                f"the service's yes (HTTP {case.ok_reply.status}) came to {outcome!r}: return Delivered; "
                "if the service says yes in other words, set ok_reply"
            )
        if len(stage.received) != 1:
            raise NotMet(f"send() made {len(stage.received)} requests for one message: make one")
        _require_told_type(stage.received[0])
        if type(outcome.receipt) is not str:
            raise NotMet(f"{kind_of(outcome)}.receipt is {outcome.receipt!r}: make it text")


def require_length(case: TransportCase, payload: Payload, what: str) -> None:
    """``NotMet`` when a text of the payload is too long. ``what`` was formatted."""
    limit = case.transport.max_length
    longest = max(map(case.measure, strings_in(payload)), default=0)
    if longest > limit:
        raise NotMet(
            f"{case.transport.name} allows {limit} characters; format() produced {longest} of {what}: "
            "use notice.text(..., limit=self.max_length), and less where you add words"
        )


def _require_usable_defaults(bare: TransportCase) -> None:
    """``NotMet`` where a default is not what its field says: pydantic reads what owners write, and no default."""
    try:
        options = bare.options
    except ValidationError as error:
        where, why = (error.errors()[0][key] for key in ("loc", "msg"))
        if not where:  # a rule over several options
            raise NotApplicable(f"the required options are not enough: {why}") from None
        raise NotMet(f"the default of the option {where[0]} is refused when it is read: {why}") from None
    for name, field in type(options).model_fields.items():
        default, kinds = getattr(options, name), set(types_in(field.annotation))
        if isinstance(default, str) and str not in kinds and (instead := _instead_of_text(default, kinds)):
            raise NotMet(
                f"the default of the option {name} stays text, for defaults are not read: write {instead}"
            )


def _instead_of_text(default: str, kinds: Collection[Any]) -> str:
    """The default of a field that holds one of ``kinds``; empty where text will do."""
    if Template in kinds:
        return f"default=deskbell.Template.of_option({default!r})"
    return "deskbell.Secret | None, default=None" if Secret in kinds else ""


def _require_told_type(request: Received) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if request.body and not kind:
        raise NotMet(
            "the request has a body and no Content-Type: use context.post(), or name it in headers()"
        )
    if kind == "application/json" or kind.endswith("+json"):
        try:
            json.loads(request.body)
        except ValueError:
            raise NotMet(
                f"the request says {kind} and its body is none: name its type in headers()"
            ) from None


def _long_texts(limit: int) -> Iterator[tuple[str, str]]:
    length = max(20_000, min(2 * limit, 2 * LONG_TEXT))
    return ((called, part * (length // len(part) + 1)) for called, part in _LONG.items())


def _state_of(notice: Notice, case: TransportCase) -> object:
    return (
        dict(notice.values),
        dict(notice.event.variables),
        case.options.model_copy(deep=False).model_dump(mode="json"),
    )
