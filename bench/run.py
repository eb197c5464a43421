"""Measure deskbell against a bare aiohttp handler, in one run: ``python bench/run.py``.

The servers run one at a time, in interleaved rounds, the load client and the sink on the second core; medians.
Each runs on the first core alone, so that the figures are CPU and nothing else; the accepts are measured once more
with both cores free, as a machine really is.
It prints the table of docs/performance.md, and each figure beside the last run's (bench/last.json).
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from load import Sink, percentiles, requests_to, saturate

HERE = Path(__file__).parent
LAST = HERE / "last.json"
ROUNDS, SECONDS = 5, 2.0
ONE_CORE = {0}
TOKEN = "bench-token-of-24-letters"
CONFIG = """\
version: 1
server: {{listen: "127.0.0.1:0"}}
store: sqlite:///bench.db
egress: {{allow: [127.0.0.0/8]}}
sources:
  - {{name: clientxcms, token: {token}}}
webhooks:
{webhooks}
"""
WEBHOOK = """\
  - name: sink{number}
    url: http://127.0.0.1:{port}/services/{number}
    transport: slack
    action: "*"
    rate: {rate}
    message: |
      :pushpin: %subject%
      :busts_in_silhouette: %username% %email% %userid%
      %departmentName% %priority% %created_at%
      %content%
      %url%
"""
Figures = dict[str, float]


def config_text(port: int, *, webhooks: int, rate: str) -> str:
    hooks = "".join(WEBHOOK.format(number=number, port=port, rate=rate) for number in range(webhooks))
    return CONFIG.format(token=TOKEN, webhooks=hooks)


@contextmanager
def server(
    command: list[str], folder: str, cores: set[int]
) -> Iterator[tuple[str, subprocess.Popen[str], float]]:
    """A server on ``cores``: its URL, its process, and the seconds until it listened."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: pin(cores),
    )
    try:
        line = process.stdout.readline()
        yield line.split()[-1], process, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(30)


def pin(cores: set[int]) -> None:
    """Stay on these cores, as far as there are so many."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core % (os.cpu_count() or 1) for core in cores})


@contextmanager
def deskbell(
    port: int, *, webhooks: int = 1, rate: str = "none", cores: set[int] = ONE_CORE
) -> Iterator[tuple[str, subprocess.Popen[str], float]]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yaml").write_text(config_text(port, webhooks=webhooks, rate=rate))
        with server([sys.executable, "-m", "deskbell", "serve"], folder, cores) as (url, process, start):
            yield f"{url}/events/clientxcms/{TOKEN}", process, start


@contextmanager
def bare(cores: set[int]) -> Iterator[str]:
    with server([sys.executable, str(HERE / "bare.py")], str(HERE), cores) as (url, _, _):
        yield f"{url}/events/clientxcms/{TOKEN}"


async def accept_rates(port: int, cores: set[int]) -> Figures:
    """Durable accepts against the bare handler. The webhook is paced as Discord's is: the senders idle."""
    floor, ours = [], []
    for _ in range(ROUNDS):
        with bare(cores) as url:
            floor.append(await saturate(url, connections=64, seconds=SECONDS))
        with deskbell(port, rate="5/2s", cores=cores) as (url, _, _):
            ours.append(await saturate(url, connections=64, seconds=SECONDS))
    ratios = [mine["rate"] / base["rate"] for mine, base in zip(ours, floor, strict=True)]
    where = "one core" if cores == ONE_CORE else "both cores"
    return {
        f"{where}: bare handler, accepts/s": median(each["rate"] for each in floor),
        f"{where}: deskbell, durable accepts/s": median(each["rate"] for each in ours),
        f"{where}: ratio (aim: at least 0.5)": median(ratios),
        f"{where}: deskbell, answer p50 ms": median(each["p50"] for each in ours),
        f"{where}: deskbell, answer p99 ms": median(each["p99"] for each in ours),
        f"{where}: refused": sum(each["refused"] for each in ours),
    }


async def latency(sink: Sink, port: int) -> Figures:
    """From the request to the sink, at 150 events per second."""
    runs = []
    for _ in range(ROUNDS):
        with deskbell(port) as (url, _, _):
            runs.append(await steady(url, sink, rate=150, seconds=SECONDS * 2))
    return {
        "request to sink p50 ms at 150/s (aim: under 5)": median(run["p50"] for run in runs),
        "request to sink p99 ms at 150/s": median(run["p99"] for run in runs),
    }


async def steady(url: str, sink: Sink, *, rate: int, seconds: float) -> Figures:
    total = int(rate * seconds)
    sink.expect(total)
    requests, sent = requests_to(url), dict[int, float]()
    host, port = url.split("/")[2].split(":")
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(asyncio.Protocol, host, int(port)) for _ in range(16)]
    connections = [transport for transport, _ in pairs]
    start = time.perf_counter()
    for number in range(total):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        sent[number] = time.perf_counter()
        connections[number % len(connections)].write(next(requests))
    async with asyncio.timeout(30):
        await sink.all_here.wait()
    for connection in connections:
        connection.close()
    return percentiles([sink.arrived[number] - sent[number] for number in range(total)])


async def throughput(sink: Sink, port: int, webhooks: int) -> Figures:
    """Accepted to delivered, with every webhook a destination of its own, one in flight each."""
    rates = []
    for _ in range(3):
        with deskbell(port, webhooks=webhooks) as (url, process, _):
            sink.expect(10**9)
            started, before = time.perf_counter(), cpu_seconds(process.pid)
            result = await saturate(url, connections=64, seconds=1.0)
            accepted = round(result["rate"] * 1.0)
            while sink.count < accepted * webhooks * 0.98:
                seen = sink.count
                await asyncio.sleep(0.25)
                if sink.count == seen:
                    break
            took = time.perf_counter() - started
            rates.append((sink.count / took, (cpu_seconds(process.pid) - before) / sink.count * 1000))
    return {
        f"deliveries/s, {webhooks} webhook(s)": median(rate for rate, _ in rates),
        f"CPU ms per delivery, {webhooks} webhook(s)": median(cost for _, cost in rates),
    }


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(port: int) -> Figures:
    starts, sizes = [], []
    for _ in range(ROUNDS):
        with deskbell(port) as (_, process, start):
            time.sleep(0.5)
            status = Path(f"/proc/{process.pid}/status").read_text()
            sizes.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
            starts.append(start)
    return {
        "idle memory MiB (aim: under 72)": median(sizes),
        "start to listening s (aim: under 1)": median(starts),
    }


def commands(port: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yaml").write_text(config_text(port, webhooks=1, rate="none"))
        return {
            f"deskbell {name} s (aim: under 0.4)": median(timed(name, folder) for _ in range(ROUNDS))
            for name in ("--help", "check")
        }


def timed(argument: str, folder: str) -> float:
    script = Path(sys.executable).with_name("deskbell")
    started = time.perf_counter()
    subprocess.run([script, argument], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def median(values: Iterator[float] | list[float]) -> float:
    return statistics.median(values)


async def main() -> None:
    pin({1})
    sink = Sink()
    port = await sink.listen()
    figures: Figures = {}
    figures |= await accept_rates(port, ONE_CORE)
    figures |= await accept_rates(port, {0, 1})
    figures |= await latency(sink, port)
    figures |= await throughput(sink, port, 1)
    figures |= await throughput(sink, port, 10)
    figures |= idle(port)
    figures |= commands(port)
    last = json.loads(LAST.read_text()) if LAST.exists() else {}
    print("| figure | this run | last run |\n|---|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:,.2f} | {last.get(name, float('nan')):,.2f} |")
    LAST.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    uvloop.run(main())
