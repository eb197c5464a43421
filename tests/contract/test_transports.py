"""Every transport that deskbell ships keeps the contract that strangers are held to.

A new one gets a class here; the last test says so.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deskbell.plugins import load_plugins
from deskbell.testing import CANARY, Level, Reply, TransportContract
from deskbell.transport import Transport
from deskbell_apprise import Apprise
from deskbell_discord import Discord
from deskbell_slack import Slack
from deskbell_webhook import Webhook

GOLDEN = Path(__file__).parent / "golden"
NO_QUESTION = "has no call that asks whether a webhook is alive without posting"


class TestDiscord(TransportContract):
    """Its answers: https://docs.discord.com/developers/resources/webhook#execute-webhook"""

    transport = Discord
    level = Level.GOLD
    options: ClassVar[dict[str, Any]] = {"username": "Support", "silent": True}
    url = f"https://discord.com/api/webhooks/1097219411294621797/{CANARY}"
    ok_reply = Reply(200, {"id": "1310293847561029384", "type": 0, "content": "", "channel_id": "1"})
    refusals = (Reply(200, {"message": "internal network error", "code": 40333}), Reply(200, "<html></html>"))
    hostile = (
        *("@everyone", "@here", "<@1097219411294621797>", "<@!1097219411294621797>", "<@&1097219411294621797>"),
        *("<#1097219411294621797>", "<:fire:1097219411294621797>", "<t:1700000000:R>", "</help:1097219411294621797>"),
        *("[label](https://evil.example)", "**bold**", "__under__", "_slanted_", "~~gone~~", "||hidden||"),
        *("`code`", "```\ncode\n```", "# big", "## big", "-# small", "> quote", ">>> quote", "- item", "* item"),
        *("1. item", ":fire:", ":+1:", "<id:guide>"),
    )  # fmt: skip
    golden = GOLDEN / "discord"


class TestSlack(TransportContract):
    """Its answers: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""

    transport = Slack
    level = Level.GOLD
    options: ClassVar[dict[str, Any]] = {"unfurl_links": False}
    url = f"https://hooks.slack.com/services/T00000000/B00000000/{CANARY}"
    ok_reply = Reply(200, "ok", {"Content-Type": "text/html"})
    refusals = (
        Reply(200, "no_service"),
        Reply(200, "invalid_payload"),
        Reply(200, {"ok": False, "error": "channel_not_found"}),
        Reply(200, {"ok": True}),
        Reply(200, ""),
    )
    hostile = (
        *("<!here>", "<!channel>", "<!everyone>", "<@U012AB3CD>", "<#C012AB3CD>", "<!subteam^SAZ94GDB8>"),
        *("<!date^1392734382^{date}|now>", "<https://evil.example|label>", "<mailto:evil@example.com|mail>"),
        *("*bold*", "_slanted_", "~gone~", "`code`", "```code```", "> quote", ":fire:", ":+1:", "& <b>"),
    )  # fmt: skip
    golden = GOLDEN / "slack"
    skip: ClassVar[dict[str, str]] = {
        "probe_finds_a_dead_webhook": f"Slack {NO_QUESTION}",
        "probe_knows_a_living_webhook": f"Slack {NO_QUESTION}",
    }


class TestWebhook(TransportContract):
    """Whatever takes JSON: it has no markup of its own, and no service to ask."""

    transport = Webhook
    level = Level.GOLD
    golden = GOLDEN / "webhook"
    skip: ClassVar[dict[str, str]] = {
        "probe_finds_a_dead_webhook": f"a stranger's server {NO_QUESTION}",
        "probe_knows_a_living_webhook": f"a stranger's server {NO_QUESTION}",
    }


@pytest.mark.skipif(find_spec("apprise") is None, reason="the Apprise library is not installed")
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # the library looks for it
class TestApprise(TransportContract):
    """Apprise's own service for JSON stands for all of them. Its pictures would be those of 130 services."""

    transport = Apprise
    options: ClassVar[dict[str, Any]] = {"format": "markdown"}
    url = f"json://{{server}}/{CANARY}"
    hostile = ("**bold**", "*slanted*", "`code`", "[label](https://evil.example)", "# big", "<b>bold</b>")
    skip: ClassVar[dict[str, str]] = {
        "throttling_waits_as_told": "Apprise tells the status of an answer, and none of its headers",
        "throttling_reads_dates": "Apprise tells the status of an answer, and none of its headers",
        "success_that_means_no_is_no_delivery": "Apprise says true for every status of success",
    }


CONTRACTS = (TestDiscord, TestSlack, TestWebhook, TestApprise)


def test_no_transport_is_left_out() -> None:
    held: set[type[Transport[Any]]] = {contract.transport for contract in CONTRACTS}
    assert {type(transport) for transport in load_plugins(disabled=()).transports.values()} == held
