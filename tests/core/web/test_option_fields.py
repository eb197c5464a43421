"""Which of a transport's options a form asks for, and how."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, StringConstraints

import deskbell
from deskbell.plugins import Plugins
from deskbell.web.option_fields import FLAG, OptionField, option_fields


class Every(deskbell.Options):
    name: Annotated[str, StringConstraints(max_length=9)] | None = Field(default=None, description="Who.")
    title: deskbell.Template | None = None
    loud: bool = False
    maybe: bool | None = None
    style: Literal["plain", "rich"] | None = None
    size: int = 3
    share: float | None = None
    key: deskbell.Secret | None = None
    signing: deskbell.SigningSecret | None = None
    headers: dict[str, str] | None = None
    names: list[str] | None = None
    either: str | list[str] = ""
    nothing: None = None


def test_each_kind_of_option_has_its_kind_of_field_and_what_a_form_cannot_ask_for_has_none() -> None:
    found = [(field.name, field.kind, tuple(field.choices)) for field in option_fields(Every)]
    assert found == [
        ("name", "text", ()),
        ("title", "text", ()),
        ("loud", "choice", FLAG),
        ("maybe", "choice", FLAG),
        ("style", "choice", ("plain", "rich")),
        ("size", "number", ()),
        ("share", "number", ()),
        ("key", "secret", ()),
        ("signing", "secret", ()),
    ]
    assert option_fields(Every)[0].description == "Who."


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("name", "Bell", "Bell"), ("name", "12", "12"), ("name", "", None),
        ("loud", "true", True), ("loud", "false", False), ("loud", "", None), ("loud", "maybe", None),
        ("size", "12", 12), ("size", "-1", -1), ("size", "--1", "--1"), ("size", "many", "many"), ("size", "", None),
        ("style", "rich", "rich"), ("key", "${KEY}", "${KEY}"),
    ],
)  # fmt: skip
def test_what_was_typed_becomes_a_value_of_the_config(name: str, typed: str, value: object) -> None:
    fields: dict[str, OptionField] = {field.name: field for field in option_fields(Every)}
    got = fields[name].value(typed)
    assert (got, type(got)) == (value, type(value))


def test_the_options_of_every_installed_transport_can_be_asked_for(plugins: Plugins) -> None:
    for name, transport in plugins.transports.items():
        fields = option_fields(transport.options_type)
        assert {field.name for field in fields} <= transport.options_type.model_fields.keys(), name
        assert all(field.description for field in fields), name
