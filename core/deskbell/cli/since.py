"""``--since``: how long ago, or a time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo


def since_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--since``, for commands that choose deliveries. ``since_at`` reads what it gives."""
    return click.option(
        "--since",
        metavar="TIME",
        callback=_read,
        help="Only those whose events came since then: 2h or 3d ago, or a time like 2026-11-22T18:00.",
    )(command)


def since_at(since: timedelta | datetime | None, timezone: tzinfo) -> datetime | None:
    """The moment that is meant; a time without a zone is one of the config's."""
    if isinstance(since, timedelta):
        return datetime.now(UTC) - since
    if since is not None and since.tzinfo is None:
        return since.replace(tzinfo=timezone)
    return since


def _read(_ctx: click.Context, _param: click.Parameter, text: str | None) -> timedelta | datetime | None:
    from deskbell.pace import parse_duration

    if text is None:
        return None
    with suppress(ValueError):
        return timedelta(seconds=parse_duration(text))
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    raise click.BadParameter("write how long ago, like 2h or 3d, or a time like 2026-11-22T18:00")
