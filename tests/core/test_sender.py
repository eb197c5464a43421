"""One attempt: what a plugin, a service or the network may do, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, NoReturn

import pytest
from aiohttp import web
from pydantic import BaseModel, Field

import deskbell
from deskbell.client import Client
from deskbell.delivery import Attempt, Delivery, State
from deskbell.egress import EgressPolicy
from deskbell.isolation import Request
from deskbell.secret import MASK
from deskbell.sender import LAST_WORDS, Sender
from deskbell.settings import Webhook, When
from deskbell.store import Claimed
from deskbell.template import Template

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
TIMEOUT = 0.1
TOKEN = "kD93_jfLw0-slQpz72Hn"
URL = f"https://chat.example/hooks/{TOKEN}?thread=7"

Format = Callable[[deskbell.Notice, Any], Any]
Send = Callable[[deskbell.Payload, deskbell.SendContext[Any]], Any]
Answer = Callable[[web.Request], Awaitable[web.Response]]
Listen = Callable[[Answer], Awaitable[str]]


class Login(BaseModel):
    password: deskbell.Secret


class ZooOptions(deskbell.Options):
    token: deskbell.Secret = deskbell.Secret("")
    keys: tuple[deskbell.Secret, ...] = ()
    logins: dict[str, Login] = Field(default_factory=dict)


class Zoo(deskbell.Transport[ZooOptions]):
    """Any plugin: it formats and sends as it is told, else as every transport does."""

    name = "zoo"
    max_length = 1000

    def __init__(self, form: Format | None = None, send: Send | None = None) -> None:
        self._form = form
        self._send = send

    def format(self, notice: deskbell.Notice, options: ZooOptions) -> deskbell.Payload:
        if self._form:
            made: deskbell.Payload = self._form(notice, options)
            return made
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}

    async def send(
        self, payload: deskbell.Payload, context: deskbell.SendContext[ZooOptions]
    ) -> deskbell.Outcome:
        if self._send:
            outcome: deskbell.Outcome = await self._send(payload, context)
            return outcome
        return await super().send(payload, context)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """The real client; it may reach this machine."""
    async with Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))) as client:
        yield client


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Starts a service on a port of its own and gives its URL."""
    runners: list[web.AppRunner] = []

    async def start(answer: Answer) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/{TOKEN}"

    yield start
    for runner in runners:
        await runner.cleanup()


def webhook_of(transport: Zoo, url: str = URL, **options: Any) -> Webhook:
    return Webhook(
        name="tickets",
        enabled=True,
        url=deskbell.Secret(url),
        transport=transport,
        options=ZooOptions(**options),
        actions=None,
        when=When(),
        template=Template.parse("%username%: %content%", deskbell.VARIABLES),
        rates=(),
    )


def claimed_delivery(attempts: int = 1, content: str = "Hello") -> Claimed:
    event = deskbell.TicketEvent(
        id="e1", action="Submit", ticket="1", variables={"username": "Ann", "content": content}
    )
    delivery = Delivery(
        id=7, event_id="e1", webhook="tickets", transport="zoo", ticket="1", action="Submit",
        state=State.SENDING, due_from=NOW, attempts=attempts,
    )  # fmt: skip
    return Claimed(delivery, event)


async def no_network(*_: object) -> NoReturn:
    raise AssertionError("this plugin asks nothing of the network")


def sender_with(request: Request = no_network, *, limit: float = TIMEOUT) -> Sender:
    return Sender(request, timezone=UTC, date_format="%d/%m/%y", clock=lambda: NOW, timeout=limit)


async def attempt_of(
    transport: Zoo, *, url: str = URL, place: str = "", limit: float = TIMEOUT, **options: Any
) -> Attempt:
    """One attempt by ``transport``, to ``place`` if that is another URL than the webhook's."""
    sender = sender_with(limit=limit)
    return await sender.attempt(
        claimed_delivery(), webhook_of(transport, url, **options), deskbell.Secret(place or url)
    )


async def test_an_attempt_posts_what_format_made_and_keeps_it(client: Client, listen: Listen) -> None:
    got: list[tuple[str, str | None, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        got.append((request.method, request.headers.get("Content-Type"), await request.json()))
        return web.Response(text="thanks")

    place = deskbell.Secret(await listen(answer))
    began = time.monotonic()
    attempt = await sender_with(client.request).attempt(
        claimed_delivery(attempts=3), webhook_of(Zoo()), place
    )

    assert got == [("POST", "application/json", {"text": "Ann: Hello"})]
    assert json.loads(attempt.payload) == {"text": "Ann: Hello"}
    assert attempt.outcome == deskbell.Delivered(detail="200 thanks")
    assert (attempt.delivery_id, attempt.event_id, attempt.number) == (7, "e1", 3)
    assert (attempt.webhook, attempt.transport, attempt.started_at) == ("tickets", "zoo", NOW)
    assert 0 < attempt.seconds <= time.monotonic() - began


async def test_send_is_told_where_and_for_which_delivery() -> None:
    seen: list[deskbell.SendContext[Any]] = []

    async def note(_: object, context: deskbell.SendContext[Any]) -> deskbell.Outcome:
        seen.append(context)
        return deskbell.Delivered()

    sender, webhook = sender_with(), webhook_of(Zoo(send=note), token="t")
    for number in (1, 2):
        await sender.attempt(claimed_delivery(number), webhook, deskbell.Secret("http://played.example/"))

    assert [context.attempt for context in seen] == [1, 2]
    assert len({context.delivery for context in seen}) == 1, "one delivery has one id over all its attempts"
    assert seen[0].url.reveal() == "http://played.example/"
    assert (seen[0].options, seen[0].webhook) == (webhook.options, "tickets")


async def test_a_service_that_cannot_be_reached_may_be_reached_later(
    client: Client, unused_tcp_port: int
) -> None:
    place = deskbell.Secret(f"http://127.0.0.1:{unused_tcp_port}/hooks/{TOKEN}")
    attempt = await sender_with(client.request).attempt(claimed_delivery(), webhook_of(Zoo()), place)

    assert isinstance(attempt.outcome, deskbell.TemporaryFailure)
    assert "cannot connect to 127.0.0.1" in attempt.outcome.detail
    assert not attempt.outcome.maybe_received
    assert TOKEN not in repr(attempt)


def circle() -> dict[str, Any]:
    payload: dict[str, Any] = {}
    payload["self"] = payload
    return payload


async def coroutine() -> dict[str, str]:
    return {}


def raises(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize(
    ("form", "words"),
    [
        (raises(KeyError("subject")), "format failed: KeyError: 'subject'"),
        (raises(SystemExit(3)), "format failed: SystemExit: 3"),
        (raises(asyncio.CancelledError()), "format failed: asyncio.exceptions.CancelledError"),
        (raises(GeneratorExit()), "format failed: GeneratorExit"),
        (raises(KeyboardInterrupt()), "format failed: KeyboardInterrupt"),
        (raises(BaseExceptionGroup("two", [SystemExit()])), "format failed: BaseExceptionGroup: two"),
        (lambda *_: None, "format returned nothing, and a payload is a dict"),
        (lambda *_: "text", "format returned an object of type str"),
        (lambda *_: [{"text": "x"}], "format returned an object of type list"),
        (lambda *_: coroutine(), "format failed: TypeError: Object of type coroutine"),
        (lambda *_: {"at": NOW}, "format failed: TypeError: Object of type datetime"),
        (lambda *_: {"text": float("nan")}, "format failed: ValueError"),
        (lambda *_: {"text": "\ud83d"}, "format failed: UnicodeEncodeError"),
        (lambda *_: circle(), "format failed: ValueError: Circular"),
        (lambda _, options: {"text": options.token}, "format failed: TypeError: Object of type Secret"),
    ],
)
async def test_a_message_that_cannot_be_formatted_is_given_up_unsent(form: Format, words: str) -> None:
    sent: list[object] = []

    async def note(payload: deskbell.Payload, _: object) -> deskbell.Outcome:
        sent.append(payload)
        return deskbell.Delivered()

    attempt = await attempt_of(Zoo(form, note))

    assert isinstance(attempt.outcome, deskbell.PermanentFailure)
    assert attempt.outcome.detail.startswith("plugin of transport zoo (")
    assert words in attempt.outcome.detail
    assert (attempt.payload, sent) == ("", [])


class OwnCancelScope(BaseException):
    """As other async libraries have it."""


def returns(value: object) -> Send:
    async def send(*_: object) -> object:
        return value

    return send


async def fails_inside(*_: object) -> NoReturn:
    await asyncio.sleep(0)
    raise deskbell.SendError("the connection broke")


async def leaves_a_cancellation(*_: object) -> deskbell.Outcome:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return deskbell.Delivered()


async def cancels_itself(*_: object) -> deskbell.Outcome:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return deskbell.Delivered()


@pytest.mark.parametrize(
    ("send", "words"),
    [
        (fails_inside, "the connection broke"),
        (raises(ValueError("no channel")), "send failed: ValueError: no channel"),
        (raises(TimeoutError("of its own")), "send failed: TimeoutError: of its own"),
        (raises(SystemExit("bye")), "send failed: SystemExit: bye"),
        (raises(GeneratorExit()), "send failed: GeneratorExit"),
        (raises(KeyboardInterrupt()), "send failed: KeyboardInterrupt"),
        (raises(asyncio.CancelledError()), "send failed: asyncio.exceptions.CancelledError"),
        (raises(OwnCancelScope()), "send failed: "),
        (cancels_itself, "send failed: asyncio.exceptions.CancelledError"),
        (leaves_a_cancellation, "send ended its loop: CancelledError"),
        (
            lambda *_: deskbell.Delivered(),
            "send failed: TypeError: object Delivered can't be used in 'await'",
        ),
        (returns(None), "send returned nothing, and no outcome"),
        (returns(True), "send returned an object of type bool"),
        (returns(deskbell.Delivered), "send returned an object of type type"),
        (returns(deskbell.Response(200, {}, b"ok")), "send returned an object of type Response"),
    ],
)
async def test_a_send_that_fails_in_any_way_is_tried_again(send: Send, words: str) -> None:
    attempt = await attempt_of(Zoo(send=send))

    assert isinstance(attempt.outcome, deskbell.TemporaryFailure)
    assert words in attempt.outcome.detail
    assert attempt.outcome.maybe_received, "nobody knows how far it got"
    assert json.loads(attempt.payload) == {"text": "Ann: Hello"}
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling(), "what a plugin does to its task does not reach the lane"


UNCHECKED: Any = deskbell  # what an author without a type checker may write


@pytest.mark.parametrize(
    ("outcome", "sound"),
    [
        (UNCHECKED.Delivered(123, float("nan"), None), deskbell.Delivered("123", 0.0, "")),
        (UNCHECKED.Delivered(None, "2"), deskbell.Delivered("", 0.0)),
        (UNCHECKED.Delivered("r1", -1.0), deskbell.Delivered("r1", 0.0)),
        (UNCHECKED.Delivered("r1", 2), deskbell.Delivered("r1", 2.0)),
        (UNCHECKED.Throttled(None), deskbell.Throttled(60.0)),
        (UNCHECKED.Throttled(float("inf"), "service"), deskbell.Throttled(60.0, "service")),
        (UNCHECKED.Throttled(0), deskbell.Throttled(0.0)),
        (UNCHECKED.Throttled(1, ["all"]), deskbell.Throttled(1.0, "destination")),
        (UNCHECKED.TemporaryFailure(None, "soon"), deskbell.TemporaryFailure("")),
        (UNCHECKED.TemporaryFailure("x", 3, 1), deskbell.TemporaryFailure("x", 3.0, maybe_received=True)),
        (UNCHECKED.TemporaryFailure("x", 3, None), deskbell.TemporaryFailure("x", 3.0)),
        (UNCHECKED.TemporaryFailure("a\n\x1b[31mb\ud800\u202ec"), deskbell.TemporaryFailure("a [31mbc")),
        (UNCHECKED.PermanentFailure({"code": 1}), deskbell.PermanentFailure("{'code': 1}")),
        (UNCHECKED.DestinationGone("x" * 999, certain=0), deskbell.DestinationGone("x" * 500, certain=False)),
    ],
)
async def test_an_outcome_is_usable_whatever_stands_in_its_fields(outcome: Any, sound: object) -> None:
    """An outcome that cannot be stored or counted with would hold its lane for ever."""
    assert (await attempt_of(Zoo(send=returns(outcome)))).outcome == sound


async def test_a_send_that_never_returns_is_timed_out_and_cancelled() -> None:
    cancelled = asyncio.Event()

    async def hang(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    attempt = await attempt_of(Zoo(send=hang))

    assert attempt.outcome == deskbell.TemporaryFailure(
        "no complete answer within 0.1 s", maybe_received=True
    )
    assert cancelled.is_set()
    assert TIMEOUT <= attempt.seconds < 1


async def test_a_send_that_ignores_its_cancellation_does_not_keep_the_lane() -> None:
    enough, ended = asyncio.Event(), asyncio.Event()

    async def stubborn(*_: object) -> None:
        while not enough.is_set():
            try:
                await enough.wait()
            except asyncio.CancelledError:
                continue
        ended.set()

    attempt = await attempt_of(Zoo(send=stubborn))

    assert isinstance(attempt.outcome, deskbell.TemporaryFailure)
    assert "send goes on after its 0.1 s" in attempt.outcome.detail
    assert attempt.outcome.maybe_received
    assert TIMEOUT + LAST_WORDS <= attempt.seconds < 2
    assert not ended.is_set()
    enough.set()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_send_that_delivers_in_its_last_moment_has_delivered() -> None:
    async def late(*_: object) -> deskbell.Outcome:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return deskbell.Delivered("r9")
        raise AssertionError

    assert (await attempt_of(Zoo(send=late))).outcome == deskbell.Delivered("r9")


async def test_a_stop_cancels_the_attempt_and_its_send() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(*_: object) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    attempt = asyncio.create_task(attempt_of(Zoo(send=hang), limit=60))
    await started.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await asyncio.wait_for(cancelled.wait(), 5)


@pytest.mark.parametrize("certain", [True, False])
async def test_an_error_of_the_network_says_whether_the_service_may_have_the_message(certain: bool) -> None:
    error = deskbell.SendError("the connection broke", maybe_received=not certain)
    attempt = await attempt_of(Zoo(send=raises(error)))
    assert attempt.outcome == deskbell.TemporaryFailure("the connection broke", maybe_received=not certain)


async def test_what_send_does_to_its_payload_changes_nothing_that_is_kept() -> None:
    async def scribble(payload: Any, _: object) -> deskbell.Outcome:
        payload.clear()
        payload["text"] = {1, 2}
        return deskbell.Delivered()

    attempt = await attempt_of(Zoo(send=scribble))

    assert json.loads(attempt.payload) == {"text": "Ann: Hello"}


async def test_each_attempt_formats_anew_from_an_event_that_no_attempt_can_change() -> None:
    sent: list[object] = []

    def scribble(notice: deskbell.Notice, _: object) -> dict[str, object]:
        variables: Any = notice.event.variables
        with suppress(TypeError):
            variables["username"] = "Mallory"
        return {"text": notice.text(escape=deskbell.plain, limit=99)}

    async def empty(payload: Any, _: object) -> deskbell.Outcome:
        sent.append(dict(payload))
        payload.clear()
        return deskbell.TemporaryFailure("again")

    sender, webhook, claimed = sender_with(), webhook_of(Zoo(scribble, empty)), claimed_delivery()
    for _ in range(2):
        await sender.attempt(claimed, webhook, webhook.url)

    assert sent == [{"text": "Ann: Hello"}] * 2


async def test_a_secret_that_a_plugin_takes_out_of_its_options_stays_one() -> None:
    def disarm(_: object, options: Any) -> dict[str, str]:
        options.logins.clear()
        return {"text": "pw-nested"}

    webhook, sender = webhook_of(Zoo(disarm), logins={"main": {"password": "pw-nested"}}), sender_with()
    for _ in range(2):
        attempt = await sender.attempt(claimed_delivery(), webhook, webhook.url)
        assert json.loads(attempt.payload) == {"text": MASK}


@pytest.mark.parametrize(
    "said",
    [
        URL,
        f"cannot POST {URL}&wait=true",
        f"/hooks/{TOKEN}?thread=7 not found",
        f"bad token '{TOKEN}'",
        "http://127.0.0.1:9/played/secret is down",
        "user aNn with s3cr3t",
        'key "k\\e"y"',
        "pw-nested",
    ],
)
@pytest.mark.parametrize("outcome", [deskbell.TemporaryFailure, deskbell.PermanentFailure, ValueError])
async def test_no_secret_stands_in_what_a_plugin_says(said: str, outcome: Callable[[str], Any]) -> None:
    made = outcome(said)
    attempt = await attempt_of(
        Zoo(
            form=lambda *_: {"text": said},
            send=raises(made) if isinstance(made, Exception) else returns(made),
        ),
        place="http://127.0.0.1:9/played/secret",
        token="s3cr3t",
        keys=['k\\e"y'],
        logins={"main": {"password": "pw-nested"}},
    )
    kept = json.loads(attempt.payload)["text"] + attempt.outcome.detail

    assert MASK in attempt.payload
    assert MASK in attempt.outcome.detail
    for secret in (TOKEN, "thread=7", "played", "s3cr3t", 'k\\e"y', "nested"):
        assert secret not in kept


async def test_a_secret_that_is_cut_off_was_masked_before() -> None:
    attempt = await attempt_of(Zoo(send=returns(deskbell.TemporaryFailure("x" * 490 + URL))))
    assert attempt.outcome.detail == "x" * 490 + MASK


async def test_short_parts_of_a_url_are_no_secrets() -> None:
    """Else every ``/`` or ``/hook`` of a customer's words would be masked in the log."""
    attempt = await attempt_of(Zoo(form=lambda *_: {"text": "a/b /hook"}), url="http://10.0.0.9/hook")
    assert json.loads(attempt.payload) == {"text": "a/b /hook"}


@pytest.mark.parametrize(
    ("redact", "detail"),
    [
        (lambda text: text.replace("xoxb-1", "xoxb-?"), "token xoxb-? is revoked"),
        (raises(RuntimeError("xoxb-1")), MASK),
        (raises(SystemExit()), MASK),
    ],
)
async def test_a_transport_hides_what_only_it_knows(redact: Callable[[str], str], detail: str) -> None:
    class Careful(Zoo):
        @classmethod
        def redact(cls, text: str) -> str:
            return redact(text)

    attempt = await attempt_of(Careful(send=returns(deskbell.PermanentFailure("token xoxb-1 is revoked"))))
    assert attempt.outcome == deskbell.PermanentFailure(detail)
