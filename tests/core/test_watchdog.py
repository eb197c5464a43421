"""The loop is watched: what holds it up is reported with its stack, told apart from a pause of the machine, ended."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import uvloop

from deskbell.breakoff import BrokenOff, breakable
from deskbell.watchdog import Watchdog

QUICK = {"blocked": 0.1, "beat": 0.1}
"""Seconds, in place of the half second: a test need not wait so long."""
SECRET = "hunter22-hunter22"


@pytest.fixture
def plugin(tmp_path: Path) -> ModuleType:
    """A module that is neither core's nor Python's: what it does is a plugin's doing."""
    source = f"""
import re, time

def doze(seconds, password={SECRET!r}):
    time.sleep(seconds)

def count(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

def search(seconds):  # the engine of `re` lets no other thread run
    re.match("(a+)+b", "a" * (25 if seconds < 1 else 60))

def deaf(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(seconds)
        except BaseException:
            caught.append(time.monotonic())

caught = []
"""
    path = tmp_path / "zoo_plugin.py"
    path.write_text(source, "utf-8")
    module = ModuleType("zoo_plugin")
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), vars(module))  # noqa: S102 - the test's own words, at a name of their own
    return module


def messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


async def block(plugin_function: Callable[[float], None], seconds: float) -> None:
    """As a callback of the loop, and until the watchdog saw that it is over."""
    asyncio.get_running_loop().call_soon(plugin_function, seconds)
    await asyncio.sleep(0.1)
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_block_is_reported_once_with_its_stack_and_once_when_it_is_over(
    loop: Callable[[], asyncio.AbstractEventLoop], plugin: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> Watchdog:
        with Watchdog(**QUICK) as watchdog:
            await block(plugin.doze, 0.6)
        return watchdog

    with asyncio.Runner(loop_factory=loop) as runner:
        watchdog = runner.run(main())
    (report,) = messages(caplog, logging.ERROR)
    (end,) = messages(caplog, logging.WARNING)
    assert "the event loop is held up for 0." in report
    assert "by the plugin module zoo_plugin\n" in report
    assert re.search(r'File ".*zoo_plugin\.py", line 5, in doze\n    time\.sleep\(seconds\)\n$', report)
    assert "runners.py" not in report, "what is outside the loop is of no interest"
    assert SECRET not in report
    assert (found := re.search(r"held up for ([\d.]+) s$", end))
    assert 0.4 <= float(found[1]) <= 3
    assert watchdog.blocks == 1
    assert abs(watchdog.blocked_seconds - float(found[1])) < 0.06


@pytest.mark.parametrize("way", ["count", "search"])
async def test_code_that_computes_is_reported_even_if_it_lets_no_thread_run(
    plugin: ModuleType, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Watchdog(**QUICK):
        await block(getattr(plugin, way), 0.6)
    assert any("plugin module zoo_plugin" in report for report in messages(caplog, logging.ERROR))


async def test_a_loop_that_turns_is_not_reported_however_busy(caplog: pytest.LogCaptureFixture) -> None:
    with Watchdog() as watchdog:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            time.sleep(0.05)  # noqa: ASYNC251 - busy, and yet it turns
            await asyncio.sleep(0)
    assert (watchdog.blocks, watchdog.blocked_seconds, messages(caplog, logging.ERROR)) == (0, 0.0, [])


async def test_a_block_by_nobody_in_particular_blames_no_plugin(caplog: pytest.LogCaptureFixture) -> None:
    with Watchdog(**QUICK):
        await block(time.sleep, 0.5)
    (report,) = messages(caplog, logging.ERROR)
    assert "everything waits\n" in report


def test_a_process_that_stood_still_was_blocked_by_nobody() -> None:
    """As by SIGSTOP, a suspended machine, a frozen container: the watching thread stood still, too."""
    program = """
import asyncio, time
from deskbell.watchdog import Watchdog

async def work():
    while True:
        time.sleep(0.02)
        await asyncio.sleep(0)

async def main():
    working = asyncio.create_task(work())
    with Watchdog(blocked=0.1, beat=0.1) as watchdog:
        for line in ("ready", "done"):
            print(line, flush=True)
            await asyncio.get_running_loop().run_in_executor(None, input)
        await asyncio.sleep(0.5)
    print(watchdog.blocks, watchdog.blocked_seconds)

asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        for line in ("ready\n", "done\n"):
            assert process.stdout.readline() == line
            time.sleep(0.3)  # the watch is kept
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.8)  # what is waited for is this very time
            process.send_signal(signal.SIGCONT)
            process.stdin.write("\n")
            process.stdin.flush()
        assert process.stdout.readline() == "0 0.0\n"


@breakable
def call(plugin_function: Callable[[float], None], seconds: float) -> str:
    """As core calls a plugin: whatever comes out of it, it goes on."""
    try:
        plugin_function(seconds)
    except BrokenOff as error:
        return "and let no thread run" if error.exclusive else "broken off"
    return "returned"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("way", ["doze", "count", "search"])
def test_a_plugins_call_that_lasts_too_long_is_broken_off(
    loop: Callable[[], asyncio.AbstractEventLoop], plugin: ModuleType, way: str
) -> None:
    async def main() -> str:
        with Watchdog(**QUICK, longest_block=0.5):
            said = call(getattr(plugin, way), 30)
            await asyncio.sleep(0)  # the loop goes on
            return said

    began = time.monotonic()
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(main()) == ("and let no thread run" if way == "search" else "broken off")
    assert time.monotonic() - began < 10


async def test_a_plugin_that_catches_it_is_broken_off_again(plugin: ModuleType) -> None:
    with Watchdog(**QUICK, longest_block=0.1):
        assert call(plugin.deaf, 2.2) == "returned"
    assert len(plugin.caught) >= 2


async def test_what_is_not_called_through_a_breakable_function_is_left_alone(plugin: ModuleType) -> None:
    """Core's own code, and a client in the middle of its work, would not stand it."""
    began = time.monotonic()
    with Watchdog(**QUICK, longest_block=0.1):
        plugin.doze(0.5)
    assert time.monotonic() - began >= 0.5


async def test_the_signal_is_given_back_and_the_thread_ends() -> None:
    before, threads = signal.getsignal(signal.SIGALRM), threading.active_count()
    with Watchdog():
        assert signal.getsignal(signal.SIGALRM) != before
        assert threading.active_count() == threads + 1
    assert signal.getsignal(signal.SIGALRM) == before
    assert threading.active_count() == threads


def test_in_a_thread_it_watches_without_breaking_off(
    plugin: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    """Python lets only the main thread be interrupted."""
    ends: list[str] = []

    async def main() -> None:
        with Watchdog(**QUICK, longest_block=0.1):
            ends.append(call(plugin.doze, 0.5))
            await asyncio.sleep(0.1)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()
    assert ends == ["returned"]
    assert "zoo_plugin" in messages(caplog, logging.ERROR)[0]
