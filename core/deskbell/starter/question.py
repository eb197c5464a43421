"""Ask a new channel's service whether its webhook lives, in the owner's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from deskbell.languages import text
from deskbell.probing import Answer, Probed, probe_all
from deskbell.secret import Secret
from deskbell.settings import Webhook, When
from deskbell.template import Template
from deskbell.transport import Transport

from .draft import Channel

if TYPE_CHECKING:
    from deskbell.isolation import Request

_KEYS = {
    Answer.REACHABLE: "probe.reachable",
    Answer.NOT_PROBED: "probe.not_probed",
    Answer.GONE: "probe.gone",
}


async def put_question(
    channel: Channel, transports: Mapping[str, Transport[Any]], request: Request, language: str
) -> str:
    """A sentence about the webhook. Nothing is posted, and nothing raised."""
    transport = transports[channel.transport]
    probed = await _probe(channel, transport, request)
    return text(
        language,
        _KEYS.get(probed.answer, "probe.unknown") if probed else "probe.not_probed",
        transport=transport.name.capitalize(),
        webhook=f"{channel.name}-new-tickets",
        variable=channel.variable,
        detail=probed.detail if probed else "",
    )


async def _probe(channel: Channel, transport: Transport[Any], request: Request) -> Probed | None:
    try:
        options = transport.options_type()
    except ValidationError:  # it needs options that nobody knows yet
        return None
    webhook = Webhook(
        name=channel.name,
        enabled=True,
        url=channel.url or Secret(""),
        transport=transport,
        options=options,
        actions=None,
        when=When(),
        template=Template.parse("", ()),
        rates=(),
    )
    (probed,) = await probe_all([webhook], request)
    return probed
