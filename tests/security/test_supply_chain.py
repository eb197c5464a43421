"""What is installed for CI and for a release is locked: each version, and the hash of each file.

That a file with another hash is refused, ``.ci/run`` tries; that the list of a release is true, ``scripts/release``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("deskbell", "ci", "release")
MOST = 25
"""Packages that an installation may consist of: each is somebody to trust."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def locked(name: str) -> dict[str, Version]:
    """Each package of a lock, with its version."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()
    found = (re.match(r"([\w.-]+)==([^ ;]+)", line) for line in lines)
    return {canonicalize_name(each[1]): Version(each[2]) for each in found if each}


def asked_for(*extras: str) -> Iterator[Requirement]:
    """What pyproject.toml asks for, extras within extras too."""
    for text in [*PROJECT["dependencies"], *(each for extra in extras for each in EXTRAS[extra])]:
        requirement = Requirement(text)
        if requirement.name == "deskbell":
            yield from asked_for(*requirement.extras)
        else:
            yield requirement


@pytest.mark.parametrize(("name", "extras"), [("deskbell", []), ("ci", ["browser", "dev"])])
def test_a_lock_holds_what_pyproject_asks_for(name: str, extras: list[str]) -> None:
    versions = locked(name)
    for requirement in asked_for(*extras):
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"run scripts/lock: {requirement}, locked {version}"


def test_every_environment_has_the_same_versions() -> None:
    runtime, ci = locked("deskbell"), locked("ci")
    assert {name: ci.get(name) for name in runtime} == runtime


def test_an_installation_is_small() -> None:
    assert len(locked("deskbell")) <= MOST


@pytest.mark.parametrize("name", LOCKS)
def test_every_file_has_its_hash_and_none_its_place(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    entries = re.split(r"^(?=\w)", re.sub(r"^\s+#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    entries = [entry for entry in entries if entry.strip()]
    assert len(entries) == len(locked(name)) > 0
    for entry in entries:
        first, *hashes = re.split(r" \\\n", entry.strip())
        assert re.fullmatch(r"[\w.-]+==[\w.+!]+( ; .+)?", first)
        assert hashes
        assert all(re.fullmatch(r"\s+--hash=sha256:[0-9a-f]{64}", each) for each in hashes), first
    assert not re.search("https?:|file:|index-url", text)
