"""First level, the plugin and its class: deskbell finds it, its import is quiet, its options are sound."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo

from deskbell.blame import in_words
from deskbell.conformance import RESERVED_NAMES, transport_faults
from deskbell.secret import Secret

from .checks import Checks, NotApplicable, NotMet
from .import_report import package_of, path_of_file, quickest_report_on
from .payloads import shortened
from .plugin_rules import require_found, require_quiet_import, require_supported_api
from .stage import MADE_UP_URL, SERVER, TransportCase, sample_notice

PLUGIN_CHECKS = Checks[TransportCase]()

LONGEST_IMPORT = 2 / 3
"""Of what deskbell itself takes: every command pays it, even ``deskbell --help``'s neighbours."""
_SECRET_WORDS = frozenset(
    {"token", "secret", "password", "passwd", "passphrase", "apikey", "credential", "credentials", "key"}
)
_OF_ONE_TEXT = frozenset({"unavailable", "refuses"})
_OF_TEXTS = frozenset({"refusals", "warnings"})
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
    if case.transport.name in RESERVED_NAMES:
        raise NotMet(f"the name {case.transport.name!r} means something else to deskbell: choose another")


@PLUGIN_CHECKS.bronze
def plugin_is_found(case: TransportCase) -> None:
    """An entry point of the group `deskbell` leads to the plugin, and its hook offers this class."""
    if path_of_file(case.cls):
        raise NotApplicable("it is a file of plugins_dir: there is no entry point")
    _require_usable(case)
    require_found("transport", case.cls)


@PLUGIN_CHECKS.bronze
def import_is_quiet(case: TransportCase) -> None:
    """Importing it opens no connection, looks up no name, starts no thread, process or event loop, prints nothing."""
    require_quiet_import(case.cls)


@PLUGIN_CHECKS.bronze
def import_is_quick(case: TransportCase) -> None:
    """Importing it takes at most two thirds of the processor time that importing deskbell itself takes."""
    report = quickest_report_on(case.cls, enough=LONGEST_IMPORT)
    if report.share > LONGEST_IMPORT:
        raise NotMet(
            f"importing {package_of(case.cls)} takes {report.seconds:.2f} s of the processor; deskbell itself takes "
            f"{report.own:.2f} s here, and two thirds of that ({report.own * LONGEST_IMPORT:.2f} s) are fine: import "
            "heavy libraries inside the functions that need them"
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
        kept = Secret in types_in(field.annotation)
        if _sounds_secret(name) and not kept and str in types_in(field.annotation):
            raise NotMet(f"the option {name} holds a secret as text, which prints: make it a deskbell.Secret")
        if kept and _default_of(field):
            raise NotMet(
                f"the option {name} has a secret as its default, which everybody can read: give it none"
            )


@PLUGIN_CHECKS.bronze
def questions_are_answered_in_text(case: TransportCase) -> None:
    """`unavailable`, `refuses` and `redact` give text, `refusals` and `warnings` lists of text; none of them raises."""
    _require_usable(case)
    skeleton = sample_notice().template.skeleton
    questions: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
        "unavailable": (case.cls.unavailable, ()),
        "refuses": (case.cls.refuses, (_own_url(case),)),
        "redact": (case.cls.redact, ("x",)),
        "refusals": (case.transport.refusals, (skeleton,)),
        "warnings": (case.transport.warnings, (skeleton,)),
    }
    for method, (ask, told) in questions.items():
        _require_words(method, _asked(method, ask, *told))


@PLUGIN_CHECKS.bronze
def own_url_is_taken(case: TransportCase) -> None:
    """`refuses` takes the URL of the contract: it refuses only what no message can be sent to."""
    why = _refusal_of_own_url(case)
    if not why:
        return
    if case.url == MADE_UP_URL and not case.by_author:
        raise NotApplicable("no URL of its service is known: set example_url, or give one by --url")
    raise NotMet(
        f"refuses() says of the webhook's own URL: {shortened(why)}; take it, or set url to one that it takes"
    )


def _refusal_of_own_url(case: TransportCase) -> str:
    """What it says of the case's URL; empty where it says nothing that could be read."""
    try:
        why = _asked("refuses", case.cls.refuses, _own_url(case))
    except NotMet:
        return ""
    return why if isinstance(why, str) else ""


def _own_url(case: TransportCase) -> str:
    return case.url.replace(SERVER, "127.0.0.1:1")


def _asked(method: str, ask: Callable[..., Any], *told: str) -> object:
    try:
        answer = ask(*told)
    except (Exception, SystemExit) as error:
        raise NotMet(
            f"{method}() raised {in_words(error)}: deskbell asks it whenever it reads a config; it must not fail"
        ) from error
    if inspect.iscoroutine(answer):
        answer.close()
        raise NotMet(f"{method}() returned a coroutine: write def, and await nothing in it")
    return answer


def _require_words(method: str, answer: object) -> None:
    """``NotMet`` unless it is what the method of this name has to give."""
    said = f"{method}() returned {answer!r:.60}"
    if method == "redact" and not isinstance(answer, str):
        raise NotMet(f"{said}: return the text without its secrets, on every path")
    if method in _OF_ONE_TEXT and not isinstance(answer, str):
        raise NotMet(f"{said}: return text, and at the end of it an empty one: return ''")
    if method in _OF_TEXTS and not _is_texts(answer):
        raise NotMet(
            f"{said}: return a list of texts, each a sentence; an empty one where there is nothing to say"
        )


def _is_texts(answer: object) -> bool:
    return (
        isinstance(answer, Sequence)
        and not isinstance(answer, str | bytes)
        and all(isinstance(each, str) for each in answer)
    )


def _require_usable(case: TransportCase) -> None:
    if list(transport_faults(case.cls)):
        raise NotApplicable("the class is not usable: see class_is_usable")


def _default_of(field: FieldInfo) -> bool:
    default: Any = field.get_default(call_default_factory=False)
    return bool(default.reveal() if isinstance(default, Secret) else isinstance(default, str) and default)


def _sounds_secret(name: str) -> bool:
    words = re.split("_+", name.casefold())
    return words[-1] in _SECRET_WORDS and not _OPEN_KEYS.intersection(words)


def types_in(annotation: Any) -> Iterator[Any]:
    """What a field may hold: the type itself, and those inside its brackets."""
    yield annotation
    for inner in get_args(annotation):
        yield from types_in(inner)
