"""docs/configuration.md names every key, says its default, and its example is a config without a problem."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from deskbell.config import Loaded, service
from deskbell.config.model import ConfigFile
from deskbell.delivery import RetryPolicy
from deskbell.pace import parse_duration
from deskbell.settings import Retention

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "configuration.md").read_text("utf-8")


def keys_of(model: type[BaseModel]) -> set[str]:
    """The keys of a model and of the models inside it."""
    keys = set(model.model_fields)
    for field in model.model_fields.values():
        inner = [field.annotation, *get_args(field.annotation)]
        inner += [part for each in inner for part in get_args(each)]
        for part in inner:
            if isinstance(part, type) and issubclass(part, BaseModel):
                keys |= keys_of(part)
    return keys


@pytest.mark.parametrize("key", sorted(keys_of(ConfigFile)))
def test_every_key_has_its_row_or_section(key: str) -> None:
    row = rf"^\|[^|]*`{key}`[^|]*\|"
    section = rf"^`{key}:` is a list"
    assert re.search(f"{row}|{section}", PAGE, re.MULTILINE), key


def test_the_keys_are_found_in_all_depths() -> None:
    assert keys_of(ConfigFile) >= {"version", "listen", "allow", "token_file", "priority", "message"}


@pytest.mark.parametrize(
    "default",
    [service.DEFAULT_LISTEN, service.DEFAULT_STORE, service.DEFAULT_TIMEZONE, service.DEFAULT_DATE_FORMAT],
)
def test_the_defaults_are_the_ones_in_use(default: str) -> None:
    assert re.search(rf"^\|[^|]*\|[^|]*\| `{re.escape(default)}` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize(
    ("key", "seconds"),
    [
        ("retry", RetryPolicy().ladder),
        ("max_age", (RetryPolicy().max_age,)),
        ("retention` · `delivered", (Retention().delivered,)),
        ("retention` · `dead", (Retention().dead,)),
    ],
)
def test_the_durations_that_are_in_use_unless_said(key: str, seconds: tuple[float, ...]) -> None:
    (default,) = re.findall(rf"^\| `{key}` \|[^|]*\| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert tuple(map(parse_duration, default.split(","))) == seconds


def test_the_example_is_a_config_without_a_problem(load: Callable[..., Loaded]) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    loaded = load(example)
    assert loaded.problems == ()
    assert loaded.config is not None


def test_the_traps_that_are_listed_are_traps(
    load: Callable[..., Loaded], with_line: Callable[[str], str]
) -> None:
    table = PAGE[PAGE.index("## Traps of YAML") :]
    traps = [
        trap.replace("…", "x")
        for row in re.findall(r"^\| (``?[\w{].*?)\|[^|]*\|$", table, re.MULTILINE)
        for trap in re.findall(r"``(.+?)``(?!`)|`([^`]+)`", row)
        for trap in filter(None, trap)
    ]
    assert len(traps) >= 13
    for trap in traps:
        own_key = trap.startswith(("message", "action"))
        line = trap if own_key else f"options:\n      {trap}\n    message: x"
        assert load(with_line(line)).problems, trap
