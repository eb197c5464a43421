"""The second level, what it harms: no secret gets out, no body takes long, no two requests meet."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from deskbell.errors import EventError
from deskbell.event import TicketEvent
from deskbell.source import EventRequest

from .checks import Checks, NotApplicable, NotMet
from .source_bronze import require_text
from .source_stage import (
    HEADERS,
    MARKER,
    Answer,
    FieldPath,
    SourceCase,
    as_bytes,
    dotted,
    fields_of,
    rewritten,
    texts_of,
    told,
    with_field,
    without_field,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SAFETY_CHECKS = Checks[SourceCase]()
CANARY = "C4NARYc4nary"
"""What a customer wrote, and nobody else may read."""
SIZES = (4, 16, 64, 256)
"""Of a body, in KiB, up to the largest that deskbell takes: each four times the one before."""
LONGER = 9.0
"""How much longer four times the body may take: 4 is linear, 16 is quadratic."""
TRIES = 3
"""A measurement that is too long is repeated: other programs are at work, too."""
HOSTILE: Mapping[str, str] = {
    "letters": "x",
    "digits": "7",
    "spaces": " ",
    "line ends": "\r\n",
    "slashes": "/1",
    "opening tags": "<a",
    "quotation marks": '"',
}
PATIENCE = 1.0
"""Seconds that one request may hold up another."""
EXAMPLES = 150
CHARACTERS = "aZéß漢ـ🐦09٣²-+.,:;/\\\"'`{}[]()<>&%$#@!?*_~|^= \t\r\n\0\x7f\x85\u200b\u0301\u2028\ufeff"
"""What the texts of any JSON are put together from: of each kind that code may trip over, a few."""


@SAFETY_CHECKS.silver
def errors_and_logs_keep_secrets(case: SourceCase) -> None:
    """Neither an error nor the log nor the output repeats what a customer wrote."""
    for what, body in _with_canary(case):
        with _listening() as heard:
            answer = case.tried(body)
        if isinstance(answer, EventError) and CANARY in told(answer):
            raise NotMet(
                f"the error for {what} repeats what was sent: say what is wrong and where, never the value"
            )
        if CANARY in heard.getvalue():
            raise NotMet(f"parse logs or prints what was sent, for {what}: leave that out")


def _with_canary(case: SourceCase) -> Iterator[tuple[str, object]]:
    """Bodies, right and wrong, in which a customer's words are everywhere."""
    yield "a body that is no JSON", f'{{"subject": "{CANARY}", }}'.encode()
    yield "a body that is a list", [CANARY, {"subject": CANARY}]
    for action, body in case.samples().items():
        everywhere = rewritten(case, body, lambda _: CANARY)
        for path in fields_of(body):
            for value in (CANARY, [CANARY], {"x": CANARY}):
                yield f"{dotted(path)} of {action}", with_field(body, path, value)
            if isinstance(path[-1], str):
                yield f"{action} without {dotted(path)}", without_field(everywhere, path)


@contextmanager
def _listening() -> Iterator[io.StringIO]:
    """What is logged, at any level, or printed."""
    heard = io.StringIO()
    handler, root = logging.StreamHandler(heard), logging.getLogger()
    level, disabled = root.level, logging.root.manager.disable
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.disable(logging.NOTSET)
    try:
        with redirect_stdout(heard), redirect_stderr(heard):
            yield heard
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        logging.disable(disabled)


@SAFETY_CHECKS.silver
def time_grows_with_the_body(case: SourceCase) -> None:
    """Four times the body takes about four times as long, whatever it holds, up to the largest that deskbell takes."""
    known = set[FieldPath]()
    for action, body in case.samples().items():
        _require_linear(case, body, (MARKER,), {"x": 1}, SIZES, f"further objects in {action}")
        for path in texts_of(body):
            sizes = SIZES[:-1] if path in known else SIZES  # what takes long does so for more than one action
            known.add(path)
            for what, piece in HOSTILE.items():
                _require_linear(case, body, path, piece, sizes, f"{what} in {dotted(path)} of {action}")


def _require_linear(
    case: SourceCase, body: Any, path: FieldPath, piece: Any, sizes: Sequence[int], what: str
) -> None:
    requests = [
        EventRequest(as_bytes(with_field(body, path, _filled(piece, size))), HEADERS) for size in sizes
    ]
    times = [_seconds(case, requests[0])]
    for number, request in enumerate(requests[1:]):
        times.append(_seconds(case, request))
        for _ in range(TRIES):
            if times[-1] <= times[-2] * LONGER:
                break
            times[-2:] = (
                max(times[-2], _seconds(case, requests[number])),
                min(times[-1], _seconds(case, request)),
            )
        else:
            if (growth := times[-1] / times[-2]) > LONGER:
                raise NotMet(
                    f"{sizes[number + 1]} KiB of {what} take {growth:.0f} times as long as {sizes[number]} KiB: "
                    "parse in one pass (no regular expression that looks at the same text again and again, no += "
                    "in a loop)"
                )


def _filled(piece: Any, kib: int) -> Any:
    size = kib * 1024
    return (
        piece * (size // len(piece)) if isinstance(piece, str) else [piece] * (size // len(json.dumps(piece)))
    )


def _seconds(case: SourceCase, request: EventRequest) -> float:
    """Of this thread's own processor time."""
    start = time.thread_time_ns()
    with suppress(Exception):  # an answer like any other; other checks are about it
        case.source.parse(request)
    return max(time.thread_time_ns() - start, 1) / 1e9


@SAFETY_CHECKS.silver
def requests_share_nothing(case: SourceCase) -> None:
    """Requests that are read at the same time do not meet."""
    samples = list(case.samples().values())
    for number, body in enumerate(samples):
        one = rewritten(case, body, lambda path: f"one-{dotted(path)}")
        other = rewritten(case, samples[number - 1], lambda path: f"other-{dotted(path)}")
        alone, together = case.tried(one), _interrupted(case, one, other)
        if isinstance(alone, TicketEvent) and isinstance(together, TicketEvent) and together != alone:
            raise NotMet(
                "two requests that are read at the same time mix: keep what belongs to one in local variables"
            )


def _interrupted(case: SourceCase, body: Any, other: Any) -> Answer | None:
    """What ``parse`` makes of ``body`` when another thread reads ``other`` at each of its lines."""
    package = case.module.partition(".")[0]

    def at_line(_frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            try:
                elsewhere.submit(case.tried, other).result(PATIENCE)
            except TimeoutError:  # a lock of the adapter's own: then they cannot meet
                sys.settrace(None)
        return at_line

    def at_call(frame: FrameType, _event: str, _argument: Any) -> Any:
        return at_line if str(frame.f_globals.get("__name__")).partition(".")[0] == package else None

    before = sys.gettrace()
    with ThreadPoolExecutor(1) as elsewhere:
        sys.settrace(at_call)
        try:
            return case.tried(body)
        finally:
            sys.settrace(before)


@SAFETY_CHECKS.silver
def any_json_is_an_event_or_an_error(case: SourceCase) -> None:
    """Whatever JSON comes, ``parse`` makes an event of text or raises ``EventError`` (needs hypothesis)."""
    try:
        from hypothesis import HealthCheck, given, settings
    except ImportError as error:
        raise NotApplicable("hypothesis is not installed: pip install hypothesis") from error

    def check(body: object) -> None:
        answer = case.read(body, f"the body {str(body)[:500]}")
        if isinstance(answer, TicketEvent):
            require_text(answer, f"the body {str(body)[:500]}", any_name=True)

    quietly = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    quietly(given(_bodies(list(case.samples().values())))(check))()


def _bodies(samples: list[Any]) -> SearchStrategy[Any]:
    """Any JSON, and samples in which some fields are any JSON."""
    from hypothesis import strategies as st

    # Of any characters hypothesis would read all of Unicode first, which takes seconds.
    text = st.lists(st.sampled_from(CHARACTERS), max_size=20).map("".join)
    scalars = (
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
    )
    anything = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=8,
    )

    @st.composite
    def spoiled(draw: st.DrawFn) -> Any:
        body = draw(st.sampled_from(samples))
        for path in draw(
            st.lists(
                st.sampled_from(list(fields_of(body)) or [(MARKER,)]), min_size=1, max_size=3, unique=True
            )
        ):
            try:
                body = with_field(body, path, draw(anything))
            except (LookupError, TypeError):  # what led to it is gone
                continue
        return body

    return anything | spoiled()
