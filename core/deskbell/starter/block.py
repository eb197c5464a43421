"""Any text as a block of YAML, in which no sign means anything."""

from __future__ import annotations

import re

_BREAKS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML takes for the end of a line."""
_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What may not stand in YAML (https://yaml.org/spec/1.2.2/#51-character-set)."""
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")


def as_lines(message: str) -> list[str]:
    """The lines of a message, without what YAML cannot hold, and without what no reader sees at its ends."""
    text = _UNPRINTABLE.sub("", _BREAKS.sub("\n", message))
    return _BLANK_LINES.sub("", text).strip(" \t\n\ufeff").split("\n")


def block(message: str, *, indent: int) -> str:
    """``|`` and the lines of ``message``, each indented by so many spaces; blank ones are empty."""
    lines = [f"{' ' * indent}{line}" if line.strip() else "" for line in as_lines(message)]
    return "\n".join(["|", *lines])


def as_comment(text: str, *, indent: int) -> str:
    """``text`` with every line of it commented out, behind so many spaces."""
    lines = _UNPRINTABLE.sub("", _BREAKS.sub("\n", text)).split("\n")
    return "\n".join(f"{' ' * indent}# {line}".rstrip() for line in lines)
