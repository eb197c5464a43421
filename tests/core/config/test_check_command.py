"""``deskbell check``: what it prints of a config that was loaded."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from deskbell.cli.check import show
from deskbell.config import Loaded

Load = Callable[..., Loaded]


def test_a_good_config_is_summed_up(load: Load, good: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = "  - {name: b, url: demo:discord, action: [Reply, Submit], message: '%url%'}\n"
    more += "  - {name: c, url: demo:discord, action: Close, message: '%subject%', enabled: false}\n"
    more += "  - {name: d, url: 'https://hooks.slack.com/x', action: Reply, message: x}\n"
    assert show(load(good + more), as_json=False) == 0
    assert capsys.readouterr().out == (
        "config.yaml OK. Found: 4 webhooks (3 discord, 1 slack), 2 actions, 2 variables, 1 source (clientxcms), "
        "1 disabled.\n"
    )


def test_a_webhook_for_all_shows_every_action(
    load: Load, good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(load(good.replace("action: Submit", 'action: "*"')), as_json=False) == 0
    assert "Found: 1 webhook (1 discord), every action, 1 variable, 1 source" in capsys.readouterr().out


def test_warnings_are_told_and_keep_nothing_from_starting(
    load: Load, good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(load(good.replace("Submit", "Reopen")), as_json=False) == 0
    out = capsys.readouterr().out
    assert out.startswith("config.yaml:8:13: warning: action: no source sends Reopen today\n    8 | ")
    assert out.endswith(
        "\nconfig.yaml OK. Found: 1 webhook (1 discord), 1 action, 1 variable, 1 source (clientxcms).\n"
    )


def test_errors_end_with_1(load: Load, good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(load(good.replace("Submit", "Submt")), as_json=False) == 1
    out = capsys.readouterr().out
    assert out.startswith("config.yaml:8:13: error: ")
    assert out.endswith("\n1 problem. Nothing was started.\n")


def test_as_json(load: Load, good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(load(good), as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "problems": [],
        "found": {
            "webhooks": [{"name": "support", "transport": "discord", "enabled": True}],
            "sources": [{"name": "clientxcms", "adapter": "clientxcms"}],
        },
    }


def test_errors_as_json(load: Load, good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(load(good.replace("Submit", "Submt")), as_json=True) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["found"], len(answer["problems"])) == (False, None, 1)
