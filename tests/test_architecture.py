"""The house rules of docs/architecture.md: imports point one way, files and functions stay small."""

from __future__ import annotations

import ast
import statistics
import sys
import tokenize
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "core" / "deskbell"
PLUGINS = ROOT / "plugins"

LEVELS: dict[int, set[str]] = {
    0: {"errors", "event", "outcome", "secret"},
    1: {
        "arrivals", "breakoff", "delivery", "egress", "fields", "fitting", "notice", "outlook", "pace", "password",
        "redaction", "routing", "samples", "settings", "shortcodes", "signature", "source", "strictjson",
        "template", "transport",
    },
    2: {"hookspecs"},
    3: {
        "blame", "client", "config", "connections", "conformance", "discovery", "fake", "languages", "listener", "log",
        "metrics", "plugins", "problem", "refusals", "store", "supervisor", "trace", "watchdog",
    },
    4: {"dispatcher", "edit", "errand", "intake", "isolation", "lane", "probing", "receiver", "sender", "upkeep"},
    5: {
        "app", "cli", "control", "inventory", "played", "preview", "reload", "scaffold", "starter", "testing", "trial",
        "web", "__main__",
    },
}  # fmt: skip
LEVEL_OF = {module: level for level, modules in LEVELS.items() for module in modules}
SAME_LEVEL_ALLOWED = {
    ("plugins", "conformance"), ("plugins", "discovery"), ("conformance", "discovery"),  # one part in three files
    ("plugins", "blame"), ("blame", "discovery"),  # and a fourth
    ("listener", "problem"), ("listener", "refusals"),  # what a connection answers, and to whom
    ("metrics", "refusals"),  # their reasons
    ("plugins", "trace"),  # each call of a hook is traced
    ("dispatcher", "lane"), ("lane", "sender"),  # the dispatcher owns lanes, a lane owns its sending
    ("sender", "isolation"), ("sender", "errand"), ("isolation", "errand"),  # which is one part in three files
}  # fmt: skip
FREE_WITHIN = {1, 5}  # rules build on rules, and the assembly on itself; no cycle, though
OUTSIDE_BY_LEVEL = {0: set[str](), 1: {"pydantic", "typing_extensions"}, 2: {"pluggy"}}

MAX_FILE, MAX_MEDIAN_FILE = 350, 130
MAX_FUNCTION, MAX_P90_FUNCTION, MAX_MEDIAN_FUNCTION = 60, 28, 8
NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
SOURCES = sorted([*CORE.rglob("*.py"), *PLUGINS.rglob("*.py")])


def module_of(path: Path) -> str:
    """The top-level name of a file of core: ``store/sqlite.py`` belongs to ``store``."""
    parts = path.relative_to(CORE).parts
    return Path(parts[0]).stem


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module as a dotted name, and whether only a type checker sees it."""
    tree = tree_of(path)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    package = ("deskbell", *path.relative_to(CORE).parts[:-1]) if path.is_relative_to(CORE) else ()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            if node.module is None or name == "deskbell":
                yield from ((f"{name}.{alias.name}", id(node) in for_types) for alias in node.names)
            else:
                yield name, id(node) in for_types


def inner_imports(path: Path) -> set[str]:
    """The modules of core that a file of core imports when it runs."""
    found = {
        name.split(".")[1] for name, types in imports_of(path) if name.startswith("deskbell.") and not types
    }
    return {name for name in found if name in LEVEL_OF} - {module_of(path)}


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_imports_point_to_lower_levels_only(path: Path) -> None:
    module = module_of(path)
    if module in ("__init__", "data"):
        pytest.skip("the author's API names every level, lazily")
    level = LEVEL_OF[module]
    for name in inner_imports(path):
        same_level = level in FREE_WITHIN or (module, name) in SAME_LEVEL_ALLOWED
        allowed = LEVEL_OF[name] < level or (LEVEL_OF[name] == level and same_level)
        assert allowed, f"{module} (level {level}) imports {name} (level {LEVEL_OF[name]})"


def test_no_module_imports_itself_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in CORE.rglob("*.py"):
        graph.setdefault(module_of(path), set()).update(inner_imports(path))
    graph.pop("__init__")
    assert tuple(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("level", OUTSIDE_BY_LEVEL)
def test_the_lower_levels_import_nothing_from_outside_but_what_is_named(level: int) -> None:
    for module in LEVELS[level]:
        path = CORE / f"{module}.py"
        outside = {name.partition(".")[0] for name, types in imports_of(path) if not types} - {"deskbell"}
        strangers = outside - set(sys.stdlib_module_names) - OUTSIDE_BY_LEVEL[level]
        assert strangers == set(), f"{module} imports {strangers}"


def test_rules_have_no_clock_no_random_and_no_input_or_output() -> None:
    impure = {"random", "time", "socket", "sqlite3", "asyncio", "threading", "aiohttp", "subprocess", "os"}
    for module in LEVELS[0] | LEVELS[1]:
        used = {name.partition(".")[0] for name, _ in imports_of(CORE / f"{module}.py")} & impure
        assert used == set(), f"{module} imports {used}"


def test_only_plugins_calls_hooks() -> None:
    for path in SOURCES:
        uses = [
            node
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Attribute) and node.attr == "hook"
        ]
        assert not uses or path == CORE / "plugins.py", f"{path} calls hooks"


def test_only_the_client_opens_outgoing_connections() -> None:
    """The control socket is the exception: it reaches this program's own server on this machine."""
    allowed = {CORE / "client.py", CORE / "control.py"}
    for path in SOURCES:
        named = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
        assert "ClientSession" not in named or path in allowed, f"{path} opens connections of its own"


def test_only_cli_imports_app() -> None:
    users = {module_of(path) for path in CORE.rglob("*.py") if "app" in inner_imports(path)}
    assert users <= {"cli"}


def test_core_never_imports_a_plugin() -> None:
    for path in CORE.rglob("*.py"):
        for name, _ in imports_of(path):
            assert not name.startswith("deskbell_"), f"{path} imports {name}"


def test_plugins_import_only_what_strangers_may() -> None:
    """``import deskbell`` and nothing deeper; further only their own modules."""
    for path in PLUGINS.rglob("*.py"):
        for name, _ in imports_of(path):
            if name.startswith("deskbell."):
                import deskbell

                assert name.split(".")[1] in deskbell.__all__, f"{path} reaches into {name}"


def functions_of(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{path.name}:{node.name}", node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_stay_small() -> None:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    too_long = {str(path): count for path, count in lines.items() if count > MAX_FILE}
    assert too_long == {}
    assert statistics.median(lines.values()) <= MAX_MEDIAN_FILE


def test_functions_stay_short() -> None:
    lengths = {name: length(node) for path in SOURCES for name, node in functions_of(path)}
    assert {name: count for name, count in lengths.items() if count > MAX_FUNCTION} == {}
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= MAX_P90_FUNCTION
    assert statistics.median(lengths.values()) <= MAX_MEDIAN_FUNCTION


def code_lines(path: Path) -> int:
    """Lines with code on them: no comments, no docstrings, no blank lines."""
    ignored = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    with path.open("rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in ignored]
    lines = {line for token in tokens[1:] for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.Module, *NAMED)) and ast.get_docstring(node):
            docstring = node.body[0]
            lines -= set(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return len(lines)


def test_there_is_as_much_test_as_the_house_wants() -> None:
    """Without tests/faults: its load client, sinks and oracle are programs of their own, and prove the whole."""
    faults = set((ROOT / "tests" / "faults").glob("*.py"))
    tests = sum(map(code_lines, set((ROOT / "tests").rglob("*.py")) - faults))
    assert 1.3 <= tests / sum(map(code_lines, SOURCES)) <= 1.8


def test_every_function_is_annotated() -> None:
    for path in SOURCES:
        for name, node in functions_of(path):
            assert node.returns is not None or node.name == "__init__", f"{name} has no return annotation"


def test_every_public_module_class_and_function_says_what_it_is() -> None:
    for path in SOURCES:
        tree = tree_of(path)
        assert ast.get_docstring(tree), f"{path} has no docstring"
        for node in tree.body:
            if isinstance(node, NAMED) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"
