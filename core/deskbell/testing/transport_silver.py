"""Second level, answers: what the service says becomes the outcome that it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp import web

from deskbell.outcome import DestinationGone, Outcome, PermanentFailure, TemporaryFailure, Throttled

from .answers import (
    GONE,
    REFUSED,
    TEMPORARY,
    WORDS,
    kind_of,
    outcome_of,
    outcomes_by_status,
    refusal,
    require_not_delivered,
)
from .checks import Checks, NotMet
from .stage import Reply, TransportCase, on_stage

ANSWER_CHECKS = Checks[TransportCase]()

_PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form></form></body></html>"
_ASKED_WAIT = 7
_DATED_WAIT = 30
_SLACK = 5
"""Seconds that an HTTP date may be off: it has whole ones, and the machine may be busy."""
_CHUNK = b"x" * 65_536
_CHUNKS = 256
"""16 MiB: more than all buffers of the kernel on the way."""


@ANSWER_CHECKS.silver
async def temporary_answers_are_temporary(case: TransportCase) -> None:
    """HTTP 408, 500, 502, 503 and 504 are `TemporaryFailure`, with the status in `detail`."""
    for status, outcome in (await outcomes_by_status(case, TEMPORARY)).items():
        _require(outcome, status, (TemporaryFailure,), "is temporary")
        _require_detail(outcome, status, str(status))


@ANSWER_CHECKS.silver
async def refused_messages_are_permanent(case: TransportCase) -> None:
    """HTTP 400, 413 and 422 are `PermanentFailure`, with the service's own words in `detail`."""
    for status, outcome in (await outcomes_by_status(case, REFUSED)).items():
        _require(outcome, status, (PermanentFailure, DestinationGone), "will not go away by itself")
        _require_detail(outcome, status, WORDS)


@ANSWER_CHECKS.silver
async def dead_webhooks_are_gone(case: TransportCase) -> None:
    """HTTP 401, 403, 404 and 410 are `DestinationGone`, with the service's own words in `detail`."""
    for status, outcome in (await outcomes_by_status(case, GONE)).items():
        _require(outcome, status, (DestinationGone,), "means that the webhook is dead, which pauses it")
        _require_detail(outcome, status, WORDS)


@ANSWER_CHECKS.silver
async def throttling_waits_as_told(case: TransportCase) -> None:
    """HTTP 429 is `Throttled`, for the seconds of `Retry-After`, and for some where it is missing."""
    async with on_stage(case) as stage:
        stage.answer = refusal(429, **{"Retry-After": str(_ASKED_WAIT)})
        wait = _wait_of(await outcome_of(stage, "on HTTP 429"))
        if not _ASKED_WAIT <= wait <= _ASKED_WAIT + 1:
            raise NotMet(
                f"HTTP 429 asks to wait {_ASKED_WAIT} s, and Throttled says {wait:g}: use deskbell.retry_after(response)"
            )
        stage.answer = refusal(429)
        if not 0 < _wait_of(await outcome_of(stage, "on HTTP 429 without Retry-After")) <= 3600:
            raise NotMet(
                "HTTP 429 without Retry-After: wait some seconds all the same, up to an hour; "
                "deskbell.classify_response(response) takes a minute"
            )


@ANSWER_CHECKS.silver
async def throttling_reads_dates(case: TransportCase) -> None:
    """`Retry-After` may be an HTTP date, too."""
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=_DATED_WAIT), usegmt=True)
    async with on_stage(case) as stage:
        stage.answer = refusal(429, **{"Retry-After": at})
        wait = _wait_of(await outcome_of(stage, "on HTTP 429 with a date"))
    if abs(wait - _DATED_WAIT) > _SLACK:
        raise NotMet(
            f"HTTP 429 with Retry-After: {at} asks to wait {_DATED_WAIT} s, and Throttled says {wait:g}: "
            "use deskbell.retry_after(response)"
        )


@ANSWER_CHECKS.silver
async def success_that_means_no_is_no_delivery(case: TransportCase) -> None:
    """A page to sign in, `{"ok": false}` and the `refusals` of the contract are not `Delivered`, though HTTP says 200."""
    answers = (
        ("a page of HTML", Reply(200, _PAGE, {"Content-Type": "text/html; charset=utf-8"})),
        ('{"ok": false}', Reply(200, {"ok": False, "error": WORDS})),
        *((f"the refusal {reply.body!r}", reply) for reply in case.refusals),
    )
    async with on_stage(case) as stage:
        for called, stage.answer in answers:
            said = f"the service answered {called} with a status of success"
            instead = "look at the body; deskbell.classify_response(response) knows the usual forms of no"
            require_not_delivered(
                await outcome_of(stage, f"on {called} with a status of success"), said, instead
            )


@ANSWER_CHECKS.silver
async def redirects_are_not_followed(case: TransportCase) -> None:
    """HTTP 302, 307 and 308 are not followed, for the message would go to a stranger; they are no delivery."""
    for status in (302, 307, 308):
        async with on_stage(case) as stage:
            stage.answer = _Once(Reply(status, b"", {"Location": "/somewhere-else"}), case.ok_reply)
            outcome = await outcome_of(stage, f"on HTTP {status}")
            if len(stage.received) > 1:
                raise NotMet(
                    f"send() followed HTTP {status} to another place: send through context.post(), which does not, "
                    "or say allow_redirects=False"
                )
            require_not_delivered(
                outcome, f"the service redirects (HTTP {status})", "it has not got the message"
            )


@ANSWER_CHECKS.silver
async def long_answers_are_judged(case: TransportCase) -> None:
    """An answer of 16 MiB is not read whole, and judged all the same."""
    whole = list[int]()
    async with on_stage(case) as stage:
        for status in (503, 200):
            stage.answer = _Endless(status, whole)
            outcome = await outcome_of(stage, f"on HTTP {status} with an answer of 16 MiB")
            if status == 503:
                _require(outcome, status, (TemporaryFailure,), "is temporary, however long its answer is")
    if whole and not case.transport.blocking:
        raise NotMet(
            "send() read an answer of 16 MiB whole: send through context.post(), which reads no more than it needs"
        )


def _require(outcome: Outcome, status: int, right: tuple[type, ...], why: str) -> None:
    if not isinstance(outcome, right):
        raise NotMet(f"HTTP {status} {why}: return {right[0].__name__}, not {kind_of(outcome)}")


def _require_detail(outcome: Outcome, status: int, words: str) -> None:
    if words not in outcome.detail:
        raise NotMet(
            f"HTTP {status}: the detail {outcome.detail!r} lacks {words!r}, so that nobody sees why: "
            "use response.words()"
        )


def _wait_of(outcome: Outcome) -> float:
    if not isinstance(outcome, Throttled):
        raise NotMet(f"HTTP 429 is nobody's failure: return Throttled, not {kind_of(outcome)}")
    return outcome.retry_after


class _Once:
    """The first answer, and another one from then on."""

    def __init__(self, first: Reply, then: Reply) -> None:
        self._answers = [then, first]

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        then, *first = self._answers
        self._answers = [then]
        return await (first[0] if first else then)(request)


class _Endless:
    """An answer of 16 MiB; ``whole`` gets its status when somebody took all of it."""

    def __init__(self, status: int, whole: list[int]) -> None:
        self._status, self._whole = status, whole

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self._status, headers={"Content-Type": "application/json"})
        try:
            await response.prepare(request)
            await response.write(b'{"text": "')
            for _ in range(_CHUNKS):
                await response.write(_CHUNK)
            await response.write_eof(b'"}')
            self._whole.append(self._status)
        except ConnectionError:
            pass
        return response
