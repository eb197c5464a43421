"""deploy/deskbell.service: systemd understands it, and leaves the process little to do harm with."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deskbell.dispatcher import STOP_GRACE

if TYPE_CHECKING:
    from tests.conftest import Run

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "deskbell.service"
PROGRAM = "/opt/deskbell/bin/deskbell"
MOST_EXPOSED = 12
"""Tenths, of 100 that a service without any hardening has."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def values(key: str) -> list[str]:
    """What the unit says of ``key``."""
    return re.findall(rf"^{key}=(.*)$", SHIPPED.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The shipped unit, with a program that exists here."""
    text = SHIPPED.read_text("utf-8")
    assert PROGRAM in text
    copy = tmp_path / "deskbell.service"
    copy.write_text(text.replace(PROGRAM, f"{sys.executable} -m deskbell"), "utf-8")
    return copy


@needs_systemd
def test_systemd_accepts_the_unit_without_a_word(unit: Path) -> None:
    verified = analyze("verify", str(unit))
    assert (verified.returncode, verified.stderr.strip()) == (0, "")


@needs_systemd
def test_systemd_would_tell_of_a_misspelt_line(unit: Path) -> None:
    """Else the test before this one proves nothing."""
    unit.write_text(unit.read_text("utf-8").replace("NoNewPrivileges=", "NoNewPrivilege="), "utf-8")
    assert "NoNewPrivilege" in analyze("verify", str(unit)).stderr


@needs_systemd
def test_the_service_is_shut_in(unit: Path) -> None:
    judged = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(unit))
    assert judged.returncode == 0, judged.stdout


def test_a_start_that_cannot_succeed_is_not_tried_again(run: Run, config_file: Callable[[str], Path]) -> None:
    config_file("webhooks: [{name: x}]\n")
    codes = {str(run("serve").returncode), str(run("serve", "--no-such-option").returncode)}
    assert codes == {"78", "2"} == set(values("RestartPreventExitStatus")[0].split())


def test_the_unit_gives_the_program_the_time_it_takes_to_stop() -> None:
    assert float(values("TimeoutStopSec")[0]) > STOP_GRACE + 10
    assert values("Type") == ["notify"]
    assert values("ExecReload") == [f"/bin/kill -{signal.SIGHUP.name.removeprefix('SIG')} $MAINPID"]
