"""Whole payloads: one per action as the owner and the readers get it, options, and what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from deskbell import VARIABLES, Payload
from deskbell.notice import clean
from deskbell.transport import Options
from deskbell_slack import Slack, deskbell_api_version, deskbell_transports
from deskbell_slack.message import GAP, NOTHING_TO_SHOW
from deskbell_slack.options import SlackOptions

NAUGHTY = (
    Path(__file__).resolve().parents[3].parent
    / "shared"
    / "data"
    / "corpora"
    / "naughty-strings"
    / "blns.json"
)

Render = Callable[..., Payload]

TICKET = {
    "subject": "Remboursement",
    "content": "Bonjour,  Voici ma demande de remboursement",
    "username": "Martin Dev",
    "userid": "1",
    "email": "admin@clientxcms.com",
    "departmentName": "Technique",
    "priority": "High",
    "created_at": "2022-11-22T00:30:00+01:00",
    "url": "https://clientxcms.com/support/tickets/1",
    "relatedUrl": "https://clientxcms.com/admin/store/services/1",
    "relatedId": "1",
}

CREATION = """\
📌 *Un nouveau ticket vient d'être créé !*
👥 Utilisateur : %username% (client n° %userid%)
📧 Adresse : <mailto:%email%|%email%>
🏬 Département : %departmentName%, priorité %priority%
💬 Sujet : *%subject%*, le %created_at%
> %content%
➡️ <%url%|Répondre> & voir <%relatedUrl%|le service %relatedId%>"""

REPLY = "📬 %username% a répondu au ticket *%subject%* :\n> %content%\n➡️ %url%"
CLOSURE = "🔒 <!here> Le ticket _%subject%_ de %username% est fermé (%action%) : <%url%>"


def test_the_message_of_a_creation(render: Render) -> None:
    assert render(CREATION, TICKET)["text"] == (
        "📌 *Un nouveau ticket vient d'être créé !*\n"
        "👥 Utilisateur : Martin Dev (client n° 1)\n"
        "📧 Adresse : <mailto:admin@clientxcms.com|admin@clientxcms.com>\n"
        "🏬 Département : Technique, priorité High\n"
        "💬 Sujet : *Remboursement*, le 22/11/22 00:30\n"
        "> Bonjour,  Voici ma demande de remboursement\n"
        "➡️ <https://clientxcms.com/support/tickets/1|Répondre> &amp; voir "
        "<https://clientxcms.com/admin/store/services/1|le service 1>"
    )


def test_the_message_of_a_reply_that_tries_everything(render: Render) -> None:
    reply = {
        **TICKET,
        "username": "<!channel> *Martin*",
        "content": "> *urgent* :fire:\n`rm` <https://e.vil|votre banque>",
    }
    assert render(REPLY, reply, action="Reply")["text"] == (
        "📬 &lt;!channel&gt; *\ufeffMartin\ufeff*\ufeff a répondu au ticket *Remboursement* :\n"
        "> \u200b&gt; *\ufeffurgent\ufeff* :\ufefffire:\n"
        "> ˋrmˋ &lt;https://e.vil|votre banque&gt;\n"
        "➡️ https://clientxcms.com/support/tickets/1"
    )


def test_the_message_of_a_closure(render: Render) -> None:
    assert render(CLOSURE, {**TICKET, "subject": "Résilier R&D"}, action="Close") == {
        "text": "🔒 <!here> Le ticket _Résilier R&amp;D_ de Martin Dev est fermé (Close) : "
        "<https://clientxcms.com/support/tickets/1>"
    }


@pytest.mark.parametrize(
    "url", ["!channel", "!here|x", "@U024BE7LH", "#C024BE7LR|x", "!subteam^S1", "https://x.fr/><!here>"]
)
def test_a_url_that_is_none_mentions_nobody(render: Render, url: str) -> None:
    """The template brings the ``<``, the sender's variable the rest."""
    text = render("<%url%> <%url%|voir>", {"url": url})["text"]
    assert not any(text[at + 1] in "!@#" for at, char in enumerate(text) if char == "<")


def test_a_value_inside_a_url_stays_inside(render: Render) -> None:
    text = render("<https://x.fr/t/%ticket%|voir>", {"ticket": "1|<!here> _x_"})["text"]
    assert text == "<https://x.fr/t/1%7C%3C%21here%3E%20%5Fx%5F|voir>"


def test_too_long_a_value_is_cut_and_the_owners_words_stay(render: Render) -> None:
    """Each ``&`` takes five characters, so fewer than 4,000 / 5 of them fit; the link survives."""
    text = render("*%subject%*\n%content%\n<%url%|Répondre>", {**TICKET, "content": "&" * 9_000})["text"]
    assert text.startswith("*Remboursement*\n&amp;&amp;")
    assert text.endswith("&amp;…\n<https://clientxcms.com/support/tickets/1|Répondre>")
    assert 3_990 <= len(text) <= 4_000


def test_emoji_count_as_the_two_units_that_they_may_be(render: Render) -> None:
    text = render("%content%", {"content": "🎫" * 4_000})["text"]
    assert text == "🎫" * 1_999 + "…"


def test_an_event_without_words_is_still_a_message(render: Render) -> None:
    """Slack would refuse an empty text, and nobody would learn of the event."""
    assert render("%content%", {"content": " \u200b\n"}) == {"text": NOTHING_TO_SHOW}


HOSTILE = st.text(max_size=40) | st.text(alphabet="<>&*_~`:|!@#[]()\n \\aé1🎫\u202e\ufeff\ud800", max_size=60)


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(TICKET, HOSTILE)), st.sampled_from([CREATION, REPLY, CLOSURE]))
def test_hostile_text_in_all_variables_makes_valid_payloads(
    render: Render, variables: dict[str, str], template: str
) -> None:
    """``render`` asks slackblocks and slack_sdk; here: no ``<`` but the owner's own, and each of those."""
    text = render(template, variables)["text"]
    owners = [form for form in ("<mailto:", "<!here>") if form in template]
    assert all(text.count(form) <= template.count(form) for form in owners)
    assert text.count("<") <= template.count("<")


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the shared test data is not beside this checkout")
def test_every_naughty_string_fits_in_every_field(render: Render) -> None:
    """All variables at once, links too; the only ``<`` are the owner's."""
    strings = json.loads(NAUGHTY.read_text(encoding="utf-8"))
    assert len(strings) == 515
    template = "<https://x.fr|x>\n" + "\n".join(f"{name} : %{name}%" for name in VARIABLES)
    for string in strings:
        text = render(template, dict.fromkeys(VARIABLES, string), action=string)["text"]
        assert (text.count("<"), text.count(">")) == (1, 1)
        assert "action : " in text or not clean(string)


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="<&é🎫*_:a \n", min_size=10, max_size=40), st.integers(300, 900))
def test_hostile_text_of_any_length_fits(render: Render, chunk: str, times: int) -> None:
    render(CREATION, {**TICKET, "content": chunk * times, "subject": chunk * times})


@pytest.mark.parametrize(
    ("options", "sent"),
    [({}, {}), ({"unfurl_links": True, "unfurl_media": "no"}, {"unfurl_links": True, "unfurl_media": False})],
)
def test_options_are_sent_only_where_they_are_set(
    render: Render, options: dict[str, Any], sent: dict[str, bool]
) -> None:
    assert render("x", {}, **options) == {"text": "x", **sent}


def test_every_option_is_described_for_editors() -> None:
    properties = SlackOptions.model_json_schema()["properties"]
    assert set(properties) == {"unfurl_links", "unfurl_media"}
    assert all(len(field["description"]) > 20 for field in properties.values())


@pytest.mark.parametrize("key", ["channel", "username", "icon_emoji", "link_names", "parse"])
def test_what_a_webhook_cannot_change_is_no_option(key: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        SlackOptions.model_validate({key: "x"})


def test_the_plugin_offers_the_transport_and_preview_reads_its_payload(render: Render) -> None:
    assert list(deskbell_transports()) == [Slack]
    assert deskbell_api_version == 1
    assert Slack.options_type is SlackOptions
    assert issubclass(Slack.options_type, Options)
    payload = render(REPLY, {**TICKET, "content": "a < b *c*"})
    assert Slack().readable(payload).splitlines()[1] == "> a < b *c*"
    assert Slack().warnings("**x**")
    assert GAP in json.dumps(payload, ensure_ascii=False)
