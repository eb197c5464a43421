"""The lines that an edit changes, as they may be shown: masked as ``deskbell check`` masks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from deskbell.config import exhibit
from deskbell.config.document import Document
from deskbell.config.environment import expand
from deskbell.config.findings import Findings
from deskbell.config.masking import Masks
from deskbell.config.problem import Place

_CONTEXT = 3
"""Lines round a change."""


def diff(old: Document, new: Document, masks: Masks, name: str) -> Iterator[str]:
    """A unified diff without line breaks. A changed secret is two equal lines: one with ``-``, one with ``+``."""
    for document in (old, new):
        masks.learn(expand(document.data, {}, Findings(document)))  # what references name is not in the file
    old_lines, new_lines = _masked(old, masks), _masked(new, masks)
    matcher = SequenceMatcher(None, _lines(old), _lines(new), autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(_CONTEXT)):
        if not number:
            yield from (f"--- {name}", f"+++ {name}")
        (_, first, _, other_first, _), (_, _, last, _, other_last) = group[0], group[-1]
        yield f"@@ -{_range(first, last)} +{_range(other_first, other_last)} @@"
        for kind, one, two, three, four in group:
            if kind == "equal":
                yield from (f" {line}" for line in old_lines[one:two])
            else:
                yield from (f"-{line}" for line in old_lines[one:two])
                yield from (f"+{line}" for line in new_lines[three:four])


def _masked(document: Document, masks: Masks) -> Sequence[str]:
    show = exhibit.of_document(document, masks)
    return [show(Place(number, 1))[1] for number in range(1, len(_lines(document)) + 1)]


def _lines(document: Document) -> Sequence[str]:
    """Without the empty one behind the last line break."""
    return document.lines if document.lines[-1] else document.lines[:-1]


def _range(first: int, last: int) -> str:
    """https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html"""
    length = last - first
    return str(first + 1) if length == 1 else f"{first + 1 if length else first},{length}"
