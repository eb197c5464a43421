"""What a supervisor is told: received on a real socket, of this process and of the real program."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.kit import within

from deskbell.supervisor import Supervisor

if TYPE_CHECKING:
    from tests.conftest import Serve

DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'


class Listener:
    """Plays systemd: a datagram socket, under a path or (``@…``) a name that is in no folder."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(20)

    def next(self) -> dict[str, str]:
        """The assignments of the next message."""
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def next_but_signs(self) -> dict[str, str]:
        """Of the next message that is no sign of life."""
        while (message := self.next()) == {"WATCHDOG": "1"}:
            pass
        return message

    def drain(self) -> int:
        """How many messages wait."""
        count = 0
        self.socket.setblocking(False)
        try:
            while self.socket.recv(4096):
                count += 1
        except BlockingIOError:
            return count
        finally:
            self.socket.settimeout(20)
        return count


@pytest.fixture(params=["a path", "an abstract name"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    name = str(tmp_path / "notify") if request.param == "a path" else f"@deskbell-{secrets.token_hex(8)}"
    heard = Listener(name)
    with heard.socket:
        yield heard


def supervisor(listener: Listener, **more: str) -> Supervisor:
    return Supervisor({"NOTIFY_SOCKET": listener.name, **more})


def test_each_turn_of_a_life_is_told(listener: Listener) -> None:
    told = supervisor(listener)
    told.ready("listening on http://127.0.0.1:8700")
    assert listener.next() == {"READY": "1", "STATUS": "listening on http://127.0.0.1:8700"}
    told.say("one\nREADY=0")
    assert listener.next() == {"STATUS": "one READY=0"}
    told.stopping("the disk is full")
    assert listener.next() == {"STOPPING": "1", "STATUS": "the disk is full"}


def test_a_reload_says_when_it_began_and_that_it_ended_also_when_it_failed(listener: Listener) -> None:
    begun = dict[str, str]()

    def fail() -> None:
        with supervisor(listener).reloading():
            begun.update(listener.next())
            raise LookupError

    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    with pytest.raises(LookupError):
        fail()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert begun["RELOADING"] == "1"
    assert before <= int(begun["MONOTONIC_USEC"]) <= after
    assert listener.next() == {"READY": "1"}


def receive(listener: Listener) -> asyncio.Future[dict[str, str]]:
    return asyncio.get_running_loop().run_in_executor(None, listener.next)


async def test_signs_of_life_come_while_the_loop_turns_and_only_then(listener: Listener) -> None:
    async with supervisor(listener, WATCHDOG_USEC="20000").watching():
        for _ in range(3):
            assert await within(receive(listener)) == {"WATCHDOG": "1"}
        listener.drain()
        time.sleep(0.1)  # noqa: ASYNC251 - a call that blocks the loop is what this is about
        assert listener.drain() == 0
        assert await within(receive(listener)) == {"WATCHDOG": "1"}
    listener.drain()
    await asyncio.sleep(0.05)
    assert listener.drain() == 0


@pytest.mark.parametrize(
    "wanted",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
    ids=["not asked for", "never", "not a number", "another process is meant"],
)
async def test_no_sign_of_life_comes_unasked(listener: Listener, wanted: dict[str, str]) -> None:
    async with supervisor(listener, **wanted).watching():
        await asyncio.sleep(0.05)
    assert listener.drain() == 0


async def test_where_nobody_asks_nobody_is_told() -> None:
    nobody = Supervisor({"WATCHDOG_USEC": "1000"})
    async with nobody.watching():
        nobody.ready("x")
        with nobody.reloading():
            nobody.stopping("x")


def test_a_supervisor_that_is_gone_is_told_of_once_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    with caplog.at_level(logging.WARNING):
        gone.ready("x")
        gone.say("y")
    (record,) = caplog.records
    assert "NOTIFY_SOCKET" in record.message
    assert "No such file" in record.message


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_program_tells_when_it_accepts_events_that_it_lives_and_that_it_ends(
    listener: Listener, serve: Serve, config_file: Callable[[str], Path], how: signal.Signals
) -> None:
    config_file(DEMO)
    server = serve(environment={"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "100000"})
    assert listener.next_but_signs() == {"READY": "1", "STATUS": f"listening on {server.address}"}
    assert [listener.next() for _ in range(2)] == [{"WATCHDOG": "1"}] * 2
    assert server.end(how) == 0
    stopping = listener.next_but_signs()
    assert stopping.pop("STOPPING") == "1"
    assert "the rest waits in the store" in stopping["STATUS"]


def test_a_program_that_stands_still_gives_no_sign_of_life(
    listener: Listener, serve: Serve, config_file: Callable[[str], Path]
) -> None:
    config_file(DEMO)
    server = serve(environment={"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "40000"})
    listener.next_but_signs()
    server.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, server.process.pid, os.WSTOPPED | os.WNOWAIT)
    listener.drain()
    time.sleep(0.1)
    assert listener.drain() == 0
    server.process.send_signal(signal.SIGCONT)
    assert listener.next() == {"WATCHDOG": "1"}


def test_a_reload_of_the_program_is_told_from_its_beginning_to_its_end(
    listener: Listener, serve: Serve, config_file: Callable[[str], Path]
) -> None:
    """Also one that is refused: the program goes on as it was."""
    config_file(DEMO)
    server = serve(environment={"NOTIFY_SOCKET": listener.name})
    listener.next()
    for webhooks in (DEMO.replace("desk", "office"), "webhooks: [{name: x}]\n"):
        config_file(webhooks)
        server.process.send_signal(signal.SIGHUP)
        assert listener.next().keys() == {"RELOADING", "MONOTONIC_USEC"}
        assert listener.next()["READY"] == "1"
    assert server.end() == 0
