"""What SQLite's errors mean for a store: what its owner should do, and whether it can be trusted any longer."""

from __future__ import annotations

import sqlite3

_RESTORE = "put your last backup in its place (`deskbell backup` makes one), or try `sqlite3 FILE .recover`"
_MENDS = (
    ("SQLITE_FULL", "the disk is full: free some space"),
    ("SQLITE_BUSY", "another program writes to the file: end it"),
    ("SQLITE_READONLY", "give the user that runs deskbell the right to write the file and its folder"),
    ("SQLITE_CANTOPEN", "give the user that runs deskbell the right to open the file and its folder"),
    ("SQLITE_PERM", "give the user that runs deskbell the right to open the file and its folder"),
    (
        "SQLITE_NOTADB",
        f"it is no store, or its head is damaged: choose another path under store:, or {_RESTORE}",
    ),
    ("SQLITE_CORRUPT", f"it is damaged: {_RESTORE}"),
    ("SQLITE_IOERR", "see what the kernel says of this disk (dmesg), and make room or replace it"),
)
_FINAL = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_CORRUPT", "SQLITE_NOTADB")


def explain(error: sqlite3.Error) -> str:
    """SQLite's own words, its name of the error, and the mend."""
    name = _name(error)
    mend = next((mend for begin, mend in _MENDS if name.startswith(begin)), "")
    return f"{error}{f' ({name})' if name else ''}{f'; {mend}' if mend else ''}"


def damage(words: str) -> str:
    """What ``PRAGMA quick_check`` found, and the mend."""
    return f"it is damaged: {' '.join(words.replace('*', '').split())}; {_RESTORE}"


def is_final(error: sqlite3.Error) -> bool:
    """True when the next commit that seems to succeed could not be believed.

    After an fsync that failed, Linux takes the pages for clean: the next one succeeds, though they are not on the disk
    (https://www.sqlite.org/atomiccommit.html and https://wiki.postgresql.org/wiki/Fsync_Errors). In a damaged file a
    write may fall on what is still whole. Other errors of input and output leave the file as it was: SQLite takes the
    transaction back.
    """
    return _name(error).startswith(_FINAL)


def _name(error: sqlite3.Error) -> str:
    """Empty where it is Python's own."""
    return str(getattr(error, "sqlite_errorname", ""))
