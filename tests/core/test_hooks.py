"""Each hook: called when and with what docs/hooks.md says. The page itself is checked and run here too."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

import deskbell
from deskbell import Attempt, Delivered, DestinationGone, Outcome, Sources, TicketEvent, Transports, hookspecs
from deskbell.plugins import Plugins, load_plugins

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text("utf-8")
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("deskbell_")}
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


class Bell(deskbell.Transport):
    """A transport with the least that one needs."""

    name = "bell"
    max_length = 100

    def format(self, notice: deskbell.Notice, options: deskbell.Options) -> deskbell.Payload:
        del options
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}


class Desk(deskbell.Source):
    """A source with the least that one needs."""

    name = "desk"

    def parse(self, request: deskbell.EventRequest) -> TicketEvent:
        return TicketEvent(action=request.json_object()["action"])

    def sample(self, action: str) -> dict[str, str]:
        return {"action": action}


class Observer:
    """Implements every hook, as an object with methods."""

    def __init__(self) -> None:
        self.events: list[tuple[TicketEvent, Sequence[str]]] = []
        self.attempts: list[Attempt] = []

    @deskbell.hookimpl
    def deskbell_transports(self) -> Transports:
        return [Bell]

    @deskbell.hookimpl
    def deskbell_sources(self) -> Sources:
        return [Desk]

    @deskbell.hookimpl
    def deskbell_event_accepted(self, event: TicketEvent, webhooks: Sequence[str]) -> None:
        self.events.append((event, webhooks))

    @deskbell.hookimpl
    def deskbell_attempt_finished(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)


def attempt_with(outcome: Outcome) -> Attempt:
    return Attempt(
        delivery_id=1,
        event_id="e1",
        webhook="support",
        transport="bell",
        number=1,
        started_at=datetime(2026, 11, 1, tzinfo=UTC),
        seconds=0.1,
        outcome=outcome,
        payload="{}",
    )


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def plugins(observer: Observer) -> Plugins:
    found = load_plugins(entry_points=[])
    found.register("observer", observer)
    return found


def load_example(tmp_path: Path, code: str) -> Plugins:
    (tmp_path / "example.py").write_text(code, "utf-8")
    return load_plugins(plugins_dir=tmp_path, entry_points=[])


def example_of(hook: str) -> str:
    (found,) = [code for code in EXAMPLES if f"def {hook}(" in code]
    return str(found)


def test_hook_deskbell_transports(plugins: Plugins, tmp_path: Path) -> None:
    assert isinstance(plugins.transports["bell"], Bell)
    ntfy = load_example(tmp_path, example_of("deskbell_transports")).transports["ntfy"]
    assert ntfy.max_length == 4096
    assert ntfy.options_type.model_validate({"topic": "desk"}).model_dump() == {"topic": "desk"}


def test_hook_deskbell_sources(plugins: Plugins, tmp_path: Path) -> None:
    assert isinstance(plugins.sources["desk"], Desk)
    helpy = load_example(tmp_path, example_of("deskbell_sources")).sources["helpy"]
    body = b'{"event": "ticket.created", "id": 7, "title": "Help"}'
    assert helpy.parse(deskbell.EventRequest(body, {})) == TicketEvent(
        action="Submit", ticket="7", variables={"subject": "Help"}
    )


def test_hook_deskbell_event_accepted(plugins: Plugins, observer: Observer) -> None:
    event = TicketEvent(action="Submit")
    plugins.event_accepted(event, ["support", "billing"])
    plugins.event_accepted(event, [])
    assert observer.events == [(event, ("support", "billing")), (event, ())]


def test_hook_deskbell_event_accepted_may_leave_arguments_out(tmp_path: Path) -> None:
    plugins = load_example(tmp_path, example_of("deskbell_event_accepted"))
    plugins.event_accepted(TicketEvent(action="Submit"), ["support"])
    (accepted,) = (vars(observer.plugin)["accepted"] for observer in plugins._on_event_accepted)
    assert accepted == {"Submit": 1}


def test_hook_deskbell_attempt_finished(
    plugins: Plugins, observer: Observer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = attempt_with(Delivered(receipt="42"))
    plugins.attempt_finished(attempt)
    assert observer.attempts == [attempt]
    example = load_example(tmp_path, example_of("deskbell_attempt_finished"))
    example.attempt_finished(attempt)
    example.attempt_finished(attempt_with(DestinationGone("404 Unknown Webhook")))
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "support is gone: 404 Unknown Webhook"
    ]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_heading_equal_to_its_signature(name: str) -> None:
    signature = str(inspect.signature(HOOKS[name])).replace("'", "")
    assert f"\n## {name}{signature}\n" in PAGE


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("part", ["**Called**", "**Isolation**", "```python"])
def test_every_hook_is_told_when_it_is_called_how_it_is_kept_apart_and_by_example(
    name: str, part: str
) -> None:
    section = PAGE.partition(f"\n## {name}(")[2].partition("\n## ")[0]
    assert part in section


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_test(name: str) -> None:
    assert f"test_hook_{name}" in globals()


def test_the_page_has_no_hook_that_does_not_exist() -> None:
    assert set(re.findall(r"^## (deskbell_\w+)\(", PAGE, re.MULTILINE)) == set(HOOKS)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_of_the_page_loads(number: int, tmp_path: Path) -> None:
    plugins = load_example(tmp_path, EXAMPLES[number])
    assert plugins.broken == ()
    assert [info.distribution for info in plugins.loaded if info.name == "example"] == [
        f"{tmp_path.name}/example.py"
    ]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_synchronous_and_says_what_it_is_for(name: str) -> None:
    assert not inspect.iscoroutinefunction(HOOKS[name])
    assert inspect.getdoc(HOOKS[name])
