"""``deskbell new-plugin``: what it makes is green and clean, and it makes all of it or nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from tests.conftest import clean_environment
from tests.kit import without_rights

import deskbell
from deskbell import scaffold
from deskbell.cli import new_plugin
from deskbell.scaffold import Kind

if TYPE_CHECKING:
    from tests.conftest import Run

KINDS: tuple[Kind, ...] = ("transport", "source")
OTHERS = [
    "options",
    "notice",
    "secret",
    "plain",
    "field",
    "class_var",
    "typing",
    "any",
    "str",
    "self",
    "test",
]
SAME_WORDS: dict[Kind, list[str]] = {
    "transport": [
        *OTHERS,
        "payload",
        "pydantic",
        "transports",
        "transport_contract",
        "test_transport_contract",
    ],
    "source": [*OTHERS, "fields", "event", "sources", "source", "source_contract", "ticket_event"],
}
"""Names that the package's own code has for something else, or that tests have."""
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
LINTED = "A,ANN,B,C4,E,F,I,N,PIE,PT,RET,RUF,S,SIM,T20,TC,TRY,UP"


def made(folder: Path, name: str, kind: Kind) -> Path:
    """The package of ``name``, written below ``folder``."""
    target = folder / scaffold.package_name(name)
    scaffold.write_package(scaffold.package_files(name, kind), target)
    return target


def all_in(folder: Path) -> set[str]:
    """Every file and folder below ``folder``, hidden ones too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def ended(
    package: Path, *command: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A module of this environment, run in the package with its ``src`` on the path."""
    environ = clean_environment(
        {"PYTHONPATH": "src", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **(environment or {})}
    )
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=package,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def install(package: Path, name: str) -> None:
    """What ``pip install -e`` says of it, on the path that its tests get."""
    metadata = package / "src" / f"deskbell_{name}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: deskbell-{name}\nVersion: 0.1.0\n")
    points = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    lines = [f"{key} = {value}\n" for key, value in points["deskbell"].items()]
    (metadata / "entry_points.txt").write_text("".join(["[deskbell]\n", *lines]))


# -- what it makes


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_are_green_at_once_and_need_pytest_alone(tmp_path: Path, kind: Kind) -> None:
    package = made(tmp_path, "my_service", kind)
    install(package, "my_service")
    tested = ended(package, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert " passed" in tested.stdout
    unicode = list(package.glob(".hypothesis/unicode_data/*"))
    assert unicode == [], "hypothesis read all of Unicode, which takes seconds"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x", "my_service"])
def test_ruff_finds_nothing_in_it(tmp_path: Path, kind: Kind, name: str) -> None:
    if not find_spec("ruff"):
        pytest.skip("ruff, which comes with the extra dev, is not installed")
    package = made(tmp_path, name, kind)
    for command in (
        ["check", "."],
        ["check", "--select", LINTED, "--ignore", "S101", "."],
        ["format", "--check", "."],
    ):
        linted = ended(package, "ruff", *command, "--no-cache")
        assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_mypy_finds_nothing_in_it(tmp_path: Path, kind: Kind) -> None:
    if not find_spec("mypy"):
        pytest.skip("mypy, which comes with the extra dev, is not installed")
    package = made(tmp_path, "my_service", kind)
    typed = ended(package, "mypy", "--cache-dir", os.devnull)
    assert (typed.returncode, "2 source files" in typed.stdout) == (0, True), typed.stdout


def test_its_ci_runs_what_its_settings_are_for() -> None:
    package = scaffold.package_files("ntfy", "transport")
    steps = yaml.safe_load(package[".github/workflows/test.yml"])["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [
        "pip install -e '.[test,lint]'",
        "ruff check .",
        "mypy",
        "pytest",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_its_name_means_elsewhere_its_code_is_sound(tmp_path: Path, kind: Kind) -> None:
    """All packages at once: they differ in their names only, and each test file is collected by itself."""
    packages = [made(tmp_path, name, kind) for name in SAME_WORDS[kind]]
    modules = [str(path) for package in packages for path in (package / "src").iterdir()]
    tests = [str(package / "tests") for package in packages]
    environment = {"PYTHONPATH": os.pathsep.join(str(package / "src") for package in packages)}
    commands = [("pytest", "--co", "-q", "-W", "error", "-p", "no:cacheprovider", *tests)]
    if find_spec("mypy"):
        commands.append(("mypy", "--strict", "--cache-dir", os.devnull, *modules, *tests))
    for command in commands:
        ran = ended(tmp_path, *command, environment=environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("name", "kind"), [("transport_contract", "transport"), ("field", "transport"), ("options", "source")]
)
def test_its_tests_are_green_whatever_its_name_means_elsewhere(tmp_path: Path, name: str, kind: Kind) -> None:
    package = made(tmp_path, name, kind)
    install(package, name)
    tested = ended(package, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_all_that_a_package_needs(tmp_path: Path, kind: Kind) -> None:
    files = {path for path in all_in(made(tmp_path, "ntfy", kind)) if "." in path or path == "LICENSE"}
    assert files - {"src/deskbell_ntfy/py.typed", ".github", ".github/workflows"} == {
        ".github/workflows/test.yml",
        ".gitignore",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "src/deskbell_ntfy/__init__.py",
        "tests/test_ntfy.py",
    }


@given(name=NAMES.filter(lambda name: not scaffold.fault_of(name)))
@example(name="a__b")
@example(name="x1_2y")
def test_every_usable_name_gives_code_and_metadata_that_can_be_read(name: str) -> None:
    for kind in KINDS:
        package = scaffold.package_files(name, kind)
        project = tomllib.loads(package["pyproject.toml"])["project"]
        assert project["name"] == f"deskbell-{name}"
        assert project["entry-points"]["deskbell"] == {name: f"deskbell_{name}"}
        assert "matrix" in yaml.safe_load(package[".github/workflows/test.yml"])["jobs"]["test"]["strategy"]
        for place, text in package.items():
            if place.endswith(".py"):
                compile(text, place, "exec")
            assert text.endswith("\n") or place.endswith("py.typed")


def test_it_asks_for_this_deskbell_until_the_next_major_version() -> None:
    project = tomllib.loads(scaffold.package_files("ntfy", "transport")["pyproject.toml"])["project"]
    major = int(deskbell.__version__.split(".")[0])
    assert project["dependencies"] == [f"deskbell>={deskbell.__version__},<{major + 1}"]
    assert project["optional-dependencies"].keys() == {"test", "lint"}


# -- the command


def test_it_says_what_it_made_and_what_comes_next(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my plugins").mkdir()
    shown = run("new-plugin", "ntfy", "--dir", "my plugins")
    assert (shown.returncode, shown.stderr) == (0, "")
    said = shown.stdout.splitlines()
    assert said[0] == "Created my plugins/deskbell-ntfy/"
    folder = tmp_path / "my plugins" / "deskbell-ntfy"
    listed = [line.split(" (")[0].strip() for line in said[1 : said.index("Next:")]]
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(listed)
    assert said[-5:] == [
        "  cd 'my plugins/deskbell-ntfy'",
        "  pip install -e '.[test]'",
        "  pytest",
        "  deskbell plugin-check ntfy",
        "  and put the year and your name into LICENSE",
    ]


def test_the_folder_is_open_to_whomever_the_users_other_folders_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    run("new-plugin", "ntfy")
    assert (tmp_path / "deskbell-ntfy").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_source_makes_a_source(run: Run, tmp_path: Path) -> None:
    assert run("new-plugin", "helpy", "--source").returncode == 0
    module = (tmp_path / "deskbell-helpy" / "src" / "deskbell_helpy" / "__init__.py").read_text("utf-8")
    assert "class Helpy(deskbell.Source)" in module


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("my-service", "write my_service"),
        ("My Service", "write my_service"),
        ("deskbell-ntfy", "write ntfy"),
        ("deskbell_ntfy!", "write ntfy"),
        ("2fa", "a letter first"),
        ("né", "write ne"),
        ("ntfy_", "write ntfy"),  # no distribution's name ends so
        ("../evil", "write evil"),
        ("ntfy\n", "write ntfy"),
        ("", "a letter first"),
        ("deskbell", "deskbell's own"),
        ("metrics", "deskbell's own"),
        ("class", "Python's"),
        ("none", "deskbell's own"),
        ("demo", "deskbell's own"),
        ("transport", "deskbell's own"),
        ("true", "Python's"),  # its class would be True
        ("value_error", "Python's"),
        ("x" * 201, "at most 200 characters, for it becomes part of the names of files; this one has 201"),
        ("é" * 9_000, "this one has 9000"),
        ("discord", "taken, by the transport of deskbell"),
        ("clientxcms", "taken, by the source of deskbell"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_2_and_nothing_is_written(
    run: Run, tmp_path: Path, name: str, words: str
) -> None:
    refused = run("new-plugin", name)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert all_in(tmp_path) == set()


def test_the_longest_name_has_room_in_every_file_name(tmp_path: Path) -> None:
    name = "x" * 200
    package = made(tmp_path, name, "transport")
    install(package, name)
    assert (package / "src" / f"deskbell_{name}" / "__init__.py").is_file()


@pytest.mark.parametrize("name", ["deskbell_ntfy", "a-b", "deskbell-deskbell", "Ünicode", "--"])
def test_the_name_that_is_proposed_is_a_usable_one_or_none_is(name: str) -> None:
    _, _, proposed = scaffold.fault_of(name).partition(": write ")
    assert proposed in ("", "a_b", "nicode", "deskbell") or not scaffold.fault_of(proposed)


def installed(folder: Path, entry_point: str, *, module: str = "") -> dict[str, str]:
    """The environment in which a distribution of somebody else is installed."""
    metadata = folder / "acme_bells-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-bells\nVersion: 2.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text(f"[deskbell]\n{entry_point}\n", "utf-8")
    (metadata / "top_level.txt").write_text("deskbell_chime\n", "utf-8")
    (folder / "deskbell_chime.py").write_text(module, "utf-8")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    ("entry_point", "name"),
    [
        ("ntfy = deskbell_chime", "ntfy"),  # a plugin that does not load
        ("other = deskbell_chime", "chime"),  # a module
    ],
)
def test_a_name_that_is_installed_is_refused_and_its_distribution_named(
    run: Run, tmp_path: Path, entry_point: str, name: str
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    refused = run("new-plugin", name, environment=installed(site, entry_point))
    assert refused.returncode == 2
    assert "acme-bells" in refused.stderr
    assert not (tmp_path / f"deskbell-{name}").exists()


def test_a_plugin_that_is_left_out_keeps_its_name(run: Run, tmp_path: Path) -> None:
    environment = installed(tmp_path, "ntfy = deskbell_chime") | {"DESKBELL_DISABLE_PLUGINS": "ntfy"}
    refused = run("new-plugin", "ntfy", environment=environment)
    assert (refused.returncode, "acme-bells 2.0" in refused.stderr) == (2, True)


# -- all or nothing


@pytest.mark.parametrize("there", ["a folder", "an empty folder", "a file", "a dangling link"])
def test_what_is_there_already_is_left_as_it_is(run: Run, tmp_path: Path, there: str) -> None:
    target = tmp_path / "deskbell-ntfy"
    if there == "a file":
        target.write_text("mine", "utf-8")
    elif there == "a dangling link":
        target.symlink_to(tmp_path / "gone")
    else:
        target.mkdir()
        if there == "a folder":
            (target / "notes").write_text("mine", "utf-8")
    before = all_in(tmp_path)
    refused = run("new-plugin", "ntfy")
    assert refused.returncode == 1
    assert "there already, and nothing was written" in refused.stderr
    assert all_in(tmp_path) == before


@pytest.mark.parametrize("where", ["nowhere", "a-file"])
def test_a_folder_that_is_none_is_wrong_usage(run: Run, tmp_path: Path, where: str) -> None:
    (tmp_path / "a-file").touch()
    refused = run("new-plugin", "ntfy", "--dir", where)
    assert (refused.returncode, where in refused.stderr) == (2, True)
    assert all_in(tmp_path) == {"a-file"}


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that everybody may look into and nobody may write to."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def test_a_folder_that_cannot_be_written_to_ends_with_1_and_a_sentence(closed_folder: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(new_plugin.command, ["ntfy", "--dir", str(closed_folder / "no")]).exit_code == 2
    with without_rights():
        refused = runner.invoke(new_plugin.command, ["ntfy", "--dir", str(closed_folder)])
    assert refused.exit_code == 1
    assert "Permission denied" in refused.output
    assert "nothing was written" in refused.output
    assert all_in(closed_folder) == set()


def test_what_cannot_be_written_whole_is_not_written_at_all(tmp_path: Path) -> None:
    package = scaffold.package_files("ntfy", "transport") | {"LICENSE/impossible": ""}
    with pytest.raises(OSError, match="LICENSE"):
        scaffold.write_package(package, tmp_path / "deskbell-ntfy")
    assert all_in(tmp_path) == set()


def test_a_folder_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = made(tmp_path, "ntfy", "transport")
    before = all_in(tmp_path)
    with pytest.raises(FileExistsError):
        scaffold.write_package({"README.md": "another\n"}, target)
    assert all_in(tmp_path) == before


def test_the_command_line_finds_each_command_by_its_name() -> None:
    from deskbell.cli import COMMANDS, _deskbell

    context = click.Context(_deskbell)
    assert all(_deskbell.get_command(context, name) for name in COMMANDS)
    assert _deskbell.get_command(context, "new_plugin") is None
