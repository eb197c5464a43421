"""The built wheel holds what it must, and nothing else: an ignored folder would empty it without a word."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "deskbell", "deskbell_apprise", "deskbell_clientxcms", "deskbell_discord", "deskbell_slack", "deskbell_webhook",
)  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel that the project's own build backend makes of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def in_the_tree() -> set[str]:
    """Every file of the packages, as the wheel should name it."""
    folders = [ROOT / "core", *(ROOT / "plugins").iterdir()]
    found = {path.relative_to(folder) for folder in folders for path in folder.rglob("*") if path.is_file()}
    return {str(path) for path in found if path.parts[0] in PACKAGES and "__pycache__" not in path.parts}


def test_the_wheel_holds_every_file_of_the_packages(files: set[str]) -> None:
    assert in_the_tree() - files == set()


def test_the_wheel_holds_nothing_else(files: set[str]) -> None:
    others = {name for name in files - in_the_tree() if ".dist-info/" not in name}
    assert others == set()


def test_the_wheel_carries_the_notices_of_the_emoji_table(files: set[str]) -> None:
    licences = {Path(name).name for name in files if "dist-info/licenses" in name}
    assert {"LICENSE", "LICENSE.emojibase-data", "LICENSE.emoji-datasource"} <= licences


def test_the_data_files_are_there(files: set[str]) -> None:
    assert "deskbell/data/shortcodes.json" in files
    assert "deskbell/store/migrations/0001_initial.sql" in files
    assert "deskbell/py.typed" in files
