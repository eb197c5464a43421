"""Bodies that others collected to break parsers, posted to the real server: never a 5xx; stored is what came."""

from __future__ import annotations

import http.client
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.conftest import TOKEN

if TYPE_CHECKING:
    from tests.conftest import Serve, Server

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "data" / "corpora"
needs_corpora = pytest.mark.skipif(
    not CORPORA.exists(), reason="the shared corpora are not beside the checkout"
)
UNREADABLE = {  # of the files that JSON leaves open: no UTF-8, or too deep. All others are read, and are no events.
    "i_string_UTF-16LE_with_BOM", "i_string_UTF-8_invalid_sequence", "i_string_UTF8_surrogate_U+D800",
    "i_string_invalid_utf-8", "i_string_iso_latin_1", "i_string_lone_utf8_continuation_byte",
    "i_string_not_in_unicode_range", "i_string_overlong_sequence_2_bytes", "i_string_overlong_sequence_6_bytes",
    "i_string_overlong_sequence_6_bytes_null", "i_string_truncated-utf-8", "i_string_utf16BE_no_BOM",
    "i_string_utf16LE_no_BOM", "i_structure_500_nested_arrays",
}  # fmt: skip
FIELDS = (
    "action", "ticket", "subject", "content", "username", "userid", "email", "departmentName", "priority", "created_at",
    "url", "relatedUrl", "relatedId", "a variable of its own",
)  # fmt: skip
WEBHOOK = (
    '  - {name: a, url: "demo:discord", transport: discord, action: "*", message: "%subject% %content%"}\n'
)
SOURCES = f"  - {{name: native, adapter: deskbell, token: {TOKEN}}}\n"


@pytest.fixture
def server(serve: Serve, config_file: Callable[[str], Path]) -> Iterator[Server]:
    path = config_file(f"webhooks:\n{WEBHOOK}")
    path.write_text(path.read_text("utf-8").replace("webhooks:\n", f"{SOURCES}webhooks:\n", 1), "utf-8")
    server = serve()
    yield server
    assert server.end() == 0
    log = server.log()
    assert " ERROR " not in log
    assert "Traceback" not in log


def post_all(server: Server, bodies: list[bytes], source: str = "native") -> list[int]:
    """The status of each answer, all of them over one connection: none of them ends it."""
    place = urlsplit(server.address)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)) as connection:
        connection.connect()
        kept, statuses = connection.sock, list[int]()
        for body in bodies:
            connection.request("POST", f"/events/{source}", body, {"Authorization": f"Bearer {TOKEN}"})
            with connection.getresponse() as response:
                problem = json.loads(response.read())
                statuses.append(response.status)
            assert problem.get("status", 202) == statuses[-1]
        assert connection.sock is kept
    return statuses


def stored(server: Server) -> list[bytes]:
    database = (server.folder / "deskbell.db").as_uri()
    with closing(sqlite3.connect(f"{database}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT raw FROM event ORDER BY seq")]


def expected(file: Path) -> int:
    """JSONTestSuite's own verdict: the file's name begins with y (JSON), n (not) or i (an implementation's choice)."""
    return 400 if file.name[0] == "n" or file.stem in UNREADABLE else 422


@needs_corpora
@pytest.mark.parametrize("source", ["native", "clientxcms"])
def test_all_of_jsontestsuite_is_answered_as_it_deserves(server: Server, source: str) -> None:
    files = sorted((CORPORA / "json-test-suite/test_parsing").glob("*.json"))
    assert len(files) == 318
    answers = dict(zip(files, post_all(server, [file.read_bytes() for file in files], source), strict=True))
    wrong = {file.name: status for file, status in answers.items() if status != expected(file)}
    assert wrong == {}
    assert stored(server) == []


@needs_corpora
def test_every_naughty_string_in_every_field_is_an_event_or_no_event_and_is_stored_as_it_came(
    server: Server,
) -> None:
    strings: list[str] = json.loads((CORPORA / "naughty-strings" / "blns.json").read_text("utf-8"))
    assert len(strings) == 515
    good = {"action": "Submit", "ticket": 7}
    bodies = [
        json.dumps({**good, field: text}, ensure_ascii=number % 2 == 0).encode()
        for number, text in enumerate(strings)
        for field in (FIELDS[number % len(FIELDS)], "subject", "content")
    ]
    everywhere = [json.dumps(dict.fromkeys(FIELDS, text)).encode() for text in strings]
    statuses = post_all(server, bodies + everywhere)
    assert set(statuses) <= {202, 422}
    taken = [body for body, status in zip(bodies + everywhere, statuses, strict=True) if status == 202]
    assert len(taken) > 2000
    assert stored(server) == taken
