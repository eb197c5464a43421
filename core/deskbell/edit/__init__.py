"""Changes of config.yaml by a program: only the lines of the webhook that is meant, the rest byte for byte as it was."""

from .draft import Draft, as_lines
from .errors import ChangedError, EditError, TakenError
from .values import Literal

__all__ = ["ChangedError", "Draft", "EditError", "Literal", "TakenError", "as_lines"]
