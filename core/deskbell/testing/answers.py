"""What the checks ask of ``send``, and how they judge what comes of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deskbell.blame import in_words
from deskbell.errors import SendError
from deskbell.outcome import Delivered, Outcome, TemporaryFailure
from deskbell.transport import Payload, SendContext

from .checks import NotApplicable, NotMet
from .stage import PATIENCE, Answer, Reply, Stage, TransportCase, on_stage

TEMPORARY = (408, 500, 502, 503, 504)
REFUSED = (400, 413, 422)
GONE = (401, 403, 404, 410)
WORDS = "the pigeon of bay 7 is ill"
"""What a service says, in none of the words that any real one uses."""


def refusal(status: int, **headers: str) -> Reply:
    """An answer with ``WORDS`` under each of the keys that services use."""
    keys = ("error", "message", "description", "detail", "title")
    return Reply(status, dict.fromkeys(keys, WORDS), headers)


async def outcome_of(
    stage: Stage, when: str, payload: Payload | None = None, context: SendContext[Any] | None = None
) -> Outcome:
    """The outcome of one attempt; ``NotMet`` when there is none. ``when``: as in ``on HTTP 503``."""
    try:
        outcome: Any = await stage.send(payload, context)
    except SendError as error:
        raise NotMet(
            f"send() raised SendError {when}: that is for an answer that never came; return an outcome"
        ) from error
    except Exception as error:
        raise NotMet(f"send() raised {in_words(error)} {when}: return an outcome, whatever comes") from error
    if not isinstance(outcome, Outcome):
        raise NotMet(
            f"send() returned {outcome!r} {when}: return an outcome, such as deskbell.classify_response(response)"
        )
    return outcome


async def outcomes_by_status(case: TransportCase, statuses: Iterable[int]) -> dict[int, Outcome]:
    """What ``send`` says to each status, with ``WORDS`` in the answer."""
    async with on_stage(case) as stage:
        found = dict[int, Outcome]()
        for status in statuses:
            stage.answer = refusal(status)
            found[status] = await outcome_of(stage, f"on HTTP {status}")
        return found


async def failure_of(case: TransportCase, what: str, answer: Answer, *, patience: float = PATIENCE) -> None:
    """``NotMet`` unless ``answer``, which is none, makes a temporary failure. ``what`` as in ``a service is silent``."""
    async with on_stage(case, patience=patience) as stage:
        stage.answer = answer
        await require_temporary(stage, what)


async def require_temporary(stage: Stage, what: str) -> None:
    """``NotMet`` unless the network's fault is passed on as one, and only one request was made."""
    try:
        outcome: Any = await stage.send()
    except SendError:
        return
    except Exception as error:
        raise NotMet(
            f"{what}, and send() raised {in_words(error)}: let the context's SendError pass, "
            "or return TemporaryFailure"
        ) from error
    if not isinstance(outcome, TemporaryFailure):
        raise NotMet(
            f"{what}, which is temporary: let SendError pass or return TemporaryFailure, not {kind_of(outcome)}"
        )


def require_not_delivered(outcome: Outcome, what: str, instead: str) -> None:
    """``NotMet`` when it says ``Delivered``."""
    if isinstance(outcome, Delivered):
        raise NotMet(f"{what}, and send() says Delivered: {instead}")


def require_own_client_unused(case: TransportCase) -> None:
    """``NotApplicable`` for a transport that does not send through its context."""
    if case.transport.blocking:
        raise NotApplicable("it is blocking: its own library opens its connections")


def kind_of(outcome: object) -> str:
    """As its author writes it."""
    return type(outcome).__name__
