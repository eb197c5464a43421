"""The shape of config.yaml. What a word in it means is decided by the modules that decode it."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from deskbell.secret import Secret

VERSION = 1
"""The version of the shape."""

T = TypeVar("T")


def as_list(value: Any) -> Any:
    """One value stands for a list of one."""
    return value if isinstance(value, (list, dict)) else [value]


OneOrMore = Annotated[tuple[T, ...], BeforeValidator(as_list)]


class Entry(BaseModel):
    """Every key may be left out here: a missing one is told apart from a wrong one where it is decoded."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


class ServerEntry(Entry):
    """``server:``"""

    listen: str | None = None
    """HOST:PORT; port 0 picks a free one."""
    admin_password: Secret | None = None
    """What opens the pages, as `deskbell password` prints it."""
    admin_password_file: str | None = None
    """A file that holds the password, or its hash."""
    public_url: str | None = None
    """Where browsers reach the pages, when a proxy stands in front: https://deskbell.example."""


class EgressEntry(Entry):
    """``egress:``"""

    allow: OneOrMore[str] | None = None
    """Networks (CIDR) that deskbell may connect to beyond public addresses."""


class RetentionEntry(Entry):
    """``retention:``"""

    delivered: str | None = None
    """How long a delivered delivery is kept."""
    dead: str | None = None
    """How long a dead one is kept."""


class SourceEntry(Entry):
    """One of ``sources:``"""

    name: str | None = None
    """The last part of the address to post to: /events/NAME."""
    adapter: str | None = None
    """Who reads the requests: a ticket system's name, or deskbell for the native event."""
    token: OneOrMore[Secret] | None = None
    """What senders must know: at least 16 characters, or two of them while you rotate."""
    token_file: str | None = None
    """A file that holds the token."""
    signing_secret: OneOrMore[Secret] | None = None
    """Standard Webhooks secret, whsec_ and base64: every request must then be signed."""
    variables: OneOrMore[str] | None = None
    """Variables that only this sender knows."""


class WhenEntry(Entry):
    """``when:`` of a webhook: every key must match."""

    department: OneOrMore[str] | None = None
    """Names of departments, as the ticket system sends them."""
    priority: OneOrMore[str] | None = None
    """low, medium, high, or a label as it is sent."""
    source: OneOrMore[str] | None = None
    """Names of sources."""


class WebhookEntry(Entry):
    """One of ``webhooks:``"""

    name: str | None = None
    """How commands and the log call it."""
    enabled: bool | None = None
    """false keeps its deliveries back."""
    url: Secret | None = None
    """Where to post: the URL that the service gave you, or demo:NAME."""
    url_file: str | None = None
    """A file that holds the URL."""
    transport: str | None = None
    """The plugin that formats and sends."""
    action: OneOrMore[str] | None = None
    """The events to show: one action, several, or "*"."""
    when: WhenEntry | None = None
    """Further conditions."""
    options: dict[str, Any] | None = None
    """The transport's own settings."""
    rate: str | None = None
    """At most so many messages: 5/2s, 30/60s, or none."""
    retry: str | None = None
    """The waits after the first, second, ... failure in a row: 1s, 5s, 30s; the last repeats."""
    max_age: str | None = None
    """How long a delivery may wait before it dies of age: 96h."""
    message: str | None = None
    """The template: your words and %variables%."""


class ConfigFile(Entry):
    """The whole file."""

    version: int | None = None
    """The version of this shape: 1."""
    server: ServerEntry | None = None
    """Where deskbell listens."""
    store: str | None = None
    """Where events and deliveries are kept."""
    timezone: str | None = None
    """In which %created_at% is written."""
    date_format: str | None = None
    """How %created_at% is written, in the signs of strftime."""
    plugins_dir: str | None = None
    """A folder with single-file plugins."""
    egress: EgressEntry | None = None
    """Where deskbell may connect to."""
    retention: RetentionEntry | None = None
    """How long deliveries are kept after their end."""
    sources: list[SourceEntry] | None = None
    """Who may post events."""
    webhooks: list[WebhookEntry] | None = None
    """Where messages go."""
