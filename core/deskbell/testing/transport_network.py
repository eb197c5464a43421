"""Second level, the network: its faults are temporary, and nothing is sent twice or past the context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from yarl import URL

from deskbell.blame import in_words
from deskbell.errors import SendError

from .answers import (
    GONE,
    REFUSED,
    TEMPORARY,
    failure_of,
    outcome_of,
    refusal,
    require_own_client_unused,
    require_temporary,
)
from .checks import Checks, NotApplicable, NotMet
from .payloads import payload_with
from .stage import PATIENCE, TIMEOUT, Answer, Stage, TransportCase, on_stage

NETWORK_CHECKS = Checks[TransportCase]()

_AT_ONCE = 100
_IN_THREADS = 20
_PATIENCE_TO_CANCEL = 1.0
"""Seconds for what should take none."""
_KEYS = ("idempotency-key", "webhook-id", "request-id", "message-id", "dedup-id", "deduplication-id")
"""How headers end that let a service drop repeats."""


@NETWORK_CHECKS.silver
async def silence_is_temporary(case: TransportCase) -> None:
    """A service that does not answer in time is a temporary failure."""
    require_own_client_unused(case)
    await failure_of(case, "the service did not answer in time", _never, patience=TIMEOUT)


@NETWORK_CHECKS.silver
async def dropped_connections_are_temporary(case: TransportCase) -> None:
    """A connection that is closed without an answer is a temporary failure."""
    await failure_of(case, "the service closed the connection", _drop)


@NETWORK_CHECKS.silver
async def broken_answers_are_temporary(case: TransportCase) -> None:
    """Half an answer is a temporary failure."""
    await failure_of(case, "the answer broke off", _half)


@NETWORK_CHECKS.silver
async def unknown_hosts_are_temporary(case: TransportCase) -> None:
    """A name that cannot be looked up is a temporary failure: name servers fail, too."""
    require_own_client_unused(case)
    await _rewritten(case, "the service's name was not found", lambda _: "http://no-such-name.invalid/")


@NETWORK_CHECKS.silver
async def tls_failures_are_temporary(case: TransportCase) -> None:
    """A failed TLS handshake is a temporary failure: certificates expire, and are renewed."""
    require_own_client_unused(case)

    async with on_stage(case) as stage:
        to_the_server = stage.rewrite
        stage.rewrite = lambda url: str(URL(to_the_server(url), encoded=True).with_scheme("https"))
        await require_temporary(stage, "the TLS handshake failed")


@NETWORK_CHECKS.silver
async def nothing_is_sent_twice(case: TransportCase) -> None:
    """After an answer that means no, or a dropped connection, it does not try again: deskbell does."""
    answers: dict[str, Answer] = {
        f"HTTP {status}": refusal(status, **{"Retry-After": "0"})
        for status in (*TEMPORARY, 429, *REFUSED, *GONE)
    }
    refusals: dict[str, Answer] = {f"the refusal {reply.body!r}": reply for reply in case.refusals}
    for called, answer in {**answers, **refusals, "a dropped connection": _drop}.items():
        async with on_stage(case) as stage:
            stage.answer = answer
            await _attempt(stage, called)
            if len(stage.received) > 1:
                raise NotMet(
                    f"send() made {len(stage.received)} requests after {called}: make one and return; "
                    "deskbell tries again when it is time"
                )


@NETWORK_CHECKS.silver
async def only_the_context_is_used(case: TransportCase) -> None:
    """It opens no connection but through its context: that has the limits, the guard and the proxy of the owner."""
    require_own_client_unused(case)
    async with on_stage(case) as stage:
        await _attempt(stage, "the service's yes")
        if strayed := stage.watch.strayed:
            raise NotMet(
                f"send() reached {', '.join(dict.fromkeys(strayed))} past its context: "
                "use context.post(), context.get() or context.request()"
            )
        if len(stage.asked) != len(stage.received):
            raise NotMet(
                "send() has a client of its own: use context.post(), context.get() or context.request()"
            )


@NETWORK_CHECKS.silver
async def sends_share_no_state(case: TransportCase) -> None:
    """A hundred messages sent at once arrive, each as it is."""
    count = _IN_THREADS if case.transport.blocking else _AT_ONCE
    marks = [f"x{number:04}x" for number in range(count)]
    payloads = [payload_with(case, "a short text", {"subject": mark, "content": mark}) for mark in marks]
    async with on_stage(case, patience=6 * PATIENCE) as stage:
        contexts = (stage.context(delivery=mark) for mark in marks)
        sending = (
            outcome_of(stage, f"on {count} messages at once", payload, context)
            for payload, context in zip(payloads, contexts, strict=True)
        )
        await asyncio.gather(*sending)
        bodies = [f"{request.path} {request.body!r}" for request in stage.received]
    for mark in marks:
        arrived = sum(mark in body for body in bodies)
        if arrived != 1:
            raise NotMet(
                f"of {count} messages sent at once, one arrived {arrived} times: keep nothing of a message in self, "
                "one instance serves every webhook"
            )


@NETWORK_CHECKS.silver
async def cancellation_passes(case: TransportCase) -> None:
    """`send` ends at once when it is cancelled, and swallows no `CancelledError`."""
    require_own_client_unused(case)
    async with on_stage(case) as stage:
        arrived = asyncio.Event()
        stage.answer = _silent_after(arrived)
        sending = asyncio.ensure_future(stage.send())
        waiting = asyncio.ensure_future(arrived.wait())
        await asyncio.wait({sending, waiting}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if sending.done():
            sending.exception()
            raise NotApplicable("it makes no request that could be cancelled")
        sending.cancel()
        await asyncio.wait({sending}, timeout=_PATIENCE_TO_CANCEL)
        if not sending.done():
            raise NotMet("send() goes on when it is cancelled: let CancelledError pass, at once")
        if not sending.cancelled():
            raise NotMet("send() swallows its cancellation: catch Exception, not BaseException")


@NETWORK_CHECKS.silver
async def repeats_carry_the_same_key(case: TransportCase) -> None:
    """Where it sends a key by which the service drops repeats, each attempt of a delivery carries the same."""
    first, again, other = [
        await _keys_of(case, delivery=delivery, attempt=attempt)
        for delivery, attempt in (("delivery-1", 1), ("delivery-1", 2), ("delivery-2", 1))
    ]
    if not first:
        raise NotApplicable("it sends no key by which the service could drop repeats")
    for name, key in first.items():
        if again.get(name) != key:
            raise NotMet(
                f"the header {name} differs from one attempt to the next: make it of context.delivery alone"
            )
        if other.get(name) == key:
            raise NotMet(
                f"the header {name} is the same for two deliveries, and the service would drop the second: "
                "make it of context.delivery"
            )


async def _keys_of(case: TransportCase, *, delivery: str, attempt: int) -> dict[str, str]:
    async with on_stage(case) as stage:
        context = stage.context(delivery=delivery, attempt=attempt)
        await outcome_of(stage, "on the service's yes", None, context)
        headers = stage.received[-1].headers if stage.received else {}
        return {name: value for name, value in headers.items() if name.endswith(_KEYS)}


async def _rewritten(case: TransportCase, what: str, rewrite: Callable[[str], str]) -> None:
    async with on_stage(case) as stage:
        stage.rewrite = rewrite
        await require_temporary(stage, what)


async def _attempt(stage: Stage, called: str) -> None:
    """One attempt whose outcome is another check's business."""
    try:
        await stage.send()
    except SendError:
        pass
    except Exception as error:
        raise NotMet(
            f"send() raised {in_words(error)} after {called}: return an outcome, whatever comes"
        ) from error


async def _never(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("an event that nobody sets")


def _silent_after(arrived: asyncio.Event) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await _never(request)

    return answer


async def _drop(request: web.Request) -> web.StreamResponse:
    _close(request)
    return web.Response()


async def _half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"ok": tr')
    _close(request)
    return response


def _close(request: web.Request) -> None:
    if request.transport:
        request.transport.close()
