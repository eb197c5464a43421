"""Third level: previews, golden payloads, a played service, a question whether the webhook is alive."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from yarl import URL

from deskbell.blame import in_words
from deskbell.client import Client
from deskbell.egress import EgressPolicy
from deskbell.event import VARIABLES, Action
from deskbell.fake import FakeService
from deskbell.outcome import Delivered, DestinationGone, Outcome
from deskbell.secret import Secret
from deskbell.transport import Payload, SendContext, Transport

from .answers import outcome_of, refusal
from .checks import Checks, NotApplicable, NotMet
from .import_report import package_of, path_of_file
from .payloads import (
    FRAGMENTS,
    TEXTS,
    every_variable,
    filled,
    formatted,
    payload_with,
    require_encodable,
    shortened,
)
from .picture import Picture
from .samples import fake_of
from .stage import SERVER, Stage, TransportCase, on_stage, sample_notice
from .transport_format import require_length
from .transport_safety import BREAKING_OUT, tame

GOLD_CHECKS = Checks[TransportCase]()

UPDATE_GOLDEN = "DESKBELL_UPDATE_GOLDEN"
LIVE = "DESKBELL_LIVE_"
_GOLDEN = (Action.SUBMIT, Action.REPLY, Action.CLOSE)
_TEXT_TO_READ = "5 * 3 = 15, snake_case & <tags>\nand a second line"
_STRANGERS = (
    "",
    "not a URL",
    "https://",
    "https://[::1",
    "https://example.com/",
    "http://127.0.0.1:8080/hooks/1",
    "https://discord.com.evil.example/api/webhooks/1097219411294621797/abcdefghijklmnop",
    "https://hooks.slack.com.evil.example/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "https://discord.com/api/webhooks/1097219411294621797/abcdefghijklmnop",
    "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "https://api.telegram.org/bot123:abc/sendMessage",
    "mailto:desk@example.com",
)


@GOLD_CHECKS.gold
def picture_is_safe(case: TransportCase) -> None:
    """`picture` gives balanced HTML of the elements and attributes that deskbell's pages allow."""
    for action in Action:
        payload = formatted(case, action, sample_notice(action))
        if faults := _picture(case, payload).faults:
            raise NotMet(f"picture() of {action}: {'; '.join(dict.fromkeys(faults))}")


@GOLD_CHECKS.gold
def picture_shows_the_message(case: TransportCase) -> None:
    """`picture` shows the words of the message."""
    shown = _picture(case, case.payload()).text
    if VARIABLES["subject"] not in shown:
        raise NotMet(f"picture() does not show the subject: {shortened(shown)}")


@GOLD_CHECKS.gold
def picture_escapes_customer_text(case: TransportCase) -> None:
    """In a `picture`, a customer's text is text: it makes no element."""
    for text in (*BREAKING_OUT, *TEXTS.values(), *case.hostile):
        wild, usual = (
            _picture(case, payload_with(case, shortened(each), filled(each))) for each in (text, tame(text))
        )
        if (wild.faults, wild.elements) != (usual.faults, usual.elements):
            raise NotMet(
                f"{shortened(text)} from a customer makes elements of its own in picture(): "
                "escape every text with html.escape()"
            )


@GOLD_CHECKS.gold
def readable_shows_the_words(case: TransportCase) -> None:
    """`readable` gives the message as its reader sees it, without the service's escapes."""
    payload = payload_with(case, "a text with signs", {"content": _TEXT_TO_READ}, message="%content%")
    shown = case.transport.readable(payload)
    if _TEXT_TO_READ not in shown:
        raise NotMet(
            f"readable() shows {shortened(shown)} where a customer wrote {shortened(_TEXT_TO_READ)}: "
            "return the message's text, with the escapes taken out"
        )


@GOLD_CHECKS.gold
def golden_payloads_match(case: TransportCase) -> None:
    """The payloads of Submit, Reply and Close are those that its author has seen to be right."""
    if case.golden is None:
        how = "set golden = Path(__file__).parent / 'golden'"
        raise (NotMet if case.by_author else NotApplicable)(
            f"no golden payloads: {how}, and run pytest once with {UPDATE_GOLDEN}=1"
        )
    for action in _GOLDEN:
        _require_golden(case.golden / f"{action.casefold()}.json", case.payload(action))


@GOLD_CHECKS.gold
async def probe_finds_a_dead_webhook(case: TransportCase) -> None:
    """`probe` says `DestinationGone` on HTTP 404, and posts nothing."""
    _require_probe(case)
    async with on_stage(case) as stage:
        stage.answer = refusal(404)
        outcome = await _probed(stage)
        _require_nothing_posted(stage)
        if not isinstance(outcome, DestinationGone):
            raise NotMet(
                f"probe() of a webhook that does not exist (HTTP 404) says {outcome!r}: return DestinationGone"
            )


@GOLD_CHECKS.gold
async def probe_knows_a_living_webhook(case: TransportCase) -> None:
    """`probe` says `Delivered` of a webhook that is alive, and posts nothing."""
    _require_probe(case)
    fake = _fake_for_probe(case)
    async with on_stage(case, app=fake.app() if fake else None) as stage:
        outcome = await _probed(stage, _url_of(case, fake) if fake else "")
        _require_nothing_posted(stage)
        if fake and fake.arrivals:
            raise NotMet("probe() posts a message: ask with context.get()")
        if not isinstance(outcome, Delivered):
            who = (
                "its fake"
                if fake
                else "ok_reply (ship a fake, where the service answers a GET in other words)"
            )
            raise NotMet(f"probe() of a living webhook, played by {who}, says {outcome!r}: return Delivered")


@GOLD_CHECKS.gold
def own_urls_are_recognised(case: TransportCase) -> None:
    """`recognises` knows the service's own URLs, and no other's."""
    if "recognises" not in _own_names(case.cls):
        raise NotApplicable("it recognises no URL: owners write transport: themselves")
    url = case.url.replace(SERVER, "127.0.0.1:1")
    if not case.cls.recognises(url):
        raise NotMet("recognises() does not know the url of the contract: mend the one or the other")
    own = URL(url).host
    for stranger in _STRANGERS:
        host = "" if "[" in stranger else URL(stranger).host
        if host != own and case.cls.recognises(stranger):
            raise NotMet(f"recognises() takes {stranger!r} for its own: match the whole URL, host first")


@GOLD_CHECKS.gold
async def fake_accepts_its_messages(case: TransportCase) -> None:
    """Its `fake` takes what `format` makes, as `Delivered`, and refuses another path."""
    fake = fake_of(case)
    if fake is None:
        raise NotMet(
            "fake() plays nothing: return a deskbell.FakeService, which gives owners demo:"
            f"{case.transport.name} and a preview without an account"
        )
    async with on_stage(case, app=fake.app()) as stage:
        for count, action in enumerate(_GOLDEN, 1):
            context = stage.context(url=_url_of(case, fake))
            outcome = await outcome_of(stage, f"on {action}, before its fake", case.payload(action), context)
            if not isinstance(outcome, Delivered) or len(fake.arrivals) != count:
                raise NotMet(
                    f"its fake took {len(fake.arrivals)} of {count} messages, and send() says {outcome!r}"
                )
        elsewhere = stage.to_the_server("http://service.example/no/such/webhook")
        answer = await stage.request("POST", elsewhere, b"{}", {"Content-Type": "application/json"})
        if answer.status < 400 or len(fake.arrivals) != len(_GOLDEN):
            raise NotMet(f"its fake answers {answer.status} for any path: refuse all but its own with 404")


@GOLD_CHECKS.gold
def package_is_typed(case: TransportCase) -> None:
    """Its package has the marker `py.typed`, so that type checkers look into it."""
    package = package_of(case.cls)
    if path_of_file(case.cls):
        raise NotApplicable("it is a file of plugins_dir")
    found = find_spec(package)
    folders = (found and found.submodule_search_locations) or ()
    if not any((Path(folder) / "py.typed").is_file() for folder in folders):
        raise NotMet(f"{package} has no py.typed: add an empty file of that name beside its __init__.py")


@GOLD_CHECKS.gold
def format_takes_generated_text(case: TransportCase) -> None:
    """hypothesis finds no text that cannot be formatted, or comes out longer than `max_length`."""
    try:
        import hypothesis
    except ImportError:
        raise NotApplicable("hypothesis is not installed") from None
    strategies = hypothesis.strategies
    # Fragments, not any characters: they meet each other more often, and hypothesis need not read all of Unicode first.
    fragment = strategies.sampled_from(FRAGMENTS)
    short, long = (
        strategies.lists(fragment, max_size=60),
        strategies.lists(fragment, min_size=20, max_size=60),
    )
    texts = (short | long).map("".join)
    checked = hypothesis.given(texts, texts)(lambda one, other: _require_sound(case, one, other))
    quick = hypothesis.settings(
        max_examples=50,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    quick(checked)()


@GOLD_CHECKS.gold
async def live_message_arrives(case: TransportCase) -> None:
    """With a URL in `DESKBELL_LIVE_` and its name, one real message is sent, and arrives."""
    variable = f"{LIVE}{case.transport.name.upper()}"
    if not (url := os.environ.get(variable, "")):
        raise NotApplicable(f"{variable} names no URL to send a real message to")
    async with Client(EgressPolicy(allowed=(ip_network("127.0.0.0/8"),))) as client:
        context = SendContext(
            url=Secret(url),
            options=case.options,
            webhook="kit",
            delivery=f"live-{os.getpid()}",
            attempt=1,
            request=client.request,
        )
        outcome = await case.transport.send(case.payload(), context)
    if not isinstance(outcome, Delivered):
        raise NotMet(f"the real service took no message: {outcome!r}")


def _picture(case: TransportCase, payload: Payload) -> Picture:
    html = case.transport.picture(payload)
    if not html:
        raise NotMet("picture() is empty: return HTML of how the service shows the message")
    return Picture(html)


def _require_golden(path: Path, payload: Payload) -> None:
    if os.environ.get(UPDATE_GOLDEN):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(payload, ensure_ascii=False, indent=2) + "\n", "utf-8")
    elif not path.is_file():
        raise NotMet(f"there is no {path.name} in {path.parent.name}: {UPDATE_GOLDEN}=1 pytest writes it")
    elif json.loads(path.read_text("utf-8")) != json.loads(json.dumps(payload)):
        raise NotMet(
            f"the payload is not that of {path.name}: look at it, and if it is right, {UPDATE_GOLDEN}=1 pytest writes it"
        )


def _require_probe(case: TransportCase) -> None:
    if "probe" not in _own_names(case.cls):
        raise (NotMet if case.by_author else NotApplicable)(
            "probe() is not written: ask the service with context.get() whether the webhook is alive; "
            "where it has no such question, leave this check out by skip"
        )


async def _probed(stage: Stage, url: str = "") -> Outcome | None:
    try:
        return await stage.probe(url)
    except Exception as error:
        raise NotMet(f"probe() raised {in_words(error)}: return an outcome") from error


def _fake_for_probe(case: TransportCase) -> FakeService | None:
    try:
        return fake_of(case)
    except NotMet:
        raise NotApplicable("its fake cannot be had: see fake_accepts_its_messages") from None


def _require_nothing_posted(stage: Stage) -> None:
    if not stage.received:
        raise NotMet("probe() asks the service nothing: use context.get()")
    if wrong := {request.method for request in stage.received} - {"GET", "HEAD", "OPTIONS"}:
        raise NotMet(
            f"probe() makes a {' and a '.join(sorted(wrong))}: ask with context.get(), and post nothing"
        )


def _url_of(case: TransportCase, fake: FakeService) -> str:
    """The webhook that ``fake`` plays, at the host of the case's URL."""
    scheme, _, rest = case.url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}{fake.path}"


def _own_names(cls: type[Transport[Any]]) -> frozenset[str]:
    """What the plugin's classes define themselves."""
    theirs = cls.__mro__[: cls.__mro__.index(Transport)]
    return frozenset(name for each in theirs for name in vars(each))


def _require_sound(case: TransportCase, one: str, other: str) -> None:
    what = f"an event whose texts are {one!r} and {other!r}"
    names = sorted(every_variable(""))
    notice = sample_notice(variables={**dict.fromkeys(names[::2], one), **dict.fromkeys(names[1::2], other)})
    payload = formatted(case, what, notice)
    require_encodable(payload, what)
    require_length(case, payload, what)
