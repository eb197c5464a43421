"""Markdown of chats that are not each other's: what would be active there in a customer's text becomes inert.

One escape for Mattermost, Rocket.Chat and Google Chat, which share most marks and no way to escape them: a backslash
means something in the first two and is shown by the third. So nothing is escaped. A sign that could begin or end
something is replaced by one that looks like it, or parted by ``GAP``, which nobody sees:

- ``* ~ | <`` and backticks become their look-alikes, and so does ``_`` at the edge of a word and a backslash
  before a sign or space. Without ``<`` there is no ``<!channel>``, no ``<users/all>``, no ``<url|label>`` and no HTML;
- a gap follows ``@`` (not in ``martin@example.com``), ``#`` before a word, the ``:`` of ``:code:``, the ``&`` of an
  entity (Mattermost looks for mentions when ``&commat;`` is an ``@`` already) and ``]`` before ``( [ :``;
- a gap stands before a line that begins like a heading, a quote, a list, a rule, a table or indented code.

Names, prose, dates, prices, ``[URGENT]``, ``#12``, ``snake_case`` and e-mail addresses pass byte for byte. So does a
URL, which these readers make a link that shows where it leads; what is active in it is percent-encoded.

https://docs.mattermost.com/end-user-guide/collaborate/format-messages.html
https://docs.rocket.chat/docs/messages
https://developers.google.com/workspace/chat/format-messages
"""

from __future__ import annotations

import re

from deskbell import VALUE

GAP = "\u200b"
"""A zero width space."""

# None of them is a letter to anybody: a letter could go on a name that begins before it (``#`` and then a backtick).
_LOOK_ALIKES = str.maketrans({"*": "∗", "~": "∼", "|": "∣", "<": "‹", "`": "‵"})
_LOW_LINE = "▁"
_BACKSLASH = "∖"

_EDGE_UNDERSCORE = re.compile(r"_(?:(?![0-9A-Za-z])|(?<![0-9A-Za-z]_))")
_ACTIVE_BACKSLASH = re.compile(r"\\(?=\W|\Z)")
_GAP_AFTER = re.compile(
    r"""
    (?P<email>(?<![^\s(<:;,"'])[\w.-][\w.+-]*+@(?:[\w-]+\.)+[A-Za-z]{2,}+(?=[\s.,:;!?)>"']|\Z))
    | @(?=[\w.-]|\Z)                            # a mention; the end of a value counts as the beginning of one
    | \#(?=[\w.-]|\Z)(?!\d+\.?(?![\w.-]))       # a hashtag, a channel; not #12
    | (?<=color:)\# | (?<=mailto): | \+(?=[\d()-]++_)
    | :(?=[\w+-]++(?::|\Z))(?!(?<=\d:)\d\d?(?::|\Z))  # an emoji; not 12:30:45
    | &(?=\#?\w*(?:;|\Z))                               # an entity
    | \](?=[(\[:]|\Z)                                   # the end of a link's label
    """,
    re.VERBOSE,
)
_LINE_BEGINS = re.compile(
    r"""
    ^(?=
        [ \t]*(?: [>=] | \#{1,6}(?:[ \t]|$) | [+-](?:[ \t+-]|$) | \d{1,9}[.)](?:[ \t]|$) )
        | (?<=\n)[ \t]*\d{1,9}\Z        # the owner's full stop may follow
        | [ ]{0,3}\t | [ ]{4}
    )
    """,
    re.VERBOSE | re.MULTILINE,
)
# A template's `<%url%>` brings the brackets, and without a link in it the value would bring the rest.
_REFERENCE = re.compile(r"!|users/")

# Where readers disagree about the end of an address it ends here: what follows is treated as text.
_URL = re.compile(r"(https?://[\w.~:/?#@!$&'*+,;=%-]+)", re.IGNORECASE | re.ASCII)
_GLUED = re.compile(r"(?<=[\w.-])(?=https?://)", re.IGNORECASE)
_ACTIVE_IN_URL = str.maketrans({sign: f"%{ord(sign):02X}" for sign in "*~"})
_PING_IN_URL = re.compile(r"(?<![0-9A-Za-z])@|@(?=all|channel|everyone|here)", re.IGNORECASE)

_REACHES_VALUE = re.compile(rf"(?:[@<!\]&\\]|:[\w+-]*|users/)(?={VALUE})")


def escape(text: str) -> str:
    """``text`` as plain text. Pure, context-free, never shorter."""
    parts = _URL.split(_GLUED.sub(GAP, text))
    parts[::2] = map(_signs_inert, parts[::2])
    parts[1::2] = map(link, parts[1::2])
    text = _LINE_BEGINS.sub(GAP, "".join(parts))
    return GAP + text if _REFERENCE.match(text) else text


def link(url: str) -> str:
    """The same address; what is active in it is percent-encoded."""
    address = _EDGE_UNDERSCORE.sub("%5F", url.translate(_ACTIVE_IN_URL))
    return _PING_IN_URL.sub("%40", address)


def literal(skeleton: str) -> str:
    """The owner's words, parted from a value where both together could be active: ``@%username%``, ``<%content%>``."""
    return _REACHES_VALUE.sub(rf"\g<0>{GAP}", skeleton)


def _signs_inert(text: str) -> str:
    text = _GAP_AFTER.sub(lambda found: found["email"] or found[0] + GAP, text)
    text = _EDGE_UNDERSCORE.sub(_LOW_LINE, _ACTIVE_BACKSLASH.sub(_BACKSLASH, text))
    return text.translate(_LOOK_ALIKES)
