"""The plugin in a process of its own: without the library, and with an eye on what it writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from deskbell_apprise import Apprise
from deskbell_apprise.transport import MISSING, TOO_OLD

needs_apprise = pytest.mark.skipif(bool(Apprise.unavailable()), reason=MISSING)
WITHOUT = "import sys; sys.modules['apprise'] = None\n"
"""For everything in that process it is as if the library were not installed."""

Deskbell = Callable[..., subprocess.CompletedProcess[str]]


def python(code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


@pytest.fixture
def without(tmp_path: Path) -> Deskbell:
    """The command line where the library is missing; its config sends to Telegram."""
    (tmp_path / "config.yaml").write_text(
        textwrap.dedent("""\
            version: 1
            sources:
              - name: deskbell
                token: a-token-of-enough-length
            webhooks:
              - name: phone
                url: tgram://123456789:abcdefg_hijklmnop/12345
                action: Submit
                message: "%subject%"
            """)
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return python(WITHOUT + "from deskbell.cli import main; main()", *arguments, cwd=tmp_path)

    return run


def test_without_the_library_the_plugin_loads_and_says_so(without: Deskbell) -> None:
    ran = without("plugins", "--json")
    assert ran.returncode == 0, ran.stderr
    (mine,) = [
        plugin for line in ran.stdout.splitlines() if (plugin := json.loads(line))["name"] == "apprise"
    ]
    assert (mine["state"], mine["transports"], mine["lacks"]) == ("loaded", ["apprise"], [MISSING])
    assert MISSING in " ".join(without("plugins").stdout.split())


def test_without_the_library_only_who_uses_it_minds(without: Deskbell, tmp_path: Path) -> None:
    ran = without("check")
    assert ran.returncode == 1
    assert f"config.yaml:7:10: error: the transport apprise cannot work here: {MISSING}" in ran.stdout
    config = tmp_path / "config.yaml"
    config.write_text(config.read_text().replace("tgram://123456789:abcdefg_hijklmnop/12345", "demo:discord"))
    assert without("check").returncode == 0


def test_to_load_the_plugin_does_not_load_the_library(tmp_path: Path) -> None:
    code = "import sys, deskbell_apprise as it; it.Apprise.recognises('tgram://x'); print('apprise' in sys.modules)"
    assert python(code, cwd=tmp_path).stdout == "False\n"


@needs_apprise
def test_a_library_that_is_too_old_is_as_good_as_none(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += "from deskbell_apprise import Apprise; print(Apprise.unavailable()); print(Apprise.refuses('ftp://x'))"
    meta = tmp_path / "apprise-1.9.5.dist-info" / "METADATA"
    meta.parent.mkdir()
    meta.write_text("Metadata-Version: 2.1\nName: apprise\nVersion: 1.9.5\n")
    assert python(code, cwd=tmp_path).stdout == f"{TOO_OLD}\n\n"


URLS = {
    "TELEGRAM_URL": "tgram://123456789:abcdefg_hijklmnop/12345",
    "MAIL_URL": "mailtos://user:password@example.com?smtp=mail.example.com&to=team@example.com",
    "NTFY_URL": "ntfys://tk_sesame@ntfy.example.com/topic",
    "MATRIX_URL": "matrixs://sesame@matrix.example.com/!room",
    "TEAMS_URL": "workflows://example.logic.azure.com/643e69f83c8944438d68119179a10a64/AbCdEfGhIjKlMnOpQrSt",
}


@needs_apprise
def test_the_examples_of_the_readme_are_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = Path(__file__).parents[3] / "plugins" / "apprise" / "README.md"
    _, block, *_ = re.split(
        r"^```(?:yaml)?$", readme.read_text("utf-8").partition("## Examples")[2], flags=re.MULTILINE
    )
    assert set(re.findall(r"\$\{(\w+)\}", block)) == set(URLS)
    for name, url in URLS.items():
        monkeypatch.setenv(name, url)
    head = "version: 1\nsources: [{name: deskbell, token: a-token-of-enough-length}]\n"
    (tmp_path / "config.yaml").write_text(head + block, "utf-8")
    ran = python("from deskbell.cli import main; main()", "check", cwd=tmp_path)
    assert ran.stdout.startswith("config.yaml OK. Found: 5 webhooks (5 apprise), every action"), ran.stdout


WATCHED = """
import logging, os, socket, sys, threading
opened = []
def watch(event, arguments):
    if event == "open" and (arguments[1] or "r") != "r" and set(str(arguments[1])) & set("wax+"):
        opened.append(str(arguments[0]))
    elif event == "open" and arguments[1] is None and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        opened.append(str(arguments[0]))
    elif event in ("os.mkdir", "os.rename", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        opened.append(event)
sys.dont_write_bytecode = True
from deskbell_apprise import library, urls
server = socket.create_server(("127.0.0.1", 0))
def serve():
    while True:
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 403 no\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
        connection.close()
threading.Thread(target=serve, daemon=True).start()
port = server.getsockname()[1]
sys.addaudithook(watch)
threads = threading.active_count()
for scheme in sys.argv[1:]:
    url = f"{scheme}://127.0.0.1:{port}/abcdefgh12345678?store=yes"
    assert urls.refusal(url) == "", urls.refusal(url)
    service = library.service_at(url)
    sent, heard = library.send(service, "title", "body", "text")
    assert not sent and heard
    service.store.set("what it learnt", "of its service")
    service.store.flush(force=True)
assert urls.refusal("tgram://x") and urls.refusal("nobody://x")
print(opened, threading.active_count() - threads)
"""


@needs_apprise
def test_it_writes_no_file_starts_no_program_and_stays_in_its_thread(tmp_path: Path) -> None:
    """Not even where the URL asks Apprise to keep what it knows."""
    ran = python(WATCHED, "json", "ntfy", "gotify", "mmost", cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == ("[] 0\n", "")
    assert list(tmp_path.iterdir()) == []
