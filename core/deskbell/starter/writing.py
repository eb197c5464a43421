"""Write the files an owner begins with: all of them or none, and never over a file that is there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

CONFIG_FILE = "config.yaml"
SCHEMA_FILE = "deskbell.schema.json"
_FOR_ALL, _FOR_ME = 0o644, 0o600


def existing(folder: Path, names: Sequence[str]) -> list[str]:
    """Which of the files are there, as anything: a broken link counts."""
    return [name for name in names if os.path.lexists(folder / name)]


def write_all(folder: Path, texts: Mapping[str, str], *, secret: str) -> None:
    """Write each text as its name; that of ``secret`` is readable by its owner alone, from its first byte on.

    ``OSError`` when one cannot be written, ``FileExistsError`` when it is there: then none is.
    """
    written = list[Path]()
    try:
        for name, text in texts.items():
            path = folder / name
            mode = _FOR_ME if name == secret else _FOR_ALL
            number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            written.append(path)
            with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise
