"""Priority labels, by language: the words of the CMS's own language files (v2), and of version 1 (v1)."""

from __future__ import annotations

import pytest

from deskbell_clientxcms import ClientXCMS

LABELS = [  # language, low, medium, high
    ("fr v2", "Basse", "Moyenne", "Haute"),
    ("en v2", "Low", "Medium", "High"),
    ("es v2", "Bajo", "Promedio", "Alto"),
    ("de v2", "Bass", "Durchschnitt", "Hoch"),
    ("it v2", "Basso", "Nella media", "Alto"),
    ("nl v2", "Bas", "Gemiddeld", "Hoog"),
    ("pt v2", "Baixo", "Média", "Alto"),
    ("zh v2", "低", "平均", "高"),
    ("fr v1", "Faible", "Moyenne", "Haute"),
    ("es v1", "Baja", "Media", "Alta"),
    ("de v1", "Schwach", "Durchschnitt", "Hoch"),
    ("it v1", "Debole", "Nella media", "Alto"),
    ("pt v1", "Fraco", "Média", "Alto"),
    ("untranslated", "helpdesk.priorities.low", "helpdesk.priorities.medium", "helpdesk.priorities.high"),
    ("code", "low", "medium", "high"),
]


@pytest.mark.parametrize(("language", "low", "medium", "high"), LABELS)
def test_labels_of_every_language_are_levels(language: str, low: str, medium: str, high: str) -> None:
    labels = (low.casefold(), medium.casefold(), high.casefold())
    assert [ClientXCMS.priorities.get(label) for label in labels] == ["low", "medium", "high"], language


def test_no_further_label_is_known() -> None:
    listed = {label.casefold() for _, *labels in LABELS for label in labels}
    assert set(ClientXCMS.priorities) == listed
    assert "helpdesk.priorities.urgent" not in ClientXCMS.priorities
