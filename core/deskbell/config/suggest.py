"""Did you mean …?"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST_WORD = 80
_SHORTEST_WORD = 3


def closest(word: str, known: Iterable[str], *, likeness: float = 0.66) -> str:
    """The known word that ``word`` is most like, in any case; empty when it is like none."""
    if len(word.strip()) < _SHORTEST_WORD:
        return ""
    by_folded = {name.casefold(): name for name in known}
    found = get_close_matches(word.strip().casefold()[:_LONGEST_WORD], by_folded, 1, likeness)
    return by_folded[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "", *, sign: str = "'") -> str:
    """The hint for a wrong word; ``sign`` stands round the right one."""
    name = closest(word, known)
    return f"did you mean {sign}{name}{sign}?" if name else otherwise


def one_of(known: Iterable[str]) -> str:
    """``one of a, b, c``, or what to say when there is none to choose from."""
    names = sorted(known, key=str.casefold)
    return f"one of {', '.join(names)}" if names else "none is installed"
