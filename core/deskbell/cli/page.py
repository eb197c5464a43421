"""A preview as one file of HTML: no script, nothing that is loaded, to be opened from the disk."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Any

from deskbell.notice import Rendering
from deskbell.preview import Preview, picture
from deskbell.settings import Webhook
from deskbell.transport import Payload

START = "<!doctype html>"
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --quiet: #888; --mark: #e8a3; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; }
h2 { font-size: 1rem; margin-top: 2rem; }
.quiet { color: var(--quiet); font-weight: normal; }
meter { width: 12rem; }
.frame { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; }
.message { white-space: pre-wrap; }
.discord { background: #313338; color: #dbdee1; }
.discord a { color: #00a8fc; }
.slack { background: #fff; color: #1d1c1d; }
.slack a { color: #1264a3; }
.discord, .slack { border-radius: .25rem; padding: .75rem 1rem; }
.message .author { font-weight: 600; margin: 0 0 .25rem; }
.message p, .message ul, .message ol, .message blockquote { margin: .25rem 0; }
.message blockquote { border-left: 4px solid var(--line); padding-left: .75rem; }
.message code, .message pre { background: #8883; border-radius: .25rem; padding: 0 .25rem; }
.mention { background: var(--mark); border-radius: .25rem; padding: 0 .125rem; }
.spoiler { background: #8886; }
pre.request { white-space: pre-wrap; font-size: .875rem; }
"""
_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'none'; base-uri 'none'"


def page(made: Preview, notes: Sequence[str]) -> str:
    """The whole file. ``notes`` say what was cut and defused. Nothing secret is in it: it is a thing to pass on."""
    webhook, payload = made.webhook, made.payload
    request = {"webhook": webhook.name, "transport": webhook.transport.name, "payload": payload}
    transport = webhook.transport.name
    title = f"{webhook.name} ({transport})"
    parts = [
        START,
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>",
        f'<h1>{escape(webhook.name)} <span class="quiet">{escape(transport)}, preview</span></h1>',
        *map(_meter, made.renderings),
        f'<div class="frame">{_picture(webhook, payload)}</div>',
        '<p class="quiet">Close to what the service shows, not exact. Nothing was sent.</p>',
        _notes(notes),
        f'<h2>The request</h2><pre class="frame request">{_shown(request)}</pre>',
        "</main></body></html>",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def _meter(rendering: Rendering) -> str:
    words = f"{rendering.size} / {rendering.limit} characters"
    return f'<p><meter max="{rendering.limit}" value="{rendering.size}">{words}</meter> {words}</p>'


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<h2>What was changed</h2><ul>{items}</ul>" if items else ""


def _picture(webhook: Webhook, payload: Payload) -> str:
    """The transport's own; the payload where it draws none."""
    drawn = picture(webhook.transport, payload)
    return drawn or f'<pre class="request">{_shown(payload)}</pre>'


def _shown(value: Mapping[str, Any]) -> str:
    return escape(json.dumps(value, ensure_ascii=False, indent=2))
