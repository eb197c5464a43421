"""One deskbell with a client before it and sinks behind it: started, killed, drained and judged from outside."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import selectors
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.faults.durability import CALLS
from tests.faults.evidence import Told
from tests.faults.load import Load, Plan
from tests.faults.oracle import Judgement, judge
from tests.faults.recorder import Manner, Recorder

ROOT = Path(__file__).resolve().parents[2]
SERVE = ("-m", "deskbell")
READY = re.compile(r"deskbell \S+ listening on http://\S+:(\d+)")
SLOWEST_START = 30.0
SLOWEST_STOP = 25.0
"""Seconds that a stop may take: an attempt in flight, and a little."""
QUIET_PORTS = range(10_000, 32_000)
POLL = 0.05
SECRETS = {"shop": "CANARY-token-of-the-shop", "desk": "CANARY-token-of-the-desk"}
CANARY = "CANARY0123456789sink"
QUIET = Manner()


@dataclass(frozen=True)
class Hook:
    """A webhook: its sink's ``manner``, and the department whose events it gets (empty: all)."""

    manner: Manner = QUIET
    department: str = ""
    may_die: bool = False
    may_wait: bool = False
    more: str = ""


@dataclass
class Served:
    """A running ``deskbell serve``."""

    process: subprocess.Popen[str]

    def end(self, how: signal.Signals = signal.SIGTERM, *, wait: float = SLOWEST_STOP + 5) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(how)
        return self.wait(wait)

    def wait(self, seconds: float) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(seconds)
        if self.process.stdout:
            self.process.stdout.close()
        return code


@dataclass
class Rig:
    """A folder with a config, its sinks and its files. Use it as a context manager.

    ``command`` is what runs in place of ``python -m deskbell``; ``tracing`` records its system calls, too.
    ``lost_answers``: how many deliveries a sink took without an answer that came through.
    """

    folder: Path
    hooks: Mapping[str, Hook]
    seed: int = 1
    command: Sequence[str] = SERVE
    tracing: bool = False
    starts: list[float] = field(default_factory=list)
    faults: int = 0
    lost_answers: int = 0
    caught: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.acks, self.seen, self.db, self.log, self.trace = (
            self.folder / name
            for name in ("acks.jsonl", "sinks.jsonl", "deskbell.db", "stderr.txt", "strace.txt")
        )
        self.paths = {name: f"/services/{name}/B/{CANARY}" for name in self.hooks}
        manners = {self.paths[name]: hook.manner for name, hook in self.hooks.items()}
        self.recorder = Recorder(self.seen, manners, seed=self.seed)
        self.port = free_port()
        self.served: Served | None = None
        self.load: Load | None = None
        self._write_config()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.load:
                self.load.stop()
        finally:
            if self.served and self.served.process.poll() is None:
                self.served.end(signal.SIGKILL)
            self.recorder.stop()

    @property
    def departments(self) -> Sequence[str]:
        """Those that some webhook asks for, and one that none does."""
        return sorted({hook.department for hook in self.hooks.values()} - {""} | {"other"})

    def serve(self) -> Served:
        """Start it, and wait until it accepts."""
        began = time.monotonic()
        served = self.spawn()
        line = _first_line(served.process)
        if not READY.fullmatch(line.strip()):
            served.end(signal.SIGKILL)
            raise AssertionError(f"serve did not start: {line!r} {self.log.read_text('utf-8')[-2000:]}")
        self.starts.append(time.monotonic() - began)
        return served

    def spawn(self) -> Served:
        """Start it, and do not wait."""
        tracer = (
            ("strace", "-D", "-f", "-s", "48", "-e", f"trace={CALLS}", "-o", str(self.trace))
            if self.tracing
            else ()
        )
        with self.log.open("a") as errors:
            process = subprocess.Popen(
                [*tracer, sys.executable, *self.command, "serve"],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=_environment(),
            )
        self.served = Served(process)
        return self.served

    def post(
        self,
        *,
        rate: float | None = 50.0,
        tickets: int = 8,
        each: int = 0,
        within: float = 0.0,
        departments: Sequence[str] = (),
        **fields: str,
    ) -> Load:
        """Begin to send events, of every department unless told."""
        routes = {
            f"{action}/{department}": {"action": action, "departmentName": department, **fields}
            for action in ("Submit", "Reply", "Close")
            for department in departments or self.departments
        }
        plan = Plan(SECRETS, routes, rate=rate, tickets=tickets, each=each, within=within, seed=self.seed)
        self.load = Load(plan, port=self.port, record=self.acks)
        self.load.start()
        return self.load

    def kill(self) -> int:
        """End it with no chance to do anything; how many deliveries were in flight."""
        assert self.served
        self.served.end(signal.SIGKILL)
        sending = self.ask("SELECT id, attempts FROM delivery WHERE state = 'sending'")
        self.faults += 1
        self.caught |= set(sending)  # by attempt: a kill before the recovery meets the same ones again
        return len(sending)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """No file of its can grow beyond what its log of writes has now."""
        assert self.served
        size = self.db.with_name(f"{self.db.name}-wal").stat().st_size
        resource.prlimit(self.served.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        yield
        resource.prlimit(
            self.served.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )

    def drain(self, seconds: float = 60.0) -> None:
        """Wait until it is drained."""
        self.wait_until(self.is_drained, seconds)

    def is_drained(self) -> bool:
        """Whether nothing is waiting any more but what may."""
        query = "SELECT DISTINCT webhook FROM delivery WHERE state IN ('ready', 'sending', 'held')"
        may_wait = {(name,) for name, hook in self.hooks.items() if hook.may_wait}
        return may_wait.issuperset(self.ask(query))

    def wait_until(self, true: Callable[[], object], seconds: float = 20.0) -> None:
        """What is watched is another process's: nobody tells when it changes."""
        limit = time.monotonic() + seconds
        while not true():
            if time.monotonic() > limit:
                states = self.ask("SELECT webhook, state, count(*), max(reason) FROM delivery GROUP BY 1, 2")
                raise AssertionError(f"not within {seconds} s: {[tuple(each) for each in states]}")
            time.sleep(POLL)

    def ask(self, query: str, *values: object) -> list[Any]:
        """Look into the database, as anybody may beside a running server."""
        with closing(
            sqlite3.connect(f"{self.db.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        ) as database:
            return database.execute(query, values).fetchall()

    @property
    def told(self) -> Told:
        """What the judge cannot know by itself."""
        return Told(
            webhooks=self.paths,
            routes={
                f"{action}/{department}": [
                    name for name, hook in self.hooks.items() if hook.department in ("", department)
                ]
                for action in ("Submit", "Reply", "Close")
                for department in self.departments
            },
            faults=self.faults + self.lost_answers,
            in_flight=len(self.caught) + self.lost_answers,
            caught=None if self.lost_answers else [number for number, _ in self.caught],
            may_die=[name for name, hook in self.hooks.items() if hook.may_die],
            may_wait=[name for name, hook in self.hooks.items() if hook.may_wait],
            canaries=[*SECRETS.values(), CANARY],
        )

    def verdict(self, **told: Any) -> Judgement:
        """What the judge finds. ``told`` replaces some of what it is told; all of it stays in ``told.json``."""
        tells = replace(self.told, **told)
        (self.folder / "told.json").write_text(json.dumps(asdict(tells)), "utf-8")
        trace = self.trace if self.tracing else None
        return judge(tells, acks=[self.acks], sinks=[self.seen], db=self.db, logs=[self.log], trace=trace)

    def _write_config(self) -> None:
        sources = [{"name": name, "adapter": "deskbell", "token": token} for name, token in SECRETS.items()]
        text = [
            "version: 1",
            f'server: {{listen: "127.0.0.1:{self.port}"}}',
            "egress: {allow: [127.0.0.0/8]}",
            f"sources: {json.dumps(sources)}",
            "webhooks:",
            *(self._webhook(name, hook) for name, hook in self.hooks.items()),
        ]
        (self.folder / "config.yaml").write_text("\n".join(text), "utf-8")

    def _webhook(self, name: str, hook: Hook) -> str:
        when = f"\n    when: {{department: [{hook.department}]}}" if hook.department else ""
        return (
            f"  - name: {name}\n    url: http://127.0.0.1:{self.recorder.port}{self.paths[name]}\n    transport: slack\n"
            f'    action: "*"\n    rate: none{when}\n    message: "%action% %subject% %content%"\n{hook.more}'
        )


def free_port() -> int:
    """A port that stays the same through restarts, so that the client finds the server again.

    Not one that the system gives to outgoing connections: while the server is dead, one of them could get it, or a
    client even meet itself.
    """
    for port in random.sample(QUIET_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no port of {QUIET_PORTS} is free")


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(SLOWEST_START) else ""


def _environment() -> dict[str, str]:
    """Without what a developer's own shell says about webhooks; with warnings of what was not closed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DESKBELL_")}
    found = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": found, "PYTHONWARNINGS": "default::ResourceWarning"}
