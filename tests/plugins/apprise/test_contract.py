"""The contract that every transport is held to, kept through a service of Apprise that is this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from deskbell.testing import CANARY, TransportContract
from deskbell_apprise import Apprise

pytest.importorskip("apprise", reason="the Apprise library is not installed: pip install 'deskbell[apprise]'")


class TestApprise(TransportContract):
    transport = Apprise
    url = f"json://{{server}}/hooks/{CANARY}"
    options: ClassVar[Mapping[str, Any]] = {"title": "%subject%"}
    hostile: ClassVar[Sequence[str]] = (
        "@everyone", "@all", "<!channel>", "<@U012AB3CD>", "[bank](https://evil.example)", "<b>bold</b>",
    )  # fmt: skip
    skip: ClassVar[Mapping[str, str]] = {
        "throttling_waits_as_told": "Apprise tells nobody what the headers of an answer say",
        "throttling_reads_dates": "likewise",
        "success_that_means_no_is_no_delivery": "what a service says with a status of success, Apprise reads alone",
        "probe_finds_a_dead_webhook": "Apprise can only send",
        "probe_knows_a_living_webhook": "likewise",
        "fake_accepts_its_messages": "which service there is to play, only the URL says",
    }
