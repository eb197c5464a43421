"""Ask services whether webhooks live, and post nothing: many at once, each within its time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .errors import SendError
from .notice import clean
from .outcome import Delivered, DestinationGone, Outcome, Throttled
from .redaction import Redactor
from .settings import Webhook
from .transport import SendContext

if TYPE_CHECKING:
    from .isolation import Request

PROBE_TIMEOUT = 10.0
"""Seconds for one question."""
_AT_ONCE = 8
_LONGEST_WORDS = 300


class Answer(StrEnum):
    """What came of a question."""

    REACHABLE = "reachable"
    GONE = "gone"
    UNREACHABLE = "unreachable"
    BUSY = "busy"
    NOT_PROBED = "not_probed"
    DEMO = "demo"


@dataclass(frozen=True, slots=True)
class Probed:
    """A webhook and its service's answer; ``detail`` is safe to print."""

    webhook: Webhook
    answer: Answer
    detail: str = ""

    @property
    def failed(self) -> bool:
        """True when its messages would not arrive now."""
        return self.answer in (Answer.GONE, Answer.UNREACHABLE)


async def probe_all(
    webhooks: Sequence[Webhook], request: Request, *, patience: float = PROBE_TIMEOUT
) -> list[Probed]:
    """One answer for each webhook, in their order. Webhooks that would ask the same share one question.

    ``patience``: seconds for each. ``request`` is a client's.
    """
    places = asyncio.Semaphore(_AT_ONCE)
    groups = list[list[Webhook]]()
    for webhook in webhooks:
        alike = (group for group in groups if _asks_the_same(group[0], webhook))
        if group := next(alike, None):
            group.append(webhook)
        else:
            groups.append([webhook])

    async def ask(group: Sequence[Webhook]) -> list[Probed]:
        async with places:
            answer, detail = await _answer(group[0], request, patience)
        return [Probed(webhook, answer, detail) for webhook in group]

    found = [each for group in await asyncio.gather(*map(ask, groups)) for each in group]
    return sorted(found, key=lambda each: webhooks.index(each.webhook))


def _asks_the_same(one: Webhook, other: Webhook) -> bool:
    return one.destination == other.destination and one.options == other.options


async def _answer(webhook: Webhook, request: Request, patience: float) -> tuple[Answer, str]:
    if webhook.demo:
        return Answer.DEMO, ""
    context: SendContext[Any] = SendContext(webhook.url, webhook.options, webhook.name, "probe", 1, request)
    redact = Redactor(webhook, webhook.url)
    try:
        async with asyncio.timeout(patience):
            outcome = await webhook.transport.probe(context)
    except SendError as error:
        return Answer.UNREACHABLE, _words(str(error), redact)
    except TimeoutError:
        return Answer.UNREACHABLE, f"no answer within {patience:g} s"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's own code
        said = f"the transport {webhook.transport.name} failed: {type(error).__name__}: {error}"
        return Answer.UNREACHABLE, _words(said, redact)
    return _kind(outcome), _words(outcome.detail if outcome else "", redact)


def _kind(outcome: Outcome | None) -> Answer:
    match outcome:
        case None:
            return Answer.NOT_PROBED
        case Delivered():
            return Answer.REACHABLE
        case DestinationGone():
            return Answer.GONE
        case Throttled():
            return Answer.BUSY
        case _:
            return Answer.UNREACHABLE


def _words(text: str, redact: Redactor) -> str:
    """On one line that is safe to print; redacted first: half a secret would not be found any more."""
    return re.sub(r"\s+", " ", clean(redact(text))).strip()[:_LONGEST_WORDS]
