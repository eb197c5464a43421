"""Print the README's command line that runs the program named by the argument: `readme_command.py pytest`."""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def command(program: str) -> str:
    """The one `$ …` line of the README's console blocks that sets up an environment and runs `program`."""
    blocks = re.findall(r"```console\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    found = [line for line in lines if "venv" in line and re.search(rf"\b{program}\b", line)]
    if len(found) != 1:
        sys.exit(f"README.md should hold exactly one command for {program}, and holds {len(found)}")
    return found[0]


if __name__ == "__main__":
    print(command(sys.argv[1]))
