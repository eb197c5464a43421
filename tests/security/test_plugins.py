"""What runs as a plugin: what is installed, and the files of plugins_dir. Nothing that merely lies about."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import clean_environment

DESKBELL = Path(sys.executable).with_name("deskbell")
PLUGIN = """\
from pathlib import Path
import deskbell

Path(__file__).with_suffix(".ran").touch()

class {name}(deskbell.Transport):
    name = "{name}"
    max_length = 100
    def format(self, notice, options):
        return {{}}

@deskbell.hookimpl
def deskbell_transports():
    return [{name}]
"""


def test_only_what_is_installed_or_in_plugins_dir_is_run(
    config_file: Callable[[str], Path], tmp_path: Path
) -> None:
    path = config_file("webhooks: []\n")
    path.write_text(path.read_text("utf-8") + "plugins_dir: plugins.d\n", "utf-8")
    places = {
        "wanted": tmp_path / "plugins.d" / "wanted.py",
        "deeper": tmp_path / "plugins.d" / "folder" / "deeper.py",
        "beside": tmp_path / "beside.py",
        "deskbell_beside": tmp_path / "deskbell_beside.py",
    }
    for name, place in places.items():
        place.parent.mkdir(exist_ok=True)
        place.write_text(PLUGIN.format(name=name), "utf-8")
    claims = tmp_path / "deskbell_beside-1.0.dist-info"
    claims.mkdir()
    (claims / "METADATA").write_text("Metadata-Version: 2.1\nName: deskbell-beside\nVersion: 1.0\n", "utf-8")
    (claims / "entry_points.txt").write_text("[deskbell]\nbeside = deskbell_beside\n", "utf-8")
    done = subprocess.run(
        [DESKBELL, "plugins", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=clean_environment(None),
    )
    found = {json.loads(line)["name"] for line in done.stdout.splitlines()}
    assert "wanted" in found
    assert not {"deeper", "beside", "deskbell_beside"} & found
    assert [name for name, place in places.items() if place.with_suffix(".ran").exists()] == ["wanted"]
