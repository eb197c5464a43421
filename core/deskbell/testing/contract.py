"""The contracts to inherit: each rule is one test method. The only file of the kit that needs pytest.

The methods are plain functions that run their own event loop: they need no asyncio plugin and no setting of one.
The classes here are not called ``Test…``: pytest collects those that inherit, and not what a test module imports.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deskbell.source import Source
from deskbell.transport import Transport

from .checks import Check, Checks, Level, NotApplicable, NotMet
from .source_checks import SOURCE_CHECKS, SourceCase
from .stage import MADE_UP_URL, Reply, TransportCase
from .transport_checks import TRANSPORT_CHECKS


class _Contract:
    """What both contracts share."""

    skip: ClassVar[Mapping[str, str]] = {}
    """Checks that are left out, by name, each with the reason."""
    level: ClassVar[Level] = Level.SILVER
    """What the plugin is to reach. A rule beyond it that is not met is shown as skipped, with what to do."""

    _checks: ClassVar[Checks[Any]]

    def _case(self) -> Any:
        raise NotImplementedError

    def test_skips_have_reasons(self) -> None:
        """What is left out exists, and is left out for a reason."""
        if wrong := list(self._checks.wrong_skips(self.skip)):
            pytest.fail("; ".join(wrong), pytrace=False)


class TransportContract(_Contract):
    """Every rule for a transport, as tests. Set ``transport``; the rest says more about it."""

    transport: ClassVar[type[Transport[Any]]]
    options: ClassVar[Mapping[str, Any]] = {}
    """The options of a webhook, as an owner writes them. Put ``CANARY`` where a secret goes."""
    url: ClassVar[str] = MADE_UP_URL
    """A webhook's URL, as the service gives it out. ``{server}`` in it stands for the played service's host and port:
    only transports that do not send through their context need it."""
    ok_reply: ClassVar[Reply] = Reply()
    """How the service says that it has the message."""
    refusals: ClassVar[Sequence[Reply]] = ()
    """Answers of this service that have a status of success and mean "no"."""
    hostile: ClassVar[Sequence[str]] = ()
    """Texts that would do something at this service (ping, link, format) if a customer could write them."""
    measure: ClassVar[Callable[[str], int]] = len
    """How the service counts the length of a text, if not in code points: for ``max_length``."""
    golden: ClassVar[Path | None] = None
    """A folder with the payloads that are right, one file per action. DESKBELL_UPDATE_GOLDEN=1 writes them."""

    _checks = TRANSPORT_CHECKS

    def _case(self) -> TransportCase:
        return TransportCase(
            transport=self.transport(),
            url=self.url,
            given=self.options,
            ok_reply=self.ok_reply,
            refusals=tuple(self.refusals),
            hostile=tuple(self.hostile),
            measure=_function(type(self), "measure"),
            golden=self.golden,
            module=self.transport.__module__,
            by_author=True,
        )


class SourceContract(_Contract):
    """Every rule for a source, as tests. Set ``source``; the rest says more about it."""

    source: ClassVar[type[Source]]
    recordings: ClassVar[Path | None] = None
    """A folder with requests as they were really sent, one a file: a body, or a whole request (``.http``)."""

    _checks = SOURCE_CHECKS

    def _case(self) -> SourceCase:
        return SourceCase(source=self.source(), recordings=self.recordings, module=self.source.__module__)


def _test_of(check: Check[Any]) -> Callable[[_Contract], None]:
    def test(self: _Contract) -> None:
        if check.name in self.skip:
            pytest.skip(self.skip[check.name] or "no reason given")
        broken: NotMet | None = None
        try:
            check.perform(self._case())
        except NotApplicable as reason:
            pytest.skip(str(reason))
        except NotMet as error:
            broken = error
        if broken and check.level.is_above(self.level):
            pytest.skip(f"for {check.level}: {broken}")
        if broken:  # outside of its `except`, which would show it once more
            pytest.fail(_told(broken), pytrace=False)

    test.__name__ = test.__qualname__ = f"test_{check.name}"
    test.__doc__ = check.rule
    return test


def _told(broken: NotMet) -> str:
    """The sentence first; where the plugin raised, its own traceback after it."""
    lines = [str(broken), *getattr(broken, "__notes__", ())]
    if (cause := broken.__cause__) and cause.__traceback__:
        # Its first frame is the kit's own, which called the plugin.
        lines += ["", *traceback.format_exception(type(cause), cause, cause.__traceback__.tb_next)]
    return "\n".join(lines)


def _function(cls: type, name: str) -> Any:
    """A function that is an attribute of a class, and no method."""
    found = inspect.getattr_static(cls, name)
    return found.__func__ if isinstance(found, staticmethod) else found


def _give_tests(contract: type[_Contract]) -> None:
    for check in contract._checks:  # noqa: SLF001 - this file's own
        setattr(contract, f"test_{check.name}", _test_of(check))


_give_tests(TransportContract)
_give_tests(SourceContract)
