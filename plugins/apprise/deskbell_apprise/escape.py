"""How a customer's text stays plain text at any of the services, whichever it is.

Each service reads "plain text" in its own way: Discord, Mattermost and Zulip read Markdown in it, most act on an ``@``,
Slack and Lark on what follows a ``<``. Apprise turns one format into another and escapes then, but it passes text on
untouched to a service that takes text. So the escapes here break what any of them acts on, by ``GAP``, which has no
width: it survives every conversion and shows nothing.

- An ``@`` is broken where a mention may begin, so at the edge of a word and before the names of groups
  (``@everyone``, ``@channel``, ``@all``); the one of an e-mail address is left alone.
- A ``<`` is broken where something follows it: ``<@U1>``, ``<!channel>``, ``<at user_id="all">``, ``<users/all>``,
  ``<https://…|label>``, and any tag of HTML.
- The ``&`` of an entity is broken: Mattermost finds ``@all`` in ``&commat;all``, and ``<`` may be ``&#60;``.
- A ``]`` is broken before ``(``, ``[`` and ``:``: a link or a picture of Markdown, whose label may lie.

Signs that only look different (``*bold*``) are left alone in ``text``. All of these are pure, know nothing of what
stands around a value, and never shorten.
"""

from __future__ import annotations

import html as html_entities
import re
from collections.abc import Sequence

from deskbell import LINK, VALUE

GAP = "\u200b"
"""Zero width space. deskbell takes it out of values before they come here."""

_GROUPS = r"everyone|here|(?:all|channel|group|online|room|team|undefined)\b"
_MENTION = re.compile(rf"[@＠](?=\Z|{_GROUPS}|_|[^\s\w])|(?<![^\W_])[@＠](?=\S)", re.IGNORECASE)
_FORM = re.compile(r"<(?=\S|\Z)|\](?=[(\[:]|\Z)")
# The owner's own words may bring the `;`, as in `%subject%; %content%`: `R&D` at the end stays, `&commat` does not.
_ENTITY = re.compile(r"&(?=#(?:[\dxX]|\Z)|\w+;|(?:commat|[lg]t|amp|[lr](?:sqb|brack|par))?\Z)", re.IGNORECASE)
_ANY_ENTITY = re.compile(r"&(?=[#\w]|\Z)")  # Python-Markdown undoes a backslash before it too late
_MARKUP = re.compile(r"[\\`*_\[\]<>|~]")
_LINE_START = re.compile(r"^([ \t]*)(?=[#+=:-])|^([ \t]*\d{1,9})(?=[.)])", re.MULTILINE)
_TOUCHES = re.compile(rf"(?:[@＠<\]]|&#?\w*)(?={VALUE})")
_IN_A_TAG = re.compile(rf"<[A-Za-z/!][^<>]*{VALUE}")


def text(value: str) -> str:
    """``value`` as plain text, for a template in plain text."""
    return _FORM.sub(_with_gap, _ENTITY.sub(_with_gap, _without_mentions(value)))


def markdown(value: str) -> str:
    """``value`` as plain text in CommonMark: a backslash before every sign that is active where it stands.

    To a service that takes text Apprise passes Markdown on as it is, so that it is safe as text first.
    """
    return _LINE_START.sub(r"\1\2\\", _MARKUP.sub(r"\\\g<0>", _ANY_ENTITY.sub(_with_gap, text(value))))


def html(value: str) -> str:
    """``value`` as plain text in HTML. Its line breaks stay; what is made text of the HTML again stays inert."""
    return html_entities.escape(text(value)).replace("\n", "<br>\n")


def html_link(url: str) -> str:
    """A link of the sender's, in HTML."""
    return html_entities.escape(url)


def literal(skeleton: str) -> str:
    """The owner's own words, with a gap where their last sign and a value could be active together."""
    return _TOUCHES.sub(_with_gap, skeleton)


def one_line(value: str) -> str:
    """Without line breaks: a title is one line, and the subject of an e-mail must be."""
    return " ".join(value.split())


def warnings(skeleton: str) -> Sequence[str]:
    """A value inside a tag is safe from none of these."""
    if _IN_A_TAG.search(skeleton.replace(LINK, "")):
        return [
            "a variable inside a tag of HTML is not made safe there: only %url% and other links belong in one"
        ]
    return []


def _without_mentions(value: str) -> str:
    return _MENTION.sub(_with_gap, value) if "@" in value or "＠" in value else value


def _with_gap(found: re.Match[str]) -> str:
    return found[0] + GAP
