"""Compare a bill of materials (CycloneDX) with what is really installed: `check_sbom.py sbom.json venv/bin/python`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LIST = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"


def listed(bill: Path) -> set[str]:
    """The packages of the bill, deskbell itself among them, as in ``aiohttp 3.14.5``."""
    told = json.loads(bill.read_text("utf-8"))
    parts = [*told["components"], told["metadata"]["component"]]
    return {f"{part['name']} {part['version']}" for part in parts}


def installed(python: str) -> set[str]:
    """The packages that this Python would import."""
    command = [python, "-I", "-c", LIST]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def main(bill: str, python: str) -> None:
    """Say how many there are, or end with what differs."""
    told, found = listed(Path(bill)), installed(python)
    if told != found:
        sys.exit(f"only in {bill}: {sorted(told - found)}; only installed: {sorted(found - told)}")
    print(f"{bill}: {len(told)} packages, all of them installed and no other")


if __name__ == "__main__":
    main(*sys.argv[1:])
