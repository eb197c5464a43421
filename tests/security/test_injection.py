"""What a customer writes stays text: in Discord, in Slack, on the pages, in a terminal, in the log.

Hostile texts go the whole way: posted to the real program in every field of an event, sent to services that keep what
they get, thrown back by one that repeats it in its refusal, and then looked at wherever deskbell shows them.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.core.web.conftest import Page
from tests.faults.sinks import Call, Fault, Sink, http

if TYPE_CHECKING:
    from tests.conftest import Run, Serve, Server

NAUGHTY = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "corpora" / "naughty-strings" / "blns.json"
)
FIELDS = ("subject", "content", "username", "departmentName", "email")
LONGEST = 60.0
"""Seconds until everything is delivered, or dead."""
DISCORD_LIMIT = 2000
"""https://docs.discord.com/developers/resources/webhook#execute-webhook"""
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Whatever drives a terminal, forges a line or turns the reading round; a line break is for the writer of lines."""
RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+: ")
WEB = ("http://", "https://", "/", "#", "?")


@dataclass(frozen=True)
class Hostile:
    """A text, and what of it must not stand as it is in what each service is sent, or on a page."""

    text: str
    discord: Sequence[str] = ()
    slack: Sequence[str] = ()
    page: Sequence[str] = ()


HOSTILE = {
    "everyone": Hostile("@everyone @here"),
    "user": Hostile("<@123456789012345678> <@!1>", discord=["<@123456789012345678>", "<@!1>"]),
    "role": Hostile("<@&123456789012345678>", discord=["<@&1"]),
    "masked link": Hostile("[bank](https://evil.example)", discord=["[bank](https://evil"]),
    "picture": Hostile("![x](https://evil.example/x.png)", discord=["![x](https"]),
    "heading": Hostile("# big\n## bigger\n-# small\n> quoted\n- item", discord=["\n## bigger", "\n-# small"]),
    "fence": Hostile("```\n@everyone\n```", discord=["```"]),
    "spoiler": Hostile("||hidden||", discord=["||"]),
    "timestamp": Hostile("<t:1:R> <:a:1> </x:1> <id:home>", discord=["<t:1:R>", "<:a:1>"]),
    "channel": Hostile("<!channel> <!here> <!everyone>", slack=["<!channel>", "<!here>", "<!everyone>"]),
    "subteam": Hostile("<!subteam^S012|x> <!date^1^{date}|x>", slack=["<!subteam", "<!date"]),
    "slack link": Hostile("<http://evil.example|bank>", slack=["<http://evil"], discord=["<http://evil.example|"]),
    "slack user": Hostile("<@U012AB3CD> <#C024BE7LR>", slack=["<@U", "<#C"]),
    "escaped already": Hostile("&amp;lt;!here&amp;gt; &lt;!channel&gt;"),
    "template": Hostile("{{7*7}} ${7*7} {0.__class__} %subject% %content% #{7*7} <%= 7*7 %>"),
    "jinja": Hostile("{{cycler.__init__.__globals__.os.popen('id').read()}} {% for i in x %}{% endfor %}"),
    "script": Hostile("<script>alert(1)</script>", page=["<script>alert"]),
    "attribute": Hostile("\"><img src=x onerror=alert(1)>'><svg/onload=alert(1)>", page=["<img src=x", "<svg/onload"]),
    "javascript": Hostile("javascript:alert(1) data:text/html,<b>x vbscript:x", page=["<b>x"]),
    "terminal": Hostile("\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://evil\x1b\\x \x9b31m \x07\x08\x7f\r\nforged"),
    "right to left": Hostile("\u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c", discord=["\u202e"], slack=["\u202e"]),
    "zero width": Hostile("@\u200beveryone @every\u200cone \ufeff\u2060"),
    "log line": Hostile("x\r\n2026-01-01T00:00:00.000Z INFO deskbell: forged\u2028y\u0085z%0d%0aw"),
    "formula": Hostile("=cmd|' /C calc'!A0 +1 -1 @SUM(1) \t=1"),
    "long": Hostile("x" * 6001 + " 👨‍👩‍👧‍👦" * 700),
    "astral": Hostile("𝕏" * 2001),
    "combining": Hostile("Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘" * 50),
}  # fmt: skip


def config(discord: str, slack: str, refusing: str) -> str:
    """Three webhooks that show every field."""
    message = " | ".join(f"%{name}%" for name in FIELDS)
    kinds = {"discord": ("discord", f"{discord}/api/webhooks/1/x"), "slack": ("slack", f"{slack}/services/T/B/x"),
             "refusing": ("webhook", f"{refusing}/hook")}  # fmt: skip
    webhooks = [
        {"name": name, "transport": transport, "url": url, "action": "*", "rate": "none", "message": message}
        for name, (transport, url) in kinds.items()
    ]
    return json.dumps(
        {
            "version": 1,
            "server": {"listen": "127.0.0.1:0"},
            "egress": {"allow": ["127.0.0.0/8"]},
            "sources": [{"name": "native", "adapter": "deskbell", "token": "a-token-of-the-tests"}],
            "webhooks": webhooks,
        }
    )


async def refusing(call: Call) -> None:
    """Says everything back in its refusal, as far as it is text at all."""
    await call.request()
    await call.send(http(400, call.sink.received[-1].body.encode("utf-8", "replace")))


@dataclass
class Came:
    """What came of one round of texts."""

    sent: dict[str, list[Any]] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)
    pages: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    log: str = ""


async def through(texts: Sequence[str], folder: Path, serve: Serve, run: Run) -> Came:
    """Post each text in one field, the next in the next; and all of an event's in its headers and path."""
    async with AsyncExitStack() as stack:
        message = b'{"id": "123456789012345678"}'
        discord, slack, repeating = [
            await stack.enter_async_context(Sink(Fault(script)))
            for script in (keeping(http(200, message, "Content-Type: application/json\r\n")),
                           keeping(http(200, b"ok")), refusing)
        ]  # fmt: skip
        (folder / "config.yaml").write_text(config(discord.url, slack.url, repeating.url), "utf-8")
        server = await asyncio.to_thread(serve)
        came = await asyncio.to_thread(drive, server, list(texts), folder, run)
        server.end()
        came.log = server.log()
        for name, sink in (("discord", discord), ("slack", slack)):
            came.sent[name] = [json.loads(each.body) for each in sink.received]
    return came


def keeping(answer: bytes) -> Any:
    """A service that takes everything, and keeps it."""

    async def script(call: Call) -> None:
        await call.request()
        await call.send(answer)

    return script


def drive(server: Server, texts: list[str], folder: Path, run: Run) -> Came:
    """Post, wait, look everywhere."""
    came = Came()
    for number, event in enumerate(events(texts)):
        came.statuses.add(asked(f"{server.address}/events/native/a-token-of-the-tests", event)[0])
        (folder / f"event{number}.json").write_text(json.dumps(event), "utf-8")
    wait_until_settled(folder / "deskbell.db")
    with closing(sqlite3.connect(folder / "deskbell.db")) as database:
        rows = [number for (number,) in database.execute("SELECT id FROM delivery")]
    for path in (
        "/",
        "/?state=dead",
        "/webhooks",
        "/sources",
        "/health",
        *(f"/deliveries/{n}" for n in rows),
    ):
        status, page = asked(server.address + path)
        came.statuses.add(status)
        came.pages.append(page)
    lines = [["deliveries", "--limit", "10000"], ["deliveries", "--json", "--limit", "10000"],
             ["replay", "--dead", "--dry-run"], *(["preview", name, "--event", "event0.json"]
             for name in ("discord", "slack", "refusing"))]  # fmt: skip
    for line in lines:
        ended = run(*line)
        assert ended.returncode == 0, ended.stderr
        came.commands[" ".join(line)] = ended.stdout + ended.stderr
    return came


def events(texts: list[str]) -> Iterator[dict[str, str]]:
    """As many as it takes for each text to stand in a field."""
    for start in range(0, len(texts), len(FIELDS)):
        some = texts[start : start + len(FIELDS)]
        yield {"action": "Submit", "ticket": str(start), **dict(zip(FIELDS, some, strict=False))}


def asked(url: str, event: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and text of a GET, or of an event that is posted."""
    body = json.dumps(event).encode() if event else None
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_until_settled(store: Path) -> None:
    until = time.monotonic() + LONGEST
    query = "SELECT count(*) FROM delivery WHERE state NOT IN ('delivered', 'dead')"
    with closing(sqlite3.connect(store)) as database:
        while database.execute(query).fetchone()[0]:
            assert time.monotonic() < until, database.execute("SELECT state, reason FROM delivery").fetchall()
            time.sleep(0.1)


def check(came: Came) -> None:
    """What holds for every text."""
    assert not any(status >= 500 for status in came.statuses), came.statuses
    for payload in came.sent["discord"]:
        assert payload["allowed_mentions"] == {"parse": []}
        assert 0 < len(payload["content"]) <= DISCORD_LIMIT
    for payload in came.sent["slack"]:
        assert not re.search("[<>]", payload["text"]), payload
        assert not re.search("&(?!amp;|lt;|gt;)", payload["text"]), payload
    for page in came.pages:
        check_page(page)
    for line, shown in came.commands.items():
        assert not UNSAFE.search(shown), (line, UNSAFE.findall(shown))
    for record in came.log.splitlines():
        assert RECORD.match(record), record
        assert not UNSAFE.search(record), record


def check_page(html: str) -> None:
    """Nothing on it runs, is loaded from elsewhere, or leads anywhere but to the web."""
    page = Page(html)
    for name, attributes in page.elements:
        assert name not in ("iframe", "object", "embed", "style", "base"), name
        assert not any(key.startswith("on") or key == "style" for key in attributes), attributes
        for key in ("href", "src", "action", "formaction"):
            assert attributes.get(key, "/").startswith(WEB), attributes
    scripts = page.all("script")
    assert all(script["src"].startswith("/static/") for script in scripts)


async def test_hostile_texts_stay_texts(tmp_path: Path, serve: Serve, run: Run) -> None:
    came = await through([each.text for each in HOSTILE.values()], tmp_path, serve, run)
    check(came)
    assert came.statuses == {200, 202}
    discord = "\n".join(payload["content"] for payload in came.sent["discord"])
    slack = "\n".join(payload["text"] for payload in came.sent["slack"])
    pages = "\n".join(came.pages)
    for name, hostile in HOSTILE.items():
        for text, forbidden in ((discord, hostile.discord), (slack, hostile.slack), (pages, hostile.page)):
            assert not [each for each in forbidden if _active(each, text)], name
    assert "{{7*7}} ${7*7} {0._" in re.sub(
        "[\u200b-\u200d\u2060\ufeff]", "", slack
    )  # its stars are parted from the words
    assert "&amp;amp;lt;!here&amp;amp;gt;" in slack


def _active(markup: str, text: str) -> bool:
    """Whether it stands there, and without the backslash that makes plain signs of it."""
    return re.search(rf"(?<!\\){re.escape(markup)}", text) is not None


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the shared corpora are not beside the checkout")
async def test_naughty_strings_stay_texts(tmp_path: Path, serve: Serve, run: Run) -> None:
    """https://github.com/minimaxir/big-list-of-naughty-strings"""
    texts = json.loads(NAUGHTY.read_text("utf-8"))
    assert len(texts) > 500
    came = await through(texts, tmp_path, serve, run)
    check(came)
    assert len(came.sent["discord"]) == len(came.sent["slack"]) == -(-len(texts) // len(FIELDS))
