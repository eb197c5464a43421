"""Events as Discord messages. Each payload here is also checked against Discord's own schema (conftest)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deskbell
from deskbell_discord import Discord
from deskbell_discord.fake import Pings, pings
from deskbell_discord.message import allowed_mentions, refusals

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"

Make = Callable[..., dict[str, Any]]

USER, OTHER, ROLE = "123456789012345678", "223456789012345678", "323456789012345678"
any_text = st.text(st.characters(), max_size=60)
hostile = st.lists(
    st.one_of(
        st.sampled_from(
            ["@everyone", "@here", "@", "every", "one", f"<@{OTHER}>", f"<@&{OTHER}>", "<", ">", "\\", "`"]
        ),
        st.sampled_from(
            ["https://evil.example/@here", "https://", "%content%", "%url%", "\u200b", "\n", " "]
        ),
        any_text,
    ),
    max_size=8,
).map("".join)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_message_of_each_action_is_as_written_down(make: Make, path: Path) -> None:
    golden = json.loads(path.read_text("utf-8"))
    payload = make(golden["message"], golden["options"], action=golden["action"], **golden["variables"])
    assert payload == golden["payload"]


def test_there_is_a_written_down_message_for_each_of_the_originals_actions() -> None:
    assert [path.stem for path in GOLDEN] == ["close", "reply", "submit"]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared test data is not beside this checkout")
def test_the_official_schema_really_judges_the_payloads(request_schema: Any) -> None:
    """The check that ``make`` does can fail."""
    assert request_schema.is_valid({"content": "x" * 2000})
    assert not request_schema.is_valid({"content": "x" * 2001})
    assert not request_schema.is_valid({"content": "x", "allowed_mentions": {"parse": ["everybody"]}})


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(deskbell.VARIABLES)), any_text), st.text(max_size=60))
def test_any_text_in_any_variable_makes_a_message_that_discord_takes(
    make: Make, variables: dict[str, str], owner: str
) -> None:
    payload = make(f"{owner} " + " | ".join(f"%{name}%" for name in deskbell.VARIABLES) + " end", **variables)
    assert payload["content"].endswith("end")


@settings(max_examples=300, deadline=None)
@given(hostile, hostile, hostile)
def test_only_the_owners_own_mentions_ping(make: Make, content: str, username: str, url: str) -> None:
    """Judged by a scan that honours no Markdown at all, with the owner's ``@here`` opening the door."""
    template = f"@here <@{USER}> <@&{ROLE}> @%username%: <%content%> <@%url%> @every%content%"
    payload = make(template, content=content, username=username, url=url)
    assert pings(payload) == Pings(everyone=True, users=[USER], roles=[ROLE])
    assert payload["content"].count("@everyone") + payload["content"].count("@here") == 1


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ("nothing", {"parse": []}),
        ("contact@hereford.example @hereby", {"parse": []}),
        ("@everyone", {"parse": ["everyone"]}),
        ("**@here**, @everyone!", {"parse": ["everyone"]}),
        ("@Everyone @her", {"parse": []}),
        (r"\@everyone", {"parse": []}),
        ("`@everyone` ```\n@here <@123456789012345678>```", {"parse": []}),
        (f"<@{USER}> <@!{OTHER}> <@{USER}>", {"parse": [], "users": [USER, OTHER]}),
        (f"<@&{ROLE}> @here", {"parse": ["everyone"], "roles": [ROLE]}),
        ("<@12> <@&0123456789012345678> <#123456789012345678>", {"parse": []}),
        (f"<@{deskbell.VALUE}> @{deskbell.VALUE} <@&{deskbell.LINK}>", {"parse": []}),
    ],
)
def test_mentions_are_allowed_by_the_owners_words(words: str, allowed: dict[str, list[str]]) -> None:
    assert allowed_mentions(words) == allowed


def test_no_more_mentions_are_allowed_than_discord_takes(make: Make) -> None:
    """100 users: https://docs.discord.com/developers/resources/message#allowed-mentions-object"""
    ids = [str(10**17 + number) for number in range(120)]
    payload = make("".join(f"<@{each}>" for each in ids[:80]) + "%content%", content="x")
    assert payload["allowed_mentions"]["users"] == ids[:80]
    assert allowed_mentions("".join(f"<@{each}>" for each in ids))["users"] == ids[:100]


@pytest.mark.parametrize(
    "content",
    ["é" * 5000, "*" * 5000, "📌" * 2001, "https://x.example/" * 400, "a\n" * 3000, "@everyone" * 500],
)
def test_a_long_value_is_cut_and_everything_else_survives(make: Make, content: str) -> None:
    payload = make(
        "**%subject%**\n> %content%\nRépondre : %url%",
        subject="Panne",
        content=content,
        url="https://panel.example/t/1",
    )
    assert len(payload["content"]) <= 2000
    assert payload["content"].startswith("**Panne**\n> ")
    assert payload["content"].endswith("…\nRépondre : https://panel.example/t/1")


@pytest.mark.parametrize("content", ["", " \n ", "\u200b\u202e"])
def test_an_event_with_nothing_to_show_still_shows(make: Make, content: str) -> None:
    """An empty message would be refused (50006) and nobody would hear of the event."""
    assert make("%content%", content=content)["content"] == "…"


def test_a_link_goes_out_as_it_is_and_other_text_in_its_place_is_text(make: Make) -> None:
    link = "https://panel.example/t_1?a=b_c_&d=%20#x"
    assert make("%url%", url=link)["content"] == link
    assert (
        make("%url%", url="https://panel.example/@everyone")["content"] == "https://panel.example/%40everyone"
    )
    assert make("%url%", url="**no** link")["content"] == r"\*\*no\*\* link"


def test_preview_shows_the_message_as_it_is_read(make: Make) -> None:
    payload = make(
        "**%subject%** `\\_` @%username%\n%content%",
        subject="*a*",
        username="everyone",
        content="# 1\nhttps://x.example/a_b <@123456789012345678>",
    )
    assert Discord().readable(payload) == (
        "***a*** `\\_` @everyone\n# 1\nhttps://x.example/a_b <@123456789012345678>"
    )


@pytest.mark.parametrize(
    ("skeleton", "warned"),
    [
        (f"`{deskbell.VALUE}`", True),
        (f"a ``x {deskbell.VALUE}`` b", True),
        (f"```\nlog {deskbell.VALUE}\n```", True),
        (f"`a` {deskbell.VALUE} `b`", False),
        (f"\\`{deskbell.VALUE}\\`", False),
        (f"`{deskbell.LINK}`", False),
        (f"**{deskbell.VALUE}**", False),
    ],
)
def test_check_warns_of_a_value_in_code(skeleton: str, *, warned: bool) -> None:
    assert bool(refusals(skeleton)) is warned
    assert list(Discord().refusals(skeleton)) == refusals(skeleton)
