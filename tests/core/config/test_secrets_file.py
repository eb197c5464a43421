"""secrets.env beside config.yaml, read as a real file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.kit import without_rights

from deskbell.config import Severity, environment_beside

TEXT = """\
# a comment, and a blank line

DESKBELL_TOKEN=a-token-of-the-tests
export QUOTED="two words"
SINGLE='#1'
URL=https://discord.com/api/webhooks/1/x?wait=true#part
EMPTY=
"""


def beside(
    folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None, mode: int = 0o600
) -> Mapping[str, str]:
    """The environment, where nothing is wrong with the file."""
    write(folder, text, mode)
    found, problems = environment_beside(folder / "config.yaml", environ or {})
    assert problems == ()
    return found


def write(folder: Path, text: str | bytes, mode: int = 0o600) -> None:
    path = folder / "secrets.env"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)


def test_each_line_is_a_variable(tmp_path: Path) -> None:
    assert beside(tmp_path, TEXT) == {
        "DESKBELL_TOKEN": "a-token-of-the-tests",
        "QUOTED": "two words",
        "SINGLE": "#1",
        "URL": "https://discord.com/api/webhooks/1/x?wait=true#part",
        "EMPTY": "",
    }


def test_a_variable_of_the_environment_wins_unless_it_is_empty(tmp_path: Path) -> None:
    found = beside(tmp_path, "A=file\nB=file\n", {"A": "environment", "B": "", "C": "other"})
    assert found == {"A": "environment", "B": "file", "C": "other"}


def test_a_byte_order_mark_and_line_ends_of_windows_do_no_harm(tmp_path: Path) -> None:
    assert beside(tmp_path, "\ufeffA=1\r\nB=2\r\n") == {"A": "1", "B": "2"}


def test_without_the_file_the_environment_is_as_it_was(tmp_path: Path) -> None:
    environ = {"A": "1"}
    assert environment_beside(tmp_path / "config.yaml", environ) == (environ, ())


def test_a_line_that_is_none_is_an_error_that_shows_nothing_of_it(tmp_path: Path) -> None:
    write(tmp_path, "A=1\nwhsec_a secret on its own line\n")
    _, (problem,) = environment_beside(tmp_path / "config.yaml", {})
    assert (problem.severity, problem.line) == (Severity.ERROR, 2)
    assert "secret on" not in str(problem)
    assert "no NAME=VALUE" in str(problem)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o606])
def test_a_file_that_others_may_read_is_warned_of(tmp_path: Path, mode: int) -> None:
    write(tmp_path, "A=1\n", mode)
    found, (problem,) = environment_beside(tmp_path / "config.yaml", {})
    assert found == {"A": "1"}
    assert problem.severity is Severity.WARNING
    assert problem.hint == f"chmod 600 {tmp_path / 'secrets.env'}"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "A=1\n")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    with without_rights():
        _, (problem,) = environment_beside(tmp_path / "config.yaml", {})
    assert problem.severity is Severity.ERROR
    assert "permission denied" in problem.message


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, b"A=\xff\n")
    _, (problem,) = environment_beside(tmp_path / "config.yaml", {})
    assert problem.severity is Severity.ERROR
    assert "UTF-8" in problem.message
