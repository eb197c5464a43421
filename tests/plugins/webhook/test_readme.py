"""The README's examples are read as they stand, and its numbers are those of the code."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from deskbell import VARIABLES
from deskbell_webhook import body, headers, transport
from deskbell_webhook.options import WebhookOptions

README = (Path(__file__).resolve().parents[3] / "plugins" / "webhook" / "README.md").read_text("utf-8")
EXAMPLES = [textwrap.dedent(block) for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_valid(example: str) -> None:
    read: Any = yaml.safe_load(example)
    webhook = read["webhooks"][0] if "webhooks" in read else read
    given = {**webhook["options"]}
    if "signing_secret" in given:
        given["signing_secret"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert WebhookOptions.model_validate(given, context={"variables": list(VARIABLES)})
    assert webhook["transport"] == "webhook"
    assert "%subject%" in webhook["message"]


def test_the_limits_are_those_of_the_code() -> None:
    for number in (
        transport.MAX_MESSAGE,
        body.MAX_TEXT,
        body.MAX_FILLED,
        body.MAX_TEXTS,
        body.MAX_PARTS,
        body.MAX_DEPTH,
        body.MAX_WRITTEN,
        headers.MAX_HEADERS,
        headers.MAX_VALUE,
    ):
        assert re.search(rf"\b{number:,}\b", README.partition("## Limits")[2])


def test_every_option_is_in_the_table() -> None:
    assert [name for name in WebhookOptions.model_fields if f"| `{name}` |" not in README] == []
