"""What a transport itself says of a webhook: its URLs, what it lacks here, and options that are templates."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import deskbell
from deskbell import VARIABLES
from deskbell.config import Loaded

Load = Callable[..., Loaded]
SECRET_URL = "bell://s3cr3t-t0ken/room"


class BellOptions(deskbell.Options):
    title: deskbell.Template | None = None
    lines: tuple[deskbell.Template, ...] = ()


class Bell(deskbell.Transport[BellOptions]):
    """Its URLs are none of the web."""

    name = "bell"
    max_length = 100
    own_urls = True

    def format(self, notice: deskbell.Notice, options: BellOptions) -> deskbell.Payload:
        title = notice.using(options.title).text(deskbell.plain, 10) if options.title else ""
        return {"title": title, "text": notice.text(deskbell.plain, self.max_length)}

    @classmethod
    def recognises(cls, url: str) -> bool:
        return url.startswith("bell:")

    @classmethod
    def refuses(cls, url: str) -> str:
        return "" if url.endswith("/room") else "a bell's URL ends with its room: bell://token/room"


class Gong(Bell):
    """Its library is not here."""

    name = "gong"

    @classmethod
    def recognises(cls, url: str) -> bool:
        return url.startswith("gong:")

    @classmethod
    def unavailable(cls) -> str:
        return "gonglib is not installed: pip install gonglib"


class Shy(Bell):
    """Fails when it is asked, and names the URL while it does."""

    name = "shy"

    @classmethod
    def refuses(cls, url: str) -> str:
        raise RuntimeError(url)


class Horn(deskbell.Transport):
    """Of the web, with webhooks at one host."""

    name = "horn"
    max_length = 100
    example_url = "https://horn.example/hooks/0000"

    def format(self, notice: deskbell.Notice, options: deskbell.Options) -> deskbell.Payload:
        return {"text": notice.text(deskbell.plain, self.max_length), **options.model_dump()}

    @classmethod
    def recognises(cls, url: str) -> bool:
        return url.startswith("https://horn.example/hooks/")

    @classmethod
    def refuses(cls, url: str) -> str:
        return "a workflow takes no text" if "/flow/" in url else ""


def webhook(url: str, *more: str) -> str:
    lines = [f"url: {url}", "action: Submit", 'message: "%subject%"', *more]
    return "version: 1\nwebhooks:\n  - name: desk\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize("more", [(), ("transport: bell",)])
def test_a_url_that_is_none_of_the_web_is_taken_by_the_transport_that_knows_it(
    load: Load, more: tuple[str, ...]
) -> None:
    loaded = load(webhook(SECRET_URL, *more), transports=[Bell()])
    assert loaded.config is not None, loaded.problems
    (found,) = loaded.config.webhooks
    assert (found.transport.name, found.url.reveal()) == ("bell", SECRET_URL)


@pytest.mark.parametrize(
    ("url", "more", "message", "line"),
    [
        ("bell://t/yard", (), "url: a bell's URL ends with its room: bell://token/room", 4),
        ("https://bell.example/x", ("transport: bell",), "url: a bell's URL ends with its room: bell://token/room", 4),
        ("tube://t/room", (), "url: must begin with https:// (or http://, demo:)", 4),
        ("bell://t/room", ("transport: slack",), "url: must begin with https:// (or http://, demo:)", 4),
        ("gong://t/room", (), "the transport gong cannot work here: gonglib is not installed: pip install gonglib", 4),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_line(
    load: Load, url: str, more: tuple[str, ...], message: str, line: int
) -> None:
    loaded = load(webhook(url, *more), transports=[Bell(), Gong()])
    assert loaded.config is None
    errors = [one for one in loaded.problems if one.severity == "error"]
    assert [(one.message, one.line) for one in errors] == [(message, line)]


def test_a_transport_that_fails_when_it_is_asked_is_a_warning_without_the_url(load: Load) -> None:
    loaded = load(webhook(SECRET_URL, "transport: shy"), transports=[Shy()])
    assert loaded.config is not None
    (problem,) = [one for one in loaded.problems if "shy" in one.message]
    assert problem.message == "the transport shy failed when it was asked about this URL (RuntimeError)"
    assert "s3cr3t" not in str(loaded.problems)


LOOKS_LIKE = "a webhook's URL of horn looks like https://horn.example/hooks/0000"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("https://horn.example/hook/1", LOOKS_LIKE),
        ("https://horn.example/flow/1", "a workflow takes no text"),
    ],
)
def test_a_url_that_is_nearly_one_of_a_transport_gets_its_advice(load: Load, url: str, hint: str) -> None:
    loaded = load(webhook(url), transports=[Horn()])
    assert loaded.config is None
    (problem,) = [one for one in loaded.problems if one.severity == "error"]
    assert (problem.message, problem.hint) == ("no transport recognises this URL", hint)


def test_where_the_transport_is_named_it_is_a_warning(load: Load) -> None:
    loaded = load(webhook("https://horn.example/hook/1", "transport: horn"), transports=[Horn()])
    assert loaded.config is not None
    (problem,) = [one for one in loaded.problems if one.key.endswith("url")]
    assert (problem.message, problem.hint) == ("url: no webhook's URL of horn", LOOKS_LIKE)
    proxied = load(webhook("https://proxy.example/hook/1", "transport: horn"), transports=[Horn()])
    assert not [one for one in proxied.problems if one.key.endswith("url")]


def test_an_option_that_is_a_template_knows_the_variables_of_the_sources(load: Load) -> None:
    text = webhook(SECRET_URL, 'options: {title: ":pushpin: %AppName% %subject%"}')
    loaded = load(
        text + "sources:\n  - {name: clientxcms, token: a-token-of-the-tests}\n", transports=[Bell()]
    )
    assert loaded.config is not None, loaded.problems
    options = loaded.config.webhooks[0].options
    assert isinstance(options, BellOptions)
    assert options.title is not None
    assert options.title.variables == {"appname", "subject"}
    assert options.title.literals[0] == "📌 "
    assert options.model_dump(mode="json")["title"] == "📌 %AppName% %subject%"


def test_an_unknown_variable_of_an_option_is_an_error_at_its_line(load: Load) -> None:
    text = webhook(SECRET_URL, "options:", "  lines:", "    - fine", '    - "a %usrname% b"')
    loaded = load(text, transports=[Bell()])
    assert loaded.config is None
    (problem,) = [one for one in loaded.problems if one.severity == "error"]
    assert problem.message == "options.lines[1]: unknown variable %usrname%; did you mean %username%?"
    assert problem.line == 10


def test_where_not_every_variable_is_known_none_is_called_unknown(load: Load) -> None:
    text = webhook(SECRET_URL, 'options: {title: "%usrname% %AppName%"}')
    loaded = load(
        text + "sources:\n  - {name: odd, adapter: odd, token: a-token-of-the-tests}\n", transports=[Bell()]
    )
    assert not [one for one in loaded.problems if "usrname" in one.message]


def test_its_schema_is_that_of_a_text() -> None:
    title = BellOptions.model_json_schema()["properties"]["title"]
    assert {"type": "string"} in title["anyOf"]
    assert BellOptions.model_validate({"title": "%nobody% %subject%"}).title is not None
    assert "subject" in VARIABLES
