"""``deskbell backup``, and that what was backed up can be restored: the drill, with real processes."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import stat
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.faults.shelf import Past, Shelf

if TYPE_CHECKING:
    from tests.conftest import Run, Serve, Server, Sink

ENOUGH = 100
"""Events before the backup begins."""


class Sender(threading.Thread):
    """A CMS that never rests: posts event after event, and keeps the ids of those that were accepted."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self.grown = threading.Condition()
        self.over = threading.Event()
        self._url = server.events_url

    def run(self) -> None:
        while not self.over.is_set():
            number = len(self.accepted)
            body = {
                "payload": {"action": "helpdesk_created", "ticketid": str(number % 5), "subject": "x" * 2000}
            }
            request = urllib.request.Request(
                self._url, json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=10) as response, self.grown:
                self.accepted.append(json.load(response)["id"])
                self.grown.notify_all()

    def wait_for(self, count: int) -> list[str]:
        with self.grown:
            assert self.grown.wait_for(lambda: len(self.accepted) >= count, 30)
            return list(self.accepted)


@contextmanager
def sending(server: Server) -> Iterator[Sender]:
    sender = Sender(server)
    sender.start()
    yield sender
    sender.over.set()
    sender.join(15)


def to_sink(sink: Sink) -> str:
    return f'webhooks:\n  - {{name: desk, url: "{sink.url}", transport: slack, action: "*", message: "%subject%"}}\n'


def test_what_was_accepted_before_a_backup_under_load_is_there_when_it_is_restored(
    serve: Serve, run: Run, sink: Sink, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    config_file(to_sink(sink))
    server = serve()
    with sending(server) as sender:
        before = sender.wait_for(ENOUGH)
        made = run("backup", "copy.db")
        sender.wait_for(len(sender.accepted) + ENOUGH)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith(f"copy.db: {(tmp_path / 'copy.db').stat().st_size / 1e6:.1f} MB")
    assert f"copy this file to {tmp_path / 'deskbell.db'}" in made.stdout
    assert "deskbell.db-wal, deskbell.db-shm, deskbell.db.lock where they are there" in made.stdout
    server.end(signal.SIGKILL)  # it leaves a log behind, which would be written into whatever lies there
    for left in ("deskbell.db", "deskbell.db-wal", "deskbell.db-shm", "deskbell.db.lock"):
        (tmp_path / left).rename(tmp_path / f"old-{left}")
    shutil.copy(tmp_path / "copy.db", tmp_path / "deskbell.db")
    with closing(sqlite3.connect(tmp_path / "deskbell.db")) as restored:
        assert restored.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    serve()
    listed = run("deliveries", "--json", "--limit", "100000").stdout.splitlines()
    known = {json.loads(line)["event_id"] for line in listed}
    assert set(before) <= known < set(sender.accepted)


async def test_the_copy_is_private_and_works_without_a_server(
    run: Run, sink: Sink, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    config_file(to_sink(sink))
    await Shelf(tmp_path).fill(Past(subject="kept"))
    assert run("backup", "copy.db").returncode == 0
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert not (tmp_path / "copy.db.part").exists()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("taken.db", "taken.db: exists already"),
        ("deskbell.db", "exists already"),
        ("nowhere/copy.db", "cannot be written"),
    ],
)
async def test_a_copy_that_cannot_be_written_ends_with_1_and_harms_nothing(
    run: Run, sink: Sink, config_file: Callable[[str], Path], tmp_path: Path, target: str, words: str
) -> None:
    config_file(to_sink(sink))
    await Shelf(tmp_path).fill(Past())
    (tmp_path / "taken.db").write_text("mine", "utf-8")
    ended = run("backup", target)
    assert (ended.returncode, words in ended.stderr) == (1, True), ended.stderr
    assert (tmp_path / "taken.db").read_text("utf-8") == "mine"
    assert len(run("deliveries", "--json").stdout.splitlines()) == 1


def test_a_store_that_is_not_there_is_not_backed_up(run: Run, config_file: Callable[[str], Path]) -> None:
    folder = config_file("webhooks: []\n").parent
    ended = run("backup", "copy.db")
    assert (ended.returncode, "there is no store yet" in ended.stderr) == (1, True)
    assert not list(folder.glob("copy*"))
    assert run("backup", ".").returncode == 2
