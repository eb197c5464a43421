"""No secret comes out of deskbell: one in every place that holds one, driven through every fault that a service may have.

The real program, its log at DEBUG and asyncio's debug mode on. Whatever it writes, shows, answers or stores is searched
for every secret, also for the half of one, percent-encoded or in base64.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import yaml
from tests.faults.sinks import Call, Fault, Sink, faults, http
from tests.faults.test_sink_table import ANSWERS, SECOND

if TYPE_CHECKING:
    from tests.conftest import Run, Serve, Server

MARK = "CANARY"
"""Every secret begins with it, and ends with it backwards: the half of one is found as well."""
LONGEST = 60.0
"""Seconds until every fault has been met: an attempt takes 15."""
LEAKY = '''
import logging
import warnings

import deskbell


class Leaky(deskbell.Transport):
    """Does with its secret what nobody should."""

    name = "leaky"
    max_length = 1000

    def format(self, notice, options):
        return {"text": notice.text(deskbell.plain, 1000)}

    async def send(self, payload, context):
        url = context.url.reveal()
        logging.getLogger("leaky").warning("sending to %s with %r", url, context)
        warnings.warn(f"careless with {url}")
        raise RuntimeError(f"cannot post to {url}")


class Quoting(Leaky):
    """Says it in its outcome."""

    name = "quoting"

    async def send(self, payload, context):
        return deskbell.PermanentFailure(f"no {context.url.reveal()} here")


@deskbell.hookimpl
def deskbell_transports():
    return [Leaky, Quoting]
'''


def canary(place: str) -> str:
    """A secret of 48 characters, which is base64 of 36 bytes as well."""
    return f"{MARK}{place.title().replace(' ', '')}0123456789".ljust(42, "x")[:42] + MARK[::-1]


async def echoing_all(call: Call) -> None:
    """A service that repeats every header, and the body, in its error."""
    said = "\n".join(await call.head())
    await call.send(http(422, json.dumps({"message": said, "errors": {"url": {"_errors": [said]}}}).encode()))


@dataclass
class Setting:
    """A folder with a config that is full of secrets, and what the program shows of them."""

    folder: Path
    webhooks: list[dict[str, Any]]

    def write(self) -> None:
        """``config.yaml``, ``secrets.env``, files of single secrets, a plugin."""
        (self.folder / "secrets.env").write_text(
            f"FROM_FILE={canary('secrets env')}\nSIGNING=whsec_{canary('incoming')}\n", "utf-8"
        )
        (self.folder / "token").write_text(canary("token file"), "utf-8")
        (self.folder / "plugins").mkdir()
        (self.folder / "plugins" / "leaky.py").write_text(LEAKY, "utf-8")
        (self.folder / "admin").write_text(canary("admin"), "utf-8")
        for file in ("secrets.env", "token", "admin"):
            (self.folder / file).chmod(0o600)
        config = {
            "version": 1,
            "server": {"listen": "127.0.0.1:0", "admin_password_file": "admin"},
            "egress": {"allow": ["127.0.0.0/8"]},
            "plugins_dir": "plugins",
            "sources": [
                {"name": "clientxcms", "token": [canary("inline token"), "${FROM_FILE}"]},
                {"name": "native", "adapter": "deskbell", "token_file": "token"},
                {"name": "signed", "adapter": "deskbell", "signing_secret": "${SIGNING}"},
            ],
            "webhooks": self.webhooks,
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")

    def environment(self) -> dict[str, str]:
        return {
            "FROM_ENVIRONMENT": canary("environment"),
            "DESKBELL_LOG_LEVEL": "DEBUG",
            "PYTHONASYNCIODEBUG": "1",
            "DESKBELL_TRACE": "1",
        }


def webhook(name: str, address: str, transport: str) -> dict[str, Any]:
    """With a secret wherever its transport takes one."""
    own: dict[str, Any] = {"name": name, "transport": transport, "action": "*", "message": "%subject%"}
    match transport:
        case "discord":
            return {**own, "url": f"{address}/api/webhooks/1/{canary('discord')}"}
        case "slack":
            return {**own, "url": f"{address}/services/T0/B0/{canary('slack')}"}
        case "webhook":
            headers = {"Authorization": f"Bearer {canary('bearer')}", "X-Key": "${FROM_ENVIRONMENT}"}
            options = {"headers": headers, "signing_secret": f"whsec_{canary('signing')}"}
            return {
                **own,
                "url": f"{address}/hook/{canary('path')}?key={canary('query')}",
                "options": options,
            }
        case _:
            return {**own, "url": f"{address}/{canary(transport)}"}


@asynccontextmanager
async def a_service_for_every_fault() -> AsyncIterator[list[dict[str, Any]]]:
    """The webhooks that meet them: all that the table of faults has, and services that repeat what they are told."""
    async with AsyncExitStack() as stack:
        found = list[dict[str, Any]]()
        every = faults(SECOND)
        for number, (fault, playing) in enumerate(every.items()):
            transport = ANSWERS[fault][0].name if fault in ANSWERS else "webhook"
            sink = await stack.enter_async_context(Sink(playing))
            found.append(webhook(f"f{number}", sink.url, "webhook" if transport == "bell" else transport))
        for transport in ("discord", "slack", "webhook", "leaky", "quoting"):
            sink = await stack.enter_async_context(Sink(Fault(echoing_all)))
            found.append(webhook(f"echo-{transport}", sink.url, transport))
        with_login = webhook("login", sink.url.replace("://", f"://user:{canary('password')}@"), "slack")
        nowhere = webhook("nowhere", f"https://{MARK.lower()}.invalid", "webhook")
        inside = webhook("inside", "http://10.1.2.3", "webhook")
        yield [*found, with_login, {**nowhere, "url": f"https://no.invalid/{canary('nowhere')}"}, inside]


def test_the_search_finds_halves() -> None:
    secret = canary("path")
    assert len(secret) == 48
    assert secrets_in(f"x{secret[:20]}".encode())
    assert secrets_in(f"{secret[20:]}y".encode())
    assert secrets_in(base64.b64encode(f"user:{canary('password')}".encode()))
    assert not secrets_in(b"nothing")


def secrets_in(shown: bytes) -> list[bytes]:
    """What of them is in it, with some of what stands round it."""
    login = base64.b64encode(f"user:{canary('password')}".encode())
    marks = [MARK.encode(), MARK[::-1].encode(), login, login.rstrip(b"=")[4:]]
    places = [shown.find(mark) for mark in marks]
    return [shown[max(0, at - 120) : at + 60] for at in places if at >= 0]


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer."""

    def redirect_request(self, *_: Any) -> None:
        """None is made."""


_opener = urllib.request.build_opener(_Stay)


def answer_to(request: urllib.request.Request) -> bytes:
    """All of it, headers and errors as well."""
    try:
        answer = _opener.open(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        headers = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
        body: bytes = answer.read()
    return headers.encode() + body


def post(server: Server, path: str, body: bytes, **headers: str) -> bytes:
    named = {"Content-Type": "application/json"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return answer_to(urllib.request.Request(server.address + path, data=body, headers=named))


def sign_in(server: Server, password: str) -> bytes:
    """What the form of ``/login`` comes to."""
    form = answer_to(urllib.request.Request(f"{server.address}/login")).decode()
    token = re.search('name="form_token" value="([^"]+)"', form)
    assert token
    fields = urlencode({"form_token": token[1], "password": password}).encode()
    of_a_form = {"Content_Type": "application/x-www-form-urlencoded", "Origin": server.address}
    return post(server, "/login", fields, **of_a_form)


def attempted(store: Path) -> set[str]:
    """The webhooks that have made an attempt."""
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as database:
        query = "SELECT DISTINCT webhook FROM delivery JOIN attempt ON attempt.delivery = delivery.id"
        return {name for (name,) in database.execute(query)}


def numbers(store: Path) -> list[int]:
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as database:
        return [number for (number,) in database.execute("SELECT id FROM delivery ORDER BY id")]


async def test_no_secret_comes_out(tmp_path: Path, serve: Serve, run: Run) -> None:
    async with a_service_for_every_fault() as webhooks:
        setting = Setting(tmp_path, webhooks)
        setting.write()
        server = await asyncio.to_thread(serve, environment=setting.environment())
        shown = await asyncio.to_thread(drive, server, setting, run)
        server.end()
    shown |= {"log": server.log().encode(), **stored(tmp_path)}
    assert len(shown["log"]) > 10_000
    assert {place: found for place, text in shown.items() if (found := secrets_in(text))} == {}


def stored(folder: Path) -> dict[str, bytes]:
    """Every byte of the store, whatever the column."""
    return {path.name: path.read_bytes() for path in folder.glob("deskbell.db*")}


def drive(server: Server, setting: Setting, run: Run) -> dict[str, bytes]:
    """Everything that is shown meanwhile, by where."""
    shown = post_events(server)
    names, store = {each["name"] for each in setting.webhooks}, setting.folder / "deskbell.db"
    until = time.monotonic() + LONGEST
    while left := names - attempted(store):
        assert time.monotonic() < until, f"no attempt: {left}"
        time.sleep(0.2)
    shown |= pages(server, names, numbers(store))
    shown |= commands(run, setting)
    command_line = Path(f"/proc/{server.process.pid}/cmdline")
    shown["ps"] = command_line.read_bytes() if command_line.exists() else b""
    return shown


def post_events(server: Server) -> dict[str, bytes]:
    """One that is taken, and others whose senders know nothing, or nearly all."""
    event = json.dumps({"action": "Submit", "ticket": "1", "subject": "Help"}).encode()
    token, wrong = canary("token file"), canary("wrong")
    signed = {"webhook_id": "1", "webhook_timestamp": "1", "webhook_signature": f"v1,{wrong}"}
    taken = post(server, f"/events/native/{token}", event)
    assert b'"id"' in taken
    return {
        "answer: taken": taken,
        "answer: no JSON": post(server, f"/events/native/{token}", b"{"),
        "answer: no event": post(server, f"/events/native/{token}", b'{"action": 1}'),
        "answer: wrong token": post(server, f"/events/native/{wrong}", event),
        "answer: wrong bearer": post(server, "/events/native", event, Authorization=f"Bearer {wrong}"),
        "answer: wrong signature": post(server, "/events/signed", event, **signed),
        "answer: token too long": post(server, f"/events/native/{wrong * 300}", event),
        "answer: other path": post(server, f"/event/native/{wrong}", event),
    }


def pages(server: Server, names: set[str], deliveries: list[int]) -> dict[str, bytes]:
    """Those of the service, a page for each delivery and each webhook among them."""
    entered = sign_in(server, canary("admin"))
    cookie = re.search(r"Set-Cookie: ([^;]+)", entered.decode())
    assert cookie
    plain = ["/", "/webhooks", "/sources", "/plugins", "/health", "/demo/", "/healthz", "/readyz", "/metrics"]
    plain += [
        "/replay",
        "/?state=dead",
        "/?webhook=echo-webhook",
        "/nowhere",
        "/sources/native",
        "/docs",
        "/api",
    ]
    each = [f"/deliveries/{number}" for number in deliveries]
    each += [f"/webhooks/{name}" for name in names if not name.startswith("f")]
    each += [
        f"/webhooks/{name}/{more}" for name in ("echo-webhook", "login") for more in ("disable", "delete")
    ]
    signed_in = {"Cookie": cookie[1]}
    asked = {
        path: urllib.request.Request(server.address + path, headers=signed_in) for path in (*plain, *each)
    }
    shown = {f"page {path}": answer_to(request) for path, request in asked.items()}
    shown |= {"sign-in": entered, "wrong password": sign_in(server, canary("wrong"))}
    assert b"echo-webhook" in shown["page /"] + shown["page /webhooks"]
    return shown


def commands(run: Run, setting: Setting) -> dict[str, bytes]:
    """Those that read the config or the store; the last ones where a secret of the environment is missing."""
    html = setting.folder / "preview.html"
    lines = [
        ["check", "--live", "--json"], ["plugins"], ["deliveries"], ["deliveries", "--json", "--limit", "1000"],
        ["reload"], ["replay", "--dead", "--dry-run"], ["resume", "echo-discord"],
        ["preview", "echo-webhook", "--html", str(html)], ["preview", "echo-webhook"], ["preview", "login", "--json"],
    ]  # fmt: skip
    with_secrets = setting.environment()
    asked = [(line, with_secrets) for line in lines] + [(["check"], {}), (["preview", "echo-slack"], {})]
    shown = dict[str, bytes]()
    for line, environment in asked:
        ended = run(*line, environment=environment)
        shown[f"{' '.join(line)} ({len(environment)})"] = (ended.stdout + ended.stderr).encode()
        assert "Traceback" not in ended.stderr, ended.stderr
    shown["the preview's page"] = html.read_bytes()
    return shown


def test_a_readable_secret_is_found_in_the_store_it_would_be_in(tmp_path: Path) -> None:
    """The search reads every byte of it, whatever the column."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (?)", [f"401 for {canary('path')}"])
        database.commit()
    assert secrets_in((tmp_path / "a.db").read_bytes())
