"""The judge is judged: a true story passes, every forged one fails, and so does every server with a seeded defect."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.faults import oracle
from tests.faults.disks import may_trace
from tests.faults.durability import unsynced
from tests.faults.evidence import Told
from tests.faults.mutants import MUTANTS
from tests.faults.oracle import judge
from tests.faults.rig import CANARY, ROOT
from tests.faults.scenarios import SCENARIOS, rough

Forge = Callable[[Path], object]
PLACES = {
    # the first of a ticket that has more, delivered
    "one": "SELECT min(d.id) FROM delivery d JOIN event e ON e.seq = d.event"
    " WHERE webhook = 'slow' AND e.ticket <> '' AND EXISTS"
    " (SELECT 1 FROM delivery WHERE webhook = 'slow' AND order_key = d.order_key AND id > d.id)",
    "dead": "SELECT min(id) FROM delivery WHERE state = 'dead'",
    "event": "SELECT event FROM delivery WHERE webhook = 'slow' ORDER BY id",
}
TICKET_OF = "SELECT e.ticket FROM event e JOIN delivery d ON e.seq = d.event WHERE d.id = ?"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one rough run of the real server."""
    folder = tmp_path_factory.mktemp("story")
    assert rough(folder).violations == []
    return folder


@pytest.fixture
def copy(story: Path, tmp_path: Path) -> Path:
    """A copy of them, to be forged."""
    return Path(shutil.copytree(story, tmp_path / "copy"))


def found(folder: Path) -> Sequence[str]:
    return judge(
        Told(**json.loads((folder / "told.json").read_text("utf-8"))),
        acks=[folder / "acks.jsonl"],
        sinks=[folder / "sinks.jsonl"],
        db=folder / "deskbell.db",
        logs=[folder / "stderr.txt"],
    ).violations


def sql(*statements: str) -> Forge:
    """Run ``statements``, in which ``:one``, ``:dead`` and ``:event`` are ids."""

    def forge(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "deskbell.db", isolation_level=None)) as database:
            places = {name: database.execute(query).fetchone()[0] for name, query in PLACES.items()}
            for statement in statements:
                assert database.execute(statement, places).rowcount

    return forge


def appended(name: str, text: str) -> Forge:
    def forge(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(text)

    return forge


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def requests(change: Callable[[list[dict[str, Any]], list[int]], object]) -> Forge:
    """Change the sinks' lines; the second argument has the places of those of one ticket at one webhook, in order."""

    def forge(folder: Path) -> None:
        file = folder / "sinks.jsonl"
        lines = read_lines(file)
        with closing(sqlite3.connect(folder / "deskbell.db")) as database:
            (ticket,) = database.execute(TICKET_OF, database.execute(PLACES["one"]).fetchone()).fetchone()
        its = {ack["token"] for ack in read_lines(folder / "acks.jsonl") if ack["ticket"] == ticket}
        slow = [number for number, line in enumerate(lines) if line["path"].startswith("/services/slow/")]
        change(lines, [number for number in slow if lines[number]["tokens"][0] in its])
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")

    return forge


def acks(change: Callable[[dict[str, object]], object]) -> Forge:
    """Change the first line of the client."""

    def forge(folder: Path) -> None:
        first, *rest = (folder / "acks.jsonl").read_text("utf-8").splitlines()
        line = json.loads(first)
        change(line)
        (folder / "acks.jsonl").write_text("\n".join([json.dumps(line), *rest, ""]), "utf-8")

    return forge


def swap(lines: list[dict[str, object]], places: list[int]) -> None:
    first, second = places[:2]
    lines[first], lines[second] = lines[second], lines[first]


def garbled(folder: Path) -> None:
    with (folder / "deskbell.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


def refusals(lines: list[dict[str, object]], _: list[int]) -> None:
    gone = next(line for line in lines if str(line["path"]).startswith("/services/gone/"))
    lines.extend([gone] * 3)


def refused(status: int, retry_after: str | None) -> str:
    line = {"fate": "refused", "token": "tokRend", "source": "shop", "ticket": "", "seq": 1, "route": "Submit/d0",
            "key": None, "sha256": "", "sent_at": 1.0, "at": 2.0, "status": status,
            "retry_after": retry_after}  # fmt: skip
    return json.dumps(line) + "\n"


FORGED: dict[str, tuple[str, Forge]] = {
    "an accepted event is gone": ("I1 lost", sql(
        "DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE event = :event)",
        "DELETE FROM delivery WHERE event = :event", "DELETE FROM event WHERE seq = :event")),
    "a webhook's row is gone": ("I1 lost", sql(
        "DELETE FROM attempt WHERE delivery = :one", "DELETE FROM delivery WHERE id = :one")),
    "a webhook has two rows": ("I1 lost", sql(
        "INSERT INTO delivery (event, webhook, transport, order_key, state, due_from)"
        " SELECT event, webhook, transport, order_key, state, due_from FROM delivery WHERE id = :one")),
    "the body is another": ("I1 changed", sql("UPDATE event SET raw = CAST(raw || ' ' AS BLOB) WHERE seq = :event")),
    "a row never ended": ("I1 stuck", sql("UPDATE delivery SET state = 'ready' WHERE id = :one")),
    "a row died of nothing": ("I1 dead", sql("UPDATE delivery SET state = 'dead' WHERE id = :one")),
    "a dead row has no reason": ("I1 silent", sql("UPDATE delivery SET reason = '' WHERE id = :dead")),
    "no sink saw it": ("I1 false", requests(lambda lines, ticket: lines.pop(ticket[0]))),
    "nobody sent it": ("I2 invented", requests(
        lambda lines, ticket: lines.append({**lines[ticket[0]], "tokens": ["tokXend"]}))),
    "nobody meant it for this one": ("I2 astray", requests(
        lambda lines, ticket: lines[ticket[0]].update(path="/services/elsewhere"))),
    "a row for a webhook that does not match": ("I2 astray", sql(
        "UPDATE delivery SET webhook = 'elsewhere' WHERE id = :one")),
    "a key is lost": ("I2 doubled", sql(
        "UPDATE event SET idempotency_key = 'another' || seq WHERE idempotency_key IS NOT NULL")),
    "a refused event is stored": ("I2 refused", acks(lambda line: line.update(fate="refused", status=503))),
    "it came twice without a fault": ("I3 doubled", requests(lambda lines, ticket: lines.append(lines[ticket[0]]))),
    "two of a ticket changed places": ("I4 overtaken", requests(swap)),
    "a waiting one was overtaken": ("I4 overtaken", sql("UPDATE delivery SET state = 'ready' WHERE id = :one")),
    "nobody tells of the gap": ("I4 no gap", sql("UPDATE delivery SET gap = 0 WHERE gap = 1")),
    "a gap that is none": ("I4 false gap", sql("UPDATE delivery SET gap = 1 WHERE id = :one")),
    "an attempt does not count": ("I5 attempts", sql("UPDATE delivery SET attempts = 0 WHERE id = :one")),
    "an attempt counts that nobody made": ("I5 attempts", sql("UPDATE delivery SET attempts = 2 WHERE id = :one")),
    "an attempt was never made": ("I5 attempts", sql(
        "INSERT INTO attempt (delivery, number, started_at, seconds, outcome, detail, payload)"
        " VALUES (:one, 2, 0, 0, 'Delivered', '', '')")),
    "nothing delivered it": ("I5 outcome", sql("DELETE FROM attempt WHERE delivery = :one")),
    "it is in flight for ever": ("I5 state", sql("UPDATE delivery SET state = 'sending' WHERE id = :one")),
    "it ended at no time": ("I5 state", sql("UPDATE delivery SET ended_at = NULL WHERE id = :one")),
    "a row points to nothing": ("I6 deskbell.db: row", sql("UPDATE attempt SET delivery = 99999 WHERE delivery = :one")),
    "a newer version": ("I6 deskbell.db: is of version 99", sql("PRAGMA user_version = 99")),
    "a broken page": ("I6", garbled),
    "a secret in the database": ("I7", sql("UPDATE delivery SET receipt = 'CANARY0123456789sink' WHERE id = :one")),
    "a secret in the log": ("I7", appended("stderr.txt", f"cannot reach {CANARY}\n")),
    "a secret at a sink": ("I7", requests(lambda lines, ticket: lines[ticket[0]].update(headers={"x": CANARY}))),
    "a traceback": ("I8", appended("stderr.txt", "Traceback (most recent call last):\n")),
    "a sink that is gone is asked for ever": ("I9 hammered", requests(refusals)),
    "a defect answers the client": ("I10 refused", appended("acks.jsonl", refused(500, None))),
    "a 503 without a time": ("I10 refused", appended("acks.jsonl", refused(503, None))),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_story_is_found_out(name: str, copy: Path) -> None:
    expected, forge = FORGED[name]
    forge(copy)
    violations = found(copy)
    assert [line for line in violations if line.startswith(expected)], violations


def test_who_fails_is_not_asked_before_its_time(copy: Path) -> None:
    """The same run, judged as if its sinks had asked for more patience."""
    told = copy / "told.json"
    told.write_text(json.dumps({**json.loads(told.read_text("utf-8")), "first_wait": 9.0}), "utf-8")
    assert {line.partition(":")[0] for line in found(copy)} == {"I9 impatient"}


def test_a_double_is_allowed_for_what_was_in_flight_at_a_fault_if_it_is_marked(copy: Path) -> None:
    requests(lambda lines, ticket: lines.append(lines[ticket[0]]))(copy)
    asked = ["--acks", "acks.jsonl", "--sinks", "sinks.jsonl", "--db", "deskbell.db", "--told", "told.json"]
    arguments = [word if word.startswith("--") else str(copy / word) for word in asked]
    faults = ["--faults", "1", "--in-flight", "1"]
    assert oracle.main([*arguments, *faults]) == 1  # not marked
    sql("UPDATE delivery SET maybe_duplicate = 1 WHERE id = :one")(copy)
    assert oracle.main(arguments) == 1  # no fault
    assert oracle.main([*arguments, *faults]) == 0


def test_a_mark_where_nothing_was_in_flight_is_found_out(copy: Path) -> None:
    told = copy / "told.json"
    told.write_text(json.dumps({**json.loads(told.read_text("utf-8")), "caught": []}), "utf-8")
    sql("UPDATE delivery SET maybe_duplicate = 1 WHERE id = :one")(copy)
    assert [line for line in found(copy) if line.startswith("I3 marked")]


def test_the_judge_knows_nothing_of_the_program() -> None:
    asked = (
        "import sys, tests.faults.oracle; sys.exit(any(name.startswith('deskbell') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT, check=False).returncode == 0


READ = '7 read(9, "POST /events/shop HTTP/1.1\\r\\n"..., 65536) = 700\n'
WRITE = '8 pwrite64(5, "..."..., 4096, 32) = 4096\n'
SYNC = "8 fdatasync(5) = 0\n"
ANSWER = '7 write(9, "HTTP/1.1 202 Accepted\\r\\n"..., 209) = 209\n'


@pytest.mark.parametrize(
    ("calls", "durable"),
    [
        (READ + WRITE + SYNC + ANSWER, True),
        (READ + WRITE + "8 fdatasync(5 <unfinished ...>\n" + "8 <... fdatasync resumed>) = 0\n" + ANSWER, True),
        (READ + WRITE + "8 fdatasync(5 <unfinished ...>\n" + ANSWER + "8 <... fdatasync resumed>) = 0\n", False),
        (READ + ANSWER + WRITE + SYNC, False),
        (READ + WRITE + ANSWER, False),
        (WRITE + READ + SYNC + ANSWER, False),
        (READ + WRITE + "8 fdatasync(5) = -1 EIO (Input/output error)\n" + ANSWER, False),
        (READ + WRITE + SYNC + ANSWER + READ + ANSWER, False),
        (READ + WRITE + SYNC, False),
    ],
    ids=["in order", "sync in two lines", "sync not over", "202 first", "no sync", "written before", "failed sync",
         "only the first", "no 202"],
)  # fmt: skip
def test_a_202_must_come_after_its_sync(calls: str, durable: bool, tmp_path: Path) -> None:
    trace = tmp_path / "strace.txt"
    trace.write_text(calls, "utf-8")
    assert (list(unsynced(trace)) == []) is durable


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_of_the_server_is_found_out(name: str, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    if mutant.scenario == "traced" and not may_trace():
        pytest.skip("system calls cannot be traced here")
    violations = SCENARIOS[mutant.scenario](tmp_path, ("-m", "tests.faults.mutants", name)).violations
    assert {line.split()[0] for line in violations} & set(mutant.caught_by), violations
