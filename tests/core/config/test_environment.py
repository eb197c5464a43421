"""``${NAME}`` in values: after the YAML is read, and never in a message."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deskbell.config import Loaded

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]
ENVIRON = {
    "NAME": "chat",
    "EMPTY": "",
    "NASTY": "a: b # c\n- 'd'",
    "URL": "https://discord.com/api/webhooks/1/x",
}
WithUsername = Callable[[str], str]


@pytest.fixture
def with_username(good: str) -> WithUsername:
    """The good config with an option on line 10, from column 17."""
    return lambda text: good.replace("    message", f"    options:\n      username: {text}\n    message")


@pytest.mark.parametrize(
    ("written", "username"),
    [
        ("${NAME}", "chat"),
        ("a-${NAME}-b", "a-chat-b"),
        ("${NAME}${NAME}", "chatchat"),
        ("'${NAME}'", "chat"),
        ("${NAME:-other}", "chat"),
        ("${UNSET:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${UNSET:-demo:discord}", "demo:discord"),
        ("${UNSET:-https://x/y?z=1}", "https://x/y?z=1"),
        ("${UNSET:-}", ""),
        ("${UNSET:-$5 $$}", "$5 $"),
        ("${NASTY}", "a: b # c\n- 'd'"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$5 and $NAME", "$5 and $NAME"),
        ("100 %", "100 %"),
    ],
)
def test_a_reference_is_replaced_after_the_yaml_is_read(
    load: Load, with_username: WithUsername, written: str, username: str
) -> None:
    loaded = load(with_username(written), environ=ENVIRON)
    assert loaded.config is not None, loaded.problems
    assert loaded.config.webhooks[0].options.username == username  # type: ignore[attr-defined] # the fake's own


def test_a_message_is_left_alone(load: Load, good: str) -> None:
    loaded = load(good.replace("New:", "It costs $5 ${NAME} $$ ${"), environ=ENVIRON)
    assert loaded.problems == ()
    assert loaded.config is not None
    assert loaded.config.webhooks[0].template.source.startswith("It costs $5 ${NAME} $$ ${")


def test_values_of_other_types_are_read_from_the_environment_too(load: Load, good: str) -> None:
    text = good.replace("version: 1", "version: ${V}") + "    enabled: ${ON:-no}\n"
    config = load(text, environ={"V": "1"}).config
    assert config is not None
    assert config.active_webhooks == ()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "${UNSET}",
            "10:17 error the environment variable UNSET is not set -> set it, or give a default: ${UNSET:-…}",
        ),
        (
            "${EMPTY}",
            "10:17 error the environment variable EMPTY is empty -> set it, or give a default: ${EMPTY:-…}",
        ),
        ("a ${UNSET}", "10:19 error the environment variable UNSET is not set"),
        ("${NAME", "10:17 error this ${ is half-written -> write ${NAME} or ${NAME:-default}"),
        ("${NA-ME}", "10:17 error this ${ is half-written"),
        ("${}", "10:17 error this ${ is half-written"),
        ("${NAME} ${", "10:25 error this ${ is half-written"),
        ("${UNSET:-${NAME}}", "10:17 error this ${ is half-written"),
    ],
)
def test_a_reference_that_leads_nowhere_is_an_error_at_its_sign(
    problems: Problems, with_username: WithUsername, written: str, expected: str
) -> None:
    found = problems(with_username(written), environ=ENVIRON)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_an_unset_variable_hides_no_other_problem_and_causes_none(problems: Problems, good: str) -> None:
    text = good.replace("https://discord.com/api/webhooks/1/a-secret-part", "${UNSET}").replace(
        "Submit", "${ALSO}"
    )
    assert [one.partition(" ->")[0] for one in problems(text)] == [
        "7:10 error the environment variable UNSET is not set",
        "8:13 error the environment variable ALSO is not set",
    ]


def test_a_key_that_is_written_twice_hides_no_unset_variable(problems: Problems, good: str) -> None:
    found = problems(f"{good}    rate: none\n    rate: ${{UNSET}}\n")
    assert [one.partition(" ->")[0] for one in found] == [
        "12:5 error 'rate' is written twice; the first is on line 11",
        "12:11 error the environment variable UNSET is not set",
    ]


def test_a_value_of_the_environment_is_never_shown(load: Load, good: str) -> None:
    """The owner may have named the wrong variable: what it holds may be a secret."""
    for line in (
        "rate: ${KEY}",
        "transport: ${KEY}",
        "options: {silent: '${KEY}'}",
        "when: {source: '${KEY}'}",
    ):
        loaded = load(good + f"    {line}\n", environ={"KEY": "canary_of_the_environment"})
        assert loaded.config is None
        assert "canary" not in "".join(map(str, loaded.problems)), line
