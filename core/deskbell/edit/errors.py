"""Why an edit of config.yaml was refused."""

from __future__ import annotations

from deskbell.errors import DeskbellError


class EditError(DeskbellError):
    """The edit cannot be made or saved: the text says why, ``fix`` what to do. The file is as it was."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(f"{reason}: {fix}" if fix else reason)
        self.reason = reason
        self.fix = fix


class TakenError(EditError):
    """Another webhook has the name already."""


class ChangedError(EditError):
    """The file is not what was read: somebody else changed it meanwhile."""
