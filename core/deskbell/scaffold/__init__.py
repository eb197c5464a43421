"""The package that an author of a plugin begins with: green tests, and nothing to register by hand.

Its files are templates beside this module (``string.Template``), so that they ship in the wheel and match its version.
"""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Literal, TypeAlias

import deskbell
from deskbell.conformance import RESERVED_NAMES

Kind: TypeAlias = Literal["transport", "source"]
"""What the new plugin provides."""

_NAME = re.compile(r"[a-z](?:[a-z0-9_]*[a-z0-9])?", re.ASCII)
"""As a transport may be called, and a distribution too: that ends with a letter or a digit."""
_LONGEST_NAME = 200
"""``deskbell_NAME-0.1.0.dist-info``, which pip makes, is the name of one file: at most 255 bytes."""
_PREFIX = re.compile(r"\Adeskbell[-_ ]+(?=.)", re.IGNORECASE)
_PURPOSES: Mapping[Kind, str] = {
    "transport": "shows support-ticket events there",
    "source": "reads its support-ticket events",
}


def package_name(name: str) -> str:
    """Of the distribution, and of its folder."""
    return f"deskbell-{name}"


def module_name(name: str) -> str:
    """Of what is imported."""
    return f"deskbell_{name}"


def fault_of(name: str) -> str:
    """Why no plugin can have this name, and what to write instead; empty when it can."""
    if len(name) > _LONGEST_NAME:
        most = f"a name has at most {_LONGEST_NAME} characters"
        return f"{most}, for it becomes part of the names of files; this one has {len(name)}"
    if not _NAME.fullmatch(name):
        usable = _usable(name)
        instead = f": write {usable}" if usable else ""
        return f"a name is like my_service (a-z, 0-9 and _; a letter first, no _ last), not {name!r}{instead}"
    if name in RESERVED_NAMES:
        return f"the name {name} is deskbell's own: choose another one"
    if (
        keyword.iskeyword(name)
        or keyword.iskeyword(_class_name(name))
        or hasattr(builtins, _class_name(name))
    ):
        return f"the name {name} is a word of Python's: choose another one"
    return ""


def _usable(name: str) -> str:
    """The nearest name that is well formed; empty when there is none."""
    bare = "".join(char for char in unicodedata.normalize("NFD", name) if not unicodedata.combining(char))
    words = re.sub(r"[\W_]+", "_", _PREFIX.sub("", bare.strip()), flags=re.ASCII).strip("_").lower()
    return words if _NAME.fullmatch(words) else ""


def package_files(name: str, kind: Kind) -> dict[str, str]:
    """The package ``deskbell-NAME`` as ``{path below its folder: text}``. ``name`` is one without fault."""
    places = {
        "pyproject.toml": "pyproject.toml",
        f"src/{module_name(name)}/__init__.py": f"{kind}.py",
        f"src/{module_name(name)}/py.typed": "py.typed",
        f"tests/test_{name}.py": f"test_{kind}.py",
        "README.md": f"README_{kind}.md",
        "LICENSE": "LICENSE",
        ".gitignore": "gitignore",
        ".github/workflows/test.yml": "workflow.yml",
    }
    words = {
        "name": name,
        "title": _title(name),
        "cls": _class_name(name),
        "purpose": _PURPOSES[kind],
        "requirement": _requirement(deskbell.__version__),
    }
    return {place: _template(template).substitute(words) for place, template in places.items()}


def _title(name: str) -> str:
    """``My Service`` of ``my_service``."""
    return " ".join(word.capitalize() for word in name.split("_") if word)


def _class_name(name: str) -> str:
    return _title(name).replace(" ", "")


def _requirement(version: str) -> str:
    """This deskbell or a later one, until the major version that may break plugins."""
    public = version.partition("+")[0]
    return f"deskbell>={public},<{int(public.partition('.')[0]) + 1}"


def _template(name: str) -> Template:
    return Template((files(__name__) / "templates" / f"{name}.tmpl").read_text("utf-8"))


def write_package(package: Mapping[str, str], folder: Path) -> None:
    """Write ``package`` as ``folder``, which must not be there: whole, or not at all. ``OSError`` when it cannot be."""
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        whole = Path(beside) / folder.name
        for place, text in package.items():
            path = whole / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        # POSIX lets a folder take the place of an empty one, and that may be somebody's.
        if folder.is_symlink() or folder.exists():
            raise FileExistsError(f"{folder} is there already")
        whole.rename(folder)
