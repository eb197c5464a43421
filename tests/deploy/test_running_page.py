"""docs/running.md says what the files in deploy/ and the program itself do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from deskbell.cli import COMMANDS

if TYPE_CHECKING:
    from tests.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "running.md").read_text("utf-8")
UNIT = (ROOT / "deploy" / "deskbell.service").read_text("utf-8")
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_page_names_every_file_of_the_folder() -> None:
    assert {path.name for path in (ROOT / "deploy").iterdir()} == set(
        re.findall(r"\.\./deploy/([\w.]+)", PAGE)
    )


def test_each_command_of_deskbell_on_the_page_exists() -> None:
    shell = "\n".join([*blocks("sh"), *re.findall(r"`([^`\n]+)`", PAGE)])
    named = set(re.findall(r"(?:^|bin/|exec deskbell )deskbell ([a-z]+)\b", shell, re.MULTILINE))
    assert {"check", "deliveries", "backup"} <= named
    assert named - set(COMMANDS) == set()


def test_the_shell_can_read_each_block() -> None:
    for block in blocks("sh"):
        read = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, "")


def test_page_and_unit_mean_the_same_places() -> None:
    program, config = "/opt/deskbell/bin/deskbell", "/etc/deskbell/config.yaml"
    assert f"ExecStart={program} serve --config {config}\n" in UNIT
    assert program in PAGE
    assert config in PAGE
    store = re.findall(r"sqlite:///(/var/lib/\w+)/", PAGE)
    assert store == [f"/var/lib/{name}" for name in re.findall(r"^StateDirectory=(\w+)$", UNIT, re.MULTILINE)]
    user = re.findall(r"^User=(\w+)$", UNIT, re.MULTILINE)
    assert set(re.findall(r"runuser -u (\w+)", PAGE)) == set(user)


def test_the_config_takes_the_stores_that_the_page_names(run: Run, tmp_path: Path) -> None:
    """Each on its own; neither folder needs to be there for `check`."""
    shipped = (ROOT / "config.yaml").read_text("utf-8")
    stores = re.findall(r"`(store: sqlite:\S+)`", PAGE)
    assert len(stores) == 2
    for store in stores:
        text, count = re.subn(r"^store: \S+", store, shipped, flags=re.MULTILINE)
        assert count == 1
        (tmp_path / "config.yaml").write_text(text, "utf-8")
        checked = run("check", environment={"DESKBELL_TOKEN": "a-token-of-the-tests"})
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_credential_of_systemd_is_taken_as_the_page_says(run: Run, tmp_path: Path) -> None:
    line = re.findall(r"`(token_file: \S+)`", PAGE)
    assert len(line) == 1
    (tmp_path / "token").write_text("a-token-of-the-tests\n", "ascii")
    shipped = (ROOT / "config.yaml").read_text("utf-8")
    text, count = re.subn(r"token: \$\{DESKBELL_TOKEN:-\}", lambda _: line[0], shipped)
    assert count == 1
    (tmp_path / "config.yaml").write_text(text, "utf-8")
    assert run("check", environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}).returncode == 0
    assert run("check", environment={"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}).returncode == 1


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_takes_its_config_and_the_rules_ask_for_this_job(tmp_path: Path) -> None:
    (block,) = blocks("yaml")
    rules = tmp_path / "deskbell-alerts.yaml"
    shutil.copy(ROOT / "deploy" / "alerts.yaml", rules)
    assert "/etc/prometheus/deskbell-alerts.yaml" in block
    (tmp_path / "prometheus.yml").write_text(
        block.replace("/etc/prometheus/deskbell-alerts.yaml", str(rules))
    )
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    job = yaml.safe_load(block)["scrape_configs"][0]["job_name"]
    assert set(re.findall(r'job="(\w+)"', " ".join(rule["expr"] for rule in RULES))) == {job}
