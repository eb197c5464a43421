"""The zoo: one bad plugin of each kind beside a good webhook, in the real program. Each harms only its own channel."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import dedent, indent
from typing import Any

import pytest
from tests.faults.rig import CANARY, Hook, Rig, Served

LONGEST_ATTEMPT = 15.0
P99 = 1.0
"""Seconds from an event to the good channel, whatever the others do."""
LONGEST_STOP = 25.0
GOOD = "desk"
SECRET = "CANARY-option-of-a-plugin"

PLUGIN = """\
import asyncio, json, logging, sqlite3, time
import deskbell

class Options(deskbell.Options):
    token: deskbell.Secret = deskbell.Secret("")
    tags: list[str] = []

class Animal(deskbell.Transport[Options]):
    '''One of the zoo.'''
    name = "{name}"
    max_length = 100

    def format(self, notice, options):
{form}
        return {{"text": notice.text(escape=deskbell.plain, limit=self.max_length)}}

    async def send(self, payload, context):
{send}
        return await super().send(payload, context)

@deskbell.hookimpl
def deskbell_transports():
    return [Animal]

{more}
"""


@dataclass(frozen=True)
class Animal:
    """What it does in ``format``, in ``send``, in its module; what becomes of its first delivery.

    Its name has less than the 16 letters of a token, or it would be masked where a URL has it.
    """

    name: str
    form: str = "pass"
    send: str = "pass"
    more: str = ""
    state: str = "delivered"
    reason: str = ""

    def source(self) -> str:
        """The single-file plugin."""
        body = {part: indent(dedent(getattr(self, part)).strip(), " " * 8) for part in ("form", "send")}
        return PLUGIN.format(name=self.name, more=dedent(self.more), **body)


def in_format(name: str, form: str, reason: str) -> Animal:
    return Animal(name, form, state="dead", reason=f": format {reason}")


def in_send(name: str, send: str, reason: str) -> Animal:
    return Animal(name, send=send, state="ready", reason=f": send {reason}")


BAD = [
    in_format("format_raises", "raise KeyError('subject')", "failed: KeyError: 'subject'"),
    in_format("format_base", "raise type('Own', (BaseException,), {})", "failed: .*Own"),
    in_format("format_exits", "raise SystemExit(3)", "failed: SystemExit: 3"),
    in_format("format_cancels", "raise asyncio.CancelledError", "failed: asyncio.exceptions.CancelledError"),
    in_format("format_ctrl_c", "raise KeyboardInterrupt", "failed: KeyboardInterrupt"),
    in_format("format_nothing", "return None", "returned nothing"),
    in_format("format_garbage", "return {'at': object()}", "failed: TypeError: Object of type object"),
    in_send("send_raises", "raise ValueError('no channel')", "failed: ValueError: no channel"),
    in_send("send_base", "raise type('Own', (BaseException,), {})", "failed: .*Own"),
    in_send("send_exits", "raise SystemExit(3)", "failed: SystemExit: 3"),
    in_send("send_cancels", "raise asyncio.CancelledError", "failed: asyncio.exceptions.CancelledError"),
    in_send("send_ctrl_c", "raise KeyboardInterrupt", "failed: KeyboardInterrupt"),
    in_send("send_nothing", "return None", "returned nothing, and no outcome"),
    in_send("send_garbage", "return 200", "returned an object of type int"),
    Animal("never_returns", send="await asyncio.Event().wait()", state="ready", reason="no complete answer within 15 s"),
    in_send(
        "stubborn",
        """
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass
        """,
        "goes on after its 15 s",
    ),
    Animal(
        "waits_in_thread",
        send="await asyncio.to_thread(time.sleep, 3600)",
        state="ready",
        reason="no complete answer within 15 s",
    ),
    Animal("leaks_tasks", send="self.left = [*getattr(self, 'left', []), asyncio.create_task(asyncio.sleep(3600))]"),
    in_send(
        "blabs",
        """
        logging.getLogger("zoo").error("%s at %s", context.options.token.reveal(), context.url.reveal())
        raise ValueError(context.options.token.reveal() + context.url.reveal())
        """,
        "failed: ValueError: ••••••",
    ),
    Animal(
        "vandal",
        """
        try:
            notice.event.variables["subject"] = "Mallory was here"
        except TypeError:
            pass
        object.__setattr__(notice.event, "ticket", "666")
        notice.values.clear()
        options.tags.append("Mallory was here")
        """,
        "payload.clear(); payload['text'] = 'Mallory was here'",
    ),
    Animal(
        "reads_store",
        send="""
        self.database = sqlite3.connect("deskbell.db")
        self.database.execute("BEGIN")
        assert self.database.execute("SELECT count(*) FROM event").fetchone()[0]
        """,
    ),
    Animal("prints", "print('hello from the printer', flush=True)"),
    Animal(
        "observes_badly",
        more="""
        ways = [
            ValueError("of a hook"), SystemExit(3), asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt()
        ]

        def fail():
            ways.append(ways.pop(0))
            raise ways[-1]

        @deskbell.hookimpl
        def deskbell_event_accepted(event):
            try:
                event.variables["subject"] = "Mallory was here"
            except TypeError:
                fail()

        @deskbell.hookimpl
        def deskbell_attempt_finished(attempt):
            fail()
        """,
    ),
]  # fmt: skip
BROKEN = {
    "no_import": ("raise OSError('no such device')", "OSError: no such device"),
    "other_api": ("deskbell_api_version = 99\n" + Animal("other").source(), "it is written for API 99"),
}
BLOCKING = {
    Animal("send_naps", send="time.sleep(1)"): "send",
    Animal("format_sleeps", "time.sleep(5)"): "format",
    Animal("send_sleeps", send="time.sleep(5)"): "send",
    Animal("counts", "end = time.monotonic() + 3\nwhile time.monotonic() < end: pass"): "format",
    Animal(
        "counts_for_ever",
        "while 'for ever' in notice.event.variables.get('mood', ''): pass",
        state="dead",
        reason=": format did not return within 15 s",
    ): "format",
}


@dataclass
class Visit:
    """A run of the program with a zoo in it, seen from outside once it is over."""

    rig: Rig
    rows: list[dict[str, Any]] = field(default_factory=list)
    printed: str = ""
    code: int = -1
    stopped_in: float = 0.0

    @property
    def log(self) -> str:
        """All that it logged."""
        return self.rig.log.read_text("utf-8")

    def first(self, webhook: str) -> dict[str, Any]:
        """The webhook's first delivery."""
        return min((row for row in self.rows if row["webhook"] == webhook), key=lambda row: int(row["id"]))

    def waits(self, since: float = 0.0) -> list[float]:
        """Seconds from each accepted event, posted after ``since``, until the good channel had it; sorted."""
        lines = map(json.loads, self.rig.acks.read_text("utf-8").splitlines())
        posted = {line["token"]: line["sent_at"] for line in lines if line["fate"] == "accepted"}
        arrived = {
            token: line["at"]
            for line in map(json.loads, self.rig.seen.read_text("utf-8").splitlines())
            if line["path"] == self.rig.paths[GOOD]
            for token in line["tokens"]
        }
        assert posted.keys() == arrived.keys(), "the good channel got what was accepted"
        return sorted(arrived[token] - at for token, at in posted.items() if at >= since)


def open_zoo(rig: Rig, animals: Iterable[Animal], broken: Mapping[str, str]) -> Served:
    """Let each animal be the transport of the webhook that has its name."""
    folder, config = rig.folder / "plugins.d", rig.folder / "config.yaml"
    folder.mkdir()
    text = config.read_text("utf-8").replace("sources:", "plugins_dir: plugins.d\nsources:", 1)
    for animal in animals:
        (folder / f"{animal.name}.py").write_text(animal.source(), "utf-8")
        text = re.sub(rf"(name: {animal.name}\n.*\n    transport: )slack", rf"\g<1>{animal.name}", text)
    for name, source in broken.items():
        (folder / f"{name}.py").write_text(source, "utf-8")
    config.write_text(text, "utf-8")
    return rig.serve()


def close_zoo(visit: Visit, served: Served) -> None:
    """Ask the program what became of all deliveries, and end it."""
    listed = subprocess.run(
        [sys.executable, "-m", "deskbell", "deliveries", "--json", "--limit", "100000"],
        cwd=visit.rig.folder, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    visit.rows = [json.loads(line) for line in listed.stdout.splitlines()]
    began = time.monotonic()
    served.process.terminate()
    visit.printed, _ = served.process.communicate(timeout=LONGEST_STOP + 5)
    visit.code, visit.stopped_in = served.process.returncode, time.monotonic() - began


def attempts_of(visit: Visit, webhook: str) -> int:
    """How many are over."""
    query = "SELECT count(*) FROM attempt JOIN delivery ON delivery.id = attempt.delivery WHERE webhook = ?"
    return int(visit.rig.ask(query, webhook)[0][0])


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """A zoo of animals that block nobody's loop."""
    options = f"    options: {{token: {SECRET}}}\n    retry: 60s\n"
    hooks = {animal.name: Hook(may_die=True, may_wait=True, more=options) for animal in BAD}
    with Rig(tmp_path_factory.mktemp("zoo"), {GOOD: Hook(), **hooks}) as rig:
        seen = Visit(rig)
        served = open_zoo(rig, BAD, {name: source for name, (source, _) in BROKEN.items()})
        rig.post(rate=20, tickets=4, each=20).finish()
        slow = ("never_returns", "stubborn", "waits_in_thread")
        rig.wait_until(lambda: all(attempts_of(seen, name) for name in slow), LONGEST_ATTEMPT + 10)
        close_zoo(seen, served)
        yield seen


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Visit, float]]:
    """A zoo of animals that block the loop; and when each of them had done so once."""
    hooks = {animal.name: Hook(may_die=True, may_wait=True) for animal in BLOCKING}
    with Rig(tmp_path_factory.mktemp("zoo"), {GOOD: Hook(), **hooks}) as rig:
        seen = Visit(rig)
        served = open_zoo(rig, BLOCKING, {})
        rig.post(tickets=1, each=1, mood="for ever").finish()
        rig.wait_until(lambda: seen.log.count("runs in threads of its own") == len(BLOCKING), 30)
        rig.wait_until(lambda: rig.recorder.arrived[rig.paths[GOOD]])
        since = time.time()
        rig.post(rate=20, tickets=4, each=30).finish()
        dead = "SELECT 1 FROM delivery WHERE webhook = 'counts_for_ever' AND state = 'dead'"
        rig.wait_until(lambda: rig.ask(dead), LONGEST_ATTEMPT + 20)
        done = "SELECT 1 FROM delivery WHERE webhook = 'counts_for_ever' AND state = 'delivered'"
        rig.wait_until(lambda: rig.ask(done))
        close_zoo(seen, served)
        yield seen, since


@pytest.mark.parametrize("animal", BAD, ids=lambda animal: animal.name)
def test_a_bad_plugin_degrades_its_own_channel_and_the_reason_names_it(visit: Visit, animal: Animal) -> None:
    row = visit.first(animal.name)
    assert row["state"] == animal.state
    assert re.search(animal.reason, row["reason"])
    if animal.reason.startswith(":"):
        assert f"plugin of transport {animal.name} (plugins.d/{animal.name}.py)" in row["reason"]
    assert row["maybe_duplicate"] == (animal.state == "ready")


def test_the_good_channel_has_every_event_soon_and_unchanged(visit: Visit) -> None:
    waits = visit.waits()
    assert len(waits) == 80
    assert waits[-2] < P99
    assert {row["state"] for row in visit.rows if row["webhook"] == GOOD} == {"delivered"}
    assert "Mallory" not in "".join(
        line for line in visit.rig.seen.read_text("utf-8").splitlines() if visit.rig.paths[GOOD] in line
    )
    assert len([row for row in visit.rows if row["webhook"] == "vandal"]) == 80


def test_nothing_that_is_secret_is_logged_or_listed(visit: Visit) -> None:
    assert "zoo: ••• at •••" in visit.log
    for secret in (SECRET, CANARY):
        assert secret not in visit.log
        assert secret not in json.dumps(visit.rows)
        assert secret.encode() not in visit.rig.db.read_bytes()


@pytest.mark.parametrize("name", BROKEN)
def test_a_plugin_that_cannot_be_loaded_is_named_with_the_reason(visit: Visit, name: str) -> None:
    assert f"plugin {name} is not loaded: {BROKEN[name][1]}" in visit.log


@pytest.mark.parametrize("hook", ["deskbell_event_accepted", "deskbell_attempt_finished"])
@pytest.mark.parametrize(
    "error",
    ["ValueError: of a hook", "SystemExit: 3", "CancelledError", "GeneratorExit", "KeyboardInterrupt"],
)
def test_a_hook_that_raises_is_named_with_what_it_raised(visit: Visit, hook: str, error: str) -> None:
    assert f"plugin observes_badly: {hook} raised {error}" in visit.log


def test_the_program_ends_as_it_should_whatever_they_do(visit: Visit) -> None:
    assert visit.printed.count("hello from the printer") == 80
    assert visit.code == 0
    assert visit.stopped_in < LONGEST_STOP


@pytest.mark.parametrize("animal", BLOCKING, ids=lambda animal: animal.name)
def test_a_plugin_that_blocks_the_loop_does_so_once(blocked: tuple[Visit, float], animal: Animal) -> None:
    visit, _ = blocked
    file, method = f"plugins.d/{animal.name}.py", BLOCKING[animal]
    said = rf"plugin of transport {animal.name} \({file}\): {method} blocked the event loop for \d\.\d s"
    assert len(re.findall(said, visit.log)) == 1
    row = visit.first(animal.name)
    assert row["state"] == animal.state
    assert re.search(animal.reason, row["reason"])


def test_a_block_is_reported_with_its_stack(blocked: tuple[Visit, float]) -> None:
    """At least the first of them: while the loop does not turn, the next ones are the same block."""
    visit, _ = blocked
    reports = re.findall(
        r"held up for [\d.]+ s now, .* plugin module deskbell_plugin_file_(\w+)\\n(.*)", visit.log
    )
    assert reports
    for name, stack in reports:
        assert re.search(rf'plugins\.d/{name}\.py", line \d+, in (format|send)\\n', stack)


def test_from_then_on_the_good_channel_is_not_held_up(blocked: tuple[Visit, float]) -> None:
    visit, since = blocked
    waits = visit.waits(since)
    assert len(waits) == 120
    assert waits[-2] < P99
    assert visit.code == 0
    assert visit.stopped_in < LONGEST_STOP
