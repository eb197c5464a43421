"""Slack's mrkdwn: what would be active there in a customer's text, and how it becomes plain text.

``& < >`` become entities, once, and no other character does: that alone disarms every mention and every
``<url|label>``, as https://docs.slack.dev/messaging/formatting-message-text promises. For ``* _ ~``, backticks,
``:codes:`` and quotes Slack has no escape, so a value is changed where, and only where, one could begin or end:

- beside a mark that stands at the edge of a word comes ``GAP``, which has no width and counts as white space:
  Slack's marks work at a word and not at a space. ``snake_case``, ``2*3`` and ``john_doe@x.fr`` pass;
- the same after a ``:`` that opens a ``:code:``, so not in ``12:30:45``;
- a backtick becomes the letter ``TICK``, which looks like one: code may hold spaces, so no gap would break it;
- before a line's first ``>`` comes ``SEAL``, which has no width either and is no white space.

All of this passes byte for byte in a URL, but for ``*`` and ``:codes:``. Slack's full-width forms
(https://github.com/yhatt/jsx-slack/blob/main/docs/about-escape-and-exact-mode.md) are treated as the plain ones.

Most values hold nothing active and this runs for each value of each message: a rule whose character is absent is
skipped, and the rest are replacements, not searches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deskbell import LINK, VALUE

MAX_TEXT = 4_000
"""Characters that Slack recommends at most (https://docs.slack.dev/reference/methods/chat.postMessage)."""

NOTHING_TO_SHOW = "…"
"""Sent where every word of the message is empty: Slack refuses an empty text, and nobody would see the event."""

GAP = "\ufeff"
"""Zero width no-break space: white space to the regular expressions of JavaScript, which U+200B is not."""
SEAL = "\u200b"
"""Zero width space: moves what follows away from where it would be active."""
TICK = "\u02cb"
"""Modifier letter grave accent: looks like a backtick."""

_NAME = r"[\w'+\-＿＋]"
_TIME = r"\d{1,2}(?:[+\-]\d{1,2})?"  # the middle of 12:30:45 and of 9:00-18:00
_CODE = re.compile(rf":(?={_NAME}++:)(?!{_TIME}:)")
_URL = re.compile(r"""(https?://[^\s<>*"\ufeff]*(?:[^\W_]|/))""")
MARKS = "＊＿*_~"  # those that end a URL come before those that stay plain in one
_PLAIN_IN_URLS = "_~"
_EDGE_UNDERSCORE = re.compile(r"_(?:(?![0-9A-Za-z])|(?<![0-9A-Za-z]_))")
_QUOTE = re.compile(r"^(?=[ \t]*[>＞])", re.MULTILINE)
# A template's `<%url%|label>` brings the brackets, and without a link in it the value would bring the rest.
_REFERENCE = re.compile(r"!(?:here|channel|everyone|group|subteam|date)|[@#][A-Z][A-Z0-9]")


def escape(text: str) -> str:
    """``text`` as plain text in mrkdwn. Pure, context-free, never shorter."""
    if ":" in text:
        text = _CODE.sub(":" + GAP, text)
    for mark in MARKS:
        if mark in text:
            text = _set_apart(text, mark)
    if "`" in text or "｀" in text:
        text = text.replace("`", TICK).replace("｀", TICK)
    if ">" in text or "＞" in text:
        text = _QUOTE.sub(SEAL, text)
    if _REFERENCE.match(text):
        text = SEAL + text
    return entities(text)


def entities(text: str) -> str:
    """Only ``& < >``: for links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _set_apart(text: str, mark: str) -> str:
    """``mark`` with a gap on each side that has no white space, but not in URLs; at an end of ``text`` on both sides."""
    if mark not in _PLAIN_IN_URLS or "://" not in text:
        return text if _lone_in_word(text, mark) else _with_gaps(text, mark)
    parts = _URL.split(text)
    parts[::2] = [_with_gaps(part, mark) for part in parts[::2]]
    return "".join(parts)


def _with_gaps(text: str, mark: str) -> str:
    apart = f"{GAP}{mark}{GAP}"
    text = _EDGE_UNDERSCORE.sub(apart, text) if mark == "_" else text.replace(mark, apart)
    for space in " \n\t":
        text = text.replace(f"{space}{GAP}{mark}", space + mark).replace(f"{mark}{GAP}{space}", mark + space)
    if text.startswith(GAP + mark) and not text.startswith(apart):
        text = apart + text[2:]
    return text[:-2] + apart if text.endswith(mark + GAP) and not text.endswith(apart) else text


def _lone_in_word(text: str, mark: str) -> bool:
    """``2*3``: Slack sees no mark inside a word. Other readers of mrkdwn do where a second one follows (``a*b*c``)."""
    before, _, after = text.replace(f" {mark} ", "  ").partition(mark)
    neighbours = before[-1:] + after[:1]
    return mark not in after and len(neighbours) == 2 and neighbours.isascii() and neighbours.isalnum()


_HEADS = "|".join(
    (
        rf"[a-z][a-z0-9+.\-]*://[^\s<>|{VALUE}]+",
        r"(?:mailto|tel):[^\s<>|]+",
        rf"{LINK}[^\s<>|{VALUE}]*",
        r"@[UW][A-Z0-9]+",
        r"\#[A-Z][A-Z0-9]+",
        r"!(?:here|channel|everyone|subteam\^[A-Z0-9]+)",
        rf"!date\^\d+\^[^<>|^\n{VALUE}{LINK}]+(?:\^[^\s<>|{VALUE}]+)?",
    )
)
"""What may follow the ``<`` of a form: https://docs.slack.dev/messaging/formatting-message-text"""
_LITERAL = re.compile(
    rf"""
    <(?P<head>{_HEADS})(?:\|(?P<label>[^<>\n]*))?>      # a form, with its label
    | (?P<url>https?://[^\s<>|{VALUE}]*)
    | (?P<kept>&(?:amp|lt|gt); | ^[\ \t]*>+)            # the owner's entities, and quoted lines
    | (?<={VALUE})(?={_NAME}*[:{VALUE}{LINK}])          # ":fir" at the end of a value, "e:" after it
    | (?<={LINK})(?=:)
    | :{_NAME}*(?=[{VALUE}{LINK}])                      # ":fir" before a value, "e:" at its beginning
    | [&<>]
    """,
    re.VERBOSE | re.MULTILINE,
)
_BARE_AMPERSAND = re.compile("&(?!(?:amp|lt|gt);)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def literal(skeleton: str) -> str:
    """The owner's own mrkdwn, ready to send: see ``Notice.text``.

    Slack's forms (``<https://…|label>``, ``<@U…>``, ``<!here>``, …), entities and quoted lines stay; every other
    ``& < >`` becomes an entity, so that ``<@%username%>`` mentions nobody. A ``:code:`` that a value could begin,
    fill or end is broken. Nothing is added inside a URL.
    """
    return _LITERAL.sub(_treated, skeleton)


def _treated(found: re.Match[str]) -> str:
    if found["head"]:
        label = "" if found["label"] is None else "|" + literal(found["label"])
        return f"<{_BARE_AMPERSAND.sub('&amp;', found['head'])}{label}>"
    if found["url"]:
        return _BARE_AMPERSAND.sub("&amp;", found["url"])
    if found["kept"]:
        return found["kept"]
    return _ENTITIES.get(found[0], found[0] + GAP)


def measure(text: str) -> int:
    """The length as the strictest reading of "characters" has it: UTF-16 units, never fewer than code points.

    Slack does not say which it counts. Entities count as they are written.
    """
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


FORM = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")


def readable(text: str) -> str:
    """``text`` as its reader sees it: forms by their labels, no entities, nothing invisible."""
    return visible(unescaped(FORM.sub(as_shown, text)))


def unescaped(text: str) -> str:
    """``entities`` undone."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def visible(text: str) -> str:
    """``text`` without what the escape added for nobody to see."""
    return text.replace(GAP, "").replace(SEAL, "")


def as_shown(form: re.Match[str]) -> str:
    """A form of Slack's (``<target|label>``) as words."""
    target, label = form[1], form[2] or ""
    if target.startswith("!date^"):
        return label
    if target[0] in "@#!":
        return label or "@#"[target[0] == "#"] + target[1:]
    return f"{label} ({target})" if label else target


_HINTS = (
    (r"\*\*[^*\n]+\*\*", "`**bold**` is Discord's and Markdown's; Slack's bold is `*bold*`"),
    (r"~~[^~\n]+~~", "`~~text~~` is Discord's and Markdown's; Slack strikes out with `~text~`"),
    (
        rf"\[[^\]\n]+\]\((?:https?:|{LINK})",
        "`[label](https://…)` is Discord's and Markdown's; Slack's link is `<https://…|label>`",
    ),
    (
        r"^#{1,6} ",
        "Slack has no headings: a line that begins with `#` is shown as it is written; use `*bold*`",
    ),
    (
        rf"<[@#!][^<>\n|]*{VALUE}",
        "a variable cannot mention anybody: `<@…>` with a variable in it is shown as text",
    ),
    (
        r"(?<![\w<!@.])@(?:here|channel|everyone)\b",
        "`@here`, `@channel` and `@everyone` ping nobody; write `<!here>`, `<!channel>` or `<!everyone>`",
    ),
)
_WARNINGS = tuple((re.compile(pattern, re.MULTILINE), hint) for pattern, hint in _HINTS)


def warnings(skeleton: str) -> Sequence[str]:
    """What an owner may have written for another service, or expects in vain."""
    return [hint for pattern, hint in _WARNINGS if pattern.search(skeleton)]
