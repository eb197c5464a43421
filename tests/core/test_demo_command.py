"""``deskbell demo`` as a process: no config, no account, nothing is left behind."""

from __future__ import annotations

import html
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import PROGRAM, READY, clean_environment

import deskbell
from deskbell.config import load_config
from deskbell.plugins import load_plugins
from deskbell.secret import Secret
from deskbell.starter.demo import demo_config, playable
from deskbell.starter.play import opening

TOKEN = Secret("a-token-of-the-demo-0123456789")
REAL = {
    "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/x",
    "DESKBELL_DISCORD_URL": "https://discord.com/api/webhooks/1/x",
}
SAMPLES = 4


@contextmanager
def demo(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A running demo with an empty working directory, and ``folder`` for what is temporary."""
    (folder / "tmp").mkdir()
    (folder / "empty").mkdir()
    environ = clean_environment({"TMPDIR": str(folder / "tmp"), **REAL, **environment})
    with (folder / "stderr.txt").open("w") as errors:
        process = subprocess.Popen(
            [*PROGRAM, "demo", *arguments],
            cwd=folder / "empty", stdout=subprocess.PIPE, stderr=errors, text=True, env=environ,
            umask=0o022,  # as most people have it
        )  # fmt: skip
    try:
        assert process.stdout is not None
        found = READY.fullmatch(process.stdout.readline().strip())
        assert found, (folder / "stderr.txt").read_text("utf-8")
        yield found[1], process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def page_of(address: str, language: str = "en") -> str:
    request = urllib.request.Request(f"{address}/demo/", headers={"Accept-Language": language})
    with urllib.request.urlopen(request, timeout=10) as response:
        return html.unescape(response.read().decode())


def wait_for_messages(address: str, count: int, seconds: float = 20.0) -> str:
    limit = time.monotonic() + seconds
    while (page := page_of(address)).count("<article ") < count:
        assert time.monotonic() < limit, page
        time.sleep(0.05)  # another process: it can only be asked again
    return page


def test_the_samples_arrive_in_every_channel_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with demo(tmp_path, "--listen", "127.0.0.1:0", LANG="fr_FR.UTF-8") as (address, process):
        channels = playable(load_plugins(disabled=()).transports)
        assert {"discord", "slack"} <= set(channels)
        page = wait_for_messages(address, SAMPLES * len(channels))
        assert "Un nouveau ticket vient d'être créé !" in page
        assert "De l’argent **gratuit** pour @everyone !" in page
        told = (tmp_path / "stderr.txt").read_text("utf-8")
        assert "warning" not in told
        assert f"{address}/demo/" in told
        assert "Ctrl+C" in told
        assert "deskbell init" in told

        (event_url,) = re.findall(rf"{address}/events/clientxcms/\S+", told)
        body = b'{"payload": {"action": "helpdesk_created", "ticketid": "9", "subject": "From a help desk"}}'
        request = urllib.request.Request(event_url, body, {"Content-Type": "application/json"})
        assert urllib.request.urlopen(request, timeout=10).status == 202
        wait_for_messages(address, (SAMPLES + 1) * len(channels))
        assert "From a help desk" in page_of(address)

        assert [each.name for each in (tmp_path / "tmp").iterdir()]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert list((tmp_path / "tmp").iterdir()) == list((tmp_path / "empty").iterdir()) == []


def test_it_needs_somebody_to_play() -> None:
    answer = subprocess.run(
        [*PROGRAM, "demo"], capture_output=True, text=True, timeout=60, check=False,
        env=clean_environment({"DESKBELL_DISABLE_PLUGINS": "discord,slack,webhook,apprise"}),
    )  # fmt: skip
    assert answer.returncode == 78
    assert answer.stderr == "deskbell: no installed transport brings a service that could be played\n"


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_its_config_is_without_a_fault_and_leads_nowhere_else(tmp_path: Path, language: str) -> None:
    plugins = load_plugins(disabled=())
    written = demo_config(
        playable(plugins.transports), plugins.sources,
        language=language, listen="127.0.0.1:8700", timezone="Europe/Paris", token=TOKEN,
    )  # fmt: skip
    path = tmp_path / "config.yaml"
    path.write_text(written, "utf-8")
    loaded = load_config(
        path, transports=plugins.transports, sources=plugins.sources, environ=dict(os.environ)
    )
    assert loaded.problems == ()
    assert loaded.config
    assert all(webhook.demo for webhook in loaded.config.webhooks)
    assert all(webhook.retry.ladder[0] <= 2 for webhook in loaded.config.webhooks)
    assert {source["token"] for source in yaml.safe_load(written)["sources"]} == {TOKEN.reveal()}


def test_a_transport_that_needs_options_or_has_no_fake_or_fails_is_left_out() -> None:
    class Plain(deskbell.Transport):
        name, max_length = "plain", 100

        def format(self, _notice: deskbell.Notice, _options: deskbell.Options) -> deskbell.Payload:
            return {}

    class Broken(Plain):
        name = "broken"

        @classmethod
        def fake(cls) -> deskbell.FakeService:
            raise OSError("no room")

    class Wants(deskbell.Options):
        topic: str

    discord = load_plugins(disabled=()).transports["discord"]

    class Choosy(type(discord)):  # type: ignore[misc]
        options_type = Wants

    known: dict[str, deskbell.Transport[Any]] = {
        "plain": Plain(),
        "broken": Broken(),
        "choosy": Choosy(),
        "discord": discord,
    }
    assert playable(known) == ["discord"]


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_it_begins_with_the_story_of_a_ticket_and_one_that_means_harm(language: str) -> None:
    events = [sample.event for sample in opening(language, "deskbell")]
    assert [(event.action, event.ticket) for event in events] == [
        ("Submit", "1"), ("Submit", "2"), ("StaffReply", "1"), ("Close", "1"),
    ]  # fmt: skip
    assert "@everyone" in events[1].variables["content"]
