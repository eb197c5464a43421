"""Shortcodes of templates: which become emoji, which stay, and that the table agrees with foreign ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell.shortcodes import Expanded, expand, names

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.exists(), reason="the shared test data is not beside this checkout"
)
LONGEST_FIRST_USE = 0.5  # seconds, on a busy machine; an idle one takes 0.01

MESSAGES_OF_THE_ORIGINAL = {
    "pushpin": "📌",
    "busts_in_silhouette": "👥",
    "e_mail": "📧",
    "passport_control": "🛂",
    "department_store": "🏬",
    "speech_balloon": "💬",
    "vertical_traffic_light": "🚦",
    "arrow_right": "➡️",
    "mailbox_with_mail": "📬",
}
AGREED_CONFLICTS = {"bride_with_veil"}  # only Slack's table has it; Discord draws a woman, Slack a person


@pytest.mark.parametrize(("name", "emoji"), MESSAGES_OF_THE_ORIGINAL.items())
def test_codes_of_the_original_messages_become_emoji(name: str, emoji: str) -> None:
    assert expand(f":{name}: Ticket") == Expanded(f"{emoji} Ticket")


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("", ""),
        (":wave::smile:", "👋😄"),
        (":+1: :-1: :100: :8ball:", "👍 👎 💯 🎱"),
        ("Bonjour:wave:tout", "Bonjour👋tout"),
        (":arrow_right:%url%", "➡️%url%"),
        ("**:pushpin:** `x`", "**📌** `x`"),
        (":piñata: :e-mail: :flag-fr: :flag_fr:", "🪅 📧 🇫🇷 🇫🇷"),
        (":email: :umbrella:", "📧 ☔"),  # Discord's meaning; in Slack the second is ☂️
        (":wave_tone1: :wave_tone5:", "👋🏻 👋🏿"),
        (":wave_light_skin_tone: :wave_medium_dark_skin_tone:", "👋🏻 👋🏾"),
        (":wave::skin-tone-1::wave::skin-tone-2:", "👋🏻👋🏼"),  # Discord's numbers
        (":wave::skin-tone-6:", "👋🏿"),  # only Slack has 6
        (":point_up_tone3:", "☝🏽"),  # the tone replaces the variation selector
        (":people_holding_hands_tone2:", "🧑🏼‍🤝‍🧑🏼"),
    ],
)
def test_codes_become_emoji(text: str, expanded: str) -> None:
    assert expand(text) == Expanded(expanded)


@pytest.mark.parametrize(
    "text",
    [
        "12:30:45",
        "Ouvert de 9:00-18:00, 7:30:00",
        "10:b:30 1:100:2 12:1234:5",
        "fe80:ab:1 00:ab:cd:ef:ac:01",
        "<:wave:123456789012345678> <a:smile:1>",
        "<t:1618953630:R> <t:1618953630>",
        "https://host:8080/a:smile:b http://localhost:100:1",
        "<https://cms.example:smile:/x|le ticket>",
        "Re: x :) :-) :: ::: a:b",
        ": smile : :smi le: :%username%:",
        "std:vector:iter",
        ":30: :+:",
    ],
)
def test_what_only_looks_like_a_code_stays_unreported(text: str) -> None:
    assert expand(text) == Expanded(text)


@pytest.mark.parametrize(
    ("text", "expanded", "unknown"),
    [
        (":pushpin: :puhspin: x", "📌 :puhspin: x", (("puhspin", 10),)),
        (":nope:smile:", ":nope😄", (("nope", 0),)),  # its last sign begins the next code
        (":Pushpin:", ":Pushpin:", (("Pushpin", 0),)),
        ("é:a:\n:x1:", "é🅰️\n:x1:", (("x1", 5),)),
        (":pushpin::skin-tone-2:", "📌:skin-tone-2:", (("skin-tone-2", 9),)),
        (":pushpin_tone2:", ":pushpin_tone2:", (("pushpin_tone2", 0),)),
        (
            ":wave_tone6: :wave_tone12:",
            ":wave_tone6: :wave_tone12:",
            (("wave_tone6", 0), ("wave_tone12", 13)),
        ),
    ],
)
def test_unknown_codes_stay_and_are_reported_where_they_stand(
    text: str, expanded: str, unknown: tuple[tuple[str, int], ...]
) -> None:
    assert expand(text) == Expanded(expanded, unknown)
    assert all(text[offset + 1 :].startswith(f"{name}:") for name, offset in expand(text).unknown)


@given(st.text(alphabet=":abs+-1% <>_/é\n", max_size=60), st.sampled_from(sorted(MESSAGES_OF_THE_ORIGINAL)))
def test_any_text_is_taken_and_codes_set_apart_are_always_found(text: str, name: str) -> None:
    expanded = expand(f"{text} :{name}:")
    assert expanded.text.endswith(f" {MESSAGES_OF_THE_ORIGINAL[name]}")
    assert expand(text.replace(":", "")).text == text.replace(":", "")


def bare(emoji: str) -> str:
    return emoji.replace("\ufe0f", "")


def test_names_mean_what_they_mean_in_discord() -> None:
    """Discord's own table, as PyPI `dismoji` extracts it from the client, with all its skin tones."""
    discord: dict[str, str] = pytest.importorskip("dismoji").EMOJI_MAPPING
    compared, missing, different = 0, set[str](), set[str]()
    for name, emoji in discord.items():
        if len({character for character in emoji if "\U0001f3fb" <= character <= "\U0001f3ff"}) > 1:
            continue  # two people of different tones are no rule
        compared += 1
        expanded = expand(f":{name}:")
        if expanded.unknown:
            missing.add(name)
        elif bare(expanded.text) != bare(emoji):
            different.add(name.partition("::")[0])
    assert compared > 7_000
    assert different <= AGREED_CONFLICTS
    # Bare tones, and toned names (`:kiss_tone1:`) whose toneless name is another picture, are not followed.
    assert len(missing) < 60
    assert {
        name for name in missing if not re.search("_tone[1-5]$|_skin_tone$|^skin-tone-[1-5]$", name)
    } == set()


@needs_shared
def test_table_is_the_two_published_ones_and_few_additions() -> None:
    published = json.loads((SHARED / "emoji" / "emoji_shortcodes.json").read_text("utf-8"))
    merged = {**published["slack"], **published["discord_like"]}
    assert {name: emoji for name, emoji in names().items() if name in merged} == merged
    assert len(names()) - len(merged) == 19
    for notice in ("LICENSE.emojibase-data", "LICENSE.emoji-datasource"):
        shipped = files("deskbell").joinpath("data", notice).read_text("utf-8")
        assert shipped == (SHARED / "emoji" / notice).read_text("utf-8")


def packages(folder: Path) -> tuple[Path, Path]:
    """The two npm packages, unpacked, as small as they can be and in their own formats."""
    joypixels = {"1F4E7": ["e_mail", "email"], "1F44B": "wave", "1F44B-1F3FB": "wave_tone1", "2B50": "star"}
    emoji = [
        {"unified": "2709-FE0F", "short_names": ["email", "envelope"]},
        {"unified": "2B50-FE0F", "short_names": ["star"]},
        {"unified": "1F3FB", "short_names": ["skin-tone-2"]},
        {
            "unified": "1F44B",
            "short_names": ["wave"],
            "skin_variations": {"1F3FB": {"unified": "1F44B-1F3FB"}},
        },
    ]
    base, source = folder / "emojibase-data", folder / "emoji-datasource"
    (base / "en" / "shortcodes").mkdir(parents=True)
    source.mkdir()
    (base / "en" / "shortcodes" / "joypixels.json").write_text(json.dumps(joypixels), "utf-8")
    (source / "emoji.json").write_text(json.dumps(emoji), "utf-8")
    (base / "LICENSE").write_text("one", "utf-8")
    (source / "LICENSE").write_text("two", "utf-8")
    return base, source


def test_the_script_rebuilds_table_and_notices_from_the_npm_packages(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "build_shortcodes.py"
    if not script.exists():
        pytest.skip("this is no checkout: the scripts are not installed")
    output = tmp_path / "data"
    command = [sys.executable, str(script), *map(str, packages(tmp_path)), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    table = json.loads((output / "shortcodes.json").read_text("utf-8"))
    found = {name: table["names"].get(name) for name in ("email", "e_mail", "envelope", "star", "wave")}
    assert found == {"email": "📧", "e_mail": "📧", "envelope": "✉️", "star": "⭐️", "wave": "👋"}
    assert table["toned"] == "👋"
    assert not {"wave_tone1", "skin-tone-2"} & set(table["names"])
    assert (output / "LICENSE.emojibase-data").read_text() == "one"
    assert (output / "LICENSE.emoji-datasource").read_text() == "two"


def test_import_reads_no_table_and_first_use_is_quick() -> None:
    program = (
        "import sys, time, deskbell.shortcodes as s\n"
        "assert not s._table.cache_info().currsize and 'importlib.resources' not in sys.modules\n"
        "start = time.perf_counter(); s.expand(':wave:'); print(time.perf_counter() - start)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30
    )
    assert float(answer.stdout) < LONGEST_FIRST_USE


def test_later_uses_cost_microseconds() -> None:
    message = (
        ":pushpin: Un nouveau ticket vient d'être créé !\n:busts_in_silhouette: Utilisateur : %username%\n"
        * 5
    )
    expand(message)
    start = time.process_time()
    for _ in range(100):
        expand(message)
    assert time.process_time() - start < LONGEST_FIRST_USE
