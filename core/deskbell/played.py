"""The channels that deskbell plays itself: where they are, what posts to them, and which delivery each message is."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from aiohttp import web

from .blame import in_words
from .delivery import Attempt, Delivery
from .egress import EgressPolicy
from .errand import plugin_of
from .errors import PluginError
from .fake import KEPT, Arrival, FakeService
from .secret import Secret
from .settings import Config, Webhook
from .transport import Transport

LOOPBACK = "127.0.0.1"

Listen = Callable[[web.Application], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Channel:
    """One played service, and the names of the webhooks that post to it."""

    transport: Transport[Any]
    fake: FakeService
    webhooks: Sequence[str]
    _origins: deque[tuple[Arrival, int]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def note(self, delivery: Delivery, attempt: Attempt) -> None:
        """What arrived during ``attempt`` came of it: a channel has one lane, which has one attempt at a time."""
        ended_at = attempt.started_at + timedelta(seconds=attempt.seconds)
        for arrival in reversed(self.fake.arrivals):
            if arrival.at < attempt.started_at:
                return
            if arrival.at <= ended_at:
                self._origins.append((arrival, delivery.id))

    def delivery_of(self, arrival: Arrival) -> int | None:
        """The delivery that ``arrival`` came of; None for what nobody here sent."""
        return next((number for known, number in self._origins if known is arrival), None)


class Played:
    """The demo channels: each runs on a loopback port of its own, which ``listen`` gives to its application."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._channels = dict[str, Channel]()
        self._ports = dict[str, int]()

    async def play(self, webhooks: Iterable[Webhook]) -> None:
        """Those of ``webhooks``: what runs already goes on, and keeps its messages."""
        names = dict[str, list[str]]()
        for webhook in webhooks:
            if webhook.demo and await self._runs(webhook):
                names.setdefault(webhook.destination, []).append(webhook.name)
        for destination, channel in self._channels.items():
            self._channels[destination] = replace(channel, webhooks=tuple(names.get(destination, ())))

    async def _runs(self, webhook: Webhook) -> bool:
        if webhook.destination not in self._channels and (fake := _service_of(webhook)):
            self._ports[webhook.destination] = await self._listen(fake.app())
            self._channels[webhook.destination] = Channel(webhook.transport, fake, ())
        return webhook.destination in self._channels

    def channels(self) -> Sequence[Channel]:
        """Those that some webhook posts to."""
        return [channel for channel in self._channels.values() if channel.webhooks]

    def note(self, delivery: Delivery, attempt: Attempt) -> None:
        """Remember what ``attempt`` became in its channel."""
        for channel in self.channels():
            if attempt.webhook in channel.webhooks:
                channel.note(delivery, attempt)

    def egress(self, config: Config) -> EgressPolicy:
        """The config's own policy, which lets these through as well."""
        places = frozenset((LOOPBACK, port) for port in self._ports.values())
        return replace(config.egress, own_channels=places)

    def url(self, webhook: Webhook) -> Secret:
        """Where to post to: the webhook's own URL, or the channel that is played here."""
        if channel := self._channels.get(webhook.destination):
            return Secret(f"http://{LOOPBACK}:{self._ports[webhook.destination]}{channel.fake.path}")
        return webhook.url


def _service_of(webhook: Webhook) -> FakeService | None:
    """What its transport plays. It is the plugin's own code: a config that needs it cannot be used where it fails."""
    try:
        return webhook.transport.fake()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{plugin_of(webhook)}: fake failed: {in_words(error)}") from error
