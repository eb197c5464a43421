"""``deskbell password``: the line that it prints is one that the config takes."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.conftest import PROGRAM, clean_environment

from deskbell.password import Password
from deskbell.secret import Secret

WORDS = "une phrase assez longue"


def piped(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "password"],
        input=words,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clean_environment(None),
    )


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_line_for_the_config(tmp_path: Path, end: str) -> None:
    made = piped(WORDS + end, tmp_path)
    assert made.returncode == 0, made.stderr
    assert WORDS not in made.stdout + made.stderr
    for line in (f"server:\n  {made.stdout}", f"server: {{listen: '127.0.0.1:0', {made.stdout.strip()}}}"):
        written = yaml.safe_load(line)["server"]["admin_password"]
        assert Password(Secret(written)).matches(WORDS)


def test_two_lines_of_one_password_differ(tmp_path: Path) -> None:
    assert piped(WORDS, tmp_path).stdout != piped(WORDS, tmp_path).stdout


@pytest.mark.parametrize("words", ["", "\n", "eleven char\nand more"])
def test_a_short_one_is_refused(tmp_path: Path, words: str) -> None:
    refused = piped(words, tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "shorter than 12 characters" in refused.stderr


def test_at_a_terminal_it_asks_twice_and_shows_nothing(tmp_path: Path) -> None:
    owner, terminal = pty.openpty()
    command = subprocess.Popen(
        [*PROGRAM, "password"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        cwd=tmp_path,
        text=True,
        env=clean_environment(None),
        start_new_session=True,
    )
    os.close(terminal)
    shown = ""
    for question in ("Password:", "Once more:"):
        while question not in shown:
            shown += os.read(owner, 1024).decode()
        os.write(owner, f"{WORDS}\n".encode())
    printed, _ = command.communicate(timeout=60)
    shown += os.read(owner, 1024).decode()
    os.close(owner)
    assert command.returncode == 0
    assert WORDS not in shown
    assert Password(Secret(printed.partition(": ")[2].strip())).matches(WORDS)
