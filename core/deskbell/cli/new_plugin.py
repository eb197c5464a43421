"""``deskbell new-plugin``: the package that an author begins with."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from .setting import FAILED, UNKNOWN_NAME

if TYPE_CHECKING:
    from deskbell.plugins import Plugins


@click.command()
@click.argument("name")
@click.option(
    "--dir",
    "where",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="The folder to make it in; without it, the current one.",
)
@click.option("--source", "is_source", is_flag=True, help="A source of events in place of a transport.")
def command(name: str, where: Path, is_source: bool) -> None:
    """Make a package deskbell-NAME: a transport, its tests, a README.

    NAME is what owners will write as `transport:`, such as my_service.
    """
    from deskbell.plugins import load_plugins
    from deskbell.scaffold import fault_of, package_files, package_name, write_package

    if fault := fault_of(name) or _taken(name, load_plugins()) or _module_taken(name):
        _end(fault, UNKNOWN_NAME)
    folder = where / package_name(name)
    package = package_files(name, "source" if is_source else "transport")
    try:
        if folder.is_symlink() or folder.exists():
            _end(f"{folder} is there already, and nothing was written: move it away, or name another --dir")
        write_package(package, folder)
    except OSError as error:
        _end(f"{folder} cannot be made, and nothing was written: {error.strerror or error}")
    _show(name, folder, package)


def _taken(name: str, plugins: Plugins) -> str:
    """Which installed plugin has the name, or provides something of that name."""
    for info in plugins.loaded:
        for kind, names in (
            ("transport", info.transports),
            ("source", info.sources),
            ("plugin", (info.name,)),
        ):
            if name in names:
                return f"the name {name} is taken, by the {kind} of {info}: choose another one"
    for origin in (*plugins.broken, *plugins.disabled):
        if name == origin.name:
            return f"the name {name} is taken, by the plugin of {origin}: choose another one"
    return ""


def _module_taken(name: str) -> str:
    """Which installed module would be hidden by the new one, or hide it."""
    from importlib.metadata import packages_distributions
    from importlib.util import find_spec

    from deskbell.scaffold import module_name

    module = module_name(name)
    spec = find_spec(module)
    if spec is None or spec.origin is None:  # the latter: any folder of that name
        return ""
    owners = ", ".join(sorted(set(packages_distributions().get(module, ())))) or spec.origin
    return f"there is a module {module} already, from {owners}: choose another name"


def _show(name: str, folder: Path, package: Mapping[str, str]) -> None:
    """What was made, and what comes next."""
    click.echo(f"Created {folder}/")
    for line in _listed(package):
        click.echo(f"  {line}")
    click.echo("Next:")
    for line in (
        f"cd {shlex.quote(str(folder))}",
        "pip install -e '.[test]'",
        "pytest",
        f"deskbell plugin-check {name}",
        "and put the year and your name into LICENSE",
    ):
        click.echo(f"  {line}")


def _listed(package: Mapping[str, str]) -> Iterator[str]:
    """Each file, and how long the code is."""
    for place, text in package.items():
        yield f"{place} ({len(text.splitlines())} lines)" if place.endswith(".py") else place


def _end(reason: str, code: int = FAILED) -> NoReturn:
    click.echo(f"deskbell: {reason}", err=True)
    sys.exit(code)
