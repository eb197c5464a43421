"""Measure the pages of a store with 1,000,000 finished deliveries: ``python bench/pages.py [FILE]``.

First each look-up as a page makes it, on a connection of its own: the median and the 95th percentile of 40; the median
of 5 with the file taken out of the system's memory before each; what came of it. Then whole pages, asked of a running
``deskbell serve`` over HTTP. FILE, made by an earlier run, is used again; without it the store is made anew and thrown
away.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from engine import FINISHED, config_of, fill, running

from deskbell.delivery import State
from deskbell.store.database import Database
from deskbell.store.looking import find_delivery
from deskbell.store.reading import Filter, count_backlog, list_troubles
from deskbell.store.searching import find_page, find_successes

WARM, COLD = 40, 5
OLD = FINISHED // 100
"""What is rare lies among so many of the oldest: a search meets it last."""
RARITIES = (
    f"UPDATE delivery SET state = 'dead' WHERE id % 20 = 7 AND id < {OLD}",
    f"UPDATE delivery SET state = 'ready', webhook = 'slow', ended_at = NULL WHERE id % 20 = 8 AND id < {OLD}",
    f"UPDATE delivery SET state = 'held', webhook = 'gone', ended_at = NULL WHERE id % 20 = 9 AND id < {OLD}",
    "UPDATE delivery SET webhook = 'rare' WHERE id = 1",
    "UPDATE event SET action = 'Close', variables = json_set(variables, '$.content', 'a needle') WHERE seq = 1",
)
FILTERS: dict[str, Filter] = {
    "all": Filter(),
    "all, far back": Filter(before=FINISHED // 2),
    "webhook, all match": Filter(webhook="sink0"),
    "webhook, one matches": Filter(webhook="rare"),
    "webhook and delivered, one matches": Filter(State.DELIVERED, "rare"),
    "dead": Filter(State.DEAD),
    "dead and webhook, none match": Filter(State.DEAD, "rare"),
    "ready": Filter(State.READY),
    "ready and webhook": Filter(State.READY, "slow"),
    "held": Filter(State.HELD),
    "sending, none match": Filter(State.SENDING),
    "action, all match": Filter(action="submit"),
    "action, one matches": Filter(action="close"),
    "action and delivered, one matches": Filter(State.DELIVERED, action="close"),
    "action and webhook, one matches": Filter(webhook="rare", action="close"),
    "action and webhook and delivered, one matches": Filter(State.DELIVERED, "rare", action="close"),
    "action and dead, none match": Filter(State.DEAD, action="close"),
    "action and ready, none match": Filter(State.READY, action="close"),
    "ticket of the newest": Filter(ticket=str(FINISHED)),
    "ticket of the oldest": Filter(ticket="1"),
    "text, all match": Filter(text="server"),
    "text, one matches": Filter(text="needle"),
    "text and webhook, one matches": Filter(webhook="rare", text="needle"),
    "text and dead, none match": Filter(State.DEAD, text="needle"),
    "text and action, one matches": Filter(action="close", text="needle"),
}
Look = Callable[[Path], str]
PAGES = {
    "deliveries": "/",
    "deliveries, far back": f"/?before={FINISHED // 2}",
    "deliveries, dead": "/?state=dead",
    "deliveries, one webhook that one old row has": "/?webhook=rare",
    "deliveries, one action that one old row has": "/?action=close",
    "deliveries, ticket of the oldest": "/?ticket=1",
    "deliveries, text that one old row has": "/?text=needle",
    "one delivery, in the middle": f"/deliveries/{FINISHED // 2}",
    "replay all dead: how many": "/deliveries/replay",
    "webhooks": "/webhooks",
    "sources": "/sources",
    "health": "/health",
}


def looks() -> dict[str, Look]:
    """Each look-up, which says what came of it."""

    def paged(wanted: Filter) -> Look:
        def look(path: Path) -> str:
            page = find_page(path, wanted)
            seen = FINISHED - page.searched_until if page.searched_until else None
            return f"{len(page.found)}, {f'of the newest {seen:,}' if seen else 'whole'}"

        return look

    return {
        **{f"page: {name}": paged(wanted) for name, wanted in FILTERS.items()},
        "detail of the newest": lambda path: _told(find_delivery(path, FINISHED)),
        "detail in the middle": lambda path: _told(find_delivery(path, FINISHED // 2)),
        "backlog": lambda path: str(len(count_backlog(path))),
        "troubles": lambda path: str(len(list_troubles(path))),
        "last success, busy webhook": lambda path: str(len(find_successes(path, ["sink0"]).at)),
        "last success, with one that never had any": lambda path: str(
            len(find_successes(path, ["sink0", "new"]).at)
        ),
    }


def _told(found: object) -> str:
    return "found" if found else "not there"


def make(path: Path) -> None:
    """A store with ``FINISHED`` deliveries, nearly all delivered."""
    fill(path, FINISHED, "delivered")
    database = Database.open(path)
    with closing(database):
        for rarity in RARITIES:
            database.connection.execute(rarity)
        database.connection.execute(
            "UPDATE event SET variables = json_set(variables, '$.content', variables ->> '$.message',"
            " '$.username', variables ->> '$.customername') WHERE seq > 1"
        )
    os.sync()


def timed(look: Look, path: Path, *, cold: bool = False) -> float:
    """Milliseconds."""
    if cold:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    start = time.perf_counter()
    look(path)
    return (time.perf_counter() - start) * 1000


def measure(path: Path) -> None:
    print(
        "| look-up | median ms | p95 ms | median ms, nothing in memory | came of it |\n|---|---|---|---|---|"
    )
    for name, look in looks().items():
        cold = statistics.median(timed(look, path, cold=True) for _ in range(COLD))
        warm = [timed(look, path) for _ in range(WARM)]
        median, p95 = statistics.median(warm), statistics.quantiles(warm, n=20)[-1]
        print(f"| {name} | {median:.1f} | {p95:.1f} | {cold:.1f} | {look(path)} |", flush=True)


def measure_pages(path: Path) -> None:
    """Whole pages: server and client on one core each."""
    print("| page | median ms | p95 ms | kB |\n|---|---|---|---|")
    with running(config_of(9), path) as (url, _, _):
        connection = HTTPConnection(urlsplit(url).netloc)
        for name, page in PAGES.items():
            size, _ = got(connection, page)
            times = [got(connection, page)[1] for _ in range(WARM)]
            median, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
            print(f"| {name} | {median:.1f} | {p95:.1f} | {size / 1000:.0f} |", flush=True)


def got(connection: HTTPConnection, page: str) -> tuple[int, float]:
    """How many bytes came, and after how many milliseconds."""
    start = time.perf_counter()
    connection.request("GET", page)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{page} answered {answer.status}")
    return len(body), (time.perf_counter() - start) * 1000


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as work:
        path = Path(names[0] if names else f"{work}/pages.db")
        if not path.exists():
            make(path)
        measure(path)
        measure_pages(path)


if __name__ == "__main__":
    main(sys.argv[1:])
