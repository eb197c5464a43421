"""The config.yaml of the repository, read with the real plugins: what a new user starts from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deskbell import EventRequest, Notice, TicketEvent, action_named
from deskbell.config import Loaded, load_config
from deskbell.plugins import Plugins, load_plugins
from deskbell.routing import webhooks_for
from deskbell.settings import Config

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data" / "clientxcms"
CAPTURES = sorted(SHARED.glob("*.json"))
DISCORD_URL = "https://discord.com/api/webhooks/1097219411294621797/a-made-up-token"
SLACK_URL = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"

CREATION = """\
📌 Un nouveau ticket vient d'être créé !
👥 Utilisateur : Martin Dev
📧 Adresse e-mail : admin@clientxcms.com
🛂 Identifiant : 1
🏬 Département : Technique
💬 Sujet : Remboursement
📬 Message : Bonjour,  Voici ma demande de remboursement
🚦 Priorité : High
📆 Date : 22/11/22 00:30
➡️ Lien : https://clientxcms.com/support/tickets/1
"""


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    found = load_plugins()
    assert {"discord", "slack"} <= set(found.transports)
    return found


def load(plugins: Plugins, environ: Mapping[str, str]) -> Loaded:
    return load_config(
        ROOT / "config.yaml", transports=plugins.transports, sources=plugins.sources, environ=environ
    )


def config_of(loaded: Loaded) -> Config:
    assert loaded.problems == ()
    assert loaded.config is not None
    return loaded.config


def test_on_a_bare_machine_every_channel_is_played_by_deskbell_itself(plugins: Plugins) -> None:
    config = config_of(load(plugins, {}))
    assert {webhook.url.reveal() for webhook in config.webhooks} == {"demo:discord", "demo:slack"}
    assert all(webhook.demo and webhook.enabled for webhook in config.webhooks)
    assert (config.host, config.port, config.store) == ("127.0.0.1", 8700, ROOT / "deskbell.db")
    assert config.timezone == ZoneInfo("Europe/Paris")
    assert config.sources["clientxcms"].tokens == ()


def test_with_the_owners_urls_each_service_recognises_its_own(plugins: Plugins) -> None:
    environ = {"DISCORD_WEBHOOK_URL": DISCORD_URL, "SLACK_WEBHOOK_URL": SLACK_URL, "DESKBELL_TOKEN": "t" * 32}
    config = config_of(load(plugins, environ))
    by_url = {webhook.url.reveal(): webhook.transport.name for webhook in config.webhooks}
    assert by_url == {DISCORD_URL: "discord", SLACK_URL: "slack"}
    assert [token.reveal() for token in config.sources["clientxcms"].tokens] == ["t" * 32]
    assert len({webhook.destination for webhook in config.webhooks}) == 2  # so that each keeps its order


@pytest.mark.parametrize(
    "action",
    ["Submit", "Reply", "StaffReply", "Close", "checkout_completed", "service_renewed", "service_upgraded"],
)
def test_every_action_that_the_cms_sends_is_shown_in_both_channels(plugins: Plugins, action: str) -> None:
    config = config_of(load(plugins, {}))
    event = TicketEvent(action=action_named(action), source="clientxcms")
    found = webhooks_for(event, config.webhooks, config.priorities)
    assert sorted(webhook.transport.name for webhook in found) == ["discord", "slack"]


def rendered(config: Config, event: TicketEvent, transport: str) -> str:
    """The owner's message for an event, without any escape."""
    (webhook,) = (
        webhook
        for webhook in webhooks_for(event, config.webhooks, config.priorities)
        if webhook.transport.name == transport
    )
    notice = Notice.of(event, webhook.template, timezone=config.timezone, date_format=config.date_format)
    return notice.text(str, webhook.transport.max_length)


@pytest.mark.parametrize("transport", ["discord", "slack"])
def test_the_documented_event_reads_as_the_original_meant_it(plugins: Plugins, transport: str) -> None:
    """The event of the original's documentation: its emoji, its lines, its date."""
    from deskbell import VARIABLES

    variables = {name.casefold(): value for name, value in VARIABLES.items()}
    event = TicketEvent(action="Submit", ticket="1", variables=variables, source="clientxcms")
    assert rendered(config_of(load(plugins, {})), event, transport).strip() == CREATION.strip()


def payload_of(path: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(path.read_bytes())["payload"]
    return fields


@pytest.mark.skipif(not CAPTURES, reason="the shared test data is not beside this checkout")
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
@pytest.mark.parametrize("transport", ["discord", "slack"])
def test_every_captured_request_has_a_message_with_what_it_is_about(
    plugins: Plugins, path: Path, transport: str
) -> None:
    event = plugins.sources["clientxcms"].parse(EventRequest(path.read_bytes(), {}))
    text = rendered(config_of(load(plugins, {})), event, transport)
    fields = payload_of(path)
    for name in ("customername", "subject", "productnames", "servicename", "__url"):
        first_line = str(fields.get(name) or "").strip().split("\n")[0]
        assert first_line in text, name
    assert "%" not in text.replace(str(fields.get("subject")), "").replace(str(fields.get("message")), "")
