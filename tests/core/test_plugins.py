"""Loading plugins from real distributions: each mistake that pluggy passes over is refused, and harms nobody else."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

import deskbell
from deskbell import Attempt, Delivered, PluginError, TicketEvent, Transports
from deskbell.cli.plugins import command, show_plugins
from deskbell.plugins import BrokenPlugin, PluginInfo, Plugins, load_plugins
from deskbell.watchdog import Watchdog

BELL = """
import deskbell
from deskbell import hookimpl

class Bell(deskbell.Transport):
    name = "bell"
    max_length = 100
    def format(self, notice, options):
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}

class Desk(deskbell.Source):
    name = "desk"
    def parse(self, request):
        return deskbell.TicketEvent(action="Submit")
    def sample(self, action):
        return {}
"""
OFFER = "@hookimpl\ndef deskbell_transports(): return [Bell]\n"
NEIGHBOUR = (BELL + OFFER).replace('"bell"', '"neighbour"')
EVENT = TicketEvent(action="Submit")
ATTEMPT = Attempt(
    delivery_id=1,
    event_id="e",
    webhook="support",
    transport="bell",
    number=1,
    started_at=datetime(2026, 11, 1, tzinfo=UTC),
    seconds=0.1,
    outcome=Delivered(),
    payload="{}",
)

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution on the path as pip would: modules, METADATA and entry_points.txt."""
    site = tmp_path / "site"
    monkeypatch.delenv("DESKBELL_DISABLE_PLUGINS", raising=False)
    before = set(sys.modules)

    def write(
        distribution: str,
        code: str | None = BELL + OFFER,
        *,
        names: Mapping[str, str] | None = None,
        version: str = "1.0",
        entry_points: str | None = None,
    ) -> None:
        module = distribution.replace("-", "_")
        folder = site / distribution
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        points = names or {module.removeprefix("deskbell_"): module}
        lines = "".join(f"{name} = {target}\n" for name, target in points.items())
        (info / "entry_points.txt").write_text(entry_points or f"[deskbell]\n{lines}")
        if code is not None:
            (folder / f"{module}.py").write_text(dedent(code), "utf-8")
        monkeypatch.syspath_prepend(folder)

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def loaded(plugins: Plugins, name: str) -> PluginInfo:
    (found,) = [info for info in plugins.loaded if info.name == name]
    return found


def broken(plugins: Plugins, name: str) -> BrokenPlugin:
    """The broken plugin, which left nothing behind."""
    (found,) = [each for each in plugins.broken if each.name == name]
    assert name not in {info.name for info in plugins.loaded}
    assert not plugins._manager.has_plugin(name)
    assert found.fix
    return found


class TestLoading:
    def test_plugin_of_an_installed_distribution_is_imported_once_and_has_its_version(
        self, install: Install, capsys: pytest.CaptureFixture[str]
    ) -> None:
        install("deskbell-bell", "print('imported')\n" + BELL + OFFER, version="2.3")
        plugins = load_plugins()
        plugins.event_accepted(EVENT, [])
        assert capsys.readouterr().out == "imported\n"
        assert loaded(plugins, "bell") == PluginInfo(
            "bell", "deskbell-bell", "2.3", transports=("bell",), hooks=("deskbell_transports",)
        )
        assert plugins.transports["bell"].max_length == 100

    def test_what_it_provides_knows_who_brings_it(self, install: Install) -> None:
        install("deskbell-bell", BELL + OFFER_BOTH, version="1.2")
        plugins = load_plugins()
        assert plugins.transports["bell"].plugin == "deskbell-bell 1.2"
        assert plugins.sources["desk"].plugin == "deskbell-bell 1.2"

    def test_native_source_is_always_there(self) -> None:
        plugins = load_plugins(entry_points=[])
        assert (list(plugins.sources), list(plugins.transports)) == (["deskbell"], [])
        assert loaded(plugins, "deskbell").distribution == "deskbell"

    def test_plugin_may_provide_several_things_and_its_hooks_may_have_other_names(
        self, install: Install
    ) -> None:
        code = """
            class Second(Bell):
                name = "second"
            @hookimpl(specname="deskbell_transports")
            def offer_them(): return (Bell, Second)
            @hookimpl
            def deskbell_sources(): return [Desk]
            @hookimpl(tryfirst=True)
            def deskbell_attempt_finished(attempt): pass
        """
        install("deskbell-bell", BELL + dedent(code))
        info = loaded(load_plugins(), "bell")
        assert (info.transports, info.sources) == (("bell", "second"), ("desk",))
        assert info.hooks == ("deskbell_attempt_finished", "deskbell_sources", "deskbell_transports")

    def test_entry_point_may_name_an_object(self, install: Install) -> None:
        code = """
            class Plugin:
                @hookimpl
                def deskbell_transports(self): return [Bell]
                @staticmethod
                @hookimpl
                def deskbell_sources(): return [Desk]
            plugin = Plugin()
        """
        install("deskbell-bell", BELL + dedent(code), names={"bell": "deskbell_bell:plugin"})
        assert loaded(load_plugins(), "bell").sources == ("desk",)

    def test_plugins_are_in_the_order_of_their_names(self, install: Install) -> None:
        for name in ("zulip", "alpha", "mid"):
            install(f"deskbell-{name}", (BELL + OFFER).replace('"bell"', f'"{name}"'))
        names = [info.name for info in load_plugins().loaded]
        assert names == sorted(names)
        assert {"zulip", "alpha", "mid"} <= set(names)

    def test_plugin_written_for_this_api_is_loaded(self, install: Install) -> None:
        install("deskbell-bell", f"deskbell_api_version = {deskbell.API_VERSION}\n" + BELL + OFFER)
        assert loaded(load_plugins(), "bell")


class TestSingleFile:
    def test_file_of_the_folder_is_a_plugin_named_after_it(self, tmp_path: Path) -> None:
        (tmp_path / "my-bell.py").write_text(BELL + OFFER)
        plugins = load_plugins(plugins_dir=tmp_path, entry_points=[])
        assert loaded(plugins, "my-bell").distribution == f"{tmp_path.name}/my-bell.py"
        assert list(plugins.transports) == ["bell"]

    def test_options_with_annotations_as_text_are_understood(self, tmp_path: Path) -> None:
        """pydantic looks the names of such annotations up in ``sys.modules``."""
        code = BELL.replace("deskbell.Transport", "deskbell.Transport[BellOptions]")
        options = "class BellOptions(deskbell.Options):\n    key: Key\nfrom deskbell import Secret as Key\n"
        head, _, rest = code.partition("class Bell")
        (tmp_path / "bell.py").write_text(
            f"from __future__ import annotations\n{head}{options}class Bell{rest}{OFFER}"
        )
        plugins = load_plugins(plugins_dir=tmp_path, entry_points=[])
        assert plugins.broken == ()
        options_type = plugins.transports["bell"].options_type
        assert options_type.model_validate({"key": "k"}).model_dump() == {"key": deskbell.Secret("k")}

    def test_underscored_files_and_other_files_are_no_plugins(self, tmp_path: Path) -> None:
        for name in ("_shared.py", "__init__.py", "notes.txt", "bell.py.bak"):
            (tmp_path / name).write_text("raise SystemExit('must not run')")
        plugins = load_plugins(plugins_dir=tmp_path, entry_points=[])
        assert (plugins.broken, len(plugins.loaded)) == ((), 1)

    def test_a_file_without_a_hook_is_told_how_to_be_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "words.py").write_text("GREETING = 'hello'")
        fault = broken(load_plugins(plugins_dir=tmp_path, entry_points=[]), "words")
        assert fault.reason.startswith("it has no hook: mark a function with @deskbell.hookimpl")
        assert fault.fix == f"mend {tmp_path.name}/words.py, or call it _words.py if it is no plugin"

    def test_a_package_in_the_folder_is_told_to_be_installed(self, install: Install, tmp_path: Path) -> None:
        """It breaks no plugin of its name: it was never one."""
        install("deskbell-bell")
        for name in ("bell", "_shared", "tests", "__pycache__"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("raise SystemExit('must not run')")
        (tmp_path / "pictures").mkdir()
        plugins = load_plugins(plugins_dir=tmp_path)
        fault = broken(plugins, "bell/")
        assert str(fault) == f"{tmp_path.name}/bell/"
        assert fault.reason == "it is a folder, and plugins_dir is for plugins of one file each"
        assert fault.fix.startswith("make it a package and pip install that")
        assert len(plugins.broken) == 1
        assert "bell" in plugins.transports

    def test_tests_beside_a_plugin_are_no_plugins(self, tmp_path: Path) -> None:
        (tmp_path / "bell.py").write_text(BELL + OFFER)
        (tmp_path / "testbench.py").write_text((BELL + OFFER).replace('"bell"', '"bench"'))
        for name in ("test_bell.py", "conftest.py"):
            (tmp_path / name).write_text("raise SystemExit('must not run')")
        plugins = load_plugins(plugins_dir=tmp_path, entry_points=[])
        assert plugins.broken == ()
        assert list(plugins.transports) == ["bell", "bench"]

    def test_syntax_error_is_shown_with_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "misspelt.py").write_text("import deskbell\ndef (:\n")
        fault = broken(load_plugins(plugins_dir=tmp_path, entry_points=[]), "misspelt")
        assert fault.reason == "SyntaxError: invalid syntax (misspelt.py, line 2)"
        assert fault.fix == f"mend {tmp_path.name}/misspelt.py"
        assert not any(name.endswith("misspelt") for name in sys.modules)

    @pytest.mark.parametrize("raised", ["1 / 0", "json.loads('{')", "deskbell.FakeService().nothing"])
    def test_what_it_raises_is_told_with_its_own_last_line(self, tmp_path: Path, raised: str) -> None:
        """Not with a line of the library that it calls, where nobody could mend anything."""
        lines = ["import json", "import deskbell", "def ring():", f"    {raised}", "ring()"]
        (tmp_path / "bell.py").write_text("\n".join(lines))
        fault = broken(load_plugins(plugins_dir=tmp_path, entry_points=[]), "bell")
        assert fault.reason.endswith(f" ({tmp_path.name}/bell.py, line 4)")

    def test_folder_that_does_not_exist_is_told(self, tmp_path: Path) -> None:
        fault = broken(load_plugins(plugins_dir=tmp_path / "plugins.d", entry_points=[]), "plugins.d")
        assert fault.reason == "plugins_dir plugins.d is no folder"


IMPORT_TRAPS = {
    "raises": ("1 / 0", "ZeroDivisionError: division by zero", "pip install --upgrade deskbell-bell"),
    "exits": ("import sys; sys.exit('bye')", "SystemExit: bye", "pip install --upgrade deskbell-bell"),
    "lacks a module": ("import nio.rooms", "ModuleNotFoundError: No module named 'nio'", "pip install nio "),
    "speaks over lines": ("raise ValueError('a\\n  b')", "ValueError: a b", "pip install --upgrade"),
    "cannot even say it": (
        "class Odd(Exception):\n    def __str__(self): raise OSError\nraise Odd",
        "Odd: (its text cannot be read)",
        "pip install --upgrade",
    ),
    "newer api": (
        f"deskbell_api_version = {deskbell.API_VERSION + 1}",
        "it is written for API 2; deskbell",
        "pip install --upgrade deskbell",
    ),
    "odd api": ("deskbell_api_version = '1'", "it is written for API '1'", "pip install --upgrade"),
    "no hook": ("def helper(): pass", "it has no hook: mark a function", "pip install --upgrade"),
}
HOOK_TRAPS = {
    "unmarked": ("def deskbell_transports(): return [Bell]", "deskbell_transports is not marked: put @deskbell."),
    "unmarked beside a marked one": (
        OFFER + "def deskbell_attempt_finished(attempt): pass",
        "deskbell_attempt_finished is not marked",
    ),
    "marked for another project": (
        "import pluggy\n@pluggy.HookimplMarker('tox')\ndef deskbell_transports(): return [Bell]",
        "deskbell_transports is marked for tox: put @deskbell.hookimpl above it",
    ),
    "misspelt": (
        "@hookimpl\ndef deskbell_transport(): return [Bell]",
        "deskbell_transport is no hook of deskbell (did you mean deskbell_transports?)",
    ),
    "misspelt prefix": ("@hookimpl\ndef deskbel_sources(): pass", "did you mean deskbell_sources?"),
    "misspelt but optional": (
        OFFER + "@hookimpl(optionalhook=True)\ndef deskbell_event_acepted(event): pass",
        "deskbell_event_acepted is no hook of deskbell (did you mean deskbell_event_accepted?)",
    ),
    "async": ("@hookimpl\nasync def deskbell_transports(): return [Bell]", "is an async function: hooks are"),
    "async generator": (
        "@hookimpl\nasync def deskbell_attempt_finished(attempt): yield",
        "is an async function",
    ),
    "generator": ("@hookimpl\ndef deskbell_attempt_finished(attempt): yield", "is a generator: its body would"),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef deskbell_transports(): return (yield)",
        "deskbell_transports is a wrapper",
    ),
    "old wrapper": (
        "@hookimpl(hookwrapper=True)\ndef deskbell_transports(): yield",
        "deskbell_transports is a wrapper",
    ),
    "unknown argument": (
        "@hookimpl\ndef deskbell_event_accepted(event, ticket): pass",
        "deskbell_event_accepted takes ticket, but the hook is deskbell_event_accepted(event, webhooks)",
    ),
    "keyword-only argument": (
        "@hookimpl\ndef deskbell_event_accepted(*, event): pass",
        "takes event, but the hook is",
    ),
    "any arguments": ("@hookimpl\ndef deskbell_attempt_finished(**given): pass", "takes **given, but the hook is"),
    "default": (
        "@hookimpl\ndef deskbell_event_accepted(event, webhooks=()): pass",
        "deskbell_event_accepted gives webhooks a default: pluggy would never pass the real one",
    ),
    "method without an object": ("@hookimpl\ndef deskbell_attempt_finished(self, attempt): pass", "self"),
    "no function": (
        "import functools\n@hookimpl\n@functools.cache\ndef deskbell_transports(): return [Bell]",
        "deskbell_transports must be a plain function",
    ),
    "raises": ("@hookimpl\ndef deskbell_transports(): raise KeyError('x')", "KeyError: 'x'"),
    "exits": ("@hookimpl\ndef deskbell_transports(): raise SystemExit", "SystemExit"),
    "forgets to return": ("@hookimpl\ndef deskbell_transports(): [Bell]", "deskbell_transports returned nothing"),
    "returns the class": ("@hookimpl\ndef deskbell_transports(): return Bell", "put it in a list, [Bell]"),
    "returns an object": ("@hookimpl\ndef deskbell_transports(): return [Bell()]", "offers an object of type Bell"),
    "returns a name": ("@hookimpl\ndef deskbell_transports(): return 'bell'", "returned an object of type str"),
    "returns a generator": (
        "@hookimpl\ndef deskbell_transports(): return (cls for cls in [Bell])",
        "returned an object of type generator: return a list of subclasses of deskbell.Transport",
    ),
    "returns a source": (
        "@hookimpl\ndef deskbell_transports(): return [Desk]",
        "offers Desk, which is no subclass of deskbell.Transport",
    ),
    "returns a transport as a source": (
        "@hookimpl\ndef deskbell_sources(): return [Bell]",
        "offers Bell, which is no subclass of deskbell.Source",
    ),
}  # fmt: skip
CLASS_TRAPS = {
    "no name": ("del Bell.name", "Bell.name must be like 'my_service' (a-z, 0-9, _; a letter first), not None"),
    "upper case": ("Bell.name = 'Bell'", "not 'Bell'"),
    "dash": ("Bell.name = 'my-bell'", "not 'my-bell'"),
    "digit first": ("Bell.name = '1bell'", "not '1bell'"),
    "line break": ("Bell.name = 'bell\\n'", r"not 'bell\n'"),
    "no max_length": ("del Bell.max_length", "Bell.max_length must be a positive whole number, not None"),
    "max_length zero": ("Bell.max_length = 0", "a positive whole number, not 0"),
    "max_length true": ("Bell.max_length = True", "a positive whole number, not True"),
    "max_length a fraction": ("Bell.max_length = 2e3", "a positive whole number, not 2000.0"),
    "bad rates": ("Bell.rates = '5 a second'", "Bell.rates must be text like '5/2s, 30/60s': '5 a second'"),
    "rates no text": ("Bell.rates = 5", "Bell.rates must be text"),
    "bad service rate": ("Bell.service_rate = '0/1s'", "Bell.service_rate must be text"),
    "no format": ("class Bell(deskbell.Transport):\n    name = 'b'\n    max_length = 1", "Bell must define format"),
    "async format": ("async def f(*_): ...\nBell.format = f", "Bell.format is async: write def"),
    "sync send": ("def f(*_): ...\nBell.send = f", "Bell.send is not async: write async def"),
    "options of another kind": ("Bell.options_type = dict", "Bell.options_type must be a subclass of deskbell.Options"),
    "constructor raises": ("def f(self): raise ValueError('no')\nBell.__init__ = f", "ValueError: no"),
    "wrong brackets": ("class Bell(deskbell.Transport[int]): ...", "put a subclass of deskbell.Options inside"),
    "two faults": ("Bell.name = 'X'\nBell.max_length = -1", "not 'X'; Bell.max_length must be"),
    "source without parse": ("class Desk(deskbell.Source):\n    name = 'd'", "Desk must define parse, sample"),
    "source with async parse": ("async def f(*_): ...\nDesk.parse = f", "Desk.parse is async: write def"),
    "actions as one text": ("Desk.actions = 'Submit'", "Desk.actions must be a list of action names"),
    "actions of numbers": ("Desk.actions = [1]", "Desk.actions must be a list of action names"),
    "variables as a list": ("Desk.variables = ['a']", "Desk.variables must be a dict of texts"),
    "setup as a text": ("Desk.setup = 'Settings'", "Desk.setup must be a dict of texts"),
    "variables of numbers": ("Desk.variables = {'a': 1}", "Desk.variables must be a dict of texts"),
    "unknown level": ("Desk.priorities = {'dringend': 'urgent'}", "must give low, medium or high for each label"),
}  # fmt: skip
OFFER_BOTH = OFFER + "@hookimpl\ndef deskbell_sources(): return [Desk]\n"


@pytest.mark.filterwarnings("ignore:coroutine")  # a generator that nobody runs is what one of them is about
class TestBroken:
    @pytest.mark.parametrize("trap", IMPORT_TRAPS)
    def test_module_that_cannot_be_used(self, install: Install, trap: str) -> None:
        code, reason, fix = IMPORT_TRAPS[trap]
        fault = self.broken_beside_a_neighbour(install, code)
        assert fault.reason.startswith(reason)
        assert fault.fix.startswith(fix)

    @pytest.mark.parametrize("trap", HOOK_TRAPS)
    def test_hook_that_pluggy_would_take_in_silence_or_choke_on(self, install: Install, trap: str) -> None:
        code, reason = HOOK_TRAPS[trap]
        assert reason in self.broken_beside_a_neighbour(install, f"{BELL}\n{code}\n").reason

    @pytest.mark.parametrize("trap", CLASS_TRAPS)
    def test_class_that_core_could_not_use(self, install: Install, trap: str) -> None:
        code, reason = CLASS_TRAPS[trap]
        assert reason in self.broken_beside_a_neighbour(install, f"{BELL}\n{code}\n{OFFER_BOTH}").reason

    def broken_beside_a_neighbour(self, install: Install, code: str) -> BrokenPlugin:
        install("deskbell-bell", code, version="0.9")
        install("deskbell-neighbour", NEIGHBOUR)
        plugins = load_plugins()
        assert loaded(plugins, "neighbour").transports == ("neighbour",)
        assert "bell" not in plugins.transports
        assert "desk" not in plugins.sources
        plugins.event_accepted(EVENT, [])  # nothing of it is left that could be called
        plugins.attempt_finished(ATTEMPT)
        fault = broken(plugins, "bell")
        assert (fault.distribution, fault.version) == ("deskbell-bell", "0.9")
        assert "\n" not in fault.reason
        return fault

    def test_entry_point_to_a_module_that_is_not_there(self, install: Install) -> None:
        install("deskbell-bell", code=None)
        fault = broken(load_plugins(), "bell")
        assert fault.reason == "ModuleNotFoundError: No module named 'deskbell_bell'"
        assert fault.fix == "pip install --force-reinstall deskbell-bell"

    def test_entry_point_to_a_name_that_is_not_there(self, install: Install) -> None:
        install("deskbell-bell", names={"bell": "deskbell_bell:plugin"})
        assert broken(load_plugins(), "bell").reason.startswith("AttributeError: ")

    def test_entry_point_to_a_class(self, install: Install) -> None:
        install("deskbell-bell", names={"bell": "deskbell_bell:Bell"})
        assert "Bell is a class: put the hooks in a module" in broken(load_plugins(), "bell").reason

    def test_failed_registration_leaves_no_half_of_the_plugin(self, install: Install) -> None:
        """Its first hook is good: pluggy before 1.7 keeps it when the second one is refused."""
        code = BELL + "heard = []\n" + OFFER.replace("return [Bell]", "return 5")
        install(
            "deskbell-bell", code + "@hookimpl\ndef deskbell_attempt_finished(attempt): heard.append(attempt)"
        )
        plugins = load_plugins()
        plugins.attempt_finished(ATTEMPT)
        assert broken(plugins, "bell")
        assert vars(sys.modules["deskbell_bell"])["heard"] == []

    def test_one_malformed_entry_points_file_hides_no_other_plugin(
        self, install: Install, caplog: pytest.LogCaptureFixture
    ) -> None:
        """importlib.metadata then raises for everybody."""
        install("deskbell-bell")
        install("deskbell_bell", version="2.0")  # found first: it hides the other copy
        install("some-library", entry_points="[console_scripts]\nthis line has no equals sign\n")
        assert loaded(load_plugins(), "bell").version == "2.0"
        assert "the entry points of some-library cannot be read: reinstall it" in caplog.text

    def test_interrupt_while_loading_is_no_fault_of_the_plugin(self, install: Install) -> None:
        install("deskbell-bell", "raise KeyboardInterrupt")
        with pytest.raises(KeyboardInterrupt):
            load_plugins()


class TestNames:
    def test_two_distributions_with_one_plugin_name_are_both_broken_and_named(self, install: Install) -> None:
        install("deskbell-bell", version="1.0")
        install("bell-of-another", BELL + OFFER, names={"bell": "bell_of_another"}, version="7.1")
        plugins = load_plugins()
        reasons = [each.reason for each in plugins.broken if each.name == "bell"]
        assert reasons == ["the name bell is used by bell-of-another 7.1 and deskbell-bell 1.0"] * 2
        assert "bell" not in plugins.transports

    def test_file_with_the_name_of_an_installed_plugin(self, install: Install, tmp_path: Path) -> None:
        install("deskbell-bell")
        folder = tmp_path / "plugins.d"
        folder.mkdir()
        (folder / "bell.py").write_text(NEIGHBOUR)
        reasons = {each.reason for each in load_plugins(plugins_dir=folder).broken if each.name == "bell"}
        assert reasons == {"the name bell is used by deskbell-bell 1.0 and plugins.d/bell.py"}
        fixes = {each.fix for each in load_plugins(plugins_dir=folder).broken if each.name == "bell"}
        assert fixes == {"rename plugins.d/bell.py (DESKBELL_DISABLE_PLUGINS leaves out all of that name)"}

    def test_file_with_the_transport_of_an_installed_plugin(self, install: Install, tmp_path: Path) -> None:
        """The file is what can be changed: nobody is told to do without the other one."""
        install("deskbell-bell")
        folder = tmp_path / "plugins.d"
        folder.mkdir()
        (folder / "mine.py").write_text(BELL + OFFER)
        plugins = load_plugins(plugins_dir=folder)
        fix = (
            "give the transport of plugins.d/mine.py another name, "
            "or leave that file out: DESKBELL_DISABLE_PLUGINS=mine"
        )
        assert {broken(plugins, name).fix for name in ("bell", "mine")} == {fix}

    @pytest.mark.parametrize("name", ["deskbell", "metrics"])
    def test_names_of_core_are_not_to_be_had(self, install: Install, name: str) -> None:
        install("deskbell-bell", names={name: "deskbell_bell"})
        plugins = load_plugins()
        (fault,) = [each for each in plugins.broken if each.name == name]
        assert fault.reason.startswith(f"the name {name} is used by deskbell-bell 1.0 and deskbell ")
        assert "deskbell" in plugins.sources

    def test_two_transports_with_one_name_break_both_plugins_and_name_them(self, install: Install) -> None:
        install("deskbell-bell")
        install("deskbell-gong", BELL + OFFER)
        install("deskbell-neighbour", NEIGHBOUR)
        plugins = load_plugins()
        for name in ("bell", "gong"):
            fault = broken(plugins, name)
            assert fault.reason == (
                "the transport bell is provided by bell (deskbell-bell 1.0) and gong (deskbell-gong 1.0)"
            )
            assert fault.fix == f"leave one of them out: DESKBELL_DISABLE_PLUGINS={name}"
        assert "bell" not in plugins.transports
        assert "neighbour" in plugins.transports
        assert list(load_plugins(disabled=["gong"]).transports).count("bell") == 1

    def test_transport_offered_twice_by_one_plugin(self, install: Install) -> None:
        install("deskbell-bell", BELL + OFFER.replace("[Bell]", "[Bell, Bell]"))
        assert broken(load_plugins(), "bell").reason.count("bell (deskbell-bell 1.0)") == 2

    def test_source_with_the_name_of_the_native_one_does_not_replace_it(self, install: Install) -> None:
        offer = "@hookimpl\ndef deskbell_sources(): return [Desk]"
        install("deskbell-desk", BELL.replace('"desk"', '"deskbell"') + offer)
        plugins = load_plugins()
        assert "the source deskbell is provided by" in broken(plugins, "desk").reason
        assert type(plugins.sources["deskbell"]).__name__ == "NativeSource"

    def test_transport_and_source_may_share_a_name(self, install: Install) -> None:
        install("deskbell-desk", BELL.replace('"bell"', '"desk"') + OFFER_BOTH)
        plugins = load_plugins()
        assert "desk" in plugins.transports
        assert "desk" in plugins.sources

    def test_one_module_under_two_names_is_loaded_once(self, install: Install) -> None:
        install("deskbell-bell", names={"bell": "deskbell_bell", "gong": "deskbell_bell"})
        plugins = load_plugins()
        assert loaded(plugins, "bell")
        assert broken(plugins, "gong").reason == "it is already loaded, as bell"


class TestLeavingOut:
    def test_variable_leaves_plugins_out_without_importing_them(
        self, install: Install, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        install("deskbell-bell", "raise RuntimeError('must not be imported')")
        install("deskbell-neighbour", NEIGHBOUR)
        monkeypatch.setenv("DESKBELL_DISABLE_PLUGINS", " bell , ")
        plugins = load_plugins()
        assert [(origin.name, str(origin)) for origin in plugins.disabled] == [("bell", "deskbell-bell 1.0")]
        assert not any(each.name == "bell" for each in plugins.broken)
        assert loaded(plugins, "neighbour")

    def test_name_that_no_plugin_has_is_told(
        self, install: Install, caplog: pytest.LogCaptureFixture
    ) -> None:
        install("deskbell-bell")
        load_plugins(disabled=["bel"])
        assert caplog.messages == ["DESKBELL_DISABLE_PLUGINS: there is no plugin bel (did you mean bell?)"]


HEARING = BELL + "heard = []\n"


class TestObservers:
    @pytest.mark.parametrize(
        "misdeed", ["raise ValueError('one\\ntwo')", "raise SystemExit(3)", "raise GeneratorExit", "1 / 0"]
    )
    def test_one_that_raises_is_logged_and_silences_nobody(
        self, install: Install, caplog: pytest.LogCaptureFixture, misdeed: str
    ) -> None:
        hook = "@hookimpl\ndef deskbell_event_accepted(webhooks): heard.append(webhooks)\n"
        install("deskbell-alpha", HEARING + hook)
        install("deskbell-bad", BELL + f"@hookimpl\ndef deskbell_event_accepted(event): {misdeed}")
        install("deskbell-omega", HEARING + hook)
        plugins = load_plugins()
        plugins.event_accepted(EVENT, ["support"])
        plugins.event_accepted(EVENT, ["support"])
        for module in ("deskbell_alpha", "deskbell_omega"):
            assert vars(sys.modules[module])["heard"] == [("support",), ("support",)]
        first, second = caplog.records
        assert first.message.startswith("plugin bad: deskbell_event_accepted raised ")
        assert "\n" not in first.message
        assert first.exc_info
        assert not second.exc_info, "the traceback comes once"

    def test_interrupt_of_a_hook_is_its_own(self, install: Install, caplog: pytest.LogCaptureFixture) -> None:
        """The owner's Ctrl+C reaches a running loop as a signal, never as this."""
        install("deskbell-bad", BELL + "@hookimpl\ndef deskbell_attempt_finished(): raise KeyboardInterrupt")
        load_plugins().attempt_finished(ATTEMPT)
        assert "plugin bad: deskbell_attempt_finished raised KeyboardInterrupt" in caplog.text

    async def test_hook_that_holds_up_the_loop_is_broken_off_and_not_called_again(
        self, install: Install, caplog: pytest.LogCaptureFixture
    ) -> None:
        code = "import time\n@hookimpl\ndef deskbell_attempt_finished(): time.sleep(30)"
        install("deskbell-bad", BELL + code)
        plugins = load_plugins()
        began = time.monotonic()
        with Watchdog(blocked=0.1, longest_block=0.3, beat=0.1):
            for _ in range(3):
                plugins.attempt_finished(ATTEMPT)
        assert time.monotonic() - began < 2
        assert "plugin bad: deskbell_attempt_finished raised BrokenOff" in caplog.text
        assert caplog.text.count("its deskbell_attempt_finished is not called any more") == 1

    def test_list_of_webhooks_cannot_be_changed_by_an_observer(self, install: Install) -> None:
        install(
            "deskbell-bad", BELL + "@hookimpl\ndef deskbell_event_accepted(webhooks): webhooks.append('mine')"
        )
        webhooks = ["support"]
        load_plugins().event_accepted(EVENT, webhooks)
        assert webhooks == ["support"]

    def test_calls_go_by_the_names_of_the_plugins(
        self, install: Install, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        hook = "import logging\n@hookimpl{}\ndef deskbell_attempt_finished(): logging.info(__name__)\n"
        install("deskbell-b", BELL + hook.format("(tryfirst=True)"))
        install("deskbell-a", BELL + hook.format("(trylast=True)"))
        install("deskbell-c", BELL + hook.format(""))
        load_plugins().attempt_finished(ATTEMPT)
        assert caplog.messages == ["deskbell_a", "deskbell_b", "deskbell_c"]


class TestRegister:
    def test_name_or_object_that_is_taken_is_refused_and_the_holder_stays(self) -> None:
        plugins = load_plugins(entry_points=[])
        observer = self.observer()
        plugins.register("mine", observer)
        with pytest.raises(PluginError, match="already loaded, as mine"):
            plugins.register("other", observer)
        with pytest.raises(PluginError, match="already loaded, as deskbell"):
            plugins.register("deskbell", self.observer())
        assert [info.name for info in plugins.loaded] == ["deskbell", "mine"]
        assert plugins._manager.has_plugin("deskbell")

    def test_transport_that_another_provides_is_refused(self, install: Install) -> None:
        install("deskbell-bell")
        plugins = load_plugins()
        bell = type(plugins.transports["bell"])

        class Again:
            @deskbell.hookimpl
            def deskbell_transports(self) -> Transports:
                return [bell]

        with pytest.raises(PluginError, match="transport bell: provided by another plugin"):
            plugins.register("again", Again())
        assert not plugins._manager.has_plugin("again")

    def observer(self) -> object:
        class Observer:
            @deskbell.hookimpl
            def deskbell_attempt_finished(self) -> None:
                pass

        return Observer()


class TestTable:
    """What ``deskbell plugins`` prints."""

    @pytest.fixture
    def plugins(self, install: Install) -> Plugins:
        install("deskbell-bell", BELL + OFFER_BOTH + "@hookimpl\ndef deskbell_attempt_finished(): pass\n")
        install("deskbell-matrix", "import nio", version="0.3.1")
        install("deskbell-old", NEIGHBOUR)
        return load_plugins(disabled=["old", "discord", "slack", "clientxcms"])

    def test_rows_tell_where_from_what_for_and_who(
        self, plugins: Plugins, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code = show_plugins(
            plugins, used_by={"transport bell": ["support", "billing"], "source bell": ["x"]}, as_json=False
        )
        lines = capsys.readouterr().out.splitlines()
        rows = [line.split("  ") for line in lines]
        cells = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows if row[0]}
        assert cells["PLUGIN"] == ["FROM", "PROVIDES", "USED BY"]
        assert cells["bell"] == [
            "deskbell-bell 1.0",
            "transport bell, source desk, deskbell_attempt_finished",
            "support, billing",
        ]
        assert cells["matrix"] == ["deskbell-matrix 0.3.1", "NOT LOADED"]
        assert cells["old"] == ["deskbell-old 1.0", "left out"]
        below = lines[[line.startswith("matrix") for line in lines].index(True) + 1 :][:3]
        assert [line.strip() for line in below] == [
            "ModuleNotFoundError: No module named 'nio' (deskbell-matrix/deskbell_matrix.py, line 1)",
            "fix: pip install nio (or whichever package provides the module nio)",
            "or leave it out: DESKBELL_DISABLE_PLUGINS=matrix",
        ]
        assert code == 1

    def test_json_has_one_object_a_line(self, plugins: Plugins, capsys: pytest.CaptureFixture[str]) -> None:
        assert show_plugins(plugins, used_by={"source desk": ["cms"]}, as_json=True) == 1
        entries = {entry["name"]: entry for entry in map(json.loads, capsys.readouterr().out.splitlines())}
        assert entries["bell"] == {
            "name": "bell",
            "distribution": "deskbell-bell",
            "version": "1.0",
            "state": "loaded",
            "transports": ["bell"],
            "sources": ["desk"],
            "hooks": ["deskbell_attempt_finished", "deskbell_sources", "deskbell_transports"],
            "lacks": [],
            "used_by": ["cms"],
        }
        assert entries["matrix"]["state"] == "broken"
        assert (
            entries["matrix"]["reason"]
            == "ModuleNotFoundError: No module named 'nio' (deskbell-matrix/deskbell_matrix.py, line 1)"
        )
        assert entries["old"]["state"] == "disabled"

    def test_a_transport_whose_library_is_not_here_is_loaded_and_says_so(
        self, install: Install, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lack = "    @classmethod\n    def unavailable(cls): return 'no gong here: pip install gong'\n"
        install("deskbell-bell", BELL.replace('name = "bell"', f'name = "bell"\n{lack}') + OFFER)
        assert show_plugins(load_plugins(), used_by={}, as_json=False) == 0
        lines = capsys.readouterr().out.splitlines()
        below = lines[[line.startswith("bell") for line in lines].index(True) + 1]
        assert below == "    cannot be used here: no gong here: pip install gong"

    def test_nothing_broken_is_a_success(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert show_plugins(load_plugins(entry_points=[]), used_by={}, as_json=False) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["deskbell", "deskbell"]

    def test_command_reads_who_uses_what_from_the_config(self, tmp_path: Path) -> None:
        (tmp_path / "plugins.d").mkdir()
        (tmp_path / "plugins.d" / "bell.py").write_text(BELL + OFFER)
        (tmp_path / "config.yaml").write_text(
            """
version: 1
plugins_dir: plugins.d
sources:
  - {name: cms, adapter: deskbell, token: "0123456789abcdef"}
webhooks:
  - {name: support, url: "https://hooks.example.org/x", transport: bell, action: Submit, message: hello}
"""
        )
        lines = self.run_command(tmp_path / "config.yaml").splitlines()
        row = next(line.split() for line in lines if line.startswith("bell "))
        assert row == ["bell", "plugins.d/bell.py", "transport", "bell", "support"]
        assert next(line.split() for line in lines if line.startswith("deskbell "))[-1] == "cms"

    def test_command_works_without_a_config(self, tmp_path: Path) -> None:
        rows = [json.loads(line) for line in self.run_command(tmp_path / "none.yaml", "--json").splitlines()]
        assert {"deskbell"} <= {row["name"] for row in rows}
        assert not any(row.get("used_by") for row in rows)

    def run_command(self, config: Path, *options: str) -> str:
        """Its output; the exit code depends on the plugins of this environment."""
        done = CliRunner().invoke(command, ["--config", str(config), *options])
        assert done.exit_code == int("NOT LOADED" in done.stdout or '"broken"' in done.stdout)
        return done.stdout
