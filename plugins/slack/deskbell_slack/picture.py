"""How Slack shows a message, as a fragment of HTML: for previews.

mrkdwn is read from left to right, at each place by the first rule that fits
(https://docs.slack.dev/messaging/formatting-message-text). What the escape made inert fits none, and is text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from html import escape
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

import deskbell

from .message import FORM, GAP, MARKS, as_shown, readable, unescaped, visible

DEEPEST = 20
"""Elements within each other; a message of marks alone would be hundreds deep."""


class Place(NamedTuple):
    """Where a piece of text stands: at the beginning of a line, in a quote, in the words of a link, how deep."""

    line_begins: bool = True
    quoted: bool = False
    linked: bool = False
    depth: int = 0


Show: TypeAlias = Callable[[re.Match[str], Place], str]
Rule: TypeAlias = tuple[re.Pattern[str], Show]


def picture(payload: deskbell.Payload) -> str:
    """The text of a message as its channel shows it. Author and icon are the webhook's: the payload names none."""
    return f'<div class="slack message">{_shown(str(payload.get("text", "")), Place())}</div>'


def _shown(text: str, place: Place) -> str:
    if place.depth == DEEPEST:
        return _text(text)
    pieces, at = list[str](), 0
    while at < len(text):
        line_begins = text[at - 1] == "\n" if at else place.line_begins
        here = place._replace(line_begins=line_begins, depth=place.depth + 1)
        found, show = _first(text, at, here)
        pieces.append(show(found, here))
        at = found.end()
    return "".join(pieces)


def _first(text: str, at: int, place: Place) -> tuple[re.Match[str], Show]:
    for pattern, show in _rules(quotes=place.line_begins and not place.quoted):
        if found := pattern.match(text, at):
            return found, show
    raise AssertionError("the last rule takes any character")


_QUOTE_SIGN = r"[ \t]*(?:&gt;|[>＞])"
_LINE = rf"{_QUOTE_SIGN}[^\n]*"
_QUOTE = re.compile(rf"[ \t]*(?:&gt;|>){{3}} ?(?P<rest>.*)|{_LINE}(?:\n{_LINE})*\n?", re.DOTALL)
_QUOTE_MARK = re.compile(rf"^{_QUOTE_SIGN} ?", re.MULTILINE)
_FENCE = re.compile(r"```\n*(.+?)\n*```\n?", re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_URL = re.compile(rf'https?://(?:&amp;|[^\s<>&*"{GAP}])*(?:[^\W_]|/)')
_NEW_LINE = re.compile(r"\n")
_WORDS = re.compile(r".(?:(?!https?://)[^\n*_~`<])*", re.DOTALL)

_IN_WORD = r"[^\W_]"
_SPACE = rf"[\s{GAP}]"
_UNIT = rf"(?>{_URL.pattern}|{FORM.pattern}|{_CODE.pattern}|.)"
"""What a mark neither begins nor ends in."""


def _marked_with(mark: str) -> re.Pattern[str]:
    """``*words*``: a mark works at the edge of a word, and not beside white space or another mark of its kind.

    Beside a mark of a customer's stands the ``GAP`` of the escape: one between that mark and the owner's, and two
    between a customer's own.
    """
    sign, theirs = re.escape(mark), f"[{MARKS}]"
    begins = rf"(?<!{_IN_WORD})(?<!{sign}){sign}(?!{sign})"
    words = rf"(?:(?!{_SPACE}){_UNIT}+?|(?<!{GAP}{sign}){GAP}{theirs}{GAP}{_UNIT}*?)"
    ends = rf"(?:(?<!{_SPACE}){sign}|(?<={theirs}{GAP}){sign}(?!{GAP}))(?!{sign})(?!{_IN_WORD})"
    return re.compile(f"{begins}(?P<marked>{words}){ends}", re.DOTALL)


def _marked(element: str, found: re.Match[str], place: Place) -> str:
    return f"<{element}>{_shown(found['marked'], place)}</{element}>"


def _quote(found: re.Match[str], place: Place) -> str:
    """``>>>`` takes the rest of the message, ``>`` the lines that begin with it. There is no quote within a quote."""
    lines = found["rest"] if found["rest"] is not None else _QUOTE_MARK.sub("", found[0]).removesuffix("\n")
    return f"<blockquote>{_shown(lines, place._replace(line_begins=True, quoted=True))}</blockquote>"


def _fence(found: re.Match[str], _place: Place) -> str:
    return f"<pre><code>{escape(readable(found[1]))}</code></pre>"


def _code(found: re.Match[str], _place: Place) -> str:
    return f"<code>{escape(readable(found[1]))}</code>"


def _form(found: re.Match[str], place: Place) -> str:
    """A link, a mention, or a date, for which its label stands: only Slack knows the reader's time."""
    target, label = found[1], found[2] or ""
    if target.startswith(("http://", "https://", "mailto:")):
        words = _shown(label, place._replace(line_begins=False, linked=True)) if label else _text(target)
        return _anchor(target, words, place)
    if target[0] in "@#!" and not target.startswith("!date^"):
        return f'<span class="mention">{_text(as_shown(found))}</span>'
    return _text(label or ("" if target[0] == "!" else target))


def _anchor(target: str, words: str, place: Place) -> str:
    """A link; within another one only its words, for HTML has no link in a link."""
    if place.linked or not _is_address(target):
        return words
    return f'<a href="{_text(target)}" rel="noopener noreferrer nofollow">{words}</a>'


def _is_address(url: str) -> bool:
    """False for what no browser would follow either, as ``https://[x``."""
    try:
        return bool(urlsplit(url).netloc or urlsplit(url).path)
    except ValueError:
        return False


def _address(found: re.Match[str], place: Place) -> str:
    return _anchor(found[0], _text(found[0]), place)


def _new_line(_found: re.Match[str], _place: Place) -> str:
    return "<br>"


def _words(found: re.Match[str], _place: Place) -> str:
    return _text(found[0])


def _text(words: str) -> str:
    """Slack's entities undone, HTML's made."""
    return escape(visible(unescaped(words)))


_ANYWHERE: tuple[Rule, ...] = (
    (_FENCE, _fence),
    (_CODE, _code),
    (FORM, _form),
    (_URL, _address),
    (_marked_with("*"), partial(_marked, "strong")),
    (_marked_with("_"), partial(_marked, "em")),
    (_marked_with("~"), partial(_marked, "s")),
    (_NEW_LINE, _new_line),
    (_WORDS, _words),
)


@cache
def _rules(*, quotes: bool) -> tuple[Rule, ...]:
    """Those that count at a place, in their order."""
    return ((_QUOTE, _quote), *_ANYWHERE) if quotes else _ANYWHERE
