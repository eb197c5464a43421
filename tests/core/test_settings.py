"""The typed configuration: destinations, and which webhooks are active."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from deskbell import Notice, Options, Payload, Secret, Transport, plain
from deskbell.delivery import RetryPolicy
from deskbell.settings import Config, Webhook, When
from deskbell.template import Template


class Bell(Transport):
    name = "bell"
    max_length = 100

    def format(self, notice: Notice, options: Options) -> Payload:
        return {"text": notice.text(plain, self.max_length), **options.model_dump()}


class Horn(Bell):
    name = "horn"


WEBHOOK = Webhook(
    name="new-tickets",
    enabled=True,
    url=Secret("https://bell.example/s3cr3t"),
    transport=Bell(),
    options=Options(),
    actions=None,
    when=When(),
    template=Template.parse("%subject%", ["subject"]),
    rates=(),
)


def test_webhooks_that_share_transport_and_url_share_a_destination() -> None:
    twin = replace(WEBHOOK, name="closures", transport=Bell(), url=Secret("https://bell.example/s3cr3t"))
    assert twin.destination == WEBHOOK.destination


@pytest.mark.parametrize(
    "other",
    [
        replace(WEBHOOK, transport=Horn()),
        replace(WEBHOOK, url=Secret("https://bell.example/s3cr3")),
        replace(WEBHOOK, url=Secret("https://bell.example/\udce9")),
    ],
)
def test_another_url_or_transport_is_another_destination(other: Webhook) -> None:
    assert other.destination != WEBHOOK.destination


def test_neither_the_destination_nor_the_webhook_shows_the_url() -> None:
    assert "s3cr3t" not in WEBHOOK.destination + repr(WEBHOOK)
    assert WEBHOOK.destination == replace(WEBHOOK, enabled=False).destination


def test_of_webhooks_that_share_a_lane_the_one_whose_waits_sum_up_longest_is_the_most_patient() -> None:
    ladders = {
        "long": (600.0, 600.0),
        "longest": (1.0, 1800.0),
        "same": (1801.0,),
        "shorter": (1.0, 2.0, 3.0),
    }
    lane = [replace(WEBHOOK, name=name, retry=RetryPolicy(ladder=waits)) for name, waits in ladders.items()]
    assert max(lane, key=lambda webhook: webhook.patience).name == "longest"


@pytest.mark.parametrize(
    ("url", "demo"),
    [
        ("demo:discord", True),
        ("https://demo:x@host/", False),
        ("https://discord.com/api/webhooks/1/x", False),
    ],
)
def test_a_demo_url_is_a_channel_that_deskbell_plays(url: str, demo: bool) -> None:
    assert replace(WEBHOOK, url=Secret(url)).demo is demo


def test_active_webhooks_are_the_enabled_ones_in_order() -> None:
    webhooks = tuple(replace(WEBHOOK, name=name, enabled=name != "b") for name in "cba")
    config = Config(
        path=Path("config.yaml"),
        host="127.0.0.1",
        port=8700,
        store=Path("deskbell.db"),
        timezone=UTC,
        date_format="%d/%m/%y %H:%M",
        webhooks=webhooks,
    )
    assert [webhook.name for webhook in config.active_webhooks] == ["c", "a"]
    assert config.egress.refusal("127.0.0.1", 80), "nothing private is allowed unless the owner says so"
