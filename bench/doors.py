"""What the bounds of the doors cost, and what they are good for: ``python bench/doors.py``.

First the accept rate, with the doors and with aiohttp's own in their place.
Then a good sender, one request and one new connection after another, while 1,000 connections hang in each of the known
ways, all of them from the good sender's own address, or from four others. It prints the table of docs/security.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import uvloop
from load import Sink, percentiles, saturate, ticket_event
from run import ONE_CORE, TOKEN, config_text, cpu_seconds, pin, server

ROUNDS, SECONDS, CONNECTIONS = 9, 4.0, 32
HANGING = 1000
WATCHED = 12.0
"""Seconds: longer than any connection may hang."""
DRIP = 1.0
PLAIN_DOORS = """
from aiohttp import web
import deskbell.app

async def listen(app, host, port, stack, connections=None):
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port, backlog=1024).start()
    return runner.addresses[0][1]

deskbell.app.listen = listen
from deskbell.cli import main
import sys
sys.argv = ["deskbell", "serve"]
main()
"""
SERVE, PLAIN = [sys.executable, "-m", "deskbell", "serve"], [sys.executable, "-c", PLAIN_DOORS]
PATH = f"/events/clientxcms/{TOKEN}"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: desk\r\nContent-Type: application/json\r\n"
BAD = HEAD.replace(TOKEN, "a-token-that-is-wrong")
HANGS = {
    "silent": "",
    "headers that drip": HEAD,
    "a body that drips, without a token": f"{BAD}Content-Length: 9999\r\n\r\n",
    "a body that drips, with the token": f"{HEAD}Content-Length: 9999\r\n\r\n",
}
DRIPS = {"headers that drip": b"X: y\r\n", "silent": b""}


@contextlib.contextmanager
def serving(command: list[str], sink: int) -> Iterator[tuple[str, int]]:
    """A server on the first core, its one webhook paced as Discord's is; its address, and its process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(config_text(sink, webhooks=1, rate="5/2s"))
        with server(command, folder, ONE_CORE) as (url, process, _):
            yield url, process.pid


async def accept_rates(sink: int) -> None:
    """Both at once on one core, by the processor's time that each takes: what else the machine does, both share."""
    rates: dict[str, list[float]] = {"ours": [], "aiohttp's own": []}
    for _ in range(ROUNDS):
        with serving(SERVE, sink) as ours, serving(PLAIN, sink) as theirs:
            seen = await asyncio.gather(*(accepts_per_cpu_second(url, pid) for url, pid in (ours, theirs)))
            for name, rate in zip(rates, seen, strict=True):
                rates[name].append(rate)
    ratios = [mine / theirs for mine, theirs in zip(*rates.values(), strict=True)]
    for name, each in rates.items():
        print(f"| accepts per second of the processor, the doors {name} | {statistics.median(each):,.0f} |")
    print(f"| ratio, median of {ROUNDS} (aim: at least 0.95) | {statistics.median(ratios):.3f} |")
    print(f"| its smallest and largest | {min(ratios):.3f}, {max(ratios):.3f} |", flush=True)


async def accepts_per_cpu_second(url: str, pid: int) -> float:
    await saturate(url + PATH, connections=CONNECTIONS, seconds=0.5)  # warm
    before = cpu_seconds(pid)
    seen = await saturate(url + PATH, connections=CONNECTIONS, seconds=SECONDS)
    return seen["taken"] / (cpu_seconds(pid) - before)


class Crowd:
    """Connections that hang in one way; who is thrown out comes again."""

    def __init__(self, port: int, how: str, addresses: list[str]) -> None:
        self.port, self.how = port, how
        self.addresses = addresses
        self.open = self.thrown_out = 0

    async def hang(self, number: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self._hang_once(self.addresses[number % len(self.addresses)])
            self.thrown_out += 1
            await asyncio.sleep(DRIP * random.uniform(0.5, 1.5))

    async def _hang_once(self, address: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        self.open += 1
        try:
            writer.write(HANGS[self.how].encode())
            while not reader.at_eof():
                writer.write(DRIPS.get(self.how, b"x"))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRIP):
                        await reader.read(65_536)
        finally:
            self.open -= 1
            writer.close()


@contextlib.asynccontextmanager
async def crowd(port: int, how: str, addresses: list[str]) -> AsyncIterator[Crowd]:
    together = Crowd(port, how, addresses)
    tasks = [asyncio.create_task(together.hang(number)) for number in range(HANGING)]
    await asyncio.sleep(2 * DRIP)
    yield together
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def good_sender(port: int, seconds: float) -> tuple[list[float], int]:
    """How long each of its requests took, from the connection on, and how many were not taken."""
    took, refused, number = list[float](), 0, 0
    until = time.perf_counter() + seconds
    while (started := time.perf_counter()) < until:
        number += 1
        body = ticket_event(number)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{HEAD}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            refused += not (await reader.read()).startswith(b"HTTP/1.1 202")
            writer.close()
        except OSError:
            refused += 1
        took.append(time.perf_counter() - started)
        await asyncio.sleep(0.01)
    return took, refused


async def watch(sink: int, how: str, where: str, addresses: list[str]) -> None:
    with serving(SERVE, sink) as (url, _):
        port = int(url.rpartition(":")[2])
        async with crowd(port, how, addresses) if how else contextlib.nullcontext() as together:
            took, refused = await good_sender(port, WATCHED)
            hanging = together.open if together else 0
            thrown_out = together.thrown_out if together else 0
    cuts = percentiles(took)
    told = f"{len(took)} | {refused} | {cuts['p50']:.1f} | {cuts['p99']:.1f} | {max(took) * 1000:.0f}"
    print(f"| {how or 'nobody hangs'} | {where} | {told} | {hanging} | {thrown_out} |", flush=True)


async def main() -> None:
    pin({1})
    sink = Sink()
    port = await sink.listen()
    print("| figure | seen |\n|---|---|")
    await accept_rates(port)
    print(
        f"\n| {HANGING:,} hang | from | requests | not taken | p50 ms | p99 ms | longest ms | at the end | thrown out |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    await watch(port, "", "", [])
    for how in HANGS:
        await watch(port, how, "its own address", ["127.0.0.1"])
        await watch(port, how, "four others", [f"127.0.0.{number}" for number in range(2, 6)])


if __name__ == "__main__":
    uvloop.run(main())
