"""The rules for a transport, all three levels."""

from __future__ import annotations

from .checks import Checks
from .stage import TransportCase
from .transport_bronze import PLUGIN_CHECKS
from .transport_format import FORMAT_CHECKS
from .transport_gold import GOLD_CHECKS
from .transport_network import NETWORK_CHECKS
from .transport_safety import SAFETY_CHECKS
from .transport_silver import ANSWER_CHECKS

TRANSPORT_CHECKS = Checks[TransportCase](
    PLUGIN_CHECKS, FORMAT_CHECKS, ANSWER_CHECKS, NETWORK_CHECKS, SAFETY_CHECKS, GOLD_CHECKS
)
