"""How Discord shows a message, as a fragment of HTML: for previews.

Its Markdown is read as Discord's clients read it (https://support.discord.com/hc/en-us/articles/210298617): from left
to right, at each place by the first rule that fits. What the escape made inert fits none, and is text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from html import escape
from itertools import takewhile
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

import deskbell

from .markdown import INVISIBLE
from .message import EVERYONE

DEEPEST = 20
"""Elements within each other; a message of marks alone would be hundreds deep."""


class Place(NamedTuple):
    """Where a piece of text stands: at the beginning of a line, in a quote, in the words of a link, how deep."""

    line_begins: bool = True
    quoted: bool = False
    linked: bool = False
    depth: int = 0


Matcher: TypeAlias = Callable[[str, int], re.Match[str] | None]
Show: TypeAlias = Callable[[re.Match[str], Place], str]
Rule: TypeAlias = tuple[Matcher, Show]


def picture(payload: deskbell.Payload) -> str:
    """The body of "execute webhook" as its channel shows it: the author, if the message names one, and the text."""
    author = payload.get("username")
    byline = f'<p class="author">{escape(author)}</p>' if author else ""
    return f'<div class="discord message">{byline}{_shown(payload.get("content") or "", Place())}</div>'


def _shown(text: str, place: Place) -> str:
    if place.depth == DEEPEST:
        return escape(text.replace(INVISIBLE, ""))
    pieces, at = list[str](), 0
    while at < len(text):
        line_begins = text[at - 1] == "\n" if at else place.line_begins
        here = place._replace(line_begins=line_begins, depth=place.depth + 1)
        found, show = _first(text, at, here)
        pieces.append(show(found, here))
        at = found.end()
    return "".join(pieces)


def _first(text: str, at: int, place: Place) -> tuple[re.Match[str], Show]:
    for match, show in _rules(line_begins=place.line_begins, quoted=place.quoted):
        if found := match(text, at):
            return found, show
    raise AssertionError("the last rule takes any character")


# -- lists: their items are lines, and deeper lines are a list within the item before them


class _Item(NamedTuple):
    indent: int
    number: int | None
    html: str


_MARK = r"(?:[*-]|[0-9]{1,9}\.) +"
_ITEM = re.compile(
    rf"(?P<indent> *)(?:[*-]|(?P<number>[0-9]{{1,9}})\.) +(?P<text>[^\n]*(?:\n +(?! *{_MARK})[^\n]+)*)(?:\n|\Z)"
)
_LIST = re.compile(rf"(?: *{_MARK}[^\n]*(?:\n +(?! *{_MARK})[^\n]+)*(?:\n|\Z))+")


def _list(found: re.Match[str], place: Place) -> str:
    return _nested([_item(line, place) for line in _ITEM.finditer(found[0])])


def _item(line: re.Match[str], place: Place) -> _Item:
    number = int(line["number"]) if line["number"] else None
    return _Item(len(line["indent"]), number, _shown(line["text"], place._replace(line_begins=False)))


def _nested(items: Sequence[_Item]) -> str:
    """Discord counts on from the first item's number. HTML counts from 1, or the numbers stand in the words."""
    start, lines = items[0].number, list[str]()
    while items:
        first, deeper = items[0], _deeper(items)
        number = "" if start in (None, 1) else f"{start + len(lines)}. "
        lines.append(f"<li>{number}{first.html}{_nested(deeper) if deeper else ''}</li>")
        items = items[1 + len(deeper) :]
    begin, end = {None: ("<ul>", "</ul>"), 1: ("<ol>", "</ol>")}.get(
        start, ('<ul class="numbered">', "</ul>")
    )
    return f"{begin}{''.join(lines)}{end}"


def _deeper(items: Sequence[_Item]) -> list[_Item]:
    """Those that directly follow the first and stand further in."""
    return list(takewhile(lambda item: item.indent > items[0].indent, items[1:]))


# -- other whole lines

_HEADING = re.compile(r"(#{1,3}) +([^\n]+?)(?:\n|\Z)")
_SMALL = re.compile(r"-# +([^\n]+?)(?:\n|\Z)")
_QUOTE = re.compile(r" *>>> (?P<rest>.*)| *> [^\n]*(?:\n *> [^\n]*)*\n?", re.DOTALL)
_QUOTE_MARK = re.compile(r"^ *> ?", re.MULTILINE)
_FENCE = re.compile(r"```(?:[a-z0-9_+\-.#]+?\n+)?\n*(.+?)\n*```\n?", re.DOTALL | re.IGNORECASE)


def _heading(found: re.Match[str], place: Place) -> str:
    element = f"h{len(found[1])}"
    return f"<{element}>{_shown(found[2].strip(), place._replace(line_begins=False))}</{element}>"


def _small(found: re.Match[str], place: Place) -> str:
    words = _shown(found[1], place._replace(line_begins=False))
    return f'<div class="subtext"><small>{words}</small></div>'


def _quote(found: re.Match[str], place: Place) -> str:
    """``>>>`` takes the rest of the message, ``>`` the lines that begin with it. There is no quote within a quote."""
    lines = found["rest"] if found["rest"] is not None else _QUOTE_MARK.sub("", found[0]).removesuffix("\n")
    return f"<blockquote>{_shown(lines, place._replace(line_begins=True, quoted=True))}</blockquote>"


def _fence(found: re.Match[str], _place: Place) -> str:
    return f"<pre><code>{escape(found[1])}</code></pre>"


# -- links, and what <…> stands for

_LABEL = r"(?P<label>(?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))+)"
_TARGET = r"(?P<target>https?://(?:\([^\s()]*\)|[^\s()\\]|\\.)+?)"
_TITLE = r"""(?:\s+(?:"[^"]*"|'[^']*'))?"""
_MASKED = re.compile(rf"\[{_LABEL}\]\(\s*<?{_TARGET}>?{_TITLE}\s*\)", re.IGNORECASE)
_ANGLED = re.compile(r"<(https?://[^\s>]+)>", re.IGNORECASE)
_BARE = re.compile(r"""(https?://[^\s<]+[^<.,:;"')\]\s])""")
_ESCAPED = re.compile(r"\\([^0-9A-Za-z\s])")

_MENTION = re.compile(r"<(?:(?P<sign>[@#])[!&]?(?P<id>[0-9]{17,20}))>")
_COMMAND = re.compile(r"<(/[^:<>\n]{1,98}):[0-9]{17,21}>")
_GUIDE = re.compile(r"<(?:id|[0-9]{17,20}):(customize|browse|guide|linked-roles)(?::[0-9]{17,20})?>")
_EMOJI = re.compile(r"<a?(:\w{2,32}:)[0-9]{17,21}>", re.ASCII)
_TIME = re.compile(r"<t:(?P<seconds>-?[0-9]{1,13})(?::(?P<style>[tTdDfFsSR]))?>")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_STYLES = {
    "t": "%H:%M",
    "T": "%H:%M:%S",
    "d": "%d/%m/%Y",
    "D": "%d %B %Y",
    "F": "%A, %d %B %Y %H:%M",
    "s": "%d/%m/%Y, %H:%M",
    "S": "%d/%m/%Y, %H:%M:%S",
}
_USUAL_STYLE = "%d %B %Y %H:%M"
"""https://docs.discord.com/developers/reference#message-formatting-timestamp-styles"""


def _anchor(url: str, words: str, place: Place) -> str:
    """A link; within another one only its words, for HTML has no link in a link."""
    if place.linked or not _is_address(url):
        return words
    return f'<a href="{escape(url)}" rel="noopener noreferrer nofollow">{words}</a>'


def _is_address(url: str) -> bool:
    """False for what no browser would follow either, as ``https://[x``."""
    try:
        return bool(urlsplit(url).netloc or urlsplit(url).path)
    except ValueError:
        return False


def _masked(found: re.Match[str], place: Place) -> str:
    words = _shown(found["label"], place._replace(line_begins=False, linked=True))
    return _anchor(_ESCAPED.sub(r"\1", found["target"]), words, place)


def _address(found: re.Match[str], place: Place) -> str:
    return _anchor(found[1], escape(found[1]), place)


def _mention(found: re.Match[str], _place: Place) -> str:
    """Whom the id names, only Discord knows."""
    return f'<span class="mention">{found["sign"]}{found["id"]}</span>'


def _reference(found: re.Match[str], _place: Place) -> str:
    return f'<span class="mention">{escape(found[1])}</span>'


def _everyone(found: re.Match[str], _place: Place) -> str:
    return f'<span class="mention">{found[0]}</span>'


def _time(found: re.Match[str], _place: Place) -> str:
    """In UTC, as its title says: readers see their own time. "3 hours ago" would need a clock; it is the time too."""
    try:
        at = _EPOCH + timedelta(seconds=int(found["seconds"]))
        words = at.strftime(_TIME_STYLES.get(found["style"], _USUAL_STYLE))
    except (OverflowError, ValueError):
        return escape(found[0])
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}" title="UTC">{words}</time>'


# -- marks within a line, and plain words

_EMPHASES = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"_(?P<em>(?:__|\\.|[^\\_])+?)_(?![0-9A-Za-z_])",
        r"\*(?=\S)(?P<em>(?:\*\*|\\.|\s+(?:\\.|[^\s*\\]|\*\*)|[^\s*\\])+?)\*(?!\*)",
        r"\*\*(?P<strong>(?:\\.|[^\\])+?)\*\*(?!\*)",
        r"__(?P<u>(?:\\.|[^\\])+?)__(?!_)",
    )
)
_STRUCK = re.compile(r"~~(?P<s>.+?)~~(?!_)", re.DOTALL)
_SPOILER = re.compile(r"\|\|(.+?)\|\|", re.DOTALL)
_CODE = re.compile(r"(?P<ticks>`+)(?P<code>.*?[^`])(?P=ticks)(?!`)", re.DOTALL)
_SPACE_BESIDE_TICK = re.compile(r"\A (?= *`)|(?<=`) (?=\Z)")
_NEW_LINE = re.compile(r"\n")
_SHRUG = re.compile(r"(¯\\_\(ツ\)_/¯)")
_WORDS = re.compile(r"(.(?:(?!https?://)[^\\\n*_~|`\[<@¯])*)", re.DOTALL)


def _longest_emphasis(text: str, at: int) -> re.Match[str] | None:
    """Of ``***a** b*`` the outer mark is the one that reaches further."""
    found = [match for pattern in _EMPHASES if (match := pattern.match(text, at))]
    return max(found, key=lambda match: match.end(), default=None)


def _marked(found: re.Match[str], place: Place) -> str:
    element = found.lastgroup or ""
    return f"<{element}>{_shown(found[element], place)}</{element}>"


def _spoiler(found: re.Match[str], place: Place) -> str:
    return f'<span class="spoiler">{_shown(found[1], place)}</span>'


def _code(found: re.Match[str], _place: Place) -> str:
    return f"<code>{escape(_SPACE_BESIDE_TICK.sub('', found['code']))}</code>"


def _new_line(_found: re.Match[str], _place: Place) -> str:
    return "<br>"


def _words(found: re.Match[str], _place: Place) -> str:
    return escape(found[1].replace(INVISIBLE, ""))


_OF_LINES: tuple[Rule, ...] = (
    (_LIST.match, _list),
    (_SMALL.match, _small),
    (_HEADING.match, _heading),
)
_ANYWHERE: tuple[Rule, ...] = (
    (_SPOILER.match, _spoiler),
    (_FENCE.match, _fence),
    (_ESCAPED.match, _words),
    (_ANGLED.match, _address),
    (_BARE.match, _address),
    (_MASKED.match, _masked),
    (_longest_emphasis, _marked),
    (_MENTION.match, _mention),
    (_COMMAND.match, _reference),
    (_GUIDE.match, _reference),
    (_EMOJI.match, _words),
    (_TIME.match, _time),
    (EVERYONE.match, _everyone),
    (_STRUCK.match, _marked),
    (_CODE.match, _code),
    (_NEW_LINE.match, _new_line),
    (_SHRUG.match, _words),
    (_WORDS.match, _words),
)


@cache
def _rules(*, line_begins: bool, quoted: bool) -> tuple[Rule, ...]:
    """Those that count at a place, in their order."""
    if not line_begins:
        return _ANYWHERE
    return (*_OF_LINES, *_ANYWHERE) if quoted else (*_OF_LINES, (_QUOTE.match, _quote), *_ANYWHERE)
