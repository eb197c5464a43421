"""A page of the documentation that can be executed, and what it needs: commands of an environment, and ntfy, played."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial-transport.md"

_BLOCK = re.compile(
    r"<!-- (file|run|fails|output)(?:: (\S+))? -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
_FENCE = re.compile(r"^```\w+$", re.MULTILINE)
_TOPIC = re.compile("[-_A-Za-z0-9]{1,64}")
_MOST_BYTES = 4096
_NO_EGRESS, _LOOPBACK = "egress: {allow: []}", "egress: {allow: [127.0.0.0/8]}"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block by its mark: a ``file`` and its ``place``, a ``run``, one that ``fails``, the ``output`` of it."""

    kind: str
    place: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """The blocks of ``page``, in order; each must have its mark."""
    text = page.read_text("utf-8")
    blocks = [Block(kind, place or "", body) for kind, place, body in _BLOCK.findall(text)]
    assert len(blocks) == len(_FENCE.findall(text)), (
        f"a block of {page.name} has no mark, and would not be run"
    )
    return blocks


def final_files(page: Path) -> dict[str, str]:
    """Each file as the page leaves it."""
    return {block.place: block.text for block in blocks_of(page) if block.kind == "file"}


def write_file(folder: Path, place: str, text: str) -> None:
    """A file of the page. A config of the page may reach this machine: the service is played here."""
    if place == "config.yaml":
        assert _NO_EGRESS in text
        text = text.replace(_NO_EGRESS, _LOOPBACK)
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def missing_from(output: str, shown: str) -> str:
    """The first line that the page shows and that did not come, in this order; ``…`` stands for anything."""
    lines = iter(output.splitlines())
    for wanted in shown.splitlines():
        if wanted == "…":
            continue
        pattern = re.compile(".*".join(map(re.escape, wanted.split("…"))))
        if not any(pattern.fullmatch(line.rstrip()) for line in lines):
            return wanted
    return ""


@dataclass(frozen=True, slots=True)
class Published:
    """A message that ntfy took, and how its sender proved who it is."""

    topic: str
    message: str
    authorization: str


class Ntfy(ThreadingHTTPServer):
    """Plays ntfy on loopback: https://docs.ntfy.sh/publish/#publish-as-json and its ``server/errors.go``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        self.published: list[Published] = []
        self.refused: list[str] = []
        self.arrived = threading.Condition()

    def wait_for(self, count: int, seconds: float = 20.0) -> list[Published]:
        """The messages, once there are at least ``count``."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.published) >= count, seconds), self.refused
        return self.published


@contextmanager
def ntfy() -> Iterator[Ntfy]:
    """A running one."""
    with Ntfy() as playing:
        threading.Thread(target=playing.serve_forever, daemon=True).start()
        yield playing
        playing.shutdown()


class _Request(BaseHTTPRequestHandler):
    server: Ntfy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            message = json.loads(body)
            sent = Published(message["topic"], message["message"], self.headers.get("Authorization", ""))
        except (ValueError, KeyError, TypeError):
            return self._refuse(40017, "invalid request: request body must be message JSON")
        if self.path != "/" or not _TOPIC.fullmatch(sent.topic):
            return self._refuse(40009, "invalid request: topic invalid")
        if len(sent.message.encode()) > _MOST_BYTES:
            return self._refuse(40014, "invalid request: attachments not allowed")
        with self.server.arrived:
            self.server.published.append(sent)
            self.server.arrived.notify_all()
        number = f"hwQ2YpKd{len(self.server.published):04}"
        return self._answer(200, {"id": number, "time": 1773000000, "event": "message", **message})

    def _refuse(self, code: int, error: str) -> None:
        self.server.refused.append(error)
        self._answer(400, {"code": code, "http": 400, "error": error})

    def _answer(self, status: int, answer: dict[str, object]) -> None:
        text = json.dumps(answer, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nothing: a test reads what it needs from the server."""
