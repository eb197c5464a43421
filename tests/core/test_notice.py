"""What core hands to ``format``: values as readers see them, and the one way to render."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell import VARIABLES, Notice, TicketEvent, plain
from deskbell.notice import Rendering, clean
from deskbell.template import Template

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PARIS = ZoneInfo("Europe/Paris")
DATE_FORMAT = "%d/%m/%y %H:%M"
RECEIVED_AT = datetime(2022, 11, 21, 23, 30, tzinfo=UTC)


def notice(
    message: str,
    variables: dict[str, str],
    *,
    action: str = "Submit",
    ticket: str = "",
    zone: tzinfo = PARIS,
    date_format: str = DATE_FORMAT,
    renderings: list[Rendering] | None = None,
) -> Notice:
    event = TicketEvent(action=action, ticket=ticket, variables=variables, received_at=RECEIVED_AT)
    template = Template.parse(message, VARIABLES)
    return Notice.of(event, template, timezone=zone, date_format=date_format, renderings=renderings)


def shown(message: str, **variables: str) -> str:
    return notice(message, variables).text(plain, 2000)


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("Bonjour,  Voici", "Bonjour,  Voici"),
        ("", ""),
        (" \n x \t ", "x"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb\rc\vd\fe\x85f\u2028g\u2029h", "a\nb\nc\nd\ne\nf\ng\nh"),
        ("a\x00b\x07\x1b[31mc\x7f\x9b", "ab[31mc"),
        ("\u202egnp.exe\u202c \u2066x\u2069 \u061c\u200e\u200f", "gnp.exe x"),
        ("p\u200bay\u2060pal\ufeff", "paypal"),
        ("a\ud83d b\udc4d", "a b"),
        ("👩\u200d🚀 ☝\ufe0f é́", "👩\u200d🚀 ☝\ufe0f é́"),  # joiners and accents belong to what is seen
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian needs its non-joiner
        ("10\u00a0€", "10\u00a0€"),
        ("\u00a0x\u3000", "x"),
    ],
)
def test_values_hold_only_what_a_reader_sees(sent: str, seen: str) -> None:
    assert clean(sent) == seen
    assert shown("[%content%]", content=sent) == f"[{seen}]"


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_is_cleaned_once_and_can_be_sent(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert clean(cleaned) == cleaned
    assert not set(cleaned) & {*map(chr, range(9)), "\r", "\x1b", "\x7f", "\u202e", "\u200b"}


@pytest.mark.skipif(not SHARED.exists(), reason="the shared test data is not beside this checkout")
def test_naughty_strings_are_rendered_in_every_variable() -> None:
    """The Big List of Naughty Strings, each in every field at once."""
    message = "\n".join(f"%{name}%" for name in VARIABLES)
    for text in json.loads((SHARED / "corpora" / "naughty-strings" / "blns.json").read_text("utf-8")):
        variables = {name.casefold(): text for name in VARIABLES}
        rendered = notice(message, variables, ticket=text, action=text).text(plain, 500)
        assert len(rendered) <= 500
        rendered.encode()


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("2022-11-22T00:30:00+01:00", "22/11/22 00:30"),
        ("2022-11-21T23:30:00Z", "22/11/22 00:30"),
        ("2022-07-22T00:30:00+00:00", "22/07/22 02:30"),  # summer time
        ("2022-11-22 00:30:00", "22/11/22 00:30"),  # no zone: the owner's
        ("2022-11-22", "22/11/22 00:00"),
        ("", "22/11/22 00:30"),  # the time of receipt
        ("hier à midi", "hier à midi"),
        ("22/11/22 00:30", "22/11/22 00:30"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),  # no such time in Paris
    ],
)
def test_times_are_written_in_the_owners_zone_and_format(sent: str, written: str) -> None:
    assert shown("%created_at%", created_at=sent) == written


def test_zone_and_format_are_the_owners() -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    at = notice("%created_at%", {}, zone=kathmandu, date_format="%Y-%m-%d %H:%M:%S %%")
    assert at.text(plain, 100) == "2022-11-22 05:15:00 %"


def test_action_and_ticket_are_those_of_the_event() -> None:
    variables = {"action": "support.replay", "ticket": "old", "subject": "S"}
    text = notice("%action% %ticket% %subject%", variables, action="Reply", ticket="42").text(plain, 100)
    assert text == "Reply 42 S"


def test_absent_variables_are_empty_and_values_are_never_expanded() -> None:
    assert shown("%username% <%email%> %related%", username="%subject%", subject="x") == "%subject% <> "


def test_only_the_variables_of_the_template_are_prepared() -> None:
    prepared = notice("%subject%", {"subject": " S ", "content": "x" * 1000, "plan": "pro"})
    assert dict(prepared.values) == {"subject": "S"}


def test_a_preview_learns_what_was_cut_and_what_was_defused() -> None:
    renderings: list[Rendering] = []
    variables = {
        "content": "*gras* " * 10,
        "subject": "sobre",
        "username": "@a",
        "url": "https://x.example/@1",
    }
    message = notice("%subject% %username% %url% %content%", variables, renderings=renderings)
    text = message.text(lambda value: value.replace("*", r"\*").replace("@", r"\@"), 60)
    marks = {"username": ("@a",), "content": ("*gras*",)}
    assert renderings == [Rendering(text, len(text), 60, cut=("content",), defused=marks)]
    assert text.startswith(r"sobre \@a https://x.example/@1")


def test_an_option_that_is_a_template_shows_the_same_event() -> None:
    renderings = list[Rendering]()
    one = notice("%content%", {"subject": "Né", "content": "long"}, ticket="7", renderings=renderings)
    title = one.using(Template.of_option("#%ticket% %Subject% %created_at% :pushpin:", VARIABLES))
    assert title.text(str.upper, 100) == "#7 NÉ 22/11/22 00:30 📌"
    assert title.event is one.event
    assert one.text(plain, 100) == "long"
    assert [each.text for each in renderings] == ["#7 NÉ 22/11/22 00:30 📌", "long"]
