"""Measure the delivery engine under weight: ``python bench/engine.py [NAME…]``.

- ``finished``: accepts per second with 1,000,000 finished deliveries in the store, against an empty one;
- ``restart``: from the start of the process until it accepts, with 100,000 deliveries waiting;
- ``isolation``: from request to sink with 500 destinations, one of them dead, against all alive;
- ``burst``: memory under 2,000 events a second for 30 s, while every service takes 1 s for each message.

Both sides of a ratio run in turns, one at a time; medians.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from load import Sink, percentiles, requests_to, saturate, ticket_event
from run import CONFIG, ONE_CORE, TOKEN, WEBHOOK, Figures, median, pin, server

from deskbell.store.database import Database

FINISHED, WAITING = 1_000_000, 100_000
DESTINATIONS = 500
SLOW = 3
"""Webhooks in the burst, each at a service that takes a second for a message."""
BATCH = 10_000
COMMAND = [sys.executable, "-m", "deskbell", "serve"]


@contextmanager
def running(config: str, store: Path | None = None) -> Iterator[tuple[str, int, float]]:
    """deskbell on ``store``, or a new one: the URL to post to, its process id, and the seconds until it listened."""
    with tempfile.TemporaryDirectory() as folder:
        if store:  # not a copy: writing it to the disk would slow the commits
            config = config.replace("sqlite:///bench.db", f"sqlite:///{store}")
        Path(folder, "config.yaml").write_text(config)
        with server(COMMAND, folder, ONE_CORE) as (url, process, seconds):
            yield f"{url}/events/clientxcms/{TOKEN}", process.pid, seconds


def config_of(port: int, webhooks: int = 1, *, rate: str = "none", dead: int | None = None) -> str:
    """With more than one webhook, each takes a department of its own."""
    hooks = ""
    for number in range(webhooks):
        hook = WEBHOOK.format(number=number, port=port, rate=rate)
        if webhooks > 1:
            hook = hook.replace("    message:", f"    when: {{department: d{number}}}\n    message:")
        if number == dead:
            hook = hook.replace(f"/services/{number}\n", "/services/dead\n")
        hooks += hook
    return CONFIG.format(token=TOKEN, webhooks=hooks)


def fill(path: Path, count: int, state: str) -> None:
    """A store with ``count`` deliveries of webhook ``sink0``, each with its event, and its attempt if it ended."""
    database = Database.open(path)
    connection = database.connection
    connection.execute("PRAGMA synchronous = OFF")
    now, body = datetime.now(UTC).timestamp(), ticket_event(0)
    variables, payload = json.dumps(json.loads(body)["payload"]), json.dumps({"text": "x" * 300})
    ended = now if state == "delivered" else None
    for start in range(0, count, BATCH):
        numbers = range(start + 1, start + BATCH + 1)
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO event (seq, id, source, raw, action, ticket, variables, received_at, deliveries)"
            " VALUES (?, ?, 'clientxcms', ?, 'Submit', ?, ?, ?, 1)",
            [(n, f"{n:032x}", body, str(n), variables, now) for n in numbers],
        )
        connection.executemany(
            "INSERT INTO delivery (id, event, webhook, transport, order_key, state, due_from, ended_at, attempts)"
            " VALUES (?, ?, 'sink0', 'slack', ?, ?, ?, ?, 1)",
            [(n, n, f"clientxcms\n{n}", state, now, ended) for n in numbers],
        )
        if ended:
            connection.executemany(
                "INSERT INTO attempt (delivery, number, started_at, seconds, outcome, detail, payload)"
                " VALUES (?, 1, ?, 0.1, 'Delivered', '200 ok', ?)",
                [(n, now, payload) for n in numbers],
            )
        connection.execute("COMMIT")
    database.close()
    os.sync()


async def finished(work: Path) -> Figures:
    port, full = await Sink().listen(), work / "full.db"
    fill(full, FINISHED, "delivered")
    rates: dict[Path | None, list[float]] = {None: [], full: []}
    for _ in range(5):
        for store, found in rates.items():
            with running(config_of(port, rate="5/2s"), store) as (url, _, _):
                found.append((await saturate(url, connections=64, seconds=2.0))["rate"])
    return {
        "accepts/s, empty store": median(rates[None]),
        f"accepts/s, {FINISHED:,} finished deliveries": median(rates[full]),
        "ratio (aim: at least 0.9)": median(b / a for a, b in zip(rates[None], rates[full], strict=True)),
    }


async def restart(work: Path) -> Figures:
    port, waiting = await Sink().listen(), work / "waiting.db"
    fill(waiting, WAITING, "ready")
    starts = []
    for _ in range(5):
        with running(config_of(port, rate="5/2s"), waiting) as (_, _, seconds):
            starts.append(seconds)
    return {f"start s with {WAITING:,} waiting (aim: under 2)": median(starts)}


async def isolation(_: Path) -> Figures:
    sink = Sink()
    port = await sink.listen()
    runs: dict[int | None, list[Figures]] = {None: [], 0: []}
    for _round in range(7):
        for dead, found in runs.items():
            with running(config_of(port, DESTINATIONS, dead=dead)) as (url, _, _):
                found.append(await spread(url, sink, dead))
    return {
        f"{DESTINATIONS} destinations, all alive: p50 ms": median(run["p50"] for run in runs[None]),
        f"{DESTINATIONS} destinations, all alive: p99 ms": median(run["p99"] for run in runs[None]),
        "one dead: p50 ms of the others": median(run["p50"] for run in runs[0]),
        "one dead: p99 ms of the others": median(run["p99"] for run in runs[0]),
        "ratio of the p99s (aim: under 1.1)": median(
            b["p99"] / a["p99"] for a, b in zip(runs[None], runs[0], strict=True)
        ),
    }


async def spread(url: str, sink: Sink, dead: int | None, *, rate: int = 100, seconds: float = 6.0) -> Figures:
    """Steady events, each to the next destination."""
    numbers = range(int(rate * seconds))
    alive = [n for n in numbers if dead is None or n % DESTINATIONS != dead]
    sink.expect(len(alive))
    requests, sent = requests_to(url, DESTINATIONS), dict[int, float]()
    host, port = url.split("/")[2].split(":")
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(asyncio.Protocol, host, int(port)) for _ in range(16)]
    start = time.perf_counter()
    for number in numbers:
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        sent[number] = time.perf_counter()
        pairs[number % len(pairs)][0].write(next(requests))
    async with asyncio.timeout(30):
        await sink.all_here.wait()
    for transport, _ in pairs:
        transport.close()
    return percentiles([sink.arrived[number] - sent[number] for number in alive])


async def burst(_: Path) -> Figures:
    """2,000 events a second for 30 s; the memory meanwhile, and 10 s later."""
    port = await Sink(seconds=1.0).listen()
    everywhere = config_of(port, SLOW).replace("    when:", "    # when:")
    with running(everywhere) as (url, pid, _):
        sizes = [resident(pid)]
        watching = asyncio.create_task(watch(pid, sizes))
        answers = await at_rate(url, rate=2000, seconds=30.0)
        await asyncio.sleep(10)
        watching.cancel()
    return {
        "burst: accepted": answers.get(b"202", 0),
        "burst: refused with 503": answers.get(b"503", 0),
        "burst: other answers": sum(answers.values()) - answers.get(b"202", 0) - answers.get(b"503", 0),
        "burst: memory before, MiB": sizes[0],
        "burst: largest memory, MiB (aim: under 300)": max(sizes),
        "burst: memory 10 s later, MiB": sizes[-1],
    }


class Poster(asyncio.Protocol):
    """Counts the answers of one connection by status."""

    def __init__(self, answers: dict[bytes, int], total: int, done: asyncio.Event) -> None:
        self.answers, self.total, self.done = answers, total, done

    def data_received(self, data: bytes) -> None:
        for head in data.split(b"HTTP/1.1 ")[1:]:
            self.answers[head[:3]] = self.answers.get(head[:3], 0) + 1
        if sum(self.answers.values()) == self.total:
            self.done.set()


async def at_rate(url: str, *, rate: int, seconds: float) -> dict[bytes, int]:
    answers: dict[bytes, int] = {}
    requests, loop = requests_to(url), asyncio.get_running_loop()
    host, port = url.split("/")[2].split(":")
    total, done = int(rate * seconds), asyncio.Event()
    pairs = [
        await loop.create_connection(lambda: Poster(answers, total, done), host, int(port)) for _ in range(64)
    ]
    start = time.perf_counter()
    for number in range(total):
        if (early := start + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        pairs[number % 64][0].write(next(requests))
    async with asyncio.timeout(60):
        await done.wait()
    return answers


async def watch(pid: int, sizes: list[float]) -> None:
    while True:
        await asyncio.sleep(0.25)
        sizes.append(resident(pid))


def resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def main(names: list[str]) -> None:
    pin({1})
    measures = {"finished": finished, "restart": restart, "isolation": isolation, "burst": burst}
    print("| figure | this run |\n|---|---|", flush=True)
    for name in names or measures:
        with tempfile.TemporaryDirectory() as work:
            for figure, value in (await measures[name](Path(work))).items():
                print(f"| {figure} | {value:,.2f} |", flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
