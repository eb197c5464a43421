"""A stranger's way, from the wheel to a message: install it alone, make a plugin, test it, serve with it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import READY, clean_environment
from tests.page import TUTORIAL, Ntfy, Published, final_files, ntfy, write_file

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "a-token-of-the-tests"
HOST = "https://billing.example.test"
MOST_TIMES = 5
"""How many times longer than pytest with nothing to do an author's whole test run may take: it is run at every save."""
CREATED = {
    "payload": {
        "action": "helpdesk_created", "__url": f"{HOST}/admin/helpdesk/tickets/1", "ticketid": "1",
        "customer_url": f"{HOST}/admin/customers/1", "subject": "Server unreachable since this morning",
        "customername": "Léa O'Brien", "customeremail": "lea.obrien@example.org",
        "message": "Hello,\nmy VPS does not answer since 07:30. Can you check the node?\nThanks",
        "department": "Technical Support", "priority": "High", "appname": "DemoHost", "appurl": HOST,
    }
}  # fmt: skip
"""A body of ClientXCMS, as its own code was seen to send it."""
SHOWN = (
    "Server unreachable since this morning\nLéa O'Brien: Hello,\nmy VPS does not answer since 07:30. "
    f"Can you check the node?\nThanks\n{HOST}/admin/helpdesk/tickets/1\n"
)
CONFIG = """\
version: 1
server: {{listen: "127.0.0.1:0"}}
egress: {{allow: [127.0.0.0/8]}}
sources:
  - {{name: clientxcms, token: {token}}}
webhooks:
  - name: phone
    url: {url}
    transport: ntfy
    options: {{topic: desk-4f9c2e}}
    action: Submit
    message: |
      %subject%
      %username%: %content%
      %url%
"""


@dataclass(frozen=True)
class Clean:
    """A virtual environment that holds what a stranger installed, and a folder to work in."""

    bin: Path
    work: Path

    def environ(self) -> dict[str, str]:
        """Nothing of this checkout, and the environment's commands first."""
        mine = clean_environment({"PYTHONNOUSERSITE": "1"})
        mine.pop("PYTHONPATH", None)
        return {**mine, "PATH": f"{self.bin}:{mine['PATH']}", "VIRTUAL_ENV": str(self.bin.parent)}

    def run(self, *command: str, folder: str = ".", code: int = 0) -> str:
        """What one of the environment's commands prints."""
        program, *arguments = command
        ended = subprocess.run(
            [self.bin / program, *arguments],
            cwd=self.work / folder,
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ended.returncode == code, f"{command}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, made by its own build backend."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    """A fresh environment with the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("clean")
    made = subprocess.run(
        [sys.executable, "-m", "venv", folder / "venv"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no virtual environment with pip can be made here: {made.stdout.strip()}")
    (folder / "work").mkdir()
    clean = Clean(folder / "venv" / "bin", folder / "work")
    asked = [str(clean.bin / "pip"), "download", "-q", "--no-deps", "-d", str(folder / "asked"), "pluggy"]
    answer = subprocess.run(asked, env=clean.environ(), capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip(f"the package index cannot be reached: {answer.stderr.strip().splitlines()[-1]}")
    clean.run("pip", "install", "-q", str(wheel))
    return clean


@pytest.fixture(scope="module")
def before(clean: Clean) -> str:
    """What is installed before any plugin is."""
    return clean.run("pip", "list", "--format=freeze")


@pytest.fixture(scope="module")
def plugins(clean: Clean, before: str) -> Clean:
    """The tutorial's plugin, and beside it a transport and a source as they are fresh from ``new-plugin``."""
    assert "pytest==" not in before
    clean.run("deskbell", "new-plugin", "ntfy")
    for place, text in final_files(TUTORIAL).items():
        if place.startswith("deskbell-ntfy/"):
            write_file(clean.work, place, text)
    clean.run("deskbell", "new-plugin", "fresh")
    clean.run("deskbell", "new-plugin", "helpy", "--source")
    clean.run("pip", "install", "-q", "-e", ".[test]", folder="deskbell-ntfy")
    clean.run("pip", "install", "-q", "-e", "./deskbell-fresh[test]", "-e", "./deskbell-helpy[test]")
    return clean


def timed(plugins: Clean, folder: str) -> tuple[str, float]:
    """What a run of pytest says at its end, and the seconds that it took."""
    began = time.monotonic()
    summary = plugins.run("pytest", "-q", folder=folder).splitlines()[-1]
    return summary, time.monotonic() - began


def test_the_wheel_brings_no_test_tools(before: str) -> None:
    assert "deskbell" in before
    assert not {"pytest", "hypothesis", "hatchling"} & {line.partition("=")[0] for line in before.split()}


@pytest.mark.parametrize("name", ["ntfy", "fresh", "helpy"])
def test_the_tests_of_a_new_plugin_are_green_within_seconds(plugins: Clean, name: str) -> None:
    """Two seconds where a process starts in a half. In one of three runs: the first compiles, the machine may be busy."""
    idle = plugins.work / "idle"
    idle.mkdir(exist_ok=True)
    (idle / "test_idle.py").write_text(
        "import deskbell.testing\n\n\ndef test_nothing():\n    pass\n", "utf-8"
    )
    ratios = []
    for _ in range(3):
        _, least = timed(plugins, "idle")
        summary, seconds = timed(plugins, f"deskbell-{name}")
        assert re.match(r"\d+ passed(, \d+ skipped)? in ", summary)
        ratios.append(seconds / least)
    assert min(ratios) < MOST_TIMES, ratios


def test_deskbell_finds_the_plugins(plugins: Clean) -> None:
    table = plugins.run("deskbell", "plugins")
    for row in (
        r"ntfy +deskbell-ntfy 0\.1\.0 +transport ntfy +-",
        r"fresh +deskbell-fresh 0\.1\.0 +transport fresh +-",
        r"helpy +deskbell-helpy 0\.1\.0 +source helpy +-",
    ):
        assert re.search(f"^{row}$", table, re.MULTILINE), table


@pytest.mark.parametrize("name", ["ntfy", "fresh", "helpy"])
def test_plugin_check_is_content_with_it(plugins: Clean, name: str) -> None:
    table = plugins.run("deskbell", "plugin-check", name)
    assert f"from deskbell-{name} 0.1.0" in table
    made, due = re.findall(r"\bbronze (\d+)/(\d+)", table)[-1]
    assert made == due != "0"


def test_an_installed_name_is_taken(plugins: Clean) -> None:
    plugins.run("deskbell", "new-plugin", "ntfy", "--dir", "..", code=2)


@pytest.fixture
def service(plugins: Clean) -> Iterator[tuple[str, Ntfy]]:
    """A running ``deskbell serve`` of the clean environment: where it listens, and its ntfy."""
    with ntfy() as phone:
        config = CONFIG.format(token=TOKEN, url=phone.url)
        (plugins.work / "config.yaml").write_text(config, "utf-8")
        with subprocess.Popen(
            [plugins.bin / "deskbell", "serve"],
            cwd=plugins.work,
            env=plugins.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                found = READY.fullmatch(process.stdout.readline().strip())
                assert found, process.communicate(timeout=30)[1]
                yield found[1], phone
                assert phone.refused == []
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=30)
        assert process.returncode == 0


def post(url: str, body: object) -> tuple[int, dict[str, object]]:
    """The status and the answer of a POST of ``body`` as JSON."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", "User-Agent": "GuzzleHttp/7"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.status, json.load(response)


def test_a_ticket_of_clientxcms_reaches_the_phone(service: tuple[str, Ntfy]) -> None:
    address, phone = service
    status, answer = post(f"{address}/events/clientxcms/{TOKEN}", CREATED)
    assert (status, answer["deliveries"]) == (202, 1)
    assert phone.wait_for(1) == [Published("desk-4f9c2e", SHOWN, "")]
