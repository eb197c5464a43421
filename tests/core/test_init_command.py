"""``deskbell init``: the real program in an empty folder. No test asks a real service: ``--offline``, or a local one."""

from __future__ import annotations

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from tests.kit import loopback_client

from deskbell import Secret, Trouble
from deskbell.client import Client, Resolver
from deskbell.config import load_config
from deskbell.config.document import Document
from deskbell.config.service import DEFAULT_LISTEN
from deskbell.egress import EgressPolicy
from deskbell.languages import LANGUAGES, text
from deskbell.notice import clean
from deskbell.plugins import load_plugins
from deskbell.starter import place
from deskbell.starter.block import as_comment, as_lines, block
from deskbell.starter.draft import Channel, default_messages
from deskbell.starter.question import put_question
from deskbell.starter.writing import write_all
from deskbell_discord.fake import CHANNEL_ID, TOKEN, WEBHOOK_ID, FakeDiscord

if TYPE_CHECKING:
    from tests.conftest import Run, Serve

DISCORD = f"https://discord.com/api/webhooks/{WEBHOOK_ID}/{TOKEN}"
SLACK = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
FILES = {"config.yaml", "secrets.env", "deskbell.schema.json"}
QUIET = ("--yes", "--offline")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def secrets_in(folder: Path) -> dict[str, str]:
    lines = (folder / "secrets.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def answering(
    folder: Path, answers: str, *options: str, locale: str = "C.UTF-8"
) -> subprocess.CompletedProcess[str]:
    """The real program with somebody who types."""
    return subprocess.run(
        [sys.executable, "-m", "deskbell", "init", "--offline", "--listen", "127.0.0.1:8700", *options],
        cwd=folder, input=answers, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "LC_ALL": locale},
    )  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_url_it_begins_with_the_demo_channels(run: Run, tmp_path: Path, language: str) -> None:
    made = run("init", *QUIET, "--language", language)
    assert (made.returncode, made.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == FILES
    checked = run("check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("config.yaml OK. Found: 8 webhooks (4 discord, 4 slack), ")
    assert secrets_in(tmp_path).keys() == {"DESKBELL_TOKEN", "DESKBELL_DISCORD_URL", "DESKBELL_SLACK_URL"}


def test_the_secrets_are_in_a_file_of_ones_own_and_nowhere_else(run: Run, tmp_path: Path) -> None:
    made = run("init", *QUIET, "--url", f"support={DISCORD}", "--url", f"billing={SLACK}")
    assert made.returncode == 0
    assert mode_of(tmp_path / "secrets.env") == 0o600
    secrets = secrets_in(tmp_path)
    assert (secrets["DESKBELL_SUPPORT_URL"], secrets["DESKBELL_BILLING_URL"]) == (DISCORD, SLACK)
    assert len(secrets["DESKBELL_TOKEN"]) >= 32
    shown = made.stdout + made.stderr + (tmp_path / "config.yaml").read_text("utf-8")
    assert [value for value in secrets.values() if value in shown] == []
    assert "8 webhooks (4 discord, 4 slack)" in run("check").stdout


def test_each_token_is_another_one(run: Run, tmp_path: Path) -> None:
    tokens = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert run("init", *QUIET, "--dir", name).returncode == 0
        tokens.add(secrets_in(tmp_path / name)["DESKBELL_TOKEN"])
    assert len(tokens) == 2


@pytest.mark.parametrize("there", sorted(FILES))
def test_a_file_that_is_there_stays_and_nothing_is_written(run: Run, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    made = run("init", *QUIET)
    assert made.returncode == 1
    assert (there in made.stderr, "--dir" in made.stderr) == (True, True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {there: "mine"}


def test_a_broken_link_counts_as_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secrets.env").symlink_to("nowhere")
    assert run("init", *QUIET).returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.env"]


def test_what_cannot_be_written_whole_is_not_written_at_all(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(FileExistsError):
        write_all(tmp_path, {"a": "new", "b": "new", "c": "new"}, secret="a")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b": "mine"}


def test_it_asks_for_the_language_and_for_urls_until_there_are_no_more(tmp_path: Path) -> None:
    made = answering(
        tmp_path, f"es\nhttps://example.com/x\n{DISCORD}\n{DISCORD}\n{SLACK}\n\n", locale="fr_FR.UTF-8"
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(text("fr", "init.ask.language"))
    for key in ("init.ask.url", "init.ask.another", "init.twice"):
        assert text("es", key) in made.stdout
    assert "Ningún transporte instalado" in made.stdout
    assert secrets_in(tmp_path)["DESKBELL_DISCORD_URL"] == DISCORD
    assert secrets_in(tmp_path)["DESKBELL_SLACK_URL"] == SLACK
    assert ":mailbox_with_mail: Mensaje: %content%" in (tmp_path / "config.yaml").read_text("utf-8")


def test_who_presses_enter_gets_the_language_of_the_locale_and_the_demo(tmp_path: Path) -> None:
    made = answering(tmp_path, "\n\n", locale="fr_FR.UTF-8")
    assert made.returncode == 0, made.stderr
    assert "Priorité" in (tmp_path / "config.yaml").read_text("utf-8")
    assert "démo" in made.stdout


def test_who_goes_away_leaves_nothing_behind(tmp_path: Path) -> None:
    assert answering(tmp_path, "fr\n").returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ["--url", DISCORD],
        ["--url", "a b=" + DISCORD],
        ["--url", "a=https://example.com/x"],
        ["--url", f"a={DISCORD}", "--url", f"A={SLACK}"],
        ["--url", f"a={DISCORD} b"],
        ["--listen", "8700"],
        ["--language", "de"],
    ],
)
def test_wrong_options_end_with_2_and_show_no_url(run: Run, tmp_path: Path, options: list[str]) -> None:
    made = run("init", *QUIET, *options)
    assert made.returncode == 2
    assert TOKEN not in made.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_is_in_the_language_of_the_locale(run: Run, language: str) -> None:
    shown = run("init", "--help", environment={"LC_ALL": f"{language}.UTF-8"}).stdout
    assert " ".join(text(language, "init.help").split()) in " ".join(shown.split())


def test_the_schema_that_it_writes_fits_the_config_that_it_writes(run: Run, tmp_path: Path) -> None:
    assert run("init", *QUIET).returncode == 0
    config = (tmp_path / "config.yaml").read_text("utf-8")
    assert config.splitlines()[0] == "# yaml-language-server: $schema=deskbell.schema.json"
    schema = json.loads((tmp_path / "deskbell.schema.json").read_text("utf-8"))
    data = Document.parse(config, lambda _: True).data
    jsonschema.Draft7Validator(schema).validate(data)
    assert data["version"] == 1
    assert all("message: |\n" in part for part in config.split("  - name: discord")[1:])


def test_serve_starts_from_it_with_the_token_of_the_file(run: Run, serve: Serve, tmp_path: Path) -> None:
    assert run("init", *QUIET, "--listen", "127.0.0.1:0").returncode == 0
    server = serve()
    from urllib.request import Request, urlopen

    token = secrets_in(tmp_path)["DESKBELL_TOKEN"]
    body = json.dumps(
        {"payload": {"action": "helpdesk_created", "ticketid": "1", "__url": "https://a.example/1"}}
    )
    url = f"{server.address}/events/clientxcms/{token}"
    with urlopen(Request(url, body.encode(), {"Content-Type": "application/json"}), timeout=10) as answer:
        assert answer.status == 202
        assert json.load(answer)["deliveries"] == 2


def test_an_error_in_the_secrets_file_is_told_by_check_and_by_serve(run: Run, tmp_path: Path) -> None:
    assert run("init", *QUIET).returncode == 0
    with (tmp_path / "secrets.env").open("a") as file:
        file.write("half a line\n")
    checked = run("check")
    assert checked.returncode == 1
    assert "secrets.env:5:1: error: this line is no NAME=VALUE" in checked.stdout
    assert run("serve").returncode == 78


class ToThisMachine(AbstractResolver):
    """Every name is this machine's."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 - aiohttp's signature
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=family, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Nothing is kept."""


@asynccontextmanager
async def discord(service: FakeDiscord) -> AsyncIterator[Client]:
    """The real client, for which discord.com is ``service``, with a certificate that it trusts."""
    authority = trustme.CA()
    theirs, mine = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("discord.com").configure_cert(theirs)
    authority.configure_trust(mine)
    server = TestServer(service.app())
    await server.start_server(ssl=theirs)
    assert server.port is not None
    egress = loopback_client()._egress
    try:
        async with Client(egress, resolver=ToThisMachine(server.port), tls=mine) as client:
            yield client
    finally:
        await server.close()


async def asked(channel: Channel, service: FakeDiscord, language: str = "en") -> str:
    async with discord(service) as client:
        return await put_question(channel, load_plugins().transports, client.request, language)


async def test_discord_is_asked_about_a_url_and_nothing_is_posted() -> None:
    service = FakeDiscord()
    words = await asked(Channel("desk", "discord", Secret(DISCORD)), service)
    assert words == f'asked Discord, posted nothing: webhook "deskbell", channel {CHANNEL_ID}. OK'
    assert not service.arrivals


async def test_a_deleted_webhook_is_told_in_the_owners_language() -> None:
    service = FakeDiscord()
    service.trouble = Trouble.DELETED
    words = await asked(Channel("desk", "discord", Secret(DISCORD)), service, "fr")
    assert words.startswith("Discord ne connaît plus ce webhook (404 Unknown Webhook (10015))")
    assert words.endswith("DESKBELL_DESK_URL")
    assert TOKEN not in words


async def test_a_machine_without_a_net_goes_on() -> None:
    def nobody(*_: object, **__: object) -> list[Any]:
        raise OSError(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async with Client(EgressPolicy(), resolver=Resolver(nobody)) as client:
        channel = Channel("desk", "discord", Secret(DISCORD))
        words = await put_question(channel, load_plugins().transports, client.request, "en")
    reason = "the name discord.com cannot be resolved"
    assert words == f"Discord could not be asked ({reason}); going on. Later: deskbell check --live"


async def test_slack_has_no_question_that_posts_nothing() -> None:
    async with loopback_client() as client:
        channel = Channel("billing", "slack", Secret(SLACK))
        words = await put_question(channel, load_plugins().transports, client.request, "es")
    assert (
        words
        == "Slack no tiene ninguna pregunta que no publique nada; pruebe: deskbell send billing-new-tickets"
    )


@contextmanager
def taken(address: str) -> Iterator[None]:
    """Somebody listens there."""
    host, _, port = address.rpartition(":")
    with socket.socket() as listening:
        listening.bind((host, int(port)))
        listening.listen()
        yield


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_an_address_that_is_in_use_is_passed_over() -> None:
    wanted = f"127.0.0.1:{free_port()}"
    assert place.free_listen(wanted) == wanted
    with taken(wanted):
        found = place.free_listen(wanted)
    assert found != wanted
    assert place.is_free(found)
    assert place.free_listen(wanted, tries=0) == wanted


def test_the_usual_address_is_one() -> None:
    assert isinstance(place.is_free(DEFAULT_LISTEN), bool)


@pytest.mark.parametrize(
    ("link", "variable", "zone"),
    [
        ("/usr/share/zoneinfo/America/Lima", "", "America/Lima"),
        ("/usr/share/zoneinfo/America/Argentina/Ushuaia", "", "America/Argentina/Ushuaia"),
        ("/usr/share/zoneinfo/Etc/UTC", "", "Europe/Paris"),
        ("/usr/share/zoneinfo/Not/AZone", "", "Europe/Paris"),
        ("/usr/share/zoneinfo/America/Lima", ":Asia/Tokyo", "Asia/Tokyo"),
        (None, "", "Europe/Paris"),
    ],
)
def test_the_time_zone_is_the_machines(tmp_path: Path, link: str | None, variable: str, zone: str) -> None:
    localtime = tmp_path / "localtime"
    if link:
        localtime.symlink_to(link)
    assert place.local_timezone({"TZ": variable}, localtime) == zone


@given(st.text(), st.sampled_from(["  ", "      "]))
def test_any_text_is_a_block_of_yaml(message: str, indent: str) -> None:
    data = Document.parse(
        f"a:\n{indent}b: {block(message, indent=len(indent) + 2)}\n{indent}c: 1\n", lambda _: True
    ).data
    assert data["a"]["c"] == 1
    assert [line.rstrip() for line in clean(data["a"]["b"]).split("\n")] == [
        line.rstrip() for line in clean("\n".join(as_lines(message))).split("\n")
    ]


@given(st.text())
def test_any_text_as_a_comment_is_nothing_to_yaml(message: str) -> None:
    assert Document.parse(f"a: 1\n{as_comment(message, indent=2)}\nb: 2\n", lambda _: True).data == {
        "a": 1,
        "b": 2,
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_default_messages_use_the_same_variables_in_each_language(language: str) -> None:
    def shape(messages: Any) -> list[list[str]]:
        return [[word for word in message.split() if word[0] in ":%"] for message in messages.values()]

    messages = default_messages(language)
    assert list(messages) == ["new-tickets", "replies", "closures", "shop"]
    assert [[w for w in line if w != ":"] for line in shape(messages)] == shape(default_messages("en"))


def test_the_french_messages_are_those_of_the_shipped_config() -> None:
    plugins = load_plugins()
    shipped = load_config(
        Path(__file__).resolve().parents[2] / "config.yaml",
        transports=plugins.transports, sources=plugins.sources, environ={},
    ).config  # fmt: skip
    assert shipped is not None
    texts = Document.parse(shipped.path.read_text("utf-8"), lambda _: True).data["webhooks"]
    assert [each["message"] for each in texts[:4]] == list(default_messages("fr").values())
