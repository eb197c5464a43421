"""What the tests of the Discord plugin share: its messages (each checked against Discord's own schema), and a
foreign parser of Discord's Markdown."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft202012Validator

import deskbell
from deskbell.notice import Notice
from deskbell.template import Template
from deskbell_discord import Discord
from deskbell_discord.options import DiscordOptions

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
PARSER = "discord-markdown-parser@1.3.1"
NPM_TIMEOUT = 60

# Two rules that the parser lacks: emoji by name (every name in Discord's own list has a letter, or is +1, -1, 100
# or 1234) and lists. They stand before its rules, so that they win wherever both match.
ORACLE = r"""
const { SimpleMarkdown, rulesExtended } = require("discord-markdown-parser");
const atLineStart = (state) => state.prevCapture == null || state.prevCapture[0].endsWith("\n");
const shortcode = {
  order: -2,
  match: (source) => /^:(?=[^:]*\p{L}|[+-]1:|\d{3,}:)[\p{L}\p{N}_+-]+:/u.exec(source),
  parse: (capture) => ({ type: "shortcode", content: capture[0] }),
};
const list = {
  order: -1,
  match: (source, state) => (atLineStart(state) ? /^ *(?:[*-]|\d+\.) +/.exec(source) : null),
  parse: (capture) => ({ type: "list", content: capture[0] }),
};
const parse = SimpleMarkdown.parserFor({ ...rulesExtended, shortcode, list });
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(JSON.stringify(parse(JSON.parse(line), { inline: true })) + "\n");
});
"""

Node = Mapping[str, Any]
Parse = Callable[[str], list[Node]]
Payload = dict[str, Any]
Make = Callable[..., Payload]


@pytest.fixture(scope="session")
def request_schema() -> Draft202012Validator | None:
    """Discord's official schema of the body of "execute webhook"; None where the shared data is missing."""
    path = SHARED / "discord" / "discord_webhook_schemas.json"
    if not path.exists():
        return None
    schemas = json.loads(path.read_text("utf-8"))
    return Draft202012Validator({**schemas, "$ref": "#/components/schemas/IncomingWebhookRequestPartial"})


@pytest.fixture(scope="session")
def make(request_schema: Draft202012Validator | None) -> Make:
    """``make(template, options, action=…, **variables)``: the payload, after every check that all must pass."""

    def make(
        template: str, options: Mapping[str, Any] | None = None, *, action: str = "Submit", **variables: str
    ) -> Payload:
        event = deskbell.TicketEvent(
            action=action,
            ticket="1",
            variables={name.casefold(): value for name, value in variables.items()},
            received_at=datetime(2022, 11, 21, 23, 30, tzinfo=UTC),
        )
        notice = Notice.of(
            event,
            Template.parse(template, deskbell.VARIABLES),
            timezone=ZoneInfo("Europe/Paris"),
            date_format="%d/%m/%y %H:%M",
        )
        payload = dict(Discord().format(notice, DiscordOptions.model_validate(options or {})))
        _check(payload, request_schema)
        return payload

    return make


def _check(payload: Payload, schema: Draft202012Validator | None) -> None:
    assert payload == json.loads(json.dumps(payload, ensure_ascii=False).encode())
    assert payload.keys() <= {"content", "allowed_mentions", "username", "avatar_url", "flags"}
    assert 1 <= len(payload["content"].strip()) <= 2000
    if schema is not None:
        schema.validate(payload)


@pytest.fixture(scope="session")
def parse(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parse]:
    """The foreign parser: Markdown in, syntax tree out. Installed once into pytest's cache."""
    if not (node := shutil.which("node")):
        pytest.skip("node is not installed, so the foreign Markdown parser cannot run")
    cache = getattr(pytestconfig, "cache", None)  # absent with `-p no:cacheprovider`
    place = cache.mkdir("markdown-parser") if cache else tmp_path_factory.mktemp("markdown-parser")
    folder = _installed(place)
    with subprocess.Popen(
        [node, "-e", ORACLE],
        cwd=folder,
        text=True,
        encoding="utf-8",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        ask, answer = process.stdin, process.stdout

        def parse(text: str) -> list[Node]:
            ask.write(json.dumps(text) + "\n")
            ask.flush()
            tree: list[Node] = json.loads(answer.readline())
            return tree

        yield parse
        ask.close()


def _installed(folder: Path) -> Path:
    name, _, version = PARSER.partition("@")
    manifest = folder / "node_modules" / name / "package.json"
    if manifest.exists() and json.loads(manifest.read_text("utf-8"))["version"] == version:
        return folder
    if not (npm := shutil.which("npm")):
        pytest.skip("npm is not installed, so the foreign Markdown parser cannot be fetched")
    command = [
        npm,
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--no-save",
        "--fetch-retries=0",
        "--prefix",
        str(folder),
        PARSER,
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=NPM_TIMEOUT)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm cannot fetch {PARSER}: {type(error).__name__}")
    return folder
