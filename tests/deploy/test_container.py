"""deploy/Containerfile and compose.yaml, as far as they can be tried without a container runtime."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from deskbell.config import parse_listen

if TYPE_CHECKING:
    from tests.conftest import Run, Serve

ROOT = Path(__file__).resolve().parents[2]
RECIPE = (ROOT / "deploy" / "Containerfile").read_text("utf-8")
COMPOSE = ROOT / "deploy" / "compose.yaml"
SERVICE: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["deskbell"]
PORT = 8700
DEMO = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'


def instruction(name: str) -> list[str]:
    """The arguments of each such line, joined where they are continued."""
    joined = re.sub(r"\\\n\s*", "", RECIPE)
    return re.findall(rf"^\s*{name} (.+)$", joined, re.MULTILINE)


def test_what_the_recipe_copies_is_enough_to_build_the_wheel(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    for line in instruction("COPY"):
        *sources, target = line.split()
        if sources[0].startswith("--from="):
            continue
        for source in sources:
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, tmp_path / (target if (ROOT / source).is_dir() else Path(source).name))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheels")]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert len(list((tmp_path / "wheels").glob("deskbell-*.whl"))) == 1


def test_its_entry_point_and_command_start_the_service_with_the_config_of_its_folder(
    run: Run, config_file: Callable[[str], Path]
) -> None:
    program = json.loads(instruction("ENTRYPOINT")[0])
    assert program == ["deskbell"]
    assert instruction("WORKDIR")[-1] == "/config"
    config_file("webhooks: [{name: x}]\n")
    assert run(*json.loads(instruction("CMD")[-1])).returncode == 78


def health(address: str) -> subprocess.CompletedProcess[str]:
    """The recipe's HEALTHCHECK, with the port of a test."""
    check = re.search(r"HEALTHCHECK .* CMD (\[.*\])", re.sub(r"\\\n\s*", "", RECIPE))
    assert check
    program, *arguments = json.loads(check[1])
    assert program == "python"
    place = f"127.0.0.1:{PORT}"
    assert place in arguments[-1]
    command = [sys.executable, *arguments[:-1], arguments[-1].replace(place, urlsplit(address).netloc)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_its_health_check_tells_a_running_service_from_a_stopped_one(
    serve: Serve, config_file: Callable[[str], Path]
) -> None:
    config_file(DEMO)
    server = serve()
    assert health(server.address).returncode == 0
    assert server.end() == 0
    assert health(server.address).returncode == 1


def test_its_health_check_asks_where_the_shipped_config_listens() -> None:
    listen = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["server"]["listen"]
    assert parse_listen(listen) == ("127.0.0.1", PORT)


def test_it_does_not_run_as_root() -> None:
    user = instruction("USER")[-1].partition(":")[0]
    assert int(user) >= 10000
    assert f"--uid {user} " in RECIPE


def test_compose_mounts_folders_and_the_store_outlives_the_container() -> None:
    places = dict(reversed(volume.split(":")[:2]) for volume in SERVICE["volumes"])
    assert places == {"/config": "./config", "/data": "data"}
    assert set(yaml.safe_load(COMPOSE.read_text("utf-8"))["volumes"]) == {"data"}


def test_compose_builds_the_recipe_and_keeps_its_port_to_the_host() -> None:
    build = SERVICE["build"]
    assert (
        COMPOSE.parent / build["context"] / build["dockerfile"]
    ).resolve() == ROOT / "deploy" / "Containerfile"
    assert "PLUGINS" in build["args"]
    assert SERVICE["network_mode"] == "host"
    assert "ports" not in SERVICE
