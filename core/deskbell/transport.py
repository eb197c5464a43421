"""What a transport's author subclasses: how events become messages of one service, and how they are sent."""

from __future__ import annotations

import json
import math
import re
import typing
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

from .notice import Notice, clean
from .outcome import (
    Delivered,
    DestinationGone,
    Outcome,
    PermanentFailure,
    TemporaryFailure,
    Throttled,
)
from .secret import Secret

if TYPE_CHECKING:
    from .fake import FakeService

Payload: TypeAlias = Mapping[str, Any]
"""What ``format`` makes: JSON for one service."""

DEFAULT_THROTTLE = 60.0
"""Seconds to wait after a 429 that does not say how long."""
_SECONDS = re.compile(r"\d{1,12}(?:\.\d{1,20})?", re.ASCII)
"""A wait as services write it; no longer, so that it stays a number that times can be counted with."""
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)


class Options(BaseModel):
    """A transport's own settings, under ``options:`` of a webhook. Unknown keys are errors.

    Subclass it with typed fields. A field that must not print is a ``deskbell.Secret``.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True
    )


OptionsT = TypeVar("OptionsT", bound=Options, default=Options)


@dataclass(frozen=True, slots=True)
class Response:
    """A service's complete answer. ``headers`` by lower-case name; ``body`` at most 20,000 bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON, or None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def words(self) -> str:
        """Status and the service's words, on one line that is safe to print.

        As long as they are: core cuts them when it has masked the secrets in them; half a secret it would not find.
        """
        return f"{self.status} {' '.join(clean(self.text()).split())}".strip()


@dataclass(frozen=True, slots=True)
class SendContext(Generic[OptionsT]):
    """What ``send`` gets beside the payload.

    ``url`` is the webhook's; ``options`` are validated; ``delivery`` is an id that stays the same over every
    attempt, for services that drop repeats; ``attempt`` counts from 1.
    """

    url: Secret
    options: OptionsT
    webhook: str
    delivery: str
    attempt: int
    request: Callable[[str, str, bytes | None, Mapping[str, str]], Awaitable[Response]] = field(repr=False)

    async def post(
        self, payload: Payload, *, url: str = "", headers: Mapping[str, str] | None = None
    ) -> Response:
        """POST ``payload`` as JSON, to the webhook's URL unless told otherwise.

        Redirects are not followed and the answer is bounded. Raises ``SendError`` when no answer came.
        """
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        return await self.request("POST", url or self.url.reveal(), body, sent)

    async def get(self, *, url: str = "", headers: Mapping[str, str] | None = None) -> Response:
        """GET the webhook's URL (or ``url``): for ``probe``."""
        return await self.request("GET", url or self.url.reveal(), None, headers or {})


class Transport(ABC, Generic[OptionsT]):
    """Formats and sends for one service. Stateless: one instance serves every webhook.

    Subclass ``Transport[YourOptions]`` (or plain ``Transport`` without options), set ``name`` and
    ``max_length``, and write ``format``. ``send`` is inherited: one POST of the payload as JSON.
    """

    name: ClassVar[str]
    """What owners write as ``transport:``: ``[a-z][a-z0-9_]*``."""
    max_length: ClassVar[int]
    """The longest text of one message, in the unit of ``measure``."""
    example_url: ClassVar[str] = ""
    """A webhook's URL as the service gives it out, made up: to show owners what it looks like, and for checks."""
    rates: ClassVar[str] = ""
    """What one destination takes, as in ``5/2s, 30/60s``. Empty: no limit known."""
    service_rate: ClassVar[str] = ""
    """What all destinations at the service's own hosts take together."""
    most_refusals: ClassVar[str] = "1000/600s"
    """How many refused requests (401, 403, 404, 429) all its webhooks together may get before they wait. The strictest
    limit known is Discord's, which bans an address after 10,000 in 10 minutes:
    https://docs.discord.com/developers/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans"""
    blocking: ClassVar[bool] = False
    """True: ``format`` and ``send`` call code that blocks (``requests``, an SDK). They run in threads of their own."""
    own_urls: ClassVar[bool] = False
    """True: its URLs need not be those of the web (``mailto://…``); ``refuses`` and ``recognises`` say which they are."""
    options_type: ClassVar[type[Options]] = Options
    plugin: str = ""
    """Who brings it, as in ``deskbell-ntfy 0.1.0``. deskbell writes it here."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Transport):
                cls._read_options_type(get_args(base)[0])

    @classmethod
    def _read_options_type(cls, argument: Any) -> None:
        if isinstance(argument, (typing.TypeVar, TypeVar)):
            return
        if not (isinstance(argument, type) and issubclass(argument, Options)):
            raise TypeError(
                f"{cls.__name__}: Transport[{argument}]: put a subclass of deskbell.Options inside the brackets"
            )
        cls.options_type = argument

    @abstractmethod
    def format(self, notice: Notice, options: OptionsT) -> Payload:
        """The message for one event: JSON-able. Pure and total over every action and every text.

        Use ``notice.text(escape=…, limit=self.max_length)``. There is no client here: it cannot send.
        """

    async def send(self, payload: Payload, context: SendContext[OptionsT]) -> Outcome:
        """One attempt: no loop, no sleep, no logging of URLs. Network errors raise ``SendError``."""
        return classify_response(await context.post(payload, headers=self.headers(context.options)))

    async def probe(self, context: SendContext[OptionsT]) -> Outcome | None:  # noqa: ARG002 - for subclasses
        """Ask the service whether the webhook is alive, and post nothing: as ``send``, with ``context.get``.

        ``Delivered`` says that it is, its ``detail`` what it is (a channel's name). None: the service has no such
        question.
        """
        return None

    def headers(self, options: OptionsT) -> Mapping[str, str]:  # noqa: ARG002 - for subclasses
        """Further headers of each request: a bearer token, an own content type."""
        return {}

    @classmethod
    def unavailable(cls) -> str:
        """What is missing here for it to work, and how to get it; empty when nothing is.

        For a transport whose library is an extra: its plugin loads all the same, and nobody who does not use it minds.
        """
        return ""

    @classmethod
    def recognises(cls, url: str) -> bool:  # noqa: ARG003 - for subclasses
        """True when ``url`` is this service's: owners may then leave ``transport:`` out."""
        return False

    @classmethod
    def refuses(cls, url: str) -> str:  # noqa: ARG003 - for subclasses
        """Why no message can be sent to ``url``, and what to write instead; empty when it can: an error of ``check``.

        Without the URL itself, which is a secret.
        """
        return ""

    @classmethod
    def redact(cls, text: str) -> str:
        """``text`` without this service's secrets, wherever they stand. The webhook's own URL is core's care."""
        return text

    def readable(self, payload: Payload) -> str:
        """The message as its reader sees it, as plain text: for ``preview`` in a terminal."""
        return json.dumps(payload, ensure_ascii=False, indent=2)

    def picture(self, payload: Payload) -> str:  # noqa: ARG002 - for subclasses
        """How the service shows it, as a fragment of HTML; empty: pages show the payload.

        Text is escaped; no script, no style, nothing that is loaded. ``deskbell.testing`` lists what it may hold.
        """
        return ""

    def refusals(self, skeleton: str) -> Sequence[str]:  # noqa: ARG002 - for subclasses
        """What must not be in a template, because no escape works there: errors of ``check``. As ``warnings``."""
        return ()

    def warnings(self, skeleton: str) -> Sequence[str]:  # noqa: ARG002 - for subclasses
        """What ``check`` should say of a template: its skeleton has VALUE and LINK where values go."""
        return ()

    @classmethod
    def fake(cls) -> FakeService | None:
        """The service, played with its real rules, or None. Import it inside: few runs need it."""
        return None


Transports: TypeAlias = Sequence[type[Transport[Any]]]
"""What ``deskbell_transports`` returns."""


def classify_response(response: Response) -> Outcome:
    """Read a status as most services mean it. A transport whose service differs asks first itself.

    The classes are those of Standard Webhooks
    (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
    """
    words = response.words()
    match response.status:
        case status if 200 <= status < 300:
            return _success(response)
        case 410:
            return DestinationGone(words)
        case 401 | 403 | 404:
            return DestinationGone(words, certain=False)
        case 408 | 425:
            return TemporaryFailure(words)
        case 429:
            wait = retry_after(response)
            return Throttled(DEFAULT_THROTTLE if wait is None else wait, detail=words)
        case status if 300 <= status < 400:
            return DestinationGone(
                f"{status} redirects, and redirects are not followed: use the new URL", certain=False
            )
        case status if 400 <= status < 500:
            return PermanentFailure(words)
        case 502 | 504 | 520 | 524:
            # A gateway's (the last two are Cloudflare's): it passed the message on, and knows not what became of it.
            return TemporaryFailure(words, retry_after(response), maybe_received=True)
        case _:
            return TemporaryFailure(words, retry_after(response))


def _success(response: Response) -> Outcome:
    """A 2xx is believed unless it says otherwise: a page to sign in, or the service's own "no" in an envelope."""
    if _PAGE.match(response.body):
        said = f"{response.status} with a page of HTML: something answered in the service's place"
        return DestinationGone(said, certain=False, maybe_received=True)
    answer = response.json()
    if isinstance(answer, dict) and (answer.get("ok") is False or answer.get("success") is False):
        return PermanentFailure(response.words())
    return Delivered(detail=response.words())


def retry_after(response: Response, *, now: datetime | None = None) -> float | None:
    """Seconds to wait by the Retry-After header: a number or an HTTP date. None when it says nothing usable."""
    seconds = seconds_in_header(response, "retry-after")
    if seconds is not None or (at := _http_date(response.headers.get("retry-after", ""))) is None:
        return seconds
    # The service's own clock, so that a wrong one here does no harm.
    answered_at = now or _http_date(response.headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (at - answered_at).total_seconds())


def seconds_in_header(response: Response, name: str) -> float | None:
    """The number in a header that says how long to wait, such as X-RateLimit-Reset-After; None when it holds none."""
    value = response.headers.get(name.lower(), "").strip()
    return float(value) if _SECONDS.fullmatch(value) else None


def seconds_in(value: Any) -> float | None:
    """``value`` as a usable wait: a finite number that is not negative. JSON bodies hold anything."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _http_date(text: str) -> datetime | None:
    """Any of the three forms of RFC 9110 §5.6.7, the oldest of which names no zone and means UTC."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
