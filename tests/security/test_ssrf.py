"""No connection to an address that the owner did not allow, however the URL is written, whatever a name leads to.

Counted at listeners that really are there: on loopback, and in a network of its own where every address there is
listens (``world``). The same URLs with everything allowed show that those listeners would have been reached.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from functools import cache
from typing import Any

import pytest
from tests.security import targets, world

from deskbell import SendError
from deskbell.client import Client, Resolver
from deskbell.egress import EgressPolicy

TARGETS = targets.targets()
PUBLIC = {world.PUBLIC, world.PUBLIC_6}
EVERYTHING = ("0.0.0.0/0", "::/0")
WAYS_TO_FAIL = (
    "refused to connect: ",
    "the URL of the webhook, or a header for it, cannot be used",
    "the name ",
)


def test_the_table_is_as_long_as_promised() -> None:
    assert len(TARGETS) >= 250


@cache
def _why_no_world() -> str:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return "unshare (util-linux) or ip (iproute2) is missing"
    probe = subprocess.run([*world.start(), "ip", "link"], capture_output=True, text=True, check=False)
    return probe.stderr.strip()


@pytest.fixture
def a_world() -> None:
    """Skip where the system lets us make no network of our own."""
    if reason := _why_no_world():
        pytest.skip(f"no network namespace: {reason}")


@pytest.mark.usefixtures("a_world")
class TestInAWorldWhereEveryAddressListens:
    def test_no_target_is_reached(self) -> None:
        told = world.run(TARGETS)
        for request in told.requests:
            assert set(request.reached) <= PUBLIC, request
            assert request.said == "200" or request.said.startswith(WAYS_TO_FAIL), request
        refused = [each for each in told.requests if each.said.startswith("refused to connect: ")]
        assert len(refused) > 120
        assert told.refused >= len(refused)
        assert told.proxied == 0

    def test_the_same_targets_are_reached_where_all_is_allowed(self) -> None:
        """Else nothing would be proved by their silence."""
        told = world.run(TARGETS, allow=EVERYTHING)
        inside = [each.url for each in told.requests if set(each.reached) - PUBLIC]
        assert len(inside) > 120
        assert (told.refused, told.proxied) == (0, 0)

    @pytest.mark.parametrize("allow", [(), EVERYTHING], ids=["public only", "all allowed"])
    def test_no_redirect_to_them_is_followed(self, allow: tuple[str, ...]) -> None:
        told = world.run(TARGETS, allow=allow, redirect=True)
        for request in told.requests:
            assert request.reached == [world.PUBLIC], request
        assert {int(each.said) for each in told.requests} == set(world.REDIRECTS)

    def test_a_public_address_is_reached(self) -> None:
        urls = [f"http://{host}/" for host in (world.PUBLIC, f"[{world.PUBLIC_6}]", "public.example")]
        assert [each.said for each in world.run(urls).requests] == ["200"] * 3

    def test_a_name_that_is_bound_anew_after_the_first_answer(self) -> None:
        first, second = world.run([f"http://{world.REBOUND}/"] * 2).requests
        assert (first.said, first.reached) == ("200", [world.PUBLIC])
        assert second.said.startswith("refused to connect: 127.0.0.1 ")
        assert second.reached == []

    def test_of_a_mixed_answer_only_the_public_address_is_used(self) -> None:
        [request] = world.run(["http://both.example/"]).requests
        assert (request.said, request.reached) == ("200", [world.PUBLIC])

    def test_the_owner_opens_one_network_and_no_other(self) -> None:
        urls = ["http://10.1.2.3/", "http://inside.example/", "http://10.2.0.1/", "http://127.0.0.1/"]
        told = world.run(urls, allow=("10.1.0.0/16",))
        assert [each.reached for each in told.requests] == [["10.1.2.3"], ["10.1.2.3"], [], []]
        assert told.refused == 2


def _all_names_lead_inside(host: str, port: int, **how: Any) -> list[tuple[Any, ...]]:
    """The worst name server that there can be."""
    try:
        return socket.getaddrinfo(host, port, **{**how, "flags": socket.AI_NUMERICHOST})
    except OSError:
        return socket.getaddrinfo("127.0.0.1", port, type=how["type"])


@pytest.mark.parametrize("host", [*targets.HOSTS, *targets.NAMES])
async def test_this_machine_is_not_reached_by_any_name(host: str) -> None:
    reached = list[object]()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("peername"))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = Client(EgressPolicy(), resolver=Resolver(_all_names_lead_inside), timeout=2)
        async with client:
            with pytest.raises(SendError):
                await client.request("POST", f"http://{host}:{port}/hook", b"{}", {})
    assert reached == []
