"""The rules for a source, all three levels."""

from __future__ import annotations

from .checks import Checks
from .source_bronze import BRONZE_CHECKS
from .source_gold import GOLD_CHECKS
from .source_safety import SAFETY_CHECKS
from .source_silver import READING_CHECKS
from .source_stage import SourceCase

__all__ = ["SOURCE_CHECKS", "SourceCase"]

SOURCE_CHECKS = Checks[SourceCase](BRONZE_CHECKS, READING_CHECKS, SAFETY_CHECKS, GOLD_CHECKS)
