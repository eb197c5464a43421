"""One key or one webhook of a config's text replaced, added or taken out; every function gives the new text.

What is asked for may be impossible in the style that the owner chose: whoever calls reads the new text again, and
``rewritten`` is what always works.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from deskbell.config.problem import KeyPath

from . import writing
from .layout import Layout, Pair, is_block, is_text_block, line_end, line_start, true_end
from .values import PROSE

_BREAK = re.compile("(\r\n|[\n\r\x85\u2028\u2029])")
_REMARK = re.compile(r"\s+#.*|\s*\Z")
_WEBHOOKS: KeyPath = ("webhooks",)
_LARGEST_INDICATOR = 9
"""https://yaml.org/spec/1.2.2/#8111-block-indentation-indicator"""


def with_value(layout: Layout, path: KeyPath, value: Any) -> str:
    """Another value of a key that is there; the comment on its line stays."""
    text, found = layout.text, layout.pair(path)
    if found is None:
        return _with_key(layout, path, value)
    before, remark, after = _around(text, found)
    if path[-1] != PROSE or len(path) != 3 or not isinstance(value, str) or not value:
        return (
            before
            + _aligned(writing.inline(value), remark, text[len(before) : true_end(found[1], text)])
            + after
        )
    column = found[0].start_mark.column
    indent = _indent(text, found[1], column)
    header, lines = writing.block(value, column=column, indent=indent)
    return before + layout.newline.join([header + remark, *lines]) + _settled(layout, after, indent, column)


def without_key(layout: Layout, path: KeyPath) -> str:
    """Without the lines of a key, which must be its own."""
    text, found = layout.text, layout.pair(path)
    if found is None:
        return text
    start = line_start(text, found[0].start_mark.index)
    end = line_end(text, true_end(found[1], text))
    return text[:start] + text[end:].removeprefix(_break_at(text, end))


def rewritten(layout: Layout, index: int, data: Any) -> str:
    """A webhook written anew in the block style; the comments that stood in it stand above it."""
    place = layout.lines_of(index)
    dash, column = layout.dash, _columns(layout)[1]
    start = len("".join(layout.lines[: place.first]))
    comments = layout.comments_in(layout.node((*_WEBHOOKS, index)), start)
    lines = [*(" " * dash + comment for comment in comments), *writing.entry(data, dash, column)]
    after = "".join(layout.lines[place.last + 1 :])
    end = _break_at(
        layout.text, line_end(layout.text, true_end(layout.node((*_WEBHOOKS, index)), layout.text))
    )
    rest = _settled(layout, end + after, column + writing.STEP, column)
    return layout.text[:start] + layout.newline.join(lines) + rest


def in_block_style(layout: Layout) -> str:
    """The list of webhooks with a line for each key, where it stands in brackets."""
    found = layout.pair(_WEBHOOKS)
    if found is None or is_block(found[1]) or not layout.entries:
        return layout.text
    return _with_list(layout, found, layout.entries, layout.comments_in(found[1], found[1].start_mark.index))


def with_entry(layout: Layout, data: Any) -> str:
    """One more webhook behind the others."""
    found, (dash, column) = layout.pair(_WEBHOOKS), _columns(layout)
    if found is None:
        start = f"{layout.newline}{' ' * layout.root.start_mark.column}webhooks:"
        lines = [start, *writing.entry(data, dash, column)]
        return _inserted(layout, line_end(layout.text, true_end(layout.root, layout.text)), lines, column)
    if not layout.entries:
        return _with_list(layout, found, [data], [])
    last = layout.lines_of(len(layout.entries) - 1)
    gap = [""] if _is_spaced(layout) else []
    at = len("".join(layout.lines[: last.below + 1]).rstrip("\r\n\x85\u2028\u2029"))
    return _inserted(layout, at, [*gap, *writing.entry(data, dash, column)], column)


def without_entry(layout: Layout, index: int) -> str:
    """Without the lines of a webhook, and without a blank line that would be one too many."""
    place, lines = layout.lines_of(index), layout.lines
    before, after = lines[: place.first], lines[place.last + 1 :]
    if len(layout.entries) == 1:
        key = layout.pair(_WEBHOOKS)[0]  # type: ignore[index] # it has a webhook
        colon = layout.text.index(":", key.end_mark.index) + 1
        return f"{layout.text[:colon]} []{layout.text[colon : len(''.join(before))]}{''.join(after)}"
    if not "".join(after).strip():
        while not before[-1].strip():
            before.pop()
    elif not before[-1].strip():
        while not after[0].strip():
            after.pop(0)
    return "".join(before + after)


def moved(layout: Layout, index: int, to: int) -> str:
    """The webhooks in another order, each with the comments directly above it and those indented into it."""
    places = [layout.lines_of(number) for number in range(len(layout.entries))]
    bodies = ["".join(layout.lines[place.above : place.below + 1]) for place in places]
    bodies = [body if _BREAK.search(body[-1]) else body + layout.newline for body in bodies]
    gaps = ["".join(layout.lines[one.below + 1 : next_.above]) for one, next_ in pairwise(places)]
    bodies.insert(to, bodies.pop(index))
    middle = "".join(body + gap for body, gap in zip(bodies, [*gaps, ""], strict=True))
    return "".join(layout.lines[: places[0].above]) + middle + "".join(layout.lines[places[-1].below + 1 :])


def _around(text: str, found: Pair) -> tuple[str, str, str]:
    """What stands before a value, the remark on its first line, and what comes after both."""
    key, node = found
    colon = text.index(":", key.end_mark.index) + 1
    start, end = node.start_mark.index, true_end(node, text)
    behind = line_end(text, colon)
    if start > behind:  # on a line of its own
        remark = text[colon:behind]
        return (
            f"{text[:colon]} ",
            remark.rstrip(),
            text[behind : line_start(text, start)].rstrip(" ") + _tail(text, end),
        )
    before = text[:start] if start > colon else f"{text[:colon]} "
    if is_text_block(node):
        first = line_end(text, start)
        return before, _remark(text[start:first]), text[max(end, first) :]
    return before, text[end : line_end(text, end)].rstrip(), text[line_end(text, end) :]


def _aligned(value: str, remark: str, old: str) -> str:
    """The value and the remark behind it, at the column where that stood if there is room."""
    comment = remark.lstrip()
    width = len(old) + len(remark) - len(comment)
    return f"{value:<{width - 1}} {comment}" if comment and not _BREAK.search(old) else value + remark


def _tail(text: str, end: int) -> str:
    """What follows a value that stood on lines of its own; the line break before them is there already."""
    after = line_end(text, end)
    return text[after:].removeprefix(_break_at(text, after))


def _remark(line: str) -> str:
    found = _REMARK.search(line)
    return found[0].rstrip() if found else ""


def _with_key(layout: Layout, path: KeyPath, value: Any) -> str:
    """A key that is not there yet: behind those that usually stand before it."""
    mapping, key = layout.node(path[:-1]), str(path[-1])
    pairs = mapping.value
    if path[0] == "webhooks" and len(path) == 3:
        pairs = [each for each in pairs if writing.rank(each[0].value) < writing.rank(key)] or pairs
    column = mapping.start_mark.column
    first, *others = (
        writing.pair(key, value, column)
        if len(path) == 3
        else [f"{writing.inline(key, in_flow=True)}: {writing.inline(value)}"]
    )
    end = line_end(layout.text, true_end(pairs[-1][1], layout.text))
    return _inserted(layout, end, [" " * column + first, *others], column)


def _with_list(layout: Layout, found: Pair, entries: Sequence[Any], comments: Sequence[str]) -> str:
    """``webhooks:`` with a list in the block style instead of what it has."""
    before, remark, after = _around(layout.text, found)
    dash, column = _columns(layout)
    lines = [
        before.rstrip(" ") + remark,
        *(" " * dash + comment for comment in comments if comment not in remark),
    ]
    for entry in entries:
        lines += writing.entry(entry, dash, column)
    return layout.newline.join(lines) + _settled(layout, after, column + writing.STEP, column)


def _inserted(layout: Layout, at: int, lines: Sequence[str], column: int) -> str:
    """Lines behind the one that ends at ``at``: of a mapping whose keys stand at ``column``."""
    after = _settled(layout, layout.text[at:], column + writing.STEP, column)
    return layout.text[:at] + "".join(layout.newline + line for line in lines) + after


def _settled(layout: Layout, after: str, indent: int, column: int) -> str:
    """What follows a text block, so that nothing of it becomes a part of that: neither blanks nor deep comments."""
    parts = _BREAK.split(after)  # ["", break, line, break, line, …]
    for at in range(2, len(parts), 2):
        line = parts[at]
        if not line.strip():
            parts[at] = "" if len(line) > indent else line
        elif line.lstrip(" ").startswith("#") and len(line) - len(line.lstrip(" ")) >= indent:
            parts[at] = " " * column + line.lstrip(" ")
        else:
            break
    return "".join(parts) or layout.newline


def _indent(text: str, node: Any, column: int) -> int:
    """As far as a block was indented; else a step."""
    if is_text_block(node):
        lines = _BREAK.split(text[line_end(text, node.start_mark.index) : true_end(node, text)])[2::2]
        first = next((line for line in lines if line.strip()), "")
        indent = len(first) - len(first.lstrip(" "))
        header = text[node.start_mark.index : line_end(text, node.start_mark.index)]
        if column < indent <= column + _LARGEST_INDICATOR and not re.match(r".-?\+?\d", header):
            return indent
    return column + writing.STEP


def _columns(layout: Layout) -> tuple[int, int]:
    """Where a webhook's ``-`` and its keys stand, as in the last one."""
    dash = layout.dash
    for node in reversed(layout.node(_WEBHOOKS).value if layout.entries else ()):
        if is_block(node) and node.start_mark.column > dash + 1 and _is_compact(layout, node, dash):
            return dash, node.start_mark.column
    return dash, dash + writing.STEP


def _is_compact(layout: Layout, node: Any, dash: int) -> bool:
    line = layout.lines[node.start_mark.line]
    return is_block(layout.node(_WEBHOOKS)) and line[:dash].strip(" ") == "" and line[dash : dash + 1] == "-"


def _is_spaced(layout: Layout) -> bool:
    """True when a blank line stands between the last two webhooks; one alone counts as spaced."""
    number = len(layout.entries) - 1
    return not number or not layout.lines[layout.lines_of(number).above - 1].strip()


def _break_at(text: str, offset: int) -> str:
    found = _BREAK.match(text, offset)
    return found[0] if found else ""
