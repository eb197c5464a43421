"""``webhooks:`` each one put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence

from deskbell.egress import EgressPolicy
from deskbell.secret import Secret
from deskbell.settings import Webhook

from .conditions import read_actions, read_when
from .destination import note_refused_address, read_destination_options, read_rates, read_transport, read_url
from .durations import note_shared_lanes, read_retry
from .message import read_template
from .model import WebhookEntry
from .problem import KeyPath
from .scope import Scope, note_repeated
from .vocabulary import Vocabulary


def decode_webhooks(
    entries: Sequence[WebhookEntry], scope: Scope, vocabulary: Vocabulary, egress: EgressPolicy
) -> tuple[Webhook, ...]:
    """Those that can be used; each fault of the others is noted."""
    named: list[tuple[str, KeyPath]] = [
        (entry.name or "", ("webhooks", index, "name")) for index, entry in enumerate(entries)
    ]
    note_repeated(named, "webhook", scope.findings)
    found = dict[KeyPath, Webhook]()
    for index, entry in enumerate(entries):
        path = ("webhooks", index)
        if webhook := _webhook(entry, path, scope, vocabulary):
            found[path] = webhook
            note_refused_address(webhook.url.reveal(), egress, entry, path, scope)
    note_shared_lanes(found, scope.findings)
    return tuple(found.values())


def _webhook(entry: WebhookEntry, path: KeyPath, scope: Scope, vocabulary: Vocabulary) -> Webhook | None:
    name = scope.name(entry.name, path, "webhook")
    url = read_url(entry, path, scope)
    transport = read_transport(entry, url, path, scope)
    when = read_when(entry.when, (*path, "when"), scope, vocabulary)
    actions = read_actions(entry, when, path, scope, vocabulary)
    template = read_template(entry.message, transport, (*path, "message"), scope, vocabulary)
    retry = read_retry(entry, path, scope.findings)
    if transport is None:
        return None
    options = read_destination_options(entry, transport, path, scope, vocabulary)
    rates = read_rates(entry, transport, path, scope)
    if options is None or template is None:
        return None
    return Webhook(
        name=name,
        enabled=entry.enabled is not False,
        url=Secret(url),
        transport=transport,
        options=options,
        actions=actions,
        when=when,
        template=template,
        rates=rates,
        retry=retry,
    )
