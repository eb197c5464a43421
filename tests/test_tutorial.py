"""docs/tutorial-transport.md does what it says: its blocks are executed from top to bottom."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.conftest import clean_environment
from tests.page import TUTORIAL, Ntfy, Published, blocks_of, missing_from, ntfy, write_file

TOKEN = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
TEXT = (
    "Remboursement\nMartin Dev: Bonjour,  Voici ma demande de remboursement\n"
    "https://clientxcms.com/support/tickets/1\n"
)
SHELL = 'cd "$1"; eval "$2"; pwd > "$3"'


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The ``bin`` of a virtual environment on top of this one: what the page installs stays in it.

    Its pip asks no index: what the page needs is here already.
    """
    pytest.importorskip("pip", reason="pip, which the page uses, is not installed")
    pytest.importorskip("hatchling", reason="hatchling, which builds the page's package, is not installed")
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    inside = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", inside], check=True, capture_output=True, text=True).stdout
    below = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(below)]
    (Path(packages.strip()) / "below.pth").write_text("".join(lines), "utf-8")
    commands = {
        "deskbell": 'exec python -m deskbell "$@"',
        "pytest": 'exec python -m pytest "$@"',
        "pip": 'action=$1; shift; exec python -m pip "$action" --no-build-isolation --no-index "$@"',
    }
    for name, line in commands.items():
        script = python.with_name(name)
        script.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
        script.chmod(0o755)
    return python.parent


def played(folder: Path, commands: Path, service: Ntfy) -> list[str]:
    """Execute the page in ``folder``; what each run printed."""
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    environ = clean_environment({"PATH": path, "NTFY_URL": service.url, "NTFY_TOKEN": TOKEN})
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those of this environment are not the page's
    where, outputs = folder, list[str]()
    for block in blocks_of(TUTORIAL):
        if block.kind == "file":
            write_file(folder, block.place, block.text)
        elif block.kind in ("run", "fails"):
            command = ["/bin/sh", "-ec", SHELL, "page", str(where), block.text, str(folder / "where.txt")]
            ended = subprocess.run(
                command, env=environ, capture_output=True, text=True, timeout=120, check=False
            )
            failed = ended.returncode != 0
            assert failed is (block.kind == "fails"), f"{block.text}\n{ended.stdout}\n{ended.stderr}"
            where = Path((folder / "where.txt").read_text("utf-8").strip())
            outputs.append(ended.stdout)
        else:
            missing = missing_from(outputs[-1], block.text)
            assert not missing, f"the page shows {missing!r}, and what came is:\n{outputs[-1]}"
    return outputs


def test_every_block_does_what_the_page_says(tmp_path: Path, environment: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    with ntfy() as service:
        outputs = played(folder, environment, service)
        expected = [Published("desk-4f9c2e", TEXT, sender) for sender in ("", f"Bearer {TOKEN}")]
        assert service.published == expected
        assert service.refused == []
    assert not any(TOKEN in output for output in outputs)


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        ("one\ntwo…\n", ""),
        ("…\nthree", ""),
        ("two", "two"),  # the line has more
        ("three\none", "one"),  # in another order
        ("o…e\nt…o of …", ""),
    ],
)
def test_what_a_page_shows_is_compared_line_by_line_and_in_order(shown: str, missing: str) -> None:
    assert missing_from("one\ntwo of 2\nthree\n", shown) == missing


def test_a_block_without_a_mark_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- run -->\n```sh\ntrue\n```\n\n```sh\nfalse\n```\n", "utf-8")
    with pytest.raises(AssertionError, match="has no mark"):
        blocks_of(page)
