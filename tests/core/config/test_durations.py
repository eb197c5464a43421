"""``retry:`` and ``max_age:`` of a webhook, and ``retention:``: how long deliveries are tried, and kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deskbell.config import Loaded
from deskbell.delivery import LONGEST_WAIT, RetryPolicy
from deskbell.settings import Retention

Load = Callable[..., Loaded]
OnlyProblem = Callable[..., str]
Problems = Callable[..., list[str]]

DAY = 86_400.0
NO_DURATION = "write a number and its unit, like 30s, 15min, 96h or 30d"
WHICH_UNIT = "which unit? write s, min, h or d behind the number, like 30s or 96h"
ONE_LANE = "one URL has one lane: the retry whose waits sum up longest counts; write the same for all"


def policy_of(loaded: Loaded) -> RetryPolicy:
    assert loaded.config is not None, loaded.problems
    assert loaded.problems == ()
    return loaded.config.webhooks[0].retry


@pytest.mark.parametrize(
    ("lines", "ladder", "max_age"),
    [
        ("", (1, 5, 30, 120, 300, 900), 96 * 3600),
        ("    retry:\n    max_age:\n", (1, 5, 30, 120, 300, 900), 96 * 3600),
        ("    retry: 30s\n", (30,), 96 * 3600),
        (
            "    retry: 1s, 5s, 30s, 2min, 5min, 15min\n    max_age: 4d\n",
            (1, 5, 30, 120, 300, 900),
            96 * 3600,
        ),
        ("    retry: '0.5s ,1s,1s, 1h'\n    max_age: 1.5h\n", (0.5, 1, 1, 3600), 5400),
        (f"    retry: {', '.join(['2s'] * 20)}\n    max_age: 365d\n", (2,) * 20, 365 * DAY),
        ("    retry: 10s\n    max_age: 1min\n", (10,), 60),
        ("    retry: ${RETRY}, 3s\n    max_age: ${AGE:-2h}\n", (1, 2, 3), 7200),
    ],
)
def test_the_waits_and_the_age_of_a_webhook(
    load: Load, good: str, lines: str, ladder: tuple[float, ...], max_age: float
) -> None:
    policy = policy_of(load(good + lines, environ={"RETRY": "1s, 2s"}))
    assert (policy.ladder, policy.max_age) == (ladder, max_age)


def test_the_longest_wait_that_may_be_written_is_waited_whole() -> None:
    assert LONGEST_WAIT >= 3600


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("retry: ¦30", f"error retry: wait 1 is no duration -> {WHICH_UNIT}"),
        ("retry: 1s, 5s, ¦5", f"error retry: wait 3 is no duration -> {WHICH_UNIT}"),
        ("retry: '1s, 5s, ¦soon, 9s'", f"error retry: wait 3 is no duration -> {NO_DURATION}"),
        ("retry: ¦-1s, 5s", f"error retry: wait 1 is no duration -> {NO_DURATION}"),
        ("retry: ¦1s,, 5s", f"error retry: wait 2 is no duration -> {NO_DURATION}"),
        ("retry: ¦1s, 5s,", f"error retry: wait 3 is no duration -> {NO_DURATION}"),
        ("retry: ¦''", f"error retry: wait 1 is no duration -> {NO_DURATION}"),
        ("retry: ¦none", f"error retry: wait 1 is no duration -> {NO_DURATION}"),
        ("retry: ¦0s, 5s", "error retry: wait 1 is no duration -> write more than nothing, and at most 3650d"),
        ("retry: ¦0.0001s, 5s", "error retry: wait 1 is too short -> write at least 0.001s"),
        ("retry: 1s, 15min, ¦1.5h", "error retry: wait 3 is too long -> write at most 1h"),
        ("retry: 1s, 30s, ¦5s, 15min", "error retry: wait 3 is shorter than one before it -> let the waits grow, as in"),
        ("retry: >-\n      1s,\n      30s,\n      ¦5s", "error retry: wait 3 is shorter than one before it"),
        ("retry: ¦" + ", ".join(["1s"] * 21), "error retry: these are 21 waits, more than 20 -> leave out the rest: the"),
        ("retry: ¦[1s, 5s]", "error retry: must be text"),
        ("retry: ¦${RETRY}", f"error retry: wait 2 is no duration -> {NO_DURATION}"),
        ("retry: ¦0.1s, 0.5s", "warning retry: a service that is down would be tried every 0.5 s, for as long as it is"),
        ("¦retries: 5s", "error unknown key 'retries' -> did you mean 'retry'?"),
        ("¦backoff: 5s", "error unknown key 'backoff' -> did you mean 'retry'?"),
        ("max_age: ¦96", f"error max_age: '96' is no duration -> {WHICH_UNIT}"),
        ("max_age: ¦4 days", f"error max_age: '4 days' is no duration -> {NO_DURATION}"),
        ("max_age: ¦never", f"error max_age: 'never' is no duration -> {NO_DURATION}"),
        ("max_age: ¦''", f"error max_age: '' is no duration -> {NO_DURATION}"),
        ("max_age: ¦59s", "error max_age: '59s' is too short -> write at least 1min"),
        ("max_age: ¦366d", "error max_age: '366d' is too long -> write at most 365d"),
        ("max_age: ¦0d", "error max_age: '0d' is no duration -> write more than nothing, and at most 3650d"),
        ("max_age: ¦[4d]", "error max_age: must be text"),
        ("max_age: ¦${RETRY}", "error max_age: '${RETRY}' is no duration"),
        ("max_age: ¦15min", "warning max_age: a delivery may die between two tries, which are up to 900 s apart -> make"),
        ("¦ttl: 4d", "error unknown key 'ttl' -> did you mean 'max_age'?"),
    ],
)  # fmt: skip
def test_wrong_waits_and_ages_are_told_at_their_place(
    only_problem: OnlyProblem, good: str, line: str, expected: str
) -> None:
    text = f"{good}    {line}\n"
    assert only_problem(text, environ={"RETRY": "1s, 2 hours"}).startswith(expected)


def test_every_wrong_wait_is_told(problems: Problems, good: str) -> None:
    found = problems(f"{good}    retry: 5, 15s, 5, 5s, 6s, 2h\n    max_age: 1s\n")
    assert [one.partition(" -> ")[0] for one in found] == [
        "11:12 error retry: wait 1 is no duration",
        "11:20 error retry: wait 3 is no duration",
        "11:23 error retry: wait 4 is shorter than one before it",
        "11:27 error retry: wait 5 is shorter than one before it",
        "11:31 error retry: wait 6 is too long",
        "12:14 error max_age: '1s' is too short",
    ]


def test_waits_that_are_wrong_are_not_judged_any_further(problems: Problems, good: str) -> None:
    (found,) = problems(f"{good}    retry: 0.1s, 5\n    max_age: 2min\n")
    assert found.startswith("11:18 error retry: wait 2 is no duration")


def test_wrong_waits_are_told_of_a_webhook_without_a_transport_too(problems: Problems, good: str) -> None:
    text = good.replace("https://discord.com/api/webhooks/1/a-secret-part", "https://example.com")
    assert ["retry" in one for one in problems(f"{text}    retry: 5\n")] == [False, True]


def lane(*webhooks: str) -> str:
    """A config whose webhooks ``a``, ``b``, … post to one URL, each with further keys, from line 4 on."""
    rows = [
        f"  - {{name: {name}, url: demo:discord, action: Close, message: x{keys and ', '}{keys}}}\n"
        for name, keys in zip("abcd", webhooks, strict=False)
    ]
    return "sources:\n  - {name: clientxcms, token: a-token-of-the-tests}\nwebhooks:\n" + "".join(rows)


@pytest.mark.parametrize(
    "webhooks",
    [
        ("", ""),
        ("retry: 5s", "retry: ' 5sec '"),
        ("", "retry: '1s, 5s, 30s, 2min, 5min, 15min'"),
        ("retry: 5s", "retry: 6s, enabled: false"),
        ("retry: 5s", "retry: 6s, url: 'https://discord.com/api/webhooks/1/x'"),
        ("retry: 5s, max_age: 1h", "retry: 5s, max_age: 2h"),
    ],
)
def test_webhooks_of_one_lane_may_say_the_same_waits(load: Load, webhooks: tuple[str, ...]) -> None:
    text = lane(*webhooks)
    if "https" in text:
        text = text.replace(
            "url: demo:discord, action: Close, message: x, retry: 6s, ", "action: Close, message: x, "
        )
    assert load(text).problems == ()


@pytest.mark.parametrize(
    ("webhooks", "expected"),
    [
        (("retry: ¦5s", "retry: 6s"),
         "retry: does not count: webhook 'b' posts to the same URL, and has other waits"),
        (("retry: '1s, 30s'", "retry: ¦20s", "retry: '1s, 30s'"),
         "retry: does not count: webhook 'a' posts to the same URL, and has other waits"),
        (("retry: 5s, enabled: false", "", "retry: ¦10s"),
         "retry: does not count: webhook 'b' posts to the same URL, and has other waits"),
        (("", "retry: ¦30min"),
         "retry: counts for webhook 'a', too, which posts to the same URL, and has other waits"),
    ],
)  # fmt: skip
def test_webhooks_of_one_lane_that_say_different_waits_are_warned_of(
    only_problem: OnlyProblem, webhooks: tuple[str, ...], expected: str
) -> None:
    assert only_problem(lane(*webhooks)) == f"warning {expected} -> {ONE_LANE}"


def test_a_wrong_wait_is_not_compared_with_those_of_others(problems: Problems) -> None:
    (found,) = problems(lane("retry: 5", "retry: 7s"))
    assert found.startswith("4:68 error retry: wait 1 is no duration")


def test_webhooks_whose_urls_are_wrong_share_no_lane(problems: Problems) -> None:
    text = lane("retry: 5s", "retry: 7s").replace("url: demo:discord", "transport: discord, url: nowhere")
    assert [one.partition(" error ")[2][:18] for one in problems(text)] == ["url: must begin wi"] * 2


def test_the_webhooks_keep_what_they_say(load: Load) -> None:
    """Which of them the lane follows is decided where the lanes are made."""
    config = load(lane("retry: 5s", "retry: 6s")).config
    assert config is not None
    assert [webhook.retry.ladder for webhook in config.webhooks] == [(5,), (6,)]


@pytest.mark.parametrize(
    ("line", "retention"),
    [
        ("", Retention(delivered=30 * DAY, dead=90 * DAY)),
        ("retention:", Retention(delivered=30 * DAY, dead=90 * DAY)),
        ("retention: {}", Retention(delivered=30 * DAY, dead=90 * DAY)),
        ("retention: {delivered: 1d}", Retention(delivered=DAY, dead=90 * DAY)),
        ("retention: {dead: 720h}", Retention(delivered=30 * DAY, dead=30 * DAY)),
        ("retention: {delivered: 3650d, dead: 3650d}", Retention(delivered=3650 * DAY, dead=3650 * DAY)),
    ],
)
def test_how_long_is_kept_what_ended(load: Load, good: str, line: str, retention: Retention) -> None:
    loaded = load(f"{good}{line}\n")
    assert loaded.problems == ()
    assert loaded.config is not None
    assert loaded.config.retention == retention


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("retention: ¦30d", "error retention: must be a mapping (key: value)"),
        ("retention: {delivered: ¦30}", f"error retention.delivered: '30' is no duration -> {WHICH_UNIT}"),
        ("retention: {delivered: ¦forever}", f"error retention.delivered: 'forever' is no duration -> {NO_DURATION}"),
        ("retention: {delivered: ¦23h}", "error retention.delivered: '23h' is too short -> write at least 1d"),
        ("retention: {dead: ¦11 h}", "error retention.dead: '11 h' is too short -> write at least 1d"),
        ("retention: {dead: ¦4000d}", "error retention.dead: '4000d' is no duration -> write more than nothing, and"),
        ("retention: {delivered: 365d, dead: ¦x}", f"error retention.dead: 'x' is no duration -> {NO_DURATION}"),
        ("retention: {¦event: 30d}", "error unknown key 'event' -> known keys: delivered, dead"),
        ("¦keep: {dead: 30d}", "error unknown key 'keep' -> did you mean 'retention'?"),
        ("retention: {dead: ¦29d}", "warning retention: what failed would be forgotten before what was delivered"),
        ("retention: {delivered: ¦91d}", "warning retention: what failed would be forgotten before what was delivered"),
    ],
)  # fmt: skip
def test_a_wrong_retention_is_told_at_its_place(
    only_problem: OnlyProblem, good: str, line: str, expected: str
) -> None:
    assert only_problem(f"{good}{line}\n").startswith(expected)
