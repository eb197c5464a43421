"""Plugins with every fault that authors make: the program goes on, says whose fault it is, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Run, Serve, Sink

GOOD = """
import deskbell

class Bell(deskbell.Transport):
    name = "bell"
    max_length = 100
    def format(self, notice, options):
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}
    async def send(self, payload, context):
        response = await context.post(payload)
        return deskbell.Delivered() if response.body == b"ok" else deskbell.TemporaryFailure("?")

@deskbell.hookimpl
def deskbell_transports():
    return [Bell]
"""


def with_method(*methods: str) -> str:
    """The good one with further class methods."""
    written = "".join(f"    @classmethod\n    {method}\n" for method in methods)
    return GOOD.replace("    max_length", f"{written}    max_length")


BROKEN = {
    "imports_nothing": ("import not_there_at_all", "No module named 'not_there_at_all'"),
    "misspelt": (GOOD.replace("deskbell_transports", "deskbell_transport"), "deskbell_transport is no hook of deskbell"),
    "unmarked": (GOOD.replace("@deskbell.hookimpl\n", ""), "is not marked: put @deskbell.hookimpl above it"),
    "foreign": (
        "import pluggy\n" + GOOD.replace("@deskbell.hookimpl", '@pluggy.HookimplMarker("datasette")'),
        "deskbell_transports is marked for datasette",
    ),
    "takes_more": (GOOD.replace("deskbell_transports()", "deskbell_transports(config)"), "takes config"),
    "of_tomorrow": ("deskbell_api_version = 99\n" + GOOD, "written for API 99"),
    "raises": (GOOD.replace("    return [Bell]", "    raise OSError('no gong')"), "OSError: no gong"),
    "exits": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "cannot_redact": (with_method("def redact(cls, text): raise KeyError('gong')"), "KeyError: 'gong'"),
    "forgets_to_return": (with_method("def redact(cls, text): pass"), "redact of the transport bell gives no text back"),
    "exits_when_asked": (with_method("def recognises(cls, url): raise SystemExit(3)"), "SystemExit: 3"),
    "asked_in_vain": (with_method("async def unavailable(cls): pass"), "Bell.unavailable is async: write def"),
    "named_demo": (GOOD.replace('"bell"', '"demo"'), "Bell.name means something else to deskbell"),
    "half": (GOOD.replace("def format", "def shape"), "Bell must define format"),
    "twin": (GOOD.replace('"bell"', '"twins"'), "the transport twins is provided by"),
    "twin_too": (GOOD.replace('"bell"', '"twins"'), "the transport twins is provided by"),
}  # fmt: skip
WEBHOOK = """
plugins_dir: plugins.d
webhooks:
  - {{name: desk, url: "{url}", transport: {transport}, action: Submit, message: "%subject%"}}
"""


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A folder of plugins, one of them good."""
    folder = tmp_path / "plugins.d"
    folder.mkdir()
    for name, code in {"bell": GOOD, **{name: code for name, (code, _) in BROKEN.items()}}.items():
        (folder / f"{name}.py").write_text(code, "utf-8")
    return folder


@pytest.mark.usefixtures("zoo")
def test_broken_plugins_stop_nothing_that_does_not_need_them(
    run: Run, serve: Serve, config_file: Callable[[str], Path], sink: Sink
) -> None:
    config_file(WEBHOOK.format(url=sink.url, transport="bell"))
    assert run("check").returncode == 0
    server = serve()
    assert run("send", "desk").returncode == 0
    assert sink.texts == ["Remboursement"]
    assert server.end() == 0
    for name, (_, reason) in BROKEN.items():
        line = next(line for line in server.log().splitlines() if f"plugin {name} is not loaded" in line)
        assert reason in line


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("name", BROKEN)
def test_plugins_names_the_file_the_reason_and_the_fix(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "config.yaml").write_text("version: 1\nplugins_dir: plugins.d\n", "utf-8")
    told = run("plugins", "--json")
    assert told.returncode == 1
    entry = next(row for row in map(json.loads, told.stdout.splitlines()) if row["name"] == name)
    assert (entry["state"], entry["distribution"]) == ("broken", f"plugins.d/{name}.py")
    assert BROKEN[name][1] in entry["reason"]
    assert entry["fix"]


@pytest.mark.usefixtures("zoo")
def test_a_webhook_that_needs_a_broken_plugin_is_an_error_with_its_reason(
    run: Run, config_file: Callable[[str], Path], sink: Sink
) -> None:
    config_file(WEBHOOK.format(url=sink.url, transport="raises"))
    checked, served = run("check"), run("serve")
    assert (checked.returncode, served.returncode) == (1, 78)
    for said in (checked.stdout, served.stderr):
        assert "transport: 'raises' could not be loaded: OSError: no gong" in said


def test_one_that_is_left_out_is_not_even_imported(run: Run, zoo: Path, tmp_path: Path) -> None:
    (zoo / "loud.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')", "utf-8")
    (tmp_path / "config.yaml").write_text("version: 1\nplugins_dir: plugins.d\n", "utf-8")
    names = ",".join(["loud", *BROKEN])
    assert run("plugins", environment={"DESKBELL_DISABLE_PLUGINS": names}).returncode == 0
    assert not (tmp_path / "imported").exists()


def test_one_that_forgets_to_return_refuses_nothing(
    run: Run, config_file: Callable[[str], Path], zoo: Path, sink: Sink
) -> None:
    """No type checker is asked of an author: ``None`` is no reason, and a sentence is not its letters."""
    more = (
        "def refuses(cls, url): pass",
        "def unavailable(cls): pass",
        "def warnings(cls, _): return 'beware'",
    )
    (zoo / "bell.py").write_text(with_method(*more), "utf-8")
    config_file(WEBHOOK.format(url=sink.url, transport="bell"))
    checked = run("check")
    assert checked.returncode == 0, checked.stdout
    assert re.findall(r"warning: (.*)", checked.stdout) == ["beware"]


def test_a_webhook_whose_plugin_is_left_out_is_told_so(
    run: Run, config_file: Callable[[str], Path], sink: Sink
) -> None:
    config_file(WEBHOOK.format(url=sink.url, transport="slack"))
    checked = run("check", environment={"DESKBELL_DISABLE_PLUGINS": "slack"})
    assert checked.returncode == 1
    assert "'slack' could not be loaded: it is left out by DESKBELL_DISABLE_PLUGINS" in checked.stdout


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "return {'text': object()}",
            "format failed: TypeError: Object of type object is not JSON serializable",
        ),
        ("raise KeyError('subject')", "format failed: KeyError: 'subject' (plugins.d/bell.py, line {line})"),
        ("return ['text']", "format returned an object of type list, and a payload is a dict"),
    ],
)
def test_a_format_that_fails_names_the_plugin_and_the_lane_goes_on(
    run: Run, config_file: Callable[[str], Path], tmp_path: Path, sink: Sink, body: str, reason: str
) -> None:
    (tmp_path / "plugins.d").mkdir()
    wrong = GOOD.replace(
        "        return {", f"        if notice.event.ticket == '1': {body}\n        return {{"
    )
    (tmp_path / "plugins.d" / "bell.py").write_text(wrong, "utf-8")
    reason = reason.format(line=wrong[: wrong.index(body)].count("\n") + 1)
    (tmp_path / "event.json").write_text('{"action": "Submit", "ticket": 2, "subject": "next"}', "utf-8")
    config_file(WEBHOOK.format(url=sink.url, transport="bell"))
    sent = run("send", "desk")
    assert sent.returncode == 1
    assert f"plugin of transport bell (plugins.d/bell.py): {reason}" in sent.stdout
    previewed = run("preview", "desk")
    assert previewed.returncode == 1
    assert previewed.stderr.strip() == f"deskbell: plugin of transport bell (plugins.d/bell.py): {reason}"
    assert run("send", "desk", "--event", "event.json").returncode == 0
    assert sink.texts[-1] == "next"
