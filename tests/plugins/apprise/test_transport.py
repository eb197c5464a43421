"""The transport as deskbell finds it: its options, its URLs, what it makes of an event."""

from __future__ import annotations

import inspect
import re
import sys
from datetime import UTC
from importlib.metadata import entry_points
from typing import Any

import pytest
from pydantic import ValidationError

import deskbell
import deskbell_apprise
from deskbell.conformance import plugin_faults, transport_faults
from deskbell.template import Template
from deskbell_apprise import Apprise, urls
from deskbell_apprise.options import LONGEST, AppriseOptions
from deskbell_apprise.transport import MAX_TITLE

from .conftest import options

WHY = "the Apprise library is not installed: pip install 'deskbell[apprise]'"
needs_apprise = pytest.mark.skipif(bool(Apprise.unavailable()), reason=WHY)
DISCORD = f"https://discord.com/api/webhooks/123456789012345678/{'a' * 68}"
SLACK = "https://hooks.slack.com/services/T000/B000/XXXXXXXX"


def payload(template: str = "%content%", *, given: AppriseOptions | None = None, **variables: str) -> Any:
    notice = deskbell.Notice.of(
        deskbell.TicketEvent(action="Submit", ticket=variables.get("ticket", ""), variables=variables),
        Template.parse(template, deskbell.VARIABLES),
        timezone=UTC,
        date_format="%H:%M",
    )
    return Apprise().format(notice, given or options())


def test_core_finds_no_fault_in_it() -> None:
    assert list(plugin_faults(deskbell_apprise)) == []
    assert list(transport_faults(Apprise)) == []
    assert (Apprise.name, Apprise.blocking, Apprise.own_urls, Apprise.rates) == ("apprise", True, True, "")


def test_it_is_installed_as_an_ordinary_plugin() -> None:
    (found,) = entry_points(group="deskbell", name="apprise")
    assert found.load() is deskbell_apprise


def test_the_payload_says_what_it_is_written_in() -> None:
    given = options(format="markdown", title="%subject% (%ticket%)")
    made = payload("**%content%**", given=given, content="a*b", subject="Re\nfund", ticket="7")
    assert made == {"title": "Re fund (7)", "body": "**a\\*b**", "format": "markdown"}
    assert payload(content="x") == {"title": "", "body": "x", "format": "text"}


def test_an_empty_message_is_still_one() -> None:
    assert payload(content="")["body"] == "…"


def test_what_is_too_long_is_cut_in_the_value_and_the_link_stays() -> None:
    link = "https://x.example/tickets/1"
    body = payload("%content%\n%url%", content="word " * 900, url=link)["body"]
    assert len(body) <= 1000
    assert body.endswith(f"…\n{link}")
    longer = payload(given=options(max_length=4000), content="word " * 900)["body"]
    assert 3000 < len(longer) <= 4000
    title = payload(given=options(title="%subject%"), subject="x" * 999, content="x")["title"]
    assert len(title) == MAX_TITLE


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"format": "rtf"}, "format"),
        ({"max_length": 10}, "max_length"),
        ({"max_length": LONGEST + 1}, "max_length"),
        ({"title": "%subjekt%"}, "title"),
        ({"tag": "x"}, "tag"),
    ],
)
def test_wrong_options_are_named(given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as failed:
        options(**given)
    assert [fault["loc"] for fault in failed.value.errors()] == [(wrong,)]


def test_every_option_is_described() -> None:
    for name, field in AppriseOptions.model_fields.items():
        assert field.description, name


def test_readable_is_what_a_reader_sees() -> None:
    made = payload(given=options(title="%subject%"), subject="Hi", content="@all <b>")
    assert Apprise().readable(made) == "Hi\n@all <b>"


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("tgram://123456789:abcdefg_hijklmnop/12345", True),
        ("MAILTOS://ann:secret@example.com", True),
        ("46elks://user:pass@+15551234567", False),
        ("ntfys://ntfy.sh/topic", True),
        (DISCORD, False),
        (SLACK, False),
        ("HTTP://example.com/hook", False),
        ("demo:discord", False),
        ("demo://discord", False),
        ("example.com/hook", False),
        ("mailto:ann@example.com", False),
        ("", False),
    ],
)
def test_it_takes_its_own_urls_and_none_of_the_web(url: str, ours: bool) -> None:
    assert Apprise.recognises(url) == ours


@needs_apprise
@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1:8080/hook",
        "tgram://123456789:abcdefg_hijklmnop/12345",
        "mailtos://ann:secret@example.com?to=bob@example.com",
        "mailtos://ann:secret@example.com?to=bob@example.com&cc=eve@example.com&bcc=dan@example.com",
        "ntfys://ntfy.sh/topic",
        "matrixs://token@matrix.example/!room:matrix.example",
        "workflows://example.logic.azure.com/643e69f83c8944438d68119179a10a64/AbCdEfGhIjKlMnOpQrStUvWxYz",
        "mmosts://mattermost.example/abcdefgh12345678?retry=3",
        DISCORD,
    ],
)
def test_what_apprise_can_read_is_accepted(url: str) -> None:
    """The last one is Discord's own form, which Apprise reads as well: for who says ``transport: apprise``."""
    assert Apprise.refuses(url) == ""


@needs_apprise
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://sesame99.example/x", "knows no service whose URLs begin with ftp://"),
        ("htps://sesame99.example/x", "knows no service whose URLs begin with htps://"),
        ("https://sesame99.example/x", "write it in Apprise's own form"),
        (
            "tgram://sesame99",
            "cannot read this tgram:// URL; how to write one: https://appriseit.com/services/telegram/",
        ),
        ("json://sesame99.example,tgram://123456789:abcdefg_hijklmnop/1", "several URLs"),
        ("json://sesame99.example; json://b", "several URLs"),
        ("tgram://123456789:sesame99abcdefg/12345/67890", "names 2 recipients"),
        ("mailto://ann:sesame99@example.com?to=bob@example.com,eve@example.com", "names 2 recipients"),
        ("syslog://sesame99", "acts on the machine that deskbell runs on"),
        ("dbus://sesame99", "acts on the machine that deskbell runs on"),
    ],
)
def test_what_cannot_be_sent_to_is_refused_without_the_url(
    url: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    refusal = Apprise.refuses(url)
    assert words in refusal
    assert "sesame99" not in refusal
    assert capfd.readouterr() == ("", "")


@needs_apprise
def test_a_service_that_needs_another_package_names_it() -> None:
    from deskbell_apprise import library

    scheme = next(name for name in ("mqtt", "xmpp", "smpp") if not library.known(name)["enabled"])  # type: ignore[index]
    assert re.search(
        rf"cannot send to {scheme}:// here: pip install '\w", Apprise.refuses(f"{scheme}://a:b@h/t")
    )


@needs_apprise
def test_whatever_acts_on_this_machine_is_refused() -> None:
    """Apprise's own files tell: those plugins start programs, open devices, or talk to a desktop."""
    from apprise.manager_plugins import NotificationManager

    local = re.compile(
        r"\b(?:import (?:subprocess|syslog|hid|ctypes|dbus|win32\w*)|from dbus|gi\.repository|win32api)\b"
    )
    manager = NotificationManager()  # type: ignore[no-untyped-call]
    found = set[str]()
    for scheme in manager.schemas():  # type: ignore[no-untyped-call]
        if local.search(inspect.getsource(sys.modules[manager[scheme].__module__])):
            found.add(scheme)
    assert found == urls.ON_THIS_MACHINE
