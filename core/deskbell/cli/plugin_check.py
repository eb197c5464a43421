"""``deskbell plugin-check``: every rule for an installed transport or source, as a table."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .setting import UNKNOWN_NAME, config_option, load_installed

if TYPE_CHECKING:
    from deskbell.plugins import Plugins
    from deskbell.source import Source
    from deskbell.testing.checks import Verdict
    from deskbell.testing.source_checks import SourceCase
    from deskbell.testing.stage import TransportCase
    from deskbell.transport import Transport

_LONGEST_LINE = 200
"""Characters of what a plugin prints."""
_MARKS = {True: "ok", False: "NO", None: "-"}


@click.command()
@click.argument("name")
@config_option
@click.option(
    "--option",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the transport; may be repeated.",
)
@click.option(
    "--url",
    default="",
    help="A URL as the service gives it out; nothing is sent there. {server} in it stands for the played service.",
)
def command(name: str, config_path: Path, given: Sequence[str], url: str) -> None:
    """Check the transport or source NAME by every rule for plugins. Nothing leaves this machine.

    Exit code 1: a rule of the first two levels is broken.
    """
    _warn_of_unreadable(config_path)
    plugins = load_installed(config_path)
    if name not in plugins.transports and name not in plugins.sources:
        _end_with_unknown(name, plugins)
    verdicts: list[Verdict] = []
    if transport := plugins.transports.get(name):
        verdicts += _checked_transport(transport, given, url)
    if source := plugins.sources.get(name):
        verdicts += _checked_source(source)
    broken = [verdict for verdict in verdicts if verdict.met is False and verdict.level != "gold"]
    sys.exit(1 if broken else 0)


def _checked_transport(transport: Transport[Any], given: Sequence[str], url: str) -> list[Verdict]:
    from deskbell.testing.checks import judge
    from deskbell.testing.samples import reply_of_fake
    from deskbell.testing.stage import SERVER
    from deskbell.testing.transport_checks import TRANSPORT_CHECKS

    case = _case_of(transport, given, url)
    _require_url(case, url)
    if transport.blocking and SERVER not in case.url:
        click.echo(
            f"deskbell: {transport.name} opens connections of its own, so it must be told where its service is played: "
            f"give its URL with {SERVER} for host and port, as in --url 'scheme://{SERVER}/path'",
            err=True,
        )
        sys.exit(UNKNOWN_NAME)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # the checks will have it all again
        case = replace(case, ok_reply=asyncio.run(reply_of_fake(case)))
    click.echo(f"transport {transport.name}, from {transport.plugin}")
    return _table(transport.name, (partial(judge, check, case) for check in TRANSPORT_CHECKS))


def _checked_source(source: Source) -> list[Verdict]:
    from deskbell.testing.checks import judge
    from deskbell.testing.source_checks import SOURCE_CHECKS, SourceCase

    case: SourceCase = SourceCase(source=source, module=type(source).__module__)
    click.echo(f"source {source.name}, from {source.plugin}")
    return _table(source.name, (partial(judge, check, case) for check in SOURCE_CHECKS))


def _case_of(transport: Transport[Any], given: Sequence[str], url: str) -> TransportCase:
    from deskbell.testing.stage import MADE_UP_URL, TransportCase

    return TransportCase(
        transport=transport,
        url=url or transport.example_url or MADE_UP_URL,
        given=_options_of(transport, given),
        module=type(transport).__module__,
    )


def _options_of(transport: Transport[Any], given: Sequence[str]) -> Mapping[str, Any]:
    """What is given, and a sample for each option that must be there."""
    from pydantic import ValidationError

    from deskbell.testing.samples import sample_options

    try:
        return sample_options(transport.options_type, dict(_pairs(given)))
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False, include_context=False):
            key = ".".join(map(str, fault["loc"]))
            click.echo(f"deskbell: option {key}: {fault['msg']}; give one:  --option {key}=…", err=True)
        sys.exit(UNKNOWN_NAME)


def _require_url(case: TransportCase, given: str) -> None:
    """Whether requests for the URL could be led to the played service: a transport's own kind need not be the web's."""
    from yarl import URL

    from deskbell.testing.stage import SERVER

    try:
        url = URL(case.url.replace(SERVER, "127.0.0.1:1"), encoded=True)
        usable = case.transport.own_urls or (url.scheme in ("http", "https") and bool(url.host))
    except ValueError:
        usable = False
    if usable:
        return
    whose = "it" if given else f"example_url of {case.transport.name}"
    raise click.BadParameter(
        f"{whose} is no URL that could be asked: write one as the service gives it out, such as "
        "https://service.example/hooks/SECRET",
        param_hint="--url",
    )


def _warn_of_unreadable(config_path: Path) -> None:
    """A config that nobody can read hides the plugins of its folder. None at all is fine, unless it was asked for."""
    from deskbell.config.document import Document, UnreadableError, read_text

    source = click.get_current_context().get_parameter_source("config_path")
    if source is ParameterSource.DEFAULT and not config_path.exists():
        return
    try:
        Document.parse(read_text(config_path), lambda _: True)
    except UnreadableError as error:
        click.echo(
            f"deskbell: {config_path} cannot be read, and so no plugin of its plugins_dir: {error}", err=True
        )


def _pairs(given: Iterable[str]) -> Iterator[tuple[str, str]]:
    for pair in given:
        key, sign, value = pair.partition("=")
        if not sign:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--option")
        yield key.strip(), value


def _table(name: str, judging: Iterable[Callable[[], Verdict]]) -> list[Verdict]:
    """Each verdict as it is found, then the sum of each level. What the plugin prints meanwhile is kept out of it."""
    verdicts: list[Verdict] = []
    printed = StringIO()
    for judge in judging:
        with redirect_stdout(printed), redirect_stderr(printed):
            verdict = judge()
        verdicts.append(verdict)
        click.echo(f"  {verdict.level:6}  {_MARKS[verdict.met]:2}  {verdict.name}")
        if verdict.why:
            click.echo(f"              {verdict.why}")
    click.echo("  ".join(_sums(verdicts)))
    _tell_of_output(name, printed.getvalue().splitlines())
    return verdicts


def _tell_of_output(name: str, lines: Sequence[str]) -> None:
    if lines:
        click.echo(
            f"deskbell: {name} printed {len(lines)} lines meanwhile, which are not shown; "
            f"the first: {lines[0][:_LONGEST_LINE]}",
            err=True,
        )


def _sums(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """``silver 17/18``; what was not checked counts for nobody."""
    for level in dict.fromkeys(verdict.level for verdict in verdicts):
        made = [verdict.met for verdict in verdicts if verdict.level == level and verdict.met is not None]
        yield f"{level} {sum(made)}/{len(made)}"


def _end_with_unknown(name: str, plugins: Plugins) -> None:
    """Say whether it is broken, misspelt or not installed, and end."""
    from deskbell.discovery import did_you_mean

    for broken in plugins.broken:
        if broken.name == name:
            click.echo(f"deskbell: the plugin {name} ({broken}) is not loaded: {broken.reason}", err=True)
            click.echo(f"  fix: {broken.fix}", err=True)
            sys.exit(1)
    known = [*plugins.transports, *plugins.sources]
    hint = did_you_mean(name, known) or f"; there are: {', '.join(sorted(known))}"
    click.echo(f"deskbell: there is no transport and no source {name}{hint}", err=True)
    sys.exit(UNKNOWN_NAME)
