"""The command line as an owner meets it: the real program, its words and its exit codes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.faults.shelf import Past, Shelf

import deskbell
from deskbell import Delivered, DestinationGone, Outcome, TemporaryFailure
from deskbell.cli import COMMANDS
from deskbell.event import VARIABLES

if TYPE_CHECKING:
    from tests.conftest import Run, Serve, Sink

ROOT = Path(__file__).resolve().parents[2]
BROKEN = """\
webhooks:
  - name: desk
    urll: demo:slack
    url: demo:slack
    action: Sumbit
    message: "%usrname%"
"""
DEMO = """\
webhooks:
  - name: desk
    url: demo:slack
    action: Submit
    message: |
      *%subject%* %content%
"""


def to_sink(url: str) -> str:
    return (
        f'webhooks:\n  - {{name: desk, url: "{url}", transport: slack, action: "*", message: "%subject%"}}\n'
    )


def test_help_lists_every_command_with_its_purpose(run: Run) -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name}\s+\S", shown.stdout, re.MULTILINE), name


def test_the_version(run: Run) -> None:
    assert deskbell.__version__ in run("--version").stdout


@pytest.mark.parametrize(
    "words", [["no-such-command"], ["preview"], ["deliveries", "--state", "lost"], ["serve", "-x"]]
)
def test_wrong_usage_ends_with_2(run: Run, words: list[str]) -> None:
    assert run(*words).returncode == 2


@pytest.mark.parametrize("command", ["serve", "deliveries"])
def test_a_config_that_cannot_be_used_ends_with_78_and_every_problem(
    run: Run, config_file: Callable[[str], Path], command: str
) -> None:
    config_file(BROKEN)
    ended = run(command)
    assert ended.returncode == 78
    for word in ("urll", "did you mean", "Sumbit", "usrname"):
        assert word in ended.stderr
    assert "Traceback" not in ended.stderr


def test_check_says_the_same_and_ends_with_1(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file(BROKEN)
    checked = run("check")
    assert checked.returncode == 1
    assert re.search(r"config\.yaml:\d+:\d+: error: ", checked.stdout)
    assert checked.stdout.splitlines()[:3] == run("serve").stderr.splitlines()[:3]


def test_a_config_that_is_not_there(run: Run) -> None:
    ended = run("serve")
    assert (ended.returncode, "config.yaml" in ended.stderr) == (78, True)


def test_check_of_a_good_config_says_what_was_found(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file(DEMO)
    checked = run("check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "1 webhook (1 slack)" in checked.stdout
    assert json.loads(run("check", "--json").stdout)["ok"] is True


def test_preview_shows_the_text_its_length_and_what_was_defused(
    run: Run, config_file: Callable[[str], Path]
) -> None:
    path = config_file(DEMO)
    event = path.with_name("event.json")
    event.write_text(
        json.dumps({"action": "Submit", "subject": "VPS", "content": "<!channel> help"}), "utf-8"
    )
    shown = run("preview", "desk", "--event", "event.json")
    assert shown.returncode == 0
    assert "┃ *VPS* <!channel> help" in shown.stdout
    assert re.search(r"desk \(slack\)  \d+ / \d+ characters", shown.stdout)
    assert "%content% holds marks of slack" in shown.stdout


def test_preview_json_is_the_payload_that_would_be_sent(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file(DEMO)
    shown = json.loads(run("preview", "desk", "--json").stdout)
    assert (shown["webhook"], shown["transport"]) == ("desk", "slack")
    assert shown["payload"]["text"].startswith(f"*{VARIABLES['subject']}*")


def test_preview_reads_the_body_of_a_named_source(run: Run, config_file: Callable[[str], Path]) -> None:
    path = config_file(DEMO)
    body = {"payload": {"action": "helpdesk_created", "subject": "from the CMS"}}
    path.with_name("body.json").write_text(json.dumps(body), "utf-8")
    shown = run("preview", "desk", "--event", "body.json", "--source", "clientxcms")
    assert "*from the CMS*" in shown.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "not JSON"), ("{}", "action: is required"), ('{"action": []}', "action: must be")],
)
def test_an_event_file_that_holds_none_ends_with_1(
    run: Run, config_file: Callable[[str], Path], content: str, words: str
) -> None:
    config_file(DEMO).with_name("event.json").write_text(content, "utf-8")
    ended = run("preview", "desk", "--event", "event.json")
    assert (ended.returncode, words in ended.stderr) == (1, True), ended.stderr


@pytest.mark.parametrize("command", ["preview", "send", "resume"])
def test_an_unknown_webhook_ends_with_2_and_a_suggestion(
    run: Run, config_file: Callable[[str], Path], command: str
) -> None:
    config_file(DEMO)
    ended = run(command, "desc")
    assert (ended.returncode, "did you mean 'desk'?" in ended.stderr) == (2, True)


def test_an_unknown_source_ends_with_2(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file(DEMO).with_name("event.json").write_text("{}", "utf-8")
    assert run("preview", "desk", "--event", "event.json", "--source", "zammad").returncode == 2
    assert run("variables", "zammad").returncode == 2


def test_send_without_a_server_prints_the_services_answer(
    run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(to_sink(sink.url))
    sent = run("send", "desk")
    assert sent.returncode == 0, sent.stderr
    assert "200 ok in " in sent.stdout
    assert sink.texts == [VARIABLES["subject"]]


def test_send_of_what_the_service_refuses_ends_with_1(
    run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(to_sink(sink.url))
    sink.answers = [(400, "invalid_payload")]
    sent = run("send", "desk")
    assert sent.returncode == 1
    assert "400 invalid_payload" in sent.stdout
    assert "not tried again" in sent.stdout


def test_send_tells_each_answer_once_and_where_the_event_is_now(
    run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(to_sink(sink.url).replace("slack,", 'slack, retry: "1s, 1s",'))
    sink.answers = [(503, "busy"), (503, "busy"), (404, "no_service")]
    sent = run("send", "desk")
    assert sent.returncode == 1
    assert re.search(r"^  503 busy, 2 times, in \d+ to \d+ ms$", sent.stdout, re.MULTILINE), sent.stdout
    assert re.search(r"^  404 no_service.* in \d+ ms$", sent.stdout, re.MULTILINE), sent.stdout
    assert sent.stdout.count("503 busy") == 1
    assert "\nnot delivered yet: paused: 404 no_service" in sent.stdout
    assert sent.stdout.endswith(
        "\nThis event stays in the queue: `deskbell deliveries --webhook desk` shows it.\n"
    )


def test_send_beside_a_server_goes_through_its_queue(
    run: Run, serve: Serve, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(to_sink(sink.url))
    serve()
    assert run("send", "desk").returncode == 0
    (row,) = [json.loads(line) for line in run("deliveries", "--json").stdout.splitlines()]
    assert (row["state"], row["attempts"]) == ("delivered", 1)


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (DestinationGone("404 no_service"), "goes on"),
        (TemporaryFailure("503 busy", 600), "was not paused, but waited: 503 busy. It tries again now"),
        (Delivered(wait=600), "is not paused: there is nothing to resume"),
    ],
)
async def test_resume_says_what_it_ended(
    run: Run,
    serve: Serve,
    config_file: Callable[[str], Path],
    tmp_path: Path,
    served: bool,
    outcome: Outcome,
    words: str,
) -> None:
    config_file(to_sink("http://127.0.0.1:9/x"))
    await Shelf(tmp_path).fill(Past(outcome))
    if served:
        serve()
    elif not isinstance(outcome, Delivered):
        words = f"{words.removesuffix(' now')} once `deskbell serve` runs"
    resumed = run("resume", "desk")
    assert (resumed.returncode, resumed.stdout) == (0, f"webhook desk {words}\n")
    if not served:
        assert run("resume", "desk").stdout == "webhook desk is not paused: there is nothing to resume\n"


def test_resume_before_the_first_event(run: Run, config_file: Callable[[str], Path]) -> None:
    folder = config_file(DEMO).parent
    ended = run("resume", "desk")
    assert (ended.returncode, "there is no store yet" in ended.stderr) == (1, True)
    assert not (folder / "deskbell.db").exists()


def test_send_to_a_disabled_webhook_says_so(run: Run, sink: Sink, config_file: Callable[[str], Path]) -> None:
    config_file(to_sink(sink.url).replace("name: desk,", "name: desk, enabled: false,"))
    sent = run("send", "desk")
    assert (sent.returncode, "disabled" in sent.stderr) == (1, True)


def test_deliveries_list_the_newest_first_with_the_promised_keys(
    run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(to_sink(sink.url))
    run("send", "desk")
    sink.answers = [(400, "no_text")]
    run("send", "desk")
    rows = [json.loads(line) for line in run("deliveries", "--json").stdout.splitlines()]
    assert [row["state"] for row in rows] == ["dead", "delivered"]
    promised = (
        "id event_id webhook transport ticket action state attempts reason next_at receipt maybe_duplicate"
    )
    assert set(promised.split()) <= set(rows[0])
    assert len(run("deliveries", "--state", "dead", "--json").stdout.splitlines()) == 1
    table = run("deliveries").stdout
    assert "400 no_text" in table
    assert "200 ok" in table


def test_deliveries_of_a_webhook_that_nobody_knows_end_with_2(
    run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    config_file(to_sink(sink.url))
    run("send", "desk")
    assert run("deliveries", "--webhook", "desc").returncode == 2
    assert run("deliveries", "--webhook", "desk").returncode == 0


def test_deliveries_before_the_first_event(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file(DEMO)
    listed = run("deliveries")
    assert (listed.returncode, "there is no store yet" in listed.stderr) == (1, True)


def test_deliveries_show_control_characters_harmlessly(
    run: Run, sink: Sink, config_file: Callable[[str], Path]
) -> None:
    path = config_file(to_sink(sink.url))
    path.with_name("e.json").write_text(json.dumps({"action": "Submit", "ticket": "\x1b[31m7\n8"}), "utf-8")
    run("send", "desk", "--event", "e.json")
    assert "\x1b" not in run("deliveries").stdout


def test_variables_are_listed_with_samples(run: Run) -> None:
    shown = run("variables")
    assert shown.returncode == 0
    for name in (*VARIABLES, "appname"):
        assert f"%{name}%" in shown.stdout


def test_plugins_are_listed_with_what_they_provide(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file(DEMO)
    shown = run("plugins")
    assert shown.returncode == 0
    for name in ("discord", "slack", "clientxcms"):
        assert name in shown.stdout
    assert re.search(r"slack.*desk", shown.stdout)


def test_a_broken_plugin_is_shown_and_harms_nobody(
    run: Run, serve: Serve, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "broken.py").write_text("import a_module_that_is_nowhere\n", "utf-8")
    path = config_file(DEMO)
    path.write_text(path.read_text("utf-8") + "plugins_dir: plugins.d\n", "utf-8")
    shown = run("plugins")
    assert (shown.returncode, "a_module_that_is_nowhere" in shown.stdout) == (1, True)
    assert run("check").returncode == 0
    assert serve().end() == 0


BELL = """\
import deskbell

class Bell(deskbell.Transport):
    '''Rings.'''
    name = "bell"
    max_length = 100

    def format(self, notice, options):
        return {"text": notice.text(deskbell.plain, self.max_length)}

@deskbell.hookimpl
def deskbell_transports():
    return [Bell]
"""


@pytest.fixture
def bell_config(config_file: Callable[[str], Path], sink: Sink, tmp_path: Path) -> Path:
    """A config whose one webhook uses a transport of one file, and whose source is deskbell's own."""
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "bell.py").write_text(BELL, "utf-8")
    webhooks = to_sink(sink.url).replace("transport: slack", "transport: bell")
    path = config_file(webhooks + "plugins_dir: plugins.d\n")
    path.write_text(path.read_text("utf-8").replace("name: clientxcms", "name: shop"), "utf-8")
    return path


@pytest.mark.usefixtures("bell_config")
def test_a_single_file_plugin_sends(run: Run, sink: Sink) -> None:
    sent = run("send", "desk")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert sink.texts == [VARIABLES["subject"]]


@pytest.mark.usefixtures("bell_config")
def test_core_does_its_job_without_any_plugin_of_this_repository(run: Run, sink: Sink) -> None:
    alone = {"DESKBELL_DISABLE_PLUGINS": "clientxcms,discord,slack"}
    checked = run("check", environment=alone)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    assert run("send", "desk", environment=alone).returncode == 0
    assert sink.texts == [VARIABLES["subject"]]


def test_beyond_loopback_an_empty_token_is_refused(run: Run, tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.yaml", tmp_path)
    refused = run("serve", "--listen", "0.0.0.0:0")
    assert refused.returncode == 78
    assert "neither token nor signing_secret" in refused.stderr


def test_beyond_loopback_the_pages_want_a_password(
    run: Run, serve: Serve, config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    path = config_file(DEMO)
    refused = run("serve", "--listen", "0.0.0.0:0")
    assert (refused.returncode, refused.stdout) == (78, "")
    assert "there is no server.admin_password: `deskbell password` makes the line" in refused.stderr
    (tmp_path / "admin").write_text("correct horse battery staple")
    text = path.read_text("utf-8")
    path.write_text(text.replace('"127.0.0.1:0"', '"127.0.0.1:0", admin_password_file: admin'), "utf-8")
    assert serve("--listen", "0.0.0.0:0").end() == 0


def test_on_loopback_an_empty_token_is_made_and_printed(serve: Serve, tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.yaml", tmp_path)
    server = serve("--listen", "127.0.0.1:0")
    assert server.end() == 0
    assert re.search(rf"{server.address}/events/clientxcms/[\w-]{{32}}", server.log())


def test_a_port_that_is_taken_ends_with_78(
    run: Run, serve: Serve, config_file: Callable[[str], Path]
) -> None:
    config_file(DEMO)
    taken = serve().address.rpartition(":")[2]
    other = config_file(DEMO)
    other.write_text(other.read_text("utf-8") + "store: sqlite:///other.db\n", "utf-8")
    refused = run("serve", "--listen", f"127.0.0.1:{taken}")
    assert (refused.returncode, "cannot listen" in refused.stderr) == (78, True)


@pytest.mark.parametrize("listen", ["8700", "localhost", "127.0.0.1:99999", "127.0.0.1:x"])
def test_a_malformed_listen_ends_with_2(run: Run, config_file: Callable[[str], Path], listen: str) -> None:
    config_file(DEMO)
    assert run("serve", "--listen", listen).returncode == 2


def test_help_and_check_import_no_server(run: Run, config_file: Callable[[str], Path]) -> None:
    """They answer at once because they load little: no aiohttp for help, no metrics and no engine for check."""
    config_file(DEMO)
    heavy = {"--help": ("aiohttp", "pydantic", "yaml"), "check": ("prometheus_client", "uvloop", "sqlite3")}
    for command, modules in heavy.items():
        told = run(command, environment={"PYTHONPROFILEIMPORTTIME": "1"}).stderr
        assert "deskbell" in told
        for module in modules:
            assert not re.search(rf"\| +{module}$", told, re.MULTILINE), f"{command} imports {module}"
