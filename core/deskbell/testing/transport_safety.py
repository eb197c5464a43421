"""Second level, safety: secrets stay secret, and what a customer writes is never more than text."""

from __future__ import annotations

import io
import json
import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web

from deskbell.blame import in_words
from deskbell.delivery import RetryPolicy
from deskbell.notice import clean
from deskbell.outcome import Delivered, Outcome
from deskbell.redaction import Redactor
from deskbell.secret import MASK, Secret, secret_parts
from deskbell.settings import Webhook, When
from deskbell.template import Template
from deskbell.transport import Payload

from .answers import refusal
from .checks import Checks, NotApplicable, NotMet
from .payloads import (
    FREE,
    TEXTS,
    every_variable,
    filled,
    payload_with,
    require_encodable,
    shape_of,
    shortened,
    strings_in,
)
from .stage import CANARY, Answer, Stage, TransportCase, on_stage

SAFETY_CHECKS = Checks[TransportCase]()

_SHORTEST_SECRET = 8
"""Characters: what is shorter may stand anywhere by accident."""
_HALF = 12
"""Characters of ``CANARY`` that are a leak, too: what is cut before it is masked is not found any more."""
_DISARMING = "\\\u200b\ufeff\u2060\u200c"
"""What disarms a text that stands behind it: a backslash, or a character without width."""
_BELONGS = (
    "put what customers write into the body; a header or a URL takes no line break, and only encoded text"
)
_EXPANDED = "w7expanded7w"
_NOTHING_ELSE = "%subject%\n%content%"
"""A message without words of the owner's own: in those, such a text may stand."""
BREAKING_OUT = (
    '"}, {"text": "x"}',
    "</p></div><script>alert(1)</script>",
    "<!-- --> ]]> <![CDATA[",
    "\\\" \\' \\",
    "a\n\n---\nb: c\n",
    "{{x}} ${y} %(z)s {0}",
    "a=b&c=d#e?f",
)
"""Texts that end a field where a message is put together as text."""


@SAFETY_CHECKS.silver
async def secrets_are_kept(case: TransportCase) -> None:
    """The URL and secret options are in no log, no output, no `repr` and no error, and in no detail once it is masked."""
    answers: dict[str, Answer] = {
        "the service's yes": case.ok_reply,
        "HTTP 404": _echo,
        "HTTP 429": refusal(429),
        "HTTP 503": refusal(503),
        "a dropped connection": _drop,
    }
    async with on_stage(case) as stage:
        secrets = _secrets_of(stage)
        mask = _redactor(stage)
        for called, stage.answer in answers.items():
            with _overheard() as heard:
                outcome = await _attempted(stage, heard)
            if outcome:
                heard.told["the detail of its outcome, masked"] = mask(outcome.detail)
            heard.told["repr() of the transport"] = f"{case.transport!r} {vars(case.transport)!r}"
            _require_kept(heard, secrets, called)


@SAFETY_CHECKS.silver
async def secrets_are_revealed_to_the_service(case: TransportCase) -> None:
    """The service gets the secrets themselves, never the mask that a `Secret` prints as."""
    async with on_stage(case) as stage:
        await stage.send()
        for request in stage.received:
            told = f"{request.path} {request.headers} {request.body.decode('utf-8', 'replace')}"
            if MASK in unquote(told) or json.dumps(MASK)[1:-1] in told:
                raise NotMet(
                    f"the service got {MASK} in place of a secret: where it is sent, write secret.reveal(), "
                    "and keep it out of f-strings elsewhere"
                )


@SAFETY_CHECKS.silver
def hostile_text_is_defused(case: TransportCase) -> None:
    """None of the `hostile` texts reaches the payload as it was written: a customer cannot ping, link or format."""
    if not case.hostile:
        raise NotApplicable(
            "nothing is named in hostile: list what would ping, link or format at this service, if anything does"
        )
    for text in case.hostile:
        payload = payload_with(case, shortened(text), filled(text), message=_NOTHING_ELSE)
        if any(_active(text, inside) for inside in strings_in(payload)):
            raise NotMet(
                f"{shortened(text)} from a customer reached the channel unescaped: pass an escape to notice.text()"
            )


@SAFETY_CHECKS.silver
async def any_text_is_sent(case: TransportCase) -> None:
    """What a customer writes reaches a working service, whatever it is: line breaks, quotes, emoji."""
    async with on_stage(case) as stage:
        for text in (*TEXTS.values(), *BREAKING_OUT, *case.hostile):
            if (payload := _sendable(case, text)) is not None:
                await _require_taken(stage, payload, shortened(text))


def _sendable(case: TransportCase, text: str) -> Payload | None:
    """The payload with ``text`` in every variable; None where another check tells what is wrong with it."""
    try:
        payload = payload_with(case, shortened(text), every_variable(text))
        require_encodable(payload, shortened(text))
    except NotMet:
        return None
    return payload


async def _require_taken(stage: Stage, payload: Payload, text: str) -> None:
    """``NotMet`` unless the service gets ``payload``, and ``send`` says so."""
    try:
        outcome: object = await stage.send(payload)
    except Exception as error:
        raise NotMet(f"{text} from a customer: send() raised {in_words(error)}; {_BELONGS}") from error
    if not isinstance(outcome, Delivered):
        raise NotMet(f"{text} from a customer: send() says {outcome!r} of a service that works; {_BELONGS}")


@SAFETY_CHECKS.silver
def values_stay_in_their_field(case: TransportCase) -> None:
    """No text of a customer changes the structure of the payload."""
    for text in (*BREAKING_OUT, *case.hostile, *TEXTS.values()):
        usual_text = tame(text)
        wild, usual = (payload_with(case, shortened(each), filled(each)) for each in (text, usual_text))
        if shape_of(wild) != shape_of(usual):
            raise NotMet(
                f"{shortened(text)} from a customer gives the payload another structure than {shortened(usual_text)}: "
                "build it from dicts and lists, never by putting JSON or HTML together as text"
            )


@SAFETY_CHECKS.silver
def values_are_not_expanded(case: TransportCase) -> None:
    """`%email%` in a customer's text stays as it is: a value is never read as a template."""
    for name in FREE:
        if name == "content":
            continue
        expanded, usual = (_occurrences(case, name, content) for content in (f"a %{name}% b", "a word b"))
        if expanded > usual:
            raise NotMet(
                f"%{name}% in a customer's text is replaced: call notice.text() once, and replace nothing in its result"
            )


@dataclass
class _Heard:
    """What was told while something ran, by where."""

    told: dict[str, str] = field(default_factory=dict)


class _Ear(logging.Handler):
    """Keeps every record as a log would show it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines = list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(self.format(record))


@contextmanager
def _overheard() -> Iterator[_Heard]:
    """Everything that is logged or printed meanwhile."""
    heard, ear, output = _Heard(), _Ear(), io.StringIO()
    root = logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(output), redirect_stderr(output):
            yield heard
    finally:
        root.removeHandler(ear)
        root.setLevel(level)
    heard.told["the log"] = "\n".join(ear.lines)
    heard.told["its output"] = output.getvalue()


async def _attempted(stage: Stage, heard: _Heard) -> Outcome | None:
    """One attempt; its error is told, and another check's business."""
    try:
        return await stage.send()
    except Exception as error:  # noqa: BLE001 - a plugin's own code
        heard.told["the error that it raises"] = "".join(traceback.format_exception(error))
        return None


def _require_kept(heard: _Heard, secrets: frozenset[str], called: str) -> None:
    for where, told in heard.told.items():
        if any(secret in told for secret in secrets):
            raise NotMet(
                f"after {called}, {where} shows the webhook's URL or a secret option: log and say neither; "
                "reveal() belongs in the line that sends it"
            )


def _secrets_of(stage: Stage) -> frozenset[str]:
    """Everything that must not be seen, and the beginning of the canary."""
    context = stage.context()
    found = {*secret_parts(context.url.reveal())}
    found |= {value.reveal() for _, value in context.options if isinstance(value, Secret)}
    if any(CANARY in each for each in found):
        found.add(CANARY[:_HALF])
    return frozenset(each for each in found if len(each) >= _SHORTEST_SECRET)


def _redactor(stage: Stage) -> Redactor:
    """Core's own, for this webhook."""
    context, case = stage.context(), stage.case
    webhook = Webhook(
        name=context.webhook,
        enabled=True,
        url=context.url,
        transport=case.transport,
        options=case.options,
        actions=None,
        when=When(),
        template=Template.parse("", ()),
        rates=(),
        retry=RetryPolicy(),
    )
    return Redactor(webhook, context.url)


def _occurrences(case: TransportCase, name: str, content: str) -> int:
    """How often the value of ``name`` stands in the payload."""
    payload = payload_with(case, shortened(content), {name: _EXPANDED, "content": content})
    return sum(text.count(_EXPANDED) for text in strings_in(payload))


def _active(hostile: str, text: str) -> bool:
    """``hostile`` stands in ``text`` with nothing before it that would disarm it."""
    return re.search(f"(?<![{re.escape(_DISARMING)}]){re.escape(hostile)}", text) is not None


def tame(text: str) -> str:
    """As long, in as many lines (of those that core makes of it), and without a sign."""
    return re.sub(r"[^\w\s]|_", "x", clean(text), flags=re.ASCII)


async def _echo(request: web.Request) -> web.StreamResponse:
    """As servers do that do not know a path."""
    return web.Response(status=404, text=f"Cannot {request.method} {request.path_qs}")


async def _drop(request: web.Request) -> web.StreamResponse:
    if request.transport:
        request.transport.close()
    return web.Response()
