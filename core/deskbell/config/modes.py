"""Files that hold secrets, and that everybody on this machine may read."""

from __future__ import annotations

import stat
from pathlib import Path

from deskbell.secret import secret_parts

from .document import Document
from .findings import Findings
from .masking import Masks
from .problem import KeyPath
from .secrets_file import SECRETS_FILE

READABLE = "everybody on this machine may read this file, and it holds secrets"
_REFERENCE = "${"


def everybody_reads(path: Path) -> bool:
    """True when any user may read ``path``. A group may: that is how root shares a file with one service."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def note_inline_secrets(path: Path, document: Document, masks: Masks, findings: Findings) -> None:
    """Warn of the first secret that stands in a config that everybody may read."""
    written = (place for place, spot in document.spots.items() if _is_secret(place, spot.text or "", masks))
    if everybody_reads(path) and (first := next(written, None)):
        hint = f"chmod 600 {path.name}, or write ${{NAME}} here and NAME=… into {SECRETS_FILE}"
        findings.warning(first, f"{READABLE}; the first is here", hint)


def _is_secret(place: KeyPath, text: str, masks: Masks) -> bool:
    named = any(masks.is_secret(key) for key in place if isinstance(key, str))
    return named and _REFERENCE not in text and masks.is_worth_hiding(text) and not _names_a_host_alone(text)


def _names_a_host_alone(text: str) -> bool:
    """A URL without a login and a path tells nothing: https://ntfy.sh/."""
    return "://" in text and len([*secret_parts(text)]) == 1
