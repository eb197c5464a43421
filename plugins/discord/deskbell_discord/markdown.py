"""Discord's Markdown: what would be active there in a customer's text, and how it becomes plain text.

The escape is minimal: plain words, e-mail addresses, dates, times and prices pass byte for byte. Its rules:

- a backslash before each ``\\ * ~ | ` [ <``, and before ``_`` unless it stands inside a word;
- before ``:`` where the name of an emoji may follow (``:fire:``), so not in ``12:30``;
- before ``(`` after ``]`` or first in the value: there it could give the template's own brackets another target;
- before ``# ## ### -# - > >>>`` and the dot of ``1.`` where they begin a line and a space follows;
- U+200B, which nobody sees, after the ``@`` of ``@everyone`` and ``@here``: who is pinged is decided on
  Discord's servers, where a backslash is not known to count;
- a URL becomes ``<url>``: it ends exactly there, stays a link, and unfolds no preview.

Where a rule needs the value's neighbour (``:fir`` at the end of a value, ``e:`` in the template), the end of the
value counts as that neighbour. What the *template* has directly before a value is ``separate``'s care.

Every pattern begins with a literal character and every rule is skipped when its character is absent: most values
hold none, and this runs for each value of each message. Discord describes its syntax at
https://support.discord.com/hc/en-us/articles/210298617 and the ``<…>`` forms at
https://docs.discord.com/developers/reference#message-formatting
"""

from __future__ import annotations

import re

from deskbell import LINK, VALUE

INVISIBLE = "\u200b"
"""A zero width space: separates where no backslash can."""

_ALWAYS_ACTIVE = "*~|`[<"
_EDGE_UNDERSCORE = re.compile(r"_(?:(?![0-9A-Za-z])|(?<![0-9A-Za-z]_))")
_PING_BEGUN = r"(?:e(?:v(?:e(?:r(?:y(?:on?)?)?)?)?)?|h(?:er?)?)?"
_PING = re.compile(rf"@(?=everyone|here|{_PING_BEGUN}\Z)")
_EMOJI_NAME = re.compile(r":(?=[\w+-]++(?::|\Z))(?=[+-]1|\d{3}|[\w+-]*?[^\W\d_])")
_LINE_MARK = re.compile(r"\n[ \t]*(?:\d*(?=\.)|(?=[#>-]))(?=(?:\.|#{1,3}|-#?|>(?:>>)?)(?:[ \t]|\Z))")
_LINE_MARKS_BEGIN = frozenset("#->.0123456789 \t")
# What stands inside <@id>, <#id>, <:name:id>, <t:time>, </command:id> and <id:guide>: a template's `<%url%>`
# brings the brackets, and without a link in it the value would bring the rest.
_REFERENCE = re.compile(
    r"(?:@[!&]?|#)\d{15}|a?:\w+:\d{15}|t:-?\d+(?::\w)?(?:>|\Z)|/[^>\n]*:\d{15}"
    r"|(?:id|\d{15,}):(?:customize|browse|guide|linked-roles)"
)
_REFERENCES_BEGIN = frozenset("@#:/ait0123456789")

_URL = re.compile(r"""https?://(?:[^\s<>]*[^\s<>.,:;"')\]])?""", re.IGNORECASE)
_HELD = "\0"  # stands for a URL while the text around it is escaped; core lets none through in a value
_PARENTHESES = re.compile(r"\([^()]*\)")
_ACTIVE_IN_URL = str.maketrans({char: f"%{ord(char):02X}" for char in _ALWAYS_ACTIVE + "\\]"})

_CODE = r"(?P<code>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
_ESCAPED_OR_CODE = re.compile(rf"\\[^0-9A-Za-z\s]|{_CODE}", re.DOTALL)
_NOT_SHOWN = re.compile(
    rf"\\(?P<escaped>[^0-9A-Za-z\s])|{_CODE}|<(?P<url>(?i:https?)://[^\s<>]+)>|{INVISIBLE}", re.DOTALL
)
_OPEN = rf"[^\s<>{VALUE}{LINK}]*"
_REACHES = rf":[\w+-]*|@{_PING_BEGUN}|\\"
_REACHES_VALUE = re.compile(rf"(?:{_REACHES}|<{_OPEN})(?={VALUE})", re.ASCII)
_REACHES_LINK = re.compile(
    rf"(?P<url>(?:https?://|{LINK}){_OPEN})?(?P<mark>{_REACHES}|<(?!https?:|{LINK}){_OPEN})(?={LINK})",
    re.ASCII,
)


def escape(text: str) -> str:
    """``text`` as plain text in Discord's Markdown. Pure, context-free, never shorter."""
    urls: list[str] = []
    if "://" in text:
        text = text.replace(_HELD, "")
        urls = _URL.findall(text)
        text = _URL.sub(_HELD, text)
    text = _lines_escaped(_signs_escaped(text))
    if text[:1] in _REFERENCES_BEGIN and _REFERENCE.match(text):
        text = INVISIBLE + text
    return _urls_restored(text, urls) if urls else text


def _signs_escaped(text: str) -> str:
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    for sign in _ALWAYS_ACTIVE:
        if sign in text:
            text = text.replace(sign, "\\" + sign)
    if "_" in text:
        text = _EDGE_UNDERSCORE.sub(r"\\_", text)
    if "@" in text:
        text = _PING.sub("@" + INVISIBLE, text)
    if ":" in text:
        text = _EMOJI_NAME.sub(r"\\:", text)
    if "(" in text:
        text = text.replace("](", "]\\(")
        if text.startswith("("):
            text = "\\" + text
    return text


def _lines_escaped(text: str) -> str:
    if "\n" in text or text[:1] in _LINE_MARKS_BEGIN:
        return _LINE_MARK.sub(r"\g<0>\\", "\n" + text)[1:]
    return text


def _urls_restored(text: str, urls: list[str]) -> str:
    first, *rest = text.split(_HELD)
    return first + "".join([_inert(url) + after for url, after in zip(urls, rest, strict=True)])


def _inert(url: str) -> str:
    """The same address within ``<>``, its active characters percent-encoded. A mere ``https://`` is none."""
    if url.partition("://")[2] == "":
        return url.replace(":", r"\:")
    address = _EDGE_UNDERSCORE.sub("%5F", link(url).translate(_ACTIVE_IN_URL))
    if ")" in _PARENTHESES.sub("", address):  # it would end a `[text](%url%)` of the template
        address = address.replace(")", "%29")
    return f"<{address}>"


def link(url: str) -> str:
    """A link of the sender's, as it is; one that says ``@everyone`` says it in another spelling."""
    if "@" in url:
        return url.replace("@everyone", "%40everyone").replace("@here", "%40here")
    return url


def separate(skeleton: str) -> str:
    """The template's words, parted from the values where both together could spell something active.

    ``@%username%`` would ping with a customer named ``everyone``. Within a URL of the template an ``@`` is
    percent-encoded instead: a zero width space would break the link.
    """
    return _REACHES_LINK.sub(_parted, _REACHES_VALUE.sub(rf"\g<0>{INVISIBLE}", skeleton))


def _parted(found: re.Match[str]) -> str:
    if found["url"] is None or found["mark"].startswith("<"):
        return found[0] + INVISIBLE
    return found["url"] + found["mark"].replace("@", "%40")


def code_spans(skeleton: str) -> list[str]:
    """The template's inline code and code blocks, with their backticks."""
    return [found["code"] for found in _ESCAPED_OR_CODE.finditer(skeleton) if found["code"]]


def active_words(skeleton: str) -> str:
    """The template without its code and without what it escapes itself: nothing pings from there."""
    return _ESCAPED_OR_CODE.sub(" ", skeleton)


def as_read(content: str) -> str:
    """``content`` as its reader sees it: without the backslashes, brackets and spaces that make it inert."""
    return _NOT_SHOWN.sub(lambda found: found["escaped"] or found["code"] or found["url"] or "", content)
