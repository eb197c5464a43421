"""``DESKBELL_TRACE=1``: each call of a plugin's code, as an author sees it on stderr."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.conftest import Run

PLUGIN = """
import deskbell

class BellOptions(deskbell.Options):
    token: deskbell.Secret

class Bell(deskbell.Transport[BellOptions]):
    name = "bell"
    max_length = 100
    def format(self, notice, options):
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}
    async def send(self, payload, context):
        return deskbell.Delivered(detail=f"with {context.options.token.reveal()}")

@deskbell.hookimpl
def deskbell_transports():
    return [Bell]

@deskbell.hookimpl
def deskbell_event_accepted(webhooks, event):
    raise ValueError("not today")
"""
CONFIG = """\
version: 1
plugins_dir: plugins.d
sources:
  - {name: cms, adapter: deskbell, token: a-token-of-the-tests}
webhooks:
  - name: desk
    url: https://bell.example/a-token-in-the-path-of-it
    transport: bell
    action: Submit
    options: {token: hunter2-hunter2}
    message: "%subject%"
"""
TRACED = {"DESKBELL_TRACE": "1"}


@pytest.fixture
def _bell(tmp_path: Path) -> None:
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "bell.py").write_text(PLUGIN, "utf-8")
    (tmp_path / "config.yaml").write_text(CONFIG, "utf-8")


@pytest.mark.usefixtures("_bell")
def test_each_call_is_shown_with_what_it_got_and_what_came_of_it(run: Run) -> None:
    sent = run("send", "desk", environment=TRACED)
    assert sent.returncode == 0, sent.stderr
    lines = [
        line.split("deskbell.trace: ")[1] for line in sent.stderr.splitlines() if "deskbell.trace" in line
    ]
    calls = [re.sub(r"[\d.]+ ms for ", "", line) for line in lines]
    assert "bell: deskbell_transports() -> [Bell]" in calls
    heard = next(call for call in calls if "deskbell_event_accepted" in call)
    assert heard.startswith("bell: deskbell_event_accepted(webhooks=[desk], event=<Submit ")
    assert heard.endswith("-> raised ValueError: not today")
    formatted = "bell: format(webhook=desk, options=BellOptions(token=••• -> "
    assert formatted + '{"text": "Remboursement"}' in calls
    sent_line = next(call for call in calls if " send(" in call)
    assert sent_line.endswith(" to desk, attempt 1) -> Delivered(receipt='', wait=0.0, detail='with •••')")


@pytest.mark.usefixtures("_bell")
def test_a_trace_shows_no_secret_and_the_answer_of_the_command_stays_as_it_is(run: Run) -> None:
    traced, plain = run("preview", "desk", environment=TRACED), run("preview", "desk")
    assert traced.stdout == plain.stdout
    assert "options=BellOptions(token=•••" in traced.stderr
    assert "hunter2" not in traced.stderr
    assert "token-in-the-path" not in traced.stderr


@pytest.mark.usefixtures("_bell")
@pytest.mark.parametrize("value", ["", "0"])
def test_it_is_off_unless_it_is_asked_for(run: Run, value: str) -> None:
    assert run("preview", "desk", environment={"DESKBELL_TRACE": value}).stderr == ""


@pytest.mark.usefixtures("_bell")
def test_a_long_line_is_cut_after_its_secrets_are_masked(run: Run, tmp_path: Path) -> None:
    """Wherever a secret stands: cut before it is masked, half of it would be shown."""
    secret = "plainsekrit-9f8e7d6c5b4a"
    told = PLUGIN.replace('return {"text": ', f'return {{"pad": "x" * PAD, "auth": {secret!r}, "text": ')
    for pad in range(1880, 1960, 7):
        (tmp_path / "plugins.d" / "bell.py").write_text(told.replace("PAD", str(pad)), "utf-8")
        config = CONFIG.replace("hunter2-hunter2", secret)
        (tmp_path / "config.yaml").write_text(config, "utf-8")
        traced = run("preview", "desk", environment=TRACED).stderr
        assert "xxx" in traced
        assert secret[:6] not in traced


@pytest.mark.usefixtures("_bell")
def test_a_plugin_whose_result_cannot_be_shown_goes_on(run: Run, tmp_path: Path) -> None:
    odd = "class Odd:\n    def __repr__(self): raise RuntimeError('repr boom')\n"
    told = odd + PLUGIN.replace('raise ValueError("not today")', "return Odd()")
    (tmp_path / "plugins.d" / "bell.py").write_text(told, "utf-8")
    traced = run("send", "desk", environment=TRACED)
    assert traced.returncode == 0
    assert "-> <Odd, whose repr raises RuntimeError>" in traced.stderr
    assert "repr boom" not in traced.stderr
