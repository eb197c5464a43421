"""For the tests of plugins: inherit a contract, and every rule of deskbell is a test of yours.

```python
from deskbell.testing import TransportContract
from deskbell_ntfy import Ntfy

class TestNtfy(TransportContract):
    transport = Ntfy
    options = {"topic": "desk"}
```

Needs pytest and nothing else: no plugin of pytest's, no setting. Every name is public, as in ``deskbell`` itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checks import Level, NotApplicable, NotMet
    from .contract import SourceContract, TransportContract
    from .picture import PICTURE_ATTRIBUTES, PICTURE_SCHEMES, PICTURE_TAGS
    from .stage import CANARY, SERVER, Reply, sample_event, sample_notice

_HOME_OF = {
    "CANARY": "stage",
    "SERVER": "stage",
    "Level": "checks",
    "NotApplicable": "checks",
    "NotMet": "checks",
    "PICTURE_ATTRIBUTES": "picture",
    "PICTURE_SCHEMES": "picture",
    "PICTURE_TAGS": "picture",
    "Reply": "stage",
    "SourceContract": "contract",
    "TransportContract": "contract",
    "sample_event": "stage",
    "sample_notice": "stage",
}

__all__ = [
    "CANARY",
    "PICTURE_ATTRIBUTES",
    "PICTURE_SCHEMES",
    "PICTURE_TAGS",
    "SERVER",
    "Level",
    "NotApplicable",
    "NotMet",
    "Reply",
    "SourceContract",
    "TransportContract",
    "sample_event",
    "sample_notice",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    return value
