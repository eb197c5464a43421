"""The priority labels of ClientXCMS: it sends them in the language of whoever caused the event.

From the language files of both versions, oddities of their translators included (German ``Bass`` for low).
A code without a translation is sent as its key: ``helpdesk.priorities.urgent``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_LABELS = {
    "low": (
        "Low", "Basse", "Faible", "Bajo", "Baja", "Bass", "Schwach", "Basso", "Debole", "Bas", "Baixo", "Fraco",
        "低",
    ),
    "medium": (
        "Medium", "Moyenne", "Promedio", "Media", "Durchschnitt", "Nella media", "Gemiddeld", "Média", "平均",
    ),
    "high": ("High", "Haute", "Alto", "Alta", "Hoch", "Hoog", "高"),
}  # fmt: skip

PRIORITIES: Mapping[str, str] = MappingProxyType(
    {
        label.casefold(): level
        for level, labels in _LABELS.items()
        for label in (*labels, f"helpdesk.priorities.{level}")
    }
)
"""Each label in lower case -> ``low``, ``medium`` or ``high``. None of them means two levels."""
