"""Rebuild ``core/deskbell/data/shortcodes.json`` from two npm packages. Needs only Python.

    npm pack emojibase-data@17.0.0 && npm pack emoji-datasource@16.0.0       # then unpack both
    python scripts/build_shortcodes.py path/to/emojibase-data path/to/emoji-datasource

Both are MIT; their notices lie beside the table and are copied from the packages again. Names of
emojibase-data's ``joypixels`` set win (they are Discord's own in 99 %, without a contradiction); those of
emoji-datasource, which are Slack's, fill the rest. Names with a skin tone are left out: deskbell resolves
``:wave_tone3:`` and ``:wave::skin-tone-3:`` by rule.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "core" / "deskbell" / "data"
VARIATION_SELECTOR = "\ufe0f"
SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
ADDITIONS = {
    "actual_football": "⚽",
    "blond_haired_man": "👱\u200d♂️",
    "blond_haired_woman": "👱\u200d♀️",
    "c": "©️",
    "flag_sark": "🇨🇶",
    "non_potable_water": "🚱",
    **{f"number_{digit}": f"{digit}{VARIATION_SELECTOR}\u20e3" for digit in range(10)},
    "number_10": "🔟",
    "piñata": "🪅",
    "r": "®️",
}
"""Names that people know from Discord and that neither package has."""


def main() -> None:
    """Read both packages, write the table and the notices."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("emojibase_data", type=Path, help="the unpacked folder of emojibase-data")
    options.add_argument("emoji_datasource", type=Path, help="the unpacked folder of emoji-datasource")
    options.add_argument("--output", type=Path, default=DATA, help="default: %(default)s")
    folders = options.parse_args()
    emoji = json.loads((folders.emoji_datasource / "emoji.json").read_text("utf-8"))
    joypixels = json.loads(
        (folders.emojibase_data / "en" / "shortcodes" / "joypixels.json").read_text("utf-8")
    )
    folders.output.mkdir(parents=True, exist_ok=True)
    table = {
        "_about": "shortcode -> emoji; made by scripts/build_shortcodes.py from emojibase-data (MIT, "
        "Miles Johnson) and emoji-datasource (MIT, Cal Henderson): see the notices beside this file",
        "toned": "".join(sorted(toned_characters(emoji))),
        "names": dict(sorted({**slack_names(emoji), **discord_names(joypixels, emoji), **ADDITIONS}.items())),
    }
    text = json.dumps(table, ensure_ascii=False, indent=0, separators=(",", ":"))
    (folders.output / "shortcodes.json").write_text(text + "\n", "utf-8")
    shutil.copyfile(folders.emojibase_data / "LICENSE", folders.output / "LICENSE.emojibase-data")
    shutil.copyfile(folders.emoji_datasource / "LICENSE", folders.output / "LICENSE.emoji-datasource")


def slack_names(emoji: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Every short name of emoji-datasource; the bare skin tones are no emoji of their own."""
    return {
        name: characters(entry["unified"])
        for entry in emoji
        if characters(entry["unified"]) not in SKIN_TONES
        for name in entry["short_names"]
    }


def discord_names(
    joypixels: Mapping[str, str | list[str]], emoji: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    """Every name of the joypixels set, for the fully-qualified form where emoji-datasource tells it."""
    qualified = {bare(characters(entry["unified"])): characters(entry["unified"]) for entry in emoji}
    return {
        name: qualified.get(bare(characters(code)), characters(code))
        for code, names in joypixels.items()
        if not SKIN_TONES.intersection(characters(code))
        for name in ([names] if isinstance(names, str) else names)
    }


def toned_characters(emoji: Iterable[Mapping[str, Any]]) -> set[str]:
    """The characters that a skin tone may follow (Unicode's Emoji_Modifier_Base)."""
    variants = [
        characters(variant["unified"])
        for entry in emoji
        for variant in entry.get("skin_variations", {}).values()
    ]
    return {before for text in variants for before, tone in pairwise(text) if tone in SKIN_TONES}


def characters(code: str) -> str:
    """``1F468-200D-2695-FE0F`` as text."""
    return "".join(chr(int(point, 16)) for point in code.split("-"))


def bare(text: str) -> str:
    """Without variation selectors."""
    return text.replace(VARIATION_SELECTOR, "")


if __name__ == "__main__":
    main()
