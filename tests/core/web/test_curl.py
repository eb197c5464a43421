"""The request as a line for a shell: what a shell really sends for it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.kit import serving

from deskbell.web.curl import LONGEST_ARGUMENT, curl, variables

NAUGHTY = Path(__file__).parents[4] / "shared" / "data" / "corpora" / "naughty-strings" / "blns.json"
HOSTILE = [
    "it's",
    "'; touch owned; '",
    "$(touch owned)",
    "`touch owned`",
    "${HOME} $HOME $$ !! !x",
    "\n\r\t\x00\x1b[31m\x7f",
    "line\nEOF\nline\\",
    "\\' \\\\ \\n",
    '"quoted" & | ; < > * ? ~ #',
    "@/etc/passwd",
    "-H 'X: y'",
    "é \U0001f525 \u2028 \u202e ‮ ﷽",
    "%s %d %%",
    "",
]
needs_curl = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("sh")), reason="no curl, or no sh")


@dataclass
class Heard:
    """What a server got."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    heard = Heard()

    async def take(request: web.Request) -> web.Response:
        heard.bodies.append(await request.read())
        heard.headers.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(text="ok")

    async with serving(take) as heard.url:
        yield heard


async def paste(text: str, folder: Path, **environment: str) -> None:
    """Into a shell; it leaves nothing behind."""
    program = await asyncio.create_subprocess_exec(
        "sh", "-eu", cwd=folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={"PATH": "/usr/bin:/bin", **environment},
    )  # fmt: skip
    said = await program.communicate(text.encode() + b"\n")
    assert program.returncode == 0, said
    assert said[0] == b"ok"
    assert os.listdir(folder) == []  # noqa: PTH208 - a look that blocks nobody


def sent(payload: Any) -> bytes:
    """As ``SendContext.post`` sends it."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


@needs_curl
@pytest.mark.parametrize("text", HOSTILE)
async def test_a_shell_sends_the_very_bytes_and_does_nothing_else(
    heard: Heard, tmp_path: Path, text: str
) -> None:
    payload = {"text": text, text: [text]}
    command = curl(payload, {}, comments=[f"to {text}"])
    await paste(command, tmp_path, WEBHOOK_URL=f"{heard.url}/a b?x=1&y='".replace(" ", "%20"))
    assert heard.bodies == [sent(payload)]
    assert heard.headers[0]["content-type"] == "application/json"


@needs_curl
@pytest.mark.skipif(not NAUGHTY.exists(), reason="the shared corpora are not beside the checkout")
async def test_the_naughty_strings_are_only_bytes(heard: Heard, tmp_path: Path) -> None:
    payload = {"text": json.loads(NAUGHTY.read_text("utf-8"))}
    await paste(curl(payload, {}, comments=[]), tmp_path, WEBHOOK_URL=heard.url)
    assert heard.bodies == [sent(payload)]


@needs_curl
@pytest.mark.parametrize("length", [LONGEST_ARGUMENT - 11, LONGEST_ARGUMENT, 1_000_000])
async def test_a_body_may_be_longer_than_an_argument(heard: Heard, tmp_path: Path, length: int) -> None:
    payload = {"text": "'" * 10 + "x" * (length - 10)}
    await paste(curl(payload, {"X-Key": "k"}, comments=[]), tmp_path, WEBHOOK_URL=heard.url, HEADER_X_KEY="v")
    assert heard.bodies == [sent(payload)]
    assert heard.headers[0]["x-key"] == "v"


@needs_curl
async def test_headers_that_may_be_secret_are_variables(heard: Heard, tmp_path: Path) -> None:
    headers = {
        "Authorization": "Bearer hunter2hunter2",
        "x-3$(id)": "s3cr3t",
        "Content-Type": "application/vnd.it's+json",
    }
    command = curl({}, headers, comments=[])
    names = variables(headers)
    assert names == {"Authorization": "HEADER_AUTHORIZATION", "x-3$(id)": "HEADER_X_3__ID_"}
    assert "hunter2" not in command
    assert "s3cr3t" not in command
    del headers["x-3$(id)"]  # no server takes this one
    await paste(
        curl({}, headers, comments=[]), tmp_path, WEBHOOK_URL=heard.url, HEADER_AUTHORIZATION="it's $x"
    )
    assert heard.headers[0]["authorization"] == "it's $x"
    assert heard.headers[0]["content-type"] == "application/vnd.it's+json"


def test_a_comment_stays_one() -> None:
    text = curl({}, {}, comments=["one\ntouch owned", "two\u2028\r$(id)"])
    assert [line[:2] for line in text.splitlines()[:2]] == ["# ", "# "]
    assert text.splitlines()[2].startswith("curl -X POST")
