"""Values as plain text, the owner's words as mrkdwn: tables and properties."""

from __future__ import annotations

import html
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskbell import LINK, VALUE
from deskbell_slack import message
from deskbell_slack.message import GAP, SEAL, TICK, escape, literal

PLAIN = [
    "Bonjour,  Voici ma demande de remboursement",
    "L’été dernier, j’ai payé 12,50 € (soit 5 % de plus) : c’est trop !",
    "john_doe@x.fr, jean-paul.o'neil+tickets@exemple.fr",
    "le 22/11/22 à 00:30, de 9:00-18:00, 12:30:45, 2022-11-22T00:30:00+01:00",
    "2*3 = 6; 5 * 3 = 15; 1 - 2; a ~ b; snake_case, MAX_LEN_2; #12; 100%; $5; +33 6 12 34 56 78",
    "Re:urgent http://10.0.0.1:8080 localhost:3306 C:\\tmp [x](y) {z} \\o/",
    "voir https://x.fr/~jean/_a_/b?c_=d~e et http://y.fr/_private",
    "🎫 ça marche\n- un\n- deux\n\n1. trois",
    "@here et #general et !important",
    "!important",
    "#12 @Martin",
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_passes_byte_for_byte(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("<!channel> & <@U1|x>", "&lt;!channel&gt; &amp; &lt;@U1|x&gt;"),
        ("&lt;!here&gt; &amp;lt;", "&amp;lt;!here&amp;gt; &amp;amp;lt;"),
        ('<a href="x">', '&lt;a href="x"&gt;'),
        ("*gras*", f"{GAP}*{GAP}gras{GAP}*{GAP}"),
        ("un *deux* trois", f"un *{GAP}deux{GAP}* trois"),
        ("_italique_ fin", f"{GAP}_{GAP}italique{GAP}_ fin"),
        ("snake_case_", f"snake_case{GAP}_{GAP}"),
        ("* un *", f"{GAP}*{GAP} un {GAP}*{GAP}"),
        ("a ~b~", f"a ~{GAP}b{GAP}~{GAP}"),
        ("2*3*4", f"2{GAP}*{GAP}3{GAP}*{GAP}4"),
        ("＊太字＊", f"{GAP}＊{GAP}太字{GAP}＊{GAP}"),
        ("`code` ｀x｀", f"{TICK}code{TICK} {TICK}x{TICK}"),
        (":fire: 10:b:3", f":{GAP}fire: 10:{GAP}b:3"),
        (":+1::skin-tone-2: 1:100:2", f":{GAP}+1::{GAP}skin-tone-2: 1:{GAP}100:2"),
        ("> cité\n> encore\n >> là", f"{SEAL}&gt; cité\n{SEAL}&gt; encore\n{SEAL} &gt;&gt; là"),
        ("＞ cité, a > b", f"{SEAL}＞ cité, a &gt; b"),
        ("https://x.fr/?a&b <https://e.vil|banque>", "https://x.fr/?a&amp;b &lt;https://e.vil|banque&gt;"),
        ("~https://x.fr/~a~", f"{GAP}~{GAP}https://x.fr/~a{GAP}~{GAP}"),
        ("https://x.fr/a_", f"https://x.fr/a{GAP}_{GAP}"),
        ("!channel", f"{SEAL}!channel"),
        ("@U12AB", f"{SEAL}@U12AB"),
    ],
)
def test_what_would_be_active_is_broken_and_nothing_else_changes(value: str, sent: str) -> None:
    assert escape(value) == sent


HOSTILE_WORDS = (
    "* _ ~ ` ``` : :fire: fire :+1: <!channel> <@U1> <https://e.vil|b> &lt; &amp; > >>> ＊ ＿ ＞ | \\ @U1A "
    "a é 1 https://x.fr/_a~ ://"
)
HOSTILE = st.lists(
    st.sampled_from([*HOSTILE_WORDS.split(), "\n", " ", "\n> ", GAP, SEAL]) | st.text(max_size=4), max_size=12
).map("".join)


@settings(max_examples=500)
@given(HOSTILE)
def test_an_escaped_value_still_reads_the_same_and_holds_no_bracket(value: str) -> None:
    """Entities undone and the invisible left out, only backticks differ."""
    sent = escape(value)
    assert "<" not in sent
    assert ">" not in sent
    seen, meant = html.unescape(sent), value
    for invisible in (GAP, SEAL):
        seen, meant = seen.replace(invisible, ""), meant.replace(invisible, "")
    assert seen == meant.replace("`", TICK).replace("｀", TICK)


@settings(max_examples=300)
@given(HOSTILE, st.integers(0, 40))
def test_the_escape_never_shortens(value: str, end: int) -> None:
    """The contract of ``Notice.text``: core cuts a value before the escape, and must not cut too much."""
    assert len(escape(value)) >= len(value)
    assert len(escape(value[:end])) >= len(value[:end])


@pytest.mark.parametrize(
    "value", [":" + "a" * 4000, ":a" * 2000, "_" * 4000, "2*3" * 1300, "https://." * 440, " \n" * 2000 + ">"]
)
def test_no_value_makes_the_escape_slow(value: str) -> None:
    """A tenth of a second would be a thousand times its usual cost."""
    started = time.perf_counter()
    escape(value)
    assert time.perf_counter() - started < 0.1


FORMS = [
    "<https://x.fr/a_b|le _panneau_>",
    "<https://x.fr/?a=1&amp;b=2>",
    "<mailto:a@x.fr|écrire>",
    f"<mailto:{VALUE}|{VALUE}>",
    "<tel:+33612345678|appeler>",
    f"<{LINK}|voir {VALUE}>",
    f"<{LINK}>",
    f"<https://x.fr/t/{LINK}-{LINK}?p={LINK}:{LINK}|le ticket>",
    f"https://x.fr/t/{LINK}-{LINK}",
    "<@U024BE7LH> <@W12|anne> <#C024BE7LR|général>",
    "<!here> <!channel> <!everyone> <!here|ici>",
    "<!subteam^SAZ94GDB8> <!subteam^S1|@support>",
    "<!date^1392734382^{date_num} {time_secs}|18/02/14>",
    f"<!date^1392734382^{{date}}^https://x.fr/{LINK}|{VALUE}>",
    f"*{VALUE}* _{VALUE}_ ~{VALUE}~ `{VALUE}`",
    f"> {VALUE}\n>>> {VALUE} &lt;b&gt; &amp;",
    f"Client : {VALUE} ({VALUE}), le {VALUE} #{VALUE}",
]


@pytest.mark.parametrize("skeleton", FORMS)
def test_slack_forms_of_the_owner_stay_as_they_are_written(skeleton: str) -> None:
    assert literal(skeleton) == skeleton


@pytest.mark.parametrize(
    ("skeleton", "sent"),
    [
        ("a < b & c > d -> e", "a &lt; b &amp; c &gt; d -&gt; e"),
        ("R&D &copy; &lt;", "R&amp;D &amp;copy; &lt;"),
        ("<b>gras</b> <prix:10> <>", "&lt;b&gt;gras&lt;/b&gt; &lt;prix:10&gt; &lt;&gt;"),
        ("<https://x.fr?a=1&b=2|A & B>", "<https://x.fr?a=1&amp;b=2|A &amp; B>"),
        ("https://x.fr?a=1&b=2&amp;c", "https://x.fr?a=1&amp;b=2&amp;c"),
        (f"<@{VALUE}> <@U{VALUE}>", f"&lt;@{VALUE}&gt; &lt;@U{VALUE}&gt;"),
        (f"<#{VALUE}|x> <!{VALUE}>", f"&lt;#{VALUE}|x&gt; &lt;!{VALUE}&gt;"),
        (f"<{VALUE}|x> <!subteam^{VALUE}>", f"&lt;{VALUE}|x&gt; &lt;!subteam^{VALUE}&gt;"),
        (f"<!date^{VALUE}^{{date}}|x>", f"&lt;!date^{VALUE}^{{date}}|x&gt;"),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        (f":{VALUE}: :fi{VALUE}", f":{GAP}{VALUE}{GAP}: :fi{GAP}{VALUE}"),
        (f"n°{VALUE}:{VALUE}", f"n°{VALUE}{GAP}:{GAP}{VALUE}"),
        (f"{VALUE}-{VALUE}re:", f"{VALUE}{GAP}-{VALUE}{GAP}re:"),
        (f"Voir:{LINK}:", f"Voir:{GAP}{LINK}{GAP}:"),
        (f"<https://x.fr|:{VALUE}:>", f"<https://x.fr|:{GAP}{VALUE}{GAP}:>"),
    ],
)
def test_other_signs_of_the_owner_become_entities_and_half_codes_are_broken(skeleton: str, sent: str) -> None:
    assert literal(skeleton) == sent


@settings(max_examples=300)
@given(HOSTILE, st.lists(st.sampled_from([VALUE, LINK, "<", ">", "|", ":", "@", "!here", "&"]), max_size=8))
def test_every_place_of_a_skeleton_survives(words: str, places: list[str]) -> None:
    """``Notice.text`` needs each VALUE and LINK back, in order."""
    skeleton = "".join(each + words[index : index + 3] for index, each in enumerate(places))
    marks = [char for char in skeleton if char in VALUE + LINK]
    assert [char for char in literal(skeleton) if char in VALUE + LINK] == marks


@pytest.mark.parametrize(
    ("text", "units"), [("", 0), ("abc", 3), ("é…ˋ", 3), ("🎫", 2), ("👩‍🚒", 5), ("&amp;", 5), ("\ud800", 1)]
)
def test_length_is_counted_in_utf_16_units(text: str, units: int) -> None:
    assert message.measure(text) == units


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<https://x.fr/1|Ticket 1> <https://x.fr>", "Ticket 1 (https://x.fr/1) https://x.fr"),
        ("<!here> <!channel|tous> <@U1> <@U2|anne> <#C1|support>", "@here tous @U1 anne support"),
        ("<#C1> <!date^1392734382^{date}|18/02/14>", "#C1 18/02/14"),
        (f"a &lt;b&gt; &amp;lt; *{GAP}c{GAP}* {SEAL}&gt;", "a <b> &lt; *c* >"),
    ],
)
def test_readable_shows_what_the_channel_shows(text: str, seen: str) -> None:
    assert message.readable(text) == seen


@pytest.mark.parametrize(
    ("skeleton", "hint"),
    [
        ("**gras**", "Slack's bold is `*bold*`"),
        ("~~barré~~", "strikes out with `~text~`"),
        (f"[ticket]({LINK})", "`<https://…|label>`"),
        ("texte\n## Titre", "no headings"),
        (f"<@{VALUE}>", "cannot mention"),
        ("@channel : un ticket", "write `<!here>`"),
    ],
)
def test_check_hints_at_markup_of_other_services(skeleton: str, hint: str) -> None:
    assert [hint in warning for warning in message.warnings(skeleton)] == [True]


def test_slack_markup_raises_no_hint() -> None:
    fine = f"*gras* <!here> <@U1> <{LINK}|voir> #12 **\nx@here.fr support@channel.io # {VALUE}"
    assert message.warnings(fine) == []
