"""First level, the plugin and its class: deskbell finds it, its import is quiet, its options are sound."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic.fields import FieldInfo

from deskbell.conformance import transport_faults
from deskbell.secret import Secret

from .checks import Checks, NotApplicable, NotMet
from .import_report import import_report, package_of, path_of_file, report_on
from .plugin_rules import require_found, require_supported_api
from .stage import TransportCase

PLUGIN_CHECKS = Checks[TransportCase]()

RESERVED = frozenset({"deskbell", "demo", "metrics", "transport", "none"})
"""Names that mean something else to deskbell."""
LONGEST_IMPORT = 0.3
"""Seconds of the processor: every command pays them, even ``deskbell --help``'s neighbours."""
_SECRET_WORDS = frozenset(
    {"token", "secret", "password", "passwd", "passphrase", "apikey", "credential", "credentials", "key"}
)
_OPEN_KEYS = frozenset({"public", "sort", "thread", "group", "dedup"})
"""What before ``key`` says that it opens nothing."""


@PLUGIN_CHECKS.bronze
def class_is_usable(case: TransportCase) -> None:
    """Its name, limits and methods are such that deskbell can use the class."""
    if faults := list(transport_faults(case.cls)):
        raise NotMet("; ".join(faults))


@PLUGIN_CHECKS.bronze
def name_is_free(case: TransportCase) -> None:
    """Its name means nothing else to deskbell."""
    if case.transport.name in RESERVED:
        raise NotMet(f"the name {case.transport.name!r} means something else to deskbell: choose another")


@PLUGIN_CHECKS.bronze
def plugin_is_found(case: TransportCase) -> None:
    """An entry point of the group `deskbell` leads to the plugin, and its hook offers this class."""
    if path_of_file(case.cls):
        raise NotApplicable("it is a file of plugins_dir: there is no entry point")
    if list(transport_faults(case.cls)):
        raise NotApplicable("the class is not usable: see class_is_usable")
    require_found("transport", case.cls)


@PLUGIN_CHECKS.bronze
def import_is_quiet(case: TransportCase) -> None:
    """Importing it opens no connection, looks up no name, starts no thread, process or event loop, prints nothing."""
    if did := report_on(case.cls).did:
        raise NotMet(
            f"importing {package_of(case.cls)} {', '.join(did)}: every command of deskbell imports it; "
            "do that in send(), or in a function that send() calls"
        )


@PLUGIN_CHECKS.bronze
def import_is_quick(case: TransportCase) -> None:
    """Importing it takes less than 0.3 s of the processor, beyond what deskbell itself takes."""
    seconds = report_on(case.cls).seconds
    if seconds > LONGEST_IMPORT:  # the first time Python may have compiled it: only the second counts
        import_report.cache_clear()
        seconds = report_on(case.cls).seconds
    if seconds > LONGEST_IMPORT:
        raise NotMet(
            f"importing {package_of(case.cls)} takes {seconds:.2f} s of the processor, {LONGEST_IMPORT} are fine: "
            "import heavy libraries inside the functions that need them"
        )


@PLUGIN_CHECKS.bronze
def api_version_is_declared(case: TransportCase) -> None:
    """Its module says which version of deskbell's API it is written for, and this deskbell has it."""
    require_supported_api(case.cls)


@PLUGIN_CHECKS.bronze
def options_are_described(case: TransportCase) -> None:
    """A JSON schema can be made of its options, and each field has a description."""
    options = case.cls.options_type
    try:
        options.model_json_schema()
    except Exception as error:
        raise NotMet(f"no JSON schema can be made of {options.__name__}: {error}") from error
    for name, field in options.model_fields.items():
        if not field.description:
            raise NotMet(
                f"the option {name} has no description: write {name}: … = Field(description='…'); "
                "it is shown in editors and in the documentation"
            )


@PLUGIN_CHECKS.bronze
def options_refuse_unknown_keys(case: TransportCase) -> None:
    """An option that is misspelt in config.yaml is an error, not silence."""
    options = case.cls.options_type
    if options.model_config.get("extra") != "forbid":
        raise NotMet(
            f"{options.__name__} takes unknown keys, so that a misspelt one does nothing: "
            "leave extra='forbid' of deskbell.Options as it is"
        )


@PLUGIN_CHECKS.bronze
def secret_options_are_secret(case: TransportCase) -> None:
    """A token, password or key among its options is a `deskbell.Secret`, and has no default."""
    for name, field in case.cls.options_type.model_fields.items():
        kept = Secret in _types_in(field.annotation)
        if _sounds_secret(name) and not kept and str in _types_in(field.annotation):
            raise NotMet(f"the option {name} holds a secret as text, which prints: make it a deskbell.Secret")
        if kept and _default_of(field):
            raise NotMet(
                f"the option {name} has a secret as its default, which everybody can read: give it none"
            )


def _default_of(field: FieldInfo) -> bool:
    default: Any = field.get_default(call_default_factory=False)
    return bool(default.reveal() if isinstance(default, Secret) else isinstance(default, str) and default)


def _sounds_secret(name: str) -> bool:
    words = re.split("_+", name.casefold())
    return words[-1] in _SECRET_WORDS and not _OPEN_KEYS.intersection(words)


def _types_in(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _types_in(inner)
