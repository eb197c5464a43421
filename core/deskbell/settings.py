"""The configuration, decoded and typed: what ``config.yaml`` says, ready to use. Secrets stay secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from .delivery import RetryPolicy
from .egress import EgressPolicy
from .pace import Rate
from .password import Password
from .secret import Secret
from .source import Source
from .template import Template
from .transport import Options, Transport

DEMO_SCHEME = "demo:"
"""``url: demo:discord`` is the channel that deskbell itself plays."""
_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Further conditions of a webhook, all in lower case; an empty one asks for nothing.

    ``priorities`` holds levels (``high``), or a label that no source knows, as it is sent.
    """

    departments: frozenset[str] = frozenset()
    priorities: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """One entry of ``webhooks:``. ``actions`` in lower case; None takes every action."""

    name: str
    enabled: bool
    url: Secret
    transport: Transport[Any]
    options: Options
    actions: frozenset[str] | None
    when: When
    template: Template
    rates: tuple[Rate, ...]
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @cached_property
    def destination(self) -> str:
        """An id for transport + URL that tells neither: webhooks that share both share a lane."""
        identity = f"{self.transport.name}\0{self.url.reveal()}"
        return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    @property
    def patience(self) -> float:
        """All waits of ``retry`` together: in a lane that webhooks share, the longest (then the first) counts."""
        return sum(self.retry.ladder)

    @property
    def secret_options(self) -> tuple[Secret, ...]:
        """The options that must not print."""
        return tuple(value for _, value in self.options if isinstance(value, Secret) and value)

    @property
    def demo(self) -> bool:
        """True when deskbell plays this webhook's service itself."""
        return is_demo(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """One entry of ``sources:``. Without token and signing secret, only a loopback ``serve`` takes its events.

    ``token_key`` is the key that the tokens stand under.
    """

    name: str
    adapter: Source
    tokens: tuple[Secret, ...] = ()
    signing_secrets: tuple[Secret, ...] = ()
    variables: tuple[str, ...] = ()
    token_key: str = "token"  # noqa: S105 - the name of a key

    @property
    def open(self) -> bool:
        """True when nothing tells who posts: it is an error beyond loopback."""
        return not self.tokens and not self.signing_secrets

    def why_closed(self, host: str) -> str:
        """What an open source lacks to be served at ``host``."""
        return f"source {self.name} has neither token nor signing_secret, and server.listen is {host}"


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds that a delivery is kept after its end. An event stays as long as any of its deliveries."""

    delivered: float = 30 * _DAY
    dead: float = 90 * _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole of ``config.yaml``. ``store`` is the SQLite file; ``priorities`` maps labels to levels.

    ``password`` opens the pages; without one they are for whoever sits at this machine. ``public_url`` is where else they
    are reached: its scheme and host.
    """

    path: Path
    host: str
    port: int
    store: Path
    password: Password | None = None
    public_url: str = ""
    timezone: tzinfo
    date_format: str
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    retention: Retention = field(default_factory=Retention)
    sources: Mapping[str, SourceSettings] = field(default_factory=dict)
    webhooks: tuple[Webhook, ...] = ()
    priorities: Mapping[str, str] = field(default_factory=dict)

    @property
    def active_webhooks(self) -> tuple[Webhook, ...]:
        """Those that are enabled, in the order of the file."""
        return tuple(webhook for webhook in self.webhooks if webhook.enabled)

    def webhook(self, name: str) -> Webhook | None:
        """The one of this name, enabled or not."""
        return next((webhook for webhook in self.webhooks if webhook.name == name), None)

    @property
    def why_no_password_is_too_little(self) -> str:
        """Why the pages need a password at ``host``; empty where they have one, or only this machine reaches them."""
        if self.password or is_loopback(self.host):
            return ""
        return (
            f"server.listen is {self.host}, which other machines reach, and there is no server.admin_password"
        )

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Everything that must never print: the password, URLs, tokens, signing secrets, secret options."""
        sources = [(*source.tokens, *source.signing_secrets) for source in self.sources.values()]
        webhooks = [(webhook.url, *webhook.secret_options) for webhook in self.webhooks if not webhook.demo]
        password = (self.password.written,) if self.password else ()
        return tuple(secret for group in (password, *sources, *webhooks) for secret in group if secret)


def is_demo(url: Secret) -> bool:
    """True when ``url`` names a service that deskbell plays itself: no secret, but a word."""
    return url.reveal().startswith(DEMO_SCHEME)


def is_loopback(host: str) -> bool:
    """True when only this machine can reach ``host``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
