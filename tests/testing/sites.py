"""Plugins as they are installed, and pytest as their authors run it."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

BELL = (Path(__file__).parent / "bell.py").read_text("utf-8")
BELL_TEST = """\
from deskbell.testing import CANARY, Level, Reply, TransportContract
from deskbell_bell import Bell


class TestBell(TransportContract):
    transport = Bell
    options = {"room": "desk", "token": CANARY}
    url = f"https://bell.example/hooks/{CANARY}"
    ok_reply = Reply(200, {"ok": True, "id": "m1"})
    hostile = ["@room", "*bold*"]
"""


def install(site: Path, distribution: str, modules: Mapping[str, str], *, typed: bool = True) -> None:
    """Write modules as pip would, with an entry point for each that has a hook."""
    points = "".join(
        f"{name.replace('.', '_')} = {name}\n" for name, text in modules.items() if "hookimpl" in text
    )
    files = {
        **{f"{name.replace('.', '/')}/__init__.py": text for name, text in modules.items()},
        f"{distribution}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n",
        f"{distribution}-1.0.dist-info/entry_points.txt": f"[deskbell]\n{points}",
    }
    if typed:
        files |= {f"{name.partition('.')[0]}/py.typed": "" for name in modules}
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text, "utf-8")


@dataclass(frozen=True, slots=True)
class Run:
    """What pytest printed, its exit code, and for each test (``TestBell.class_is_usable``) ``passed``, ``skipped`` or
    ``failed``, and why."""

    code: int
    output: str
    outcomes: Mapping[str, str]
    reasons: Mapping[str, str]
    seconds: float

    def of(self, outcome: str) -> set[str]:
        """The names of the checks that came to it."""
        return {name.partition(".")[2] for name, found in self.outcomes.items() if found == outcome}


def run_pytest(
    folder: Path, *arguments: str, settings: str = "", environment: Mapping[str, str] | None = None
) -> Run:
    """Run the tests of ``folder`` in a process of its own, as in a repository that sets nothing but ``settings``."""
    (folder / "pytest.ini").write_text(f"[pytest]\n{dedent(settings)}", "utf-8")
    report = folder / "report.xml"
    # What the machine or an outer pytest says is not what an author's repository says.
    mine = ("DESKBELL_", "PYTEST_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", f"--junitxml={report}", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(folder), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    outcomes, reasons, seconds = dict[str, str](), dict[str, str](), 0.0
    for case in ET.parse(report).iter("testcase") if report.exists() else ():  # noqa: S314 - pytest's own
        name = ".".join(
            (case.attrib["classname"].rpartition(".")[2], case.attrib["name"].removeprefix("test_"))
        )
        found = [child for child in case if child.tag in ("skipped", "failure", "error")]
        outcomes[name] = {"skipped": "skipped"}.get(found[0].tag, "failed") if found else "passed"
        reasons[name] = (found[0].attrib.get("message") or found[0].text or "") if found else ""
        seconds += float(case.attrib["time"])
    return Run(done.returncode, done.stdout + done.stderr, outcomes, reasons, seconds)
