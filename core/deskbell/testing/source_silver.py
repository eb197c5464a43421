"""The second level, what is read: every body is an event or an error that says where it is wrong, and text stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deskbell.errors import EventError
from deskbell.event import Action, TicketEvent
from deskbell.strictjson import MAX_DEPTH

from .checks import Checks, NotApplicable, NotMet
from .source_stage import (
    HEADERS,
    MARKER,
    Answer,
    FieldPath,
    SourceCase,
    as_bytes,
    dotted,
    fields_of,
    names_field,
    texts_of,
    told,
    value_at,
    with_field,
    without_field,
)

READING_CHECKS = Checks[SourceCase]()
NO_JSON: Mapping[str, bytes] = {
    "an empty body": b"",
    "a form": b"action=Submit",
    "half a body": b'{"action": "Submi',
    "a body that is not UTF-8": b'{"subject": "\xff"}',
    "NaN": b'{"priority": NaN}',
}
WRONG: Mapping[str, Any] = {
    "an object": {MARKER: "x"},
    "a list": [MARKER],
    "true": True,
    "null": None,
    "a number": 7,
    "an empty text": "",
    "10,000 letters": "x" * 10_000,
    "10,000 digits": "7" * 10_000,  # int() raises ValueError beyond 4,300
    "a character reference of 5,000 digits": f"&#{'7' * 5000};",  # so does html.unescape()
}
KEPT: Mapping[str, str] = {
    "spaces at both ends": "  Hello \n",
    "control characters": "a\x00b\x07c",
    "characters that turn the writing direction": "a\u202eb\u2066c",
    "half a surrogate": "a\ud83d",
    "markup": "<b>&amp; **bold** @everyone </b>",
    "an emoji of several characters": "👩\u200d🔧 é e\u0301",
    "a word in percent signs": "100% %subject% %%",
    "an escape": "a\\nb\\u0041",
}
NUMBERS = ("12345678901234567890", "1.10", "1e3")


@READING_CHECKS.silver
def no_json_is_400(case: SourceCase) -> None:
    """What is no JSON is refused with 400."""
    for what, body in NO_JSON.items():
        _require_400(case.read(body, what), what)


@READING_CHECKS.silver
def deep_json_is_400(case: SourceCase) -> None:
    """What is nested deeper than deskbell allows is refused with 400."""
    nested: Any = MARKER
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    for body in case.samples().values():
        what = f"a body that is nested deeper than {MAX_DEPTH}"
        _require_400(case.read({**body, MARKER: nested}, what), what)


def _require_400(answer: Answer, what: str) -> None:
    if isinstance(answer, TicketEvent):
        raise NotMet(f"parse takes {what}: read the body with request.json_object(), which refuses it")
    if answer.status != 400:
        raise NotMet(
            f"parse refuses {what} with {answer.status}: let the error of request.json_object() through"
        )


@READING_CHECKS.silver
def other_json_is_422(case: SourceCase) -> None:
    """JSON that is no object, or an empty one, is refused with 422 and a fault."""
    others: tuple[Any, ...] = ([], [{}], None, 7, "Submit", True, {})
    for body in others:
        answer = case.read(body, f"the body {body!r}")
        if isinstance(answer, TicketEvent):
            raise NotMet(f"parse makes an event of the body {body!r}: raise deskbell.EventError")
        if answer.status == 400 or not answer.faults:
            raise NotMet(
                f"parse answers {told(answer)} to the body {body!r}: it is JSON but no event, so leave status at 422 "
                "and name what is wrong in faults (request.json_object() does both for what is no object)"
            )


@READING_CHECKS.silver
def wrong_fields_are_named(case: SourceCase) -> None:
    """A field of the wrong kind is an event all the same, or an error whose fault names the field."""
    for action, body in case.samples().items():
        for path in fields_of(body):
            for kind, value in WRONG.items():
                what = f"{kind} as {dotted(path)} of {action}"
                answer = case.read(with_field(body, path, value), what)
                _require_named(answer, path, what)
                if isinstance(answer, TicketEvent) and isinstance(value, dict | list):
                    _require_no_repr(answer, what)


@READING_CHECKS.silver
def missing_fields_are_named(case: SourceCase) -> None:
    """Without a field there is an event all the same, or an error whose fault names the field."""
    for action, body in case.samples().items():
        for path in fields_of(body):
            if isinstance(path[-1], str):
                what = f"{action} without {dotted(path)}"
                _require_named(case.read(without_field(body, path), what), path, what)


def _require_named(answer: Answer, path: FieldPath, what: str) -> None:
    if not isinstance(answer, EventError):
        return
    if answer.status == 400:
        raise NotMet(f"parse refuses {what} with 400, which means no JSON: leave status at 422")
    if not names_field(answer, path):
        raise NotMet(
            f"parse answers {told(answer)} to {what}: add deskbell.Fault({dotted(path)!r}, …) to faults"
        )


def _require_no_repr(event: TicketEvent, what: str) -> None:
    for name, value in event.variables.items():
        if isinstance(value, str) and MARKER in value:
            raise NotMet(
                f"parse makes {name}={value!r} of {what}: that is Python's text, refuse it or leave it out"
            )


@READING_CHECKS.silver
def further_fields_are_welcome(case: SourceCase) -> None:
    """Keys that it does not know change nothing: the next version of the ticket system has more of them."""
    for action, body in case.samples().items():
        plain = case.tried(body)
        objects = [path for path in fields_of(body) if isinstance(value_at(body, path), dict)]
        for path in [(), *objects]:
            for kind, value in WRONG.items():
                what = f"{action} with {kind} as {dotted((*path, MARKER))}, which it does not know,"
                event = case.event(with_field(body, (*path, MARKER), value), what)
                if isinstance(plain, TicketEvent) and (event.action, event.ticket) != (
                    plain.action,
                    plain.ticket,
                ):
                    raise NotMet(f"parse makes another event of {what}: read only the keys that you know")


@READING_CHECKS.silver
def text_stays_as_it_was_sent(case: SourceCase) -> None:
    """What a customer wrote reaches the event as it is: deskbell cleans and escapes it where it is shown."""
    for action, path, variables in _told_fields(case):
        for what, text in KEPT.items():
            event = case.tried(with_field(case.samples()[action], path, text))
            if isinstance(event, TicketEvent):
                for name in variables:
                    _require_same(event, name, text, f"{what} in {dotted(path)}")


@READING_CHECKS.silver
def numbers_keep_their_digits(case: SourceCase) -> None:
    """A number is shown as it was sent: large ids and 1.10 as well."""
    for action, path, variables in _told_fields(case):
        marked = as_bytes(with_field(case.samples()[action], path, MARKER))
        for number in NUMBERS:
            event = case.tried(marked.replace(b'"%b"' % MARKER.encode(), number.encode()))
            if isinstance(event, TicketEvent):
                for name in variables:
                    _require_same(event, name, number, f"the number {number} in {dotted(path)}")


def _told_fields(case: SourceCase) -> Iterator[tuple[str, FieldPath, list[str]]]:
    """Each field that an event tells as it is: the action of its sample, where it is, the names of its variables."""
    known = set[FieldPath]()
    for action, body in case.samples().items():
        for path in set(texts_of(body)) - known:
            known.add(path)
            event = case.tried(with_field(body, path, MARKER))
            if isinstance(event, TicketEvent):
                yield action, path, [name for name, value in event.variables.items() if value == MARKER]


def _require_same(event: TicketEvent, name: str, sent: str, what: str) -> None:
    got = event.variables.get(name, "")
    if got != sent:
        raise NotMet(f"{what} becomes {name}={got!r}, not {sent!r}: keep it as it was sent")


@READING_CHECKS.silver
def ticket_is_that_of_the_event(case: SourceCase) -> None:
    """The ticket of an event is read from its body: events of two tickets do not share one."""
    bodies = {action: body for action, body in case.samples().items() if action in tuple(Action)}
    if not bodies:
        raise NotApplicable("it sends no events of tickets")
    for action, body in bodies.items():
        plain = case.tried(body)
        if isinstance(plain, TicketEvent) and plain.ticket and not _follows(case, body, plain.ticket):
            raise NotMet(
                f"no field of sample({action!r}) changes the ticket {plain.ticket!r}: every event would wait for "
                "every other, so read the ticket's id from the body"
            )


def _follows(case: SourceCase, body: Any, ticket: str) -> bool:
    for path in texts_of(body):
        for value in ("7777777", "https://desk.example/tickets/7777777"):
            event = case.tried(with_field(body, path, value))
            if isinstance(event, TicketEvent) and event.ticket != ticket:
                return True
    return False


@READING_CHECKS.silver
def unknown_actions_are_not_known_ones(case: SourceCase) -> None:
    """An action that it does not know keeps its own word or is refused: it never passes for another one."""
    bodies = case.samples()
    if not (paths := _action_fields(bodies)):
        raise NotApplicable("no field of its samples alone tells the action")
    for action, body in bodies.items():
        for path in paths:
            answer = case.read(with_field(body, path, MARKER), f"an unknown word as {dotted(path)}")
            if isinstance(answer, TicketEvent) and answer.action != action and answer.action in bodies:
                raise NotMet(
                    f"an unknown word as {dotted(path)} becomes {answer.action}: keep the word "
                    "(deskbell.action_named does), or raise deskbell.EventError"
                )


def _action_fields(bodies: Mapping[str, Any]) -> list[FieldPath]:
    """The fields that every sample has, with a different text in each."""
    if len(bodies) == 1:
        return []
    shared = set.intersection(*(set(texts_of(body)) for body in bodies.values()))
    values = {path: {str(value_at(body, path)) for body in bodies.values()} for path in shared}
    return sorted((path for path in shared if len(values[path]) == len(bodies)), key=dotted)


class _Asked(dict[str, str]):
    """Headers that remember which were asked for."""

    def __init__(self) -> None:
        super().__init__(HEADERS)
        self.names = set[str]()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)


@READING_CHECKS.silver
def headers_are_asked_in_lower_case(case: SourceCase) -> None:
    """Names of headers are looked up in lower case, for that is how deskbell hands them over."""
    for body in case.samples().values():
        headers = _Asked()
        case.tried(body, headers)
        if wrong := sorted(name for name in headers.names if name != name.lower()):
            raise NotMet(
                f"parse asks for the header {wrong[0]!r}, which is never there: write {wrong[0].lower()!r}"
            )
