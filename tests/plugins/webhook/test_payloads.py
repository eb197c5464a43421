"""What is sent for one event: the owner's structure with its texts filled, and nothing else changed."""

from __future__ import annotations

import html
import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskbell import VARIABLES, Options
from deskbell_webhook import Webhook, deskbell_transports
from deskbell_webhook.body import MAX_FILLED, MAX_TEXT, MAX_TEXTS, MESSAGE, units
from deskbell_webhook.options import WebhookOptions
from deskbell_webhook.transport import MAX_MESSAGE, NOTHING_TO_SHOW

from .conftest import Render

TICKET = {
    "subject": "Remboursement",
    "content": "Bonjour,  Voici ma demande de remboursement",
    "username": "Martin Dev",
    "email": "admin@clientxcms.com",
    "ticket": "1",
    "created_at": "2022-11-22T00:30:00+01:00",
    "url": "https://clientxcms.com/support/tickets/1",
}


def test_without_options_the_message_is_the_text(render: Render) -> None:
    assert render("%username% : %subject%\n%url%", TICKET) == {
        "text": "Martin Dev : Remboursement\nhttps://clientxcms.com/support/tickets/1"
    }


def test_a_nested_body_keeps_its_shape_and_its_texts_are_filled(render: Render) -> None:
    body = {
        "title": "Ticket %ticket% of %username%",
        "ticket": {"subject": "%Subject%", "link": "%url%", "at": "%created_at%", "open": True, "none": None},
        "lines": [1, 2.5, "%message%", ["%email%", "%userid%"], {}],
        "%subject%": ":bell: fixed, 5 % to 10 %",
    }
    assert render("New: %subject%", TICKET, body=body) == {
        "title": "Ticket 1 of Martin Dev",
        "ticket": {
            "subject": "Remboursement",
            "link": "https://clientxcms.com/support/tickets/1",
            "at": "22/11/22 00:30",
            "open": True,
            "none": None,
        },
        "lines": [1, 2.5, "New: Remboursement", ["admin@clientxcms.com", ""], {}],
        "%subject%": "🔔 fixed, 5 % to 10 %",
    }


@pytest.mark.parametrize("written", ["%message%", "%Message%", "% message %", " %message%\n"])
def test_the_message_may_be_written_as_any_variable(render: Render, written: str) -> None:
    assert render("*%subject%*", TICKET, body={"a": {"b": written}}) == {"a": {"b": "*Remboursement*"}}


def test_a_customer_cannot_ask_for_variables_or_the_message(render: Render) -> None:
    payload = render(
        "%subject%", {"subject": "%message% %email%", "email": "x@y.fr"}, body={"s": "%subject%"}
    )
    assert payload == {"s": "%message% %email%"}


def test_a_message_without_words_is_still_one(render: Render) -> None:
    """Chats refuse an empty text, and nobody would learn of the event; a field of the owner's own may be empty."""
    body = {"text": "%message%", "subject": "%subject%"}
    assert render("%content%", {"content": " \u200b\n"}, body=body) == {
        "text": NOTHING_TO_SHOW,
        "subject": "",
    }


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain", "*<b>&@all</b>*"),
        ("markdown", "∗‹b>&@\u200ball‹/b>∗"),
        ("html", "*&lt;b&gt;&amp;@all&lt;/b&gt;*"),
    ],
)
def test_markup_chooses_the_escape_of_values_and_of_nothing_else(
    render: Render, markup: str, text: str
) -> None:
    payload = render(
        "**<i>%subject%</i>**",
        {"subject": "*<b>&@all</b>*"},
        markup=markup,
        body={"m": "%message%", "s": "<i>*%subject%*"},
    )
    assert payload == {"m": f"**<i>{text}</i>**", "s": f"<i>*{text}*"}


def test_links_and_the_owners_words_beside_values_are_treated_as_the_markup_needs(render: Render) -> None:
    variables = {"username": "all", "url": "https://x.fr/?a=1&b='_c_"}
    texts = {
        markup: render("@%username% %url%", variables, markup=markup)["text"]
        for markup in ("plain", "markdown", "html")
    }
    assert texts == {
        "plain": "@all https://x.fr/?a=1&b='_c_",
        "markdown": "@\u200ball https://x.fr/?a=1&b='%5Fc%5F",
        "html": "@all https://x.fr/?a=1&amp;b=&#x27;_c_",
    }


@pytest.mark.parametrize("template", ["<%content%>", "</%content%>", "<!%content%>"])
def test_in_html_a_value_is_no_name_of_a_tag(render: Render, template: str) -> None:
    text = str(render(template, {"content": "img src=x"}, markup="html")["text"])
    assert text == "&lt;" + template[1:].replace("%content%", "img src=x")


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(max_size=60) | st.text(alphabet="<>&\"'=/a b\n", max_size=40),
    link=st.sampled_from(["https://x.fr/?a=1&b='", 'x"><script>', "javascript:alert(1)"]),
)
def test_in_html_a_value_is_text_to_pythons_own_parser(render: Render, text: str, link: str) -> None:
    seen: list[tuple[str, Any]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, [name for name, _ in attrs]))

    payload = render(
        '<p>%subject%</p> <a href="%url%">%content%</a>',
        {"subject": text, "content": text, "url": link},
        markup="html",
    )
    reader = Reader()
    reader.feed(payload["text"])
    reader.close()
    assert seen == [("p", []), ("a", ["href"])] or not text.strip()
    assert {tag for tag, _ in seen} <= {"p", "a"}


def test_the_message_is_cut_at_its_limit_and_other_texts_at_theirs(render: Render) -> None:
    long = {"content": "é" * 250_000}
    payload = render("%content%", long, body={"m": MESSAGE, "c": "%content% (%ticket%)"})
    assert payload["m"] == "é" * (MAX_MESSAGE - 1) + "…"
    assert payload["c"] == "é" * (MAX_TEXT - 4) + "… ()"


def test_an_emoji_counts_as_the_two_units_that_it_is_to_most_receivers(render: Render) -> None:
    assert units(render("%content%", {"content": "🎫" * 5_000})["text"]) == MAX_MESSAGE - 1


def test_the_largest_body_stays_below_a_mebibyte(render: Render) -> None:
    """The fixture measures it. Three bytes for each unit is the most that UTF-8 needs."""
    body: dict[str, Any] = {f"k{number}": "%content%" for number in range(MAX_TEXTS)}
    payload = render("%content%", {"content": "€" * 250_000}, body=body)
    assert sum(map(units, payload.values())) == MAX_FILLED


def _encodable(key: str) -> str:
    return key.encode("utf-8", "replace").decode()


KEY = st.text(max_size=5).map(_encodable)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda number: abs(number) < 2**63)
    | st.sampled_from(["%message%", "%subject%", "%url%", "Ticket %ticket% %%", "", "x"])
    | st.text(alphabet=st.characters(exclude_characters="%", exclude_categories=["Cs"]), max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=8,  # of five keys: a body may have 50 texts
)
ANY_TEXT = st.text(max_size=60) | st.text(alphabet='%messagubjct{}[]"\\\n\ud800\x00', max_size=40)


def _shape(value: Any) -> Any:
    """What an owner decides: keys, lengths, and everything that is no text."""
    match value:
        case dict():
            return {key: _shape(inner) for key, inner in value.items()}
        case list():
            return [_shape(inner) for inner in value]
        case str():
            return "text"
        case _:
            return (type(value).__name__, value)


@settings(max_examples=400, deadline=None)
@given(
    body=st.dictionaries(KEY, JSON, min_size=1, max_size=5),
    variables=st.fixed_dictionaries(dict.fromkeys(TICKET, ANY_TEXT)),
    markup=st.sampled_from(["plain", "markdown", "html"]),
)
def test_any_text_in_any_body_gives_a_payload_of_the_same_shape(
    render: Render, body: dict[str, Any], variables: dict[str, str], markup: str
) -> None:
    payload = render("%username%\n%content%", variables, body=body, markup=markup)
    assert _shape(payload) == _shape(body)


def test_preview_shows_a_lone_text_as_it_is_and_anything_else_as_json(render: Render) -> None:
    transport = Webhook()
    assert transport.readable(render("a\n%subject%", TICKET)) == "a\nRemboursement"
    payload = render("é", TICKET, body={"b": {"c": "%message%"}})
    assert json.loads(transport.readable(payload)) == payload
    assert "é" in transport.readable(payload)
    assert len(transport.readable(payload).splitlines()) == 5


def test_the_picture_is_escaped(render: Render) -> None:
    payload = render("%subject%", {"subject": '<script>x</script> & "y" \''})
    picture = Webhook().picture(payload)
    assert picture.startswith("<pre>&lt;script&gt;")
    assert html.unescape(picture.removeprefix("<pre>").removesuffix("</pre>")) == payload["text"]
    assert picture.count("<") == 2


def test_the_plugin_offers_the_transport_which_recognises_no_url() -> None:
    assert list(deskbell_transports()) == [Webhook]
    assert Webhook.options_type is WebhookOptions
    assert issubclass(WebhookOptions, Options)
    assert not Webhook.recognises("https://mattermost.example.com/hooks/x")
    assert "message" not in {name.lower() for name in VARIABLES}, "or %message% would mean two things"


def test_every_option_is_described() -> None:
    schema = WebhookOptions.model_json_schema()
    assert all(entry["description"] and entry["examples"] for entry in schema["properties"].values())
    assert schema["properties"]["body"]["type"] == "object"
    assert json.loads(WebhookOptions().model_dump_json())["body"] == {"text": "%message%"}
