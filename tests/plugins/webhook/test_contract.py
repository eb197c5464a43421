"""Every rule for a transport, with the default body and with one that uses all that a body may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from deskbell.testing import CANARY, Reply, TransportContract
from deskbell_webhook import Webhook
from deskbell_webhook.body import units

GOLDEN = Path(__file__).with_name("golden")
NO_PROBE = "a receiver that can be anything has no such question"
HOSTILE = ("@all", "@channel", "<!here>", "<users/all>", "[x](https://e.vil)", "**x**", "&commat;all")


class TestDefaultBody(TransportContract):
    transport = Webhook
    ok_reply = Reply(body=b"ok")
    measure = units
    golden = GOLDEN / "default"
    skip: ClassVar[dict[str, str]] = {
        "probe_finds_a_dead_webhook": NO_PROBE,
        "probe_knows_a_living_webhook": NO_PROBE,
    }


class TestOwnBody(TransportContract):
    transport = Webhook
    options: ClassVar[dict[str, Any]] = {
        "headers": {"Authorization": f"Bearer {CANARY}"},
        "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "markup": "markdown",
        "body": {
            "text": "%message%",
            "ticket": {"subject": "%subject%", "tags": [1, None, "%content% %url%"]},
        },
    }
    hostile = HOSTILE
    measure = units
    golden = GOLDEN / "own"
    skip: ClassVar[dict[str, str]] = TestDefaultBody.skip
