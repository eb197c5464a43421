"""The JSON Schema of config.yaml, judged by a foreign validator: it takes and refuses what `check` does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ConfigDict, Field

import deskbell
from deskbell.config import json_schema
from deskbell.config.document import Document
from deskbell.plugins import Plugins, load_plugins

ROOT = Path(__file__).resolve().parents[2]
HEAD = "version: 1\nsources:\n  - {name: clientxcms, token: a-token-of-the-tests}\n"
WEBHOOK: Mapping[str, Any] = {"name": "w", "url": "demo:slack", "action": "Submit", "message": "x"}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture(scope="module")
def schema(plugins: Plugins) -> dict[str, Any]:
    found = json_schema(plugins.transports, plugins.sources)
    jsonschema.Draft7Validator.check_schema(found)
    return found


def faults(schema: Mapping[str, Any], data: Any) -> list[str]:
    """Where the validator finds fault, with the innermost places of each."""
    return [
        place for error in jsonschema.Draft7Validator(schema).iter_errors(data) for place in places(error)
    ]


def places(error: jsonschema.ValidationError) -> Iterator[str]:
    yield error.json_path
    for inner in error.context or ():
        yield from places(inner)


def data_of(text: str) -> Any:
    """As deskbell reads YAML, and as editors do: 1.2."""
    return Document.parse(text, lambda _: True).data


def with_webhook(**changes: Any) -> dict[str, Any]:
    return {"webhooks": [{**WEBHOOK, **changes}]}


def documented() -> Iterator[tuple[str, str]]:
    (
        """Each config in the documents: whole ones, and those that begin with ``webhooks:``.

    A tutorial's reader has a plugin that is not installed here.
    """
        ""
    )
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "plugins").glob("*/README.md"), ROOT / "README.md"]
    for page in pages:
        for number, block in enumerate(
            re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        ):
            if re.match(r"(version|webhooks|sources):", block) and not page.name.startswith("tutorial-"):
                yield f"{page.relative_to(ROOT)} {number}", block


DOCUMENTED = dict(documented())


def test_the_shipped_config_is_valid(schema: dict[str, Any]) -> None:
    assert faults(schema, data_of((ROOT / "config.yaml").read_text("utf-8"))) == []


def test_there_are_documented_configs() -> None:
    assert len(DOCUMENTED) >= 3


@pytest.mark.parametrize("where", DOCUMENTED)
def test_what_the_documents_show_is_valid(schema: dict[str, Any], where: str) -> None:
    assert faults(schema, data_of(DOCUMENTED[where])) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"action": ["Submit", "support.replay"]},
        {"action": "sUBMIT"},
        {"action": "*"},
        {"action": "checkout_completed"},
        {
            "transport": "discord",
            "url": "https://chat.example/x",
            "options": {"silent": True, "username": "Desk"},
        },
        {"transport": "${TRANSPORT}"},
        {"options": {"silent": "${SILENT}"}},
        {"options": {"silent": "yes"}},
        {"options": None, "when": None, "enabled": None},
        {"when": {"priority": ["high", "Haute"], "department": 7, "source": "clientxcms"}},
        {"rate": "none", "retry": "1s, 5s", "max_age": "96h"},
        {"name": 5},
        {
            "transport": "webhook",
            "options": {"headers": {"Authorization": "x"}, "body": {"a": ["%message%", 1]}},
        },
        {"transport": "apprise", "options": {"format": "markdown", "max_length": "${LENGTH}"}},
    ],
)
def test_what_check_takes_is_valid(schema: dict[str, Any], changes: dict[str, Any]) -> None:
    assert faults(schema, with_webhook(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"urll": "x"}, "$.webhooks[0]"),
        ({"action": "Sumbit"}, "$.webhooks[0].action"),
        ({"action": []}, "$.webhooks[0].action"),
        ({"transport": "discrod"}, "$.webhooks[0].transport"),
        ({"enabled": "maybe"}, "$.webhooks[0].enabled"),
        ({"when": {"departement": "x"}}, "$.webhooks[0].when"),
        ({"transport": "discord", "options": {"silnet": True}}, "$.webhooks[0].options"),
        ({"transport": "slack", "options": {"silent": True}}, "$.webhooks[0].options"),
        ({"options": {"no_transport_has_this": 1}}, "$.webhooks[0].options"),
        ({"transport": "apprise", "options": {"format": "pdf"}}, "$.webhooks[0].options"),
        ({"transport": "apprise", "options": {"max_length": 1}}, "$.webhooks[0].options"),
        ({"message": ["x"]}, "$.webhooks[0].message"),
    ],
)
def test_what_check_refuses_is_not(schema: dict[str, Any], changes: dict[str, Any], place: str) -> None:
    assert any(each.startswith(place) for each in faults(schema, with_webhook(**changes)))


@pytest.mark.parametrize("key", ["name", "url", "action", "message"])
def test_what_a_webhook_needs_must_be_there(schema: dict[str, Any], key: str) -> None:
    webhook = {name: value for name, value in WEBHOOK.items() if name != key}
    assert set(faults(schema, {"webhooks": [webhook]})) == {"$.webhooks[0]"}


def test_a_file_may_hold_the_url(schema: dict[str, Any]) -> None:
    webhook = {name: value for name, value in WEBHOOK.items() if name != "url"}
    assert faults(schema, {"webhooks": [{**webhook, "url_file": "discord.url"}]}) == []


@pytest.mark.parametrize(
    "data",
    [
        {"version": 2},
        {"webhook": []},
        {"sources": [{"token": "x"}]},
        {"sources": [{"name": "a", "adapter": "clientxmcs"}]},
        {"server": "127.0.0.1:8700"},
        [],
    ],
)
def test_other_faults_of_the_file(schema: dict[str, Any], data: Any) -> None:
    assert faults(schema, data)


def properties_of(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for part in (schema, *schema["definitions"].values()):
        yield from part.get("properties", {}).items()


def test_every_key_says_what_it_is(schema: dict[str, Any]) -> None:
    assert [name for name, each in properties_of(schema) if not each.get("description")] == []


def test_the_options_of_every_installed_transport_are_in_it(schema: dict[str, Any], plugins: Plugins) -> None:
    for name, transport in plugins.transports.items():
        known = schema["definitions"][f"options.{name}"].get("properties", {})
        assert known.keys() == {
            field.alias or key for key, field in transport.options_type.model_fields.items()
        }


class Odd:
    """No type that has a JSON Schema."""


class OddOptions(deskbell.Options):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    odd: Odd | None = None


class OddTransport(deskbell.Transport[OddOptions]):
    name = "odd"
    max_length = 10

    def format(self, notice: deskbell.Notice, _: OddOptions) -> deskbell.Payload:
        return {"text": notice.text(deskbell.plain, self.max_length)}


def test_options_that_have_no_schema_may_be_anything() -> None:
    found = json_schema({"odd": OddTransport()}, {})
    jsonschema.Draft7Validator.check_schema(found)
    assert faults(found, with_webhook(transport="odd", options={"odd": 1})) == []
    assert faults(found, with_webhook(transport="odd", options=1))


class TitledOptions(deskbell.Options):
    title: deskbell.Template = Field(
        default=deskbell.Template.of_option("Ticket %relatedid%"), description="The title."
    )


class Titled(deskbell.Transport[TitledOptions]):
    name = "titled"
    max_length = 10

    def format(self, notice: deskbell.Notice, options: TitledOptions) -> deskbell.Payload:
        return {"title": notice.using(options.title).text(deskbell.plain, self.max_length)}


def test_the_default_of_a_template_is_shown_as_an_owner_would_write_it() -> None:
    definition = json_schema({"titled": Titled()}, {})["definitions"]["options.titled"]
    title = TitledOptions.model_json_schema()["properties"]["title"]
    assert definition["properties"]["title"]["default"] == title["default"] == "Ticket %relatedid%"
