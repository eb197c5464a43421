"""A world in which every address of the Internet, and of every network inside, is here and listens.

``python -m tests.security.world`` reads a task (JSON) from stdin, makes its requests with deskbell's client, and prints
what each came to. It must run in namespaces of its own, as ``run`` starts it: all addresses are routed to loopback, and
the name server and the hosts file are ours, so that names are looked up by the system as they always are.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

from deskbell import SendError
from deskbell.client import Client
from deskbell.egress import EgressPolicy

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = "8.8.8.8"
PUBLIC_6 = "2001:4860:4860::8888"
PROXY_PORT = 3128
PORTS = (80, 443, 22, 25, 5432, 6379, 8080, 9200, PROXY_PORT)
REDIRECTS = (301, 302, 303, 307, 308)
HOSTS_FILE = "127.0.0.1 localhost in-hosts\n10.9.8.7 vm.internal\n"
ZONE: dict[str, list[str]] = {
    "public.example": [PUBLIC, PUBLIC_6],
    "inside.example": ["10.1.2.3"],
    "link-local.example": ["169.254.1.1"],
    "metadata.example": ["169.254.169.254", "fd00:ec2::254"],
    "cgnat.example": ["100.64.1.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "six.example": ["::1"],
    "alias.example": ["inside.example"],
    "chain.example": ["alias.example"],
    "several.example": ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fc00::1"],
    "both.example": ["127.0.0.1", PUBLIC, "::1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
}
"""What the name server says: addresses, or another name (a CNAME)."""
REBOUND = "rebind.example"
"""It leads to ``PUBLIC`` when it is first asked for, and to 127.0.0.1 from then on."""


@dataclass
class Request:
    """What came of one: ``said`` is the status, or why there is none; ``reached`` are the addresses that were."""

    url: str
    said: str
    reached: list[str] = field(default_factory=list)


@dataclass
class Told:
    """Everything that came of a task. ``refused`` is the client's own count, ``proxied`` the proxy's."""

    requests: list[Request]
    refused: int
    proxied: int


def start() -> list[str]:
    """The command that makes namespaces of our own; it needs no root where the kernel lets users make them."""
    return ["unshare", "--map-root-user", "--net", "--mount", "--"]


def run(urls: list[str], *, allow: tuple[str, ...] = (), redirect: bool = False) -> Told:
    """Request each of ``urls`` in such a world; with ``redirect``, a public page that leads there."""
    task = json.dumps({"urls": urls, "allow": allow, "redirect": redirect})
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    ended = subprocess.run(
        [*start(), sys.executable, "-m", "tests.security.world"],
        input=task, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False,
        env={"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy, "http_proxy": proxy,
             "PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    return Told([Request(**each) for each in told["requests"]], told["refused"], told["proxied"])


def _route_everything_here() -> None:
    hosts = tempfile.NamedTemporaryFile("w", suffix=".hosts")  # noqa: SIM115 - they live as long as this process
    servers = tempfile.NamedTemporaryFile("w", suffix=".conf")  # noqa: SIM115
    hosts.write(HOSTS_FILE)
    servers.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    for file in (hosts, servers):
        file.flush()
    for command in (
        "ip link set lo up",
        f"ip address add {PUBLIC}/32 dev lo",  # the system asks for addresses of a kind only where it has one itself
        f"ip -6 address add {PUBLIC_6}/128 dev lo",
        "ip route add local default dev lo",
        "ip -6 route add local default dev lo",
        f"mount --bind {hosts.name} /etc/hosts",
        f"mount --bind {servers.name} /etc/resolv.conf",
    ):
        subprocess.run(command.split(), check=True)
    _kept.extend((hosts, servers))


_kept: list[object] = []


class NameServer(asyncio.DatagramProtocol):
    """Answers for ``ZONE`` and ``REBOUND``; says of every other name that there is none. RFC 1035 §4."""

    def __init__(self) -> None:
        self.asked = Counter[tuple[str, int]]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, query: bytes, asker: Any) -> None:
        labels, at = list[bytes](), 12
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size])
            at += 1 + size
        kind = struct.unpack_from("!H", query, at + 1)[0]
        name = b".".join(labels).decode("latin-1").lower()
        self.asked[name, kind] += 1
        records = self._records(name, kind)
        code = 0 if name in ZONE or name == REBOUND else 3
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        answer = head + query[12 : at + 5] + b"".join(records)
        self.transport.sendto(answer, asker)

    def _records(self, name: str, kind: int) -> list[bytes]:
        bound = PUBLIC if self.asked[name, kind] == 1 else "127.0.0.1"
        known = {**ZONE, REBOUND: [bound]}.get(name, [])
        records = list[bytes]()
        for each in known:
            if each in ZONE:
                records += [_record(name, 5, _name(each)), *self._records(each, kind)]
            elif kind == (28 if ":" in each else 1):
                family = socket.AF_INET6 if ":" in each else socket.AF_INET
                records.append(_record(name, kind, socket.inet_pton(family, each)))
        return records


def _record(name: str, kind: int, data: bytes) -> bytes:
    return _name(name) + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


def _name(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


class World:
    """Listens everywhere, and keeps which addresses were reached. A path ``/NUMBER`` redirects to that URL."""

    def __init__(self, urls: list[str]) -> None:
        self.urls = urls
        self.reached = list[str]()
        self.proxied = 0

    async def open(self) -> None:
        """Every port, of both kinds of addresses."""
        for port in PORTS:
            for host in ("0.0.0.0", "::"):  # noqa: S104 - of this world
                await asyncio.start_server(self._answer, host, port)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, port = writer.get_extra_info("sockname")[:2]
        self.reached.append(f"{address}")
        self.proxied += port == PROXY_PORT
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            number = head.split()[1].rpartition(b"/")[2]
            writer.write(self._redirect(int(number)) if number.isdigit() else _ANSWER)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _redirect(self, number: int) -> bytes:
        status = REDIRECTS[number % len(REDIRECTS)]
        location = self.urls[number].encode("utf-8")
        return b"HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (
            status, location,
        )  # fmt: skip


_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


async def _perform(urls: list[str], policy: EgressPolicy, *, redirect: bool) -> Told:
    world = World(urls)
    await world.open()
    await asyncio.get_running_loop().create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 53))
    told = Told([], 0, 0)
    for number, url in enumerate(urls):
        asked = f"http://{PUBLIC}/{number}" if redirect else url
        world.reached.clear()
        async with Client(
            policy, timeout=5
        ) as client:  # a new one: it would not look a name up again so soon
            try:
                said = str((await client.request("POST", asked, b"{}", {})).status)
            except SendError as error:
                said = str(error)
        told.refused += client.refused
        told.requests.append(Request(url, said, list(world.reached)))
    told.proxied = world.proxied
    return told


def main() -> None:
    """Of the process in its own namespaces."""
    task = json.load(sys.stdin)
    _route_everything_here()
    policy = EgressPolicy(tuple(ip_network(network) for network in task["allow"]))
    json.dump(asdict(asyncio.run(_perform(task["urls"], policy, redirect=task["redirect"]))), sys.stdout)


if __name__ == "__main__":
    main()
