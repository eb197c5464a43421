"""Edits of config.yaml: what was asked for is what deskbell then reads, and no other line changes."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from deskbell.config import Loaded, Severity, load_config
from deskbell.config.document import Document, split_lines
from deskbell.edit import Draft, EditError, Literal
from deskbell.plugins import load_plugins

SHIPPED = Path(__file__).resolve().parents[2] / "config.yaml"
TOKEN = "aSecretPartOfTheUrl0123456789"
OWNED = f"""\
# Ours.
version: 1
sources:
  - name: crm
    adapter: clientxcms
    token: a-token-of-the-tests

webhooks:   # where it goes
    -   name: support     # the team
        url: https://discord.com/api/webhooks/12345/{TOKEN}
        action: [Submit]  # a ticket
        # rate: 5/2s
        message: New

    # For the shop:
    -   name: shop
        url: ${{SHOP_URL:-demo:discord}}
        action:
            - checkout_completed   # paid
        options:
            # who speaks
            username: Till
        message: |   # keep it short
          Sold: %related%


timezone:   UTC
"""
WORDS = (
    "on", "no", "y", "Yes", "off", "null", "~", "", "22:30", "0123", "0o17", "0x1F", "1e3", "1_000", "1.10",
    "007", "12", "-1", "+5", ".5", ".inf", "2024-01-01", "%d/%m", "@x", "&a", "*a", "!t", "|", ">", "- x", "-",
    "? x", "{a}", "[b]", ",", "a: b", "a:", "a #b", "#x", "'q'", '"q"', "back\\slash", "tab\there",
    "two\nlines", " space ", "=", "<<", "---", "...", "l'été", "📌", "\u2028", "\x85", "\x07", "\ufeff", "é ",
    "5/2s", "*", "$5", "$$", "${", "${HOME", "a`b", "true",
)  # fmt: skip

plugins = load_plugins(disabled=())


def load(path: Path, text: str | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    return load_config(
        path,
        text=text,
        transports=plugins.transports,
        sources=plugins.sources,
        environ={"SHOP_URL": "", **(environ or {})},
    )


def data_of(text: str) -> Any:
    document = Document.parse(text, lambda _: True)
    assert not document.notes
    return document.data


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(OWNED, "utf-8")
    return path


@contextmanager
def drafted(content: bytes) -> Iterator[Draft]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_bytes(content)
        yield Draft.of(path)


def changed_lines(draft: Draft) -> list[str]:
    return [line for line in draft.diff(plugins.transports.values())[2:] if line[0] in "+-"]


def test_a_changed_value_keeps_the_comment_on_its_line_and_its_column(path: Path) -> None:
    draft = Draft.of(path)
    draft.change_webhook("support", {"action": ["Reply", "on"]})
    assert changed_lines(draft) == [
        "-        action: [Submit]  # a ticket",
        '+        action: [Reply, "on"] # a ticket',
    ]


def test_a_message_becomes_a_block_whatever_it_was(path: Path) -> None:
    draft = Draft.of(path)
    draft.change_webhook("support", {"message": "  Two\r\n\r\nlines: #5 $5 %subject%"})
    assert changed_lines(draft) == [
        "-        message: New",
        "+        message: |2",
        "+            Two",
        "+",
        "+          lines: #5 $5 %subject%",
    ]
    assert draft.webhooks[0]["message"] == "  Two\n\nlines: #5 $5 %subject%\n"


def test_a_block_keeps_its_indentation_and_its_remark(path: Path) -> None:
    draft = Draft.of(path)
    draft.change_webhook("shop", {"message": "Paid"})
    assert changed_lines(draft) == ["-          Sold: %related%", "+          Paid"]


def test_only_what_differs_in_a_mapping_is_written(path: Path) -> None:
    draft = Draft.of(path)
    draft.change_webhook("shop", {"options": {"username": "Till", "silent": True}})
    assert changed_lines(draft) == ["+            silent: true"]


def test_a_list_with_a_line_each_becomes_one_in_brackets(path: Path) -> None:
    draft = Draft.of(path)
    draft.change_webhook("shop", {"action": ["Submit", "Close"]})
    assert changed_lines(draft) == [
        "-        action:",
        "-            - checkout_completed   # paid",
        "+        action: [Submit, Close]",
    ]


def test_keys_are_added_where_an_owner_writes_them_and_taken_out(path: Path) -> None:
    draft = Draft.of(path)
    draft.change_webhook("support", {"rate": "30/60s", "enabled": False, "url": None})
    assert changed_lines(draft) == [
        "-        url: •••",
        "+        enabled: false",
        "+        rate: 30/60s",
    ]


def test_what_is_equal_already_stays_as_it_is_written(path: Path) -> None:
    draft = Draft.of(path)
    draft.change_webhook("support", {**draft.webhooks[0], "message": "New\r\n", "rate": None})
    draft.switch_webhook("support", enabled=True)
    draft.save()
    assert not draft.changed
    assert draft.diff() == []
    assert [each.name for each in path.parent.iterdir()] == ["config.yaml"]


def test_a_webhook_is_added_as_the_others_are_written(path: Path) -> None:
    draft = Draft.of(path)
    draft.add_webhook({"message": "Hi", "name": "0123", "url": "${SHOP_URL}", "action": "*", "rate": None})
    assert changed_lines(draft) == [
        '+    -   name: "0123"',
        "+        url: ${SHOP_URL}",
        '+        action: "*"',
        "+        message: |",
        "+          Hi",
        "+",
    ]


@pytest.mark.parametrize(
    "written", ["webhooks: []", "webhooks:", "webhooks: ~   # none", "", "webhooks: [\n ]"]
)
def test_the_first_webhook_of_a_config(path: Path, written: str) -> None:
    path.write_text(f"version: 1\n{written}\n# the end", "utf-8")
    draft = Draft.of(path)
    draft.add_webhook({"name": "a", "message": "x"})
    assert data_of(draft.text) == {"version": 1, "webhooks": [{"name": "a", "message": "x\n"}]}
    assert draft.text.startswith("version: 1\n")
    assert draft.text.count("# the end") == 1
    assert draft.text.count("# none") == written.count("# none")
    draft.remove_webhook("a")
    assert data_of(draft.text) == {"version": 1, "webhooks": []}


def test_a_webhook_leaves_and_what_stands_round_it_stays(path: Path) -> None:
    draft = Draft.of(path)
    draft.remove_webhook("support")
    start, _, rest = OWNED.partition("    -   name: support")
    assert draft.text == start + rest[rest.index("\n    # For the shop") :]


def test_a_webhook_moves_with_the_comments_above_it_and_in_it(path: Path) -> None:
    draft = Draft.of(path)
    draft.move_webhook("shop", 0)
    head, support = OWNED.index("    -   name: support"), OWNED.index("\n    # For the shop")
    end = OWNED.index("\n\n\ntimezone") + 1
    assert draft.text == (OWNED[:head] + OWNED[support + 1 : end] + "\n" + OWNED[head:support] + OWNED[end:])


def test_webhooks_in_braces_become_lines_and_keep_their_comments(path: Path) -> None:
    path.write_text("webhooks: [{name: a, # one\n  message: 'x'}, {name: b}]   # all\nversion: 1\n", "utf-8")
    draft = Draft.of(path)
    draft.change_webhook("a", {"message": "y"})
    assert draft.text == (
        "webhooks:   # all\n  # one\n  - name: a\n    message: |\n      y\n  - name: b\nversion: 1\n"
    )


def test_a_deep_comment_behind_a_message_does_not_become_a_part_of_it(path: Path) -> None:
    path.write_text("webhooks:\n- name: a\n  message: x\n        \n          # deep\n  url: y\n", "utf-8")
    draft = Draft.of(path)
    draft.change_webhook("a", {"message": "z"})
    assert draft.text == "webhooks:\n- name: a\n  message: |\n    z\n\n  # deep\n  url: y\n"


def test_the_first_key_of_an_entry_can_be_taken_out(path: Path) -> None:
    path.write_text("webhooks:\n- url: x  # old\n  # which\n  name: a\n", "utf-8")
    draft = Draft.of(path)
    draft.change_webhook("a", {"url": None})
    assert draft.text == "webhooks:\n# old\n# which\n- name: a\n"


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("where", ["text", "list", "mapping", "key"])
def test_every_word_is_read_as_it_was_meant(path: Path, word: str, where: str) -> None:
    """By deskbell, and as text by a reader of YAML 1.1."""
    if (word, where) == ("<<", "key"):
        pytest.skip("deskbell refuses this key")
    draft = Draft.of(path)
    if where == "text":
        draft.change_webhook("support", {"rate": word})
    else:
        value = {"list": [word, "x"], "mapping": {"a": word}, "key": {word: "a"}}[where]
        draft.change_webhook("support", {"options": {"b": value}})
    doubled = word if where == "key" else word.replace("$", "$$")
    for read in (data_of, yaml.safe_load):
        entry = read(draft.text)["webhooks"][0]
        said = entry["rate"] if where == "text" else entry["options"]["b"]
        expected = {"text": doubled, "list": [doubled, "x"], "mapping": {"a": doubled}, "key": {word: "a"}}[
            where
        ]
        assert said == expected
    meant = draft.webhooks[0]
    assert (meant["rate"] if where == "text" else meant["options"]["b"]) == (
        word if where == "text" else value
    )


@pytest.mark.parametrize(
    ("meant", "written", "means"),
    [
        ("${TILL} & Co", "${TILL} & Co", "Anna & Co"),
        ("${TILL:-x} $5 ${", "${TILL:-x} $$5 $${", "Anna $5 ${"),
        (Literal("${TILL}"), "$${TILL}", "${TILL}"),
    ],
)
def test_a_dollar_is_one_unless_it_begins_a_reference(
    path: Path, meant: str, written: str, means: str
) -> None:
    draft = Draft.of(path)
    draft.change_webhook("support", {"options": {"username": meant}})
    assert data_of(draft.text)["webhooks"][0]["options"] == {"username": written}
    draft.save()
    config = load(path, environ={"TILL": "Anna"}).config
    assert config is not None
    assert config.webhooks[0].options.model_dump()["username"] == means


def test_what_cannot_be_written_is_refused_and_nothing_of_the_edit_stays(path: Path) -> None:
    draft = Draft.of(path)
    for changes in (
        {"rate": "x", "message": "bell \x07"}, {"rate": "x", "options": {"a": 1e300}}, {"rate": "x", "url": b"bytes"},
        {"rate": "x", "name": "SHOP"}, {"rate": "x", "options": {"a": "\ud800"}},
    ):  # fmt: skip
        with pytest.raises(EditError):
            draft.change_webhook("support", changes)
        assert not draft.changed
    with pytest.raises(EditError, match="already"):
        draft.add_webhook({"name": "Support"})
    with pytest.raises(EditError, match="needs a name"):
        draft.add_webhook({"message": "x"})
    with pytest.raises(EditError, match="no webhook 'none'"):
        draft.remove_webhook("none")
    with pytest.raises(EditError, match="no place 2"):
        draft.move_webhook("shop", 2)
    assert not draft.changed


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a: [", "line 1"), (b"", "empty"), (b"a: &x 1\n", "anchor"), (b"a: 1\na: 2\n", "written twice"),
        (b"\xff", "UTF-8"),
        (b"{version: 1}", "no list of 'key: value' lines"), (b"- 1\n", "no list of 'key: value' lines"),
        (b"a: \x07", "U+0007"),
    ],
)  # fmt: skip
def test_a_file_that_deskbell_cannot_read_is_refused(path: Path, content: bytes, why: str) -> None:
    path.write_bytes(content)
    with pytest.raises(EditError, match=r"read|no list|empty|UTF-8") as caught:
        Draft.of(path)
    assert why in str(caught.value)
    assert caught.value.fix
    assert path.read_bytes() == content


def test_a_folder_or_nothing_at_all_is_refused(path: Path) -> None:
    for wrong in (path.parent, path.with_name("none.yaml")):
        with pytest.raises(EditError):
            Draft.of(wrong)


def test_the_diff_shows_no_secret_neither_old_nor_new(path: Path) -> None:
    path.write_text(OWNED.replace("# Ours.", f"# Ours: {TOKEN}"), "utf-8")
    draft = Draft.of(path)
    draft.change_webhook("support", {"url": "https://hooks.slack.com/services/T0/B0/" + TOKEN[::-1]})
    draft.add_webhook(
        {"name": "x", "url": f"https://x.example/{TOKEN}", "options": {"password": "hunter2hunter2"}}
    )
    draft.change_webhook("x", {"message": "It is hunter2hunter2"})
    shown = "\n".join(draft.diff(plugins.transports.values()))
    assert "+        url: •••" in shown
    assert "-        url: •••" in shown
    for secret in (TOKEN, TOKEN[::-1], "hunter2hunter2", "a-token-of-the-tests"):
        assert secret not in shown
        assert secret in draft.text


def test_problems_are_those_of_the_new_text_at_the_real_name(path: Path) -> None:
    draft = Draft.of(path)
    assert draft.problems(load) == load(path).problems
    draft.change_webhook("support", {"action": "Sumbit"})
    (found,) = (one for one in draft.problems(load) if one.severity is Severity.ERROR)
    assert (found.file, found.line, found.key) == (str(path), 11, "webhooks[0].action[0]")
    assert [each.name for each in path.parent.iterdir()] == ["config.yaml"]


def test_saving_keeps_the_old_file_and_the_mode(path: Path) -> None:
    path.chmod(0o640)
    draft = Draft.of(path)
    draft.rename_webhook("shop", "till")
    draft.save()
    backup = path.with_name("config.yaml.bak")
    assert path.read_bytes() == OWNED.replace("name: shop", "name: till").encode()
    assert backup.read_bytes() == OWNED.encode()
    assert {stat.S_IMODE(each.stat().st_mode) for each in (path, backup)} == {0o640}
    assert {each.name for each in path.parent.iterdir()} == {"config.yaml", "config.yaml.bak"}
    draft.remove_webhook("till")
    draft.save()
    assert b"till" in backup.read_bytes()


def test_the_byte_order_mark_and_the_line_breaks_stay(path: Path) -> None:
    content = b"\xef\xbb\xbf" + OWNED.replace("\n", "\r\n").encode()
    path.write_bytes(content)
    draft = Draft.of(path)
    draft.change_webhook("support", {"message": "a\nb"})
    draft.save()
    new = b"message: |\r\n          a\r\n          b\r\n"
    assert path.read_bytes() == content.replace(b"message: New\r\n", new)


def test_a_file_that_changed_meanwhile_is_left_alone(path: Path) -> None:
    draft, other = Draft.of(path), Draft.of(path)
    for each in (draft, other):
        each.remove_webhook("shop")
    other.rename_webhook("support", "first")
    other.save()
    with pytest.raises(EditError, match="changed since it was read"):
        draft.save()
    assert b"first" in path.read_bytes()
    with pytest.raises(EditError, match="changed since it was read"):
        Draft.of(path, revision=draft.revision)
    Draft.of(path, revision=other.revision)
    other.rename_webhook("first", "x")
    path.unlink()
    with pytest.raises(EditError, match="is gone"):
        other.save()
    assert not path.exists()


def test_of_many_who_save_at_once_one_wins(path: Path) -> None:
    drafts = [Draft.of(path) for _ in range(6)]
    for number, draft in enumerate(drafts):
        draft.rename_webhook("shop", f"till-{number}")
    start = Barrier(len(drafts))

    def save(draft: Draft) -> bool:
        start.wait()
        try:
            draft.save()
        except EditError:
            return False
        return True

    with ThreadPoolExecutor(len(drafts)) as pool:
        saved = list(pool.map(save, drafts))
    assert saved.count(True) == 1
    assert path.read_text("utf-8") == drafts[saved.index(True)].text
    assert path.with_name("config.yaml.bak").read_text("utf-8") == OWNED
    assert {each.name for each in path.parent.iterdir()} == {"config.yaml", "config.yaml.bak"}


def test_who_saves_waits_for_another_who_is_saving(path: Path) -> None:
    draft = Draft.of(path)
    draft.remove_webhook("shop")
    with ThreadPoolExecutor(1) as pool:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            saving = pool.submit(draft.save)
            with pytest.raises(FutureTimeoutError):
                saving.result(timeout=0.3)
            path.write_text("version: 1\n", "utf-8")
        with pytest.raises(EditError, match="changed since it was read"):
            saving.result()
    assert path.read_text("utf-8") == "version: 1\n"
    assert [each.name for each in path.parent.iterdir()] == ["config.yaml"]


def test_a_literal_replaces_a_reference_of_the_same_letters(path: Path) -> None:
    draft = Draft.of(path)
    draft.change_webhook("shop", {"url": Literal("${SHOP_URL:-demo:discord}")})
    assert changed_lines(draft)[-1].endswith("•••")
    assert data_of(draft.text)["webhooks"][1]["url"] == "$${SHOP_URL:-demo:discord}"
    again = draft.text
    draft.change_webhook("shop", {"url": draft.webhooks[1]["url"]})
    assert draft.text == again


def test_a_message_that_no_block_could_hold_can_be_replaced(path: Path) -> None:
    path.write_text('webhooks:\n- {name: 5, message: "\\a"}\n', "utf-8")
    draft = Draft.of(path)
    draft.change_webhook("5", {"message": "x"})
    assert draft.text == "webhooks:\n- name: 5\n  message: |\n    x\n"


def test_a_line_of_a_text_above_is_no_comment_on_a_webhook(path: Path) -> None:
    path.write_text('webhooks:\n  - name: a\n    message: "x\n  # text"\n  - name: b\n', "utf-8")
    draft = Draft.of(path)
    draft.move_webhook("b", 0)
    assert draft.text == 'webhooks:\n  - name: b\n  - name: a\n    message: "x\n  # text"\n'


@pytest.mark.parametrize("word", ["1e3", "0o17", "y", "N", "-.inf", ".5", "0x1F", "22:30", "~", "2024-01-01"])
def test_what_a_reader_of_yaml_1_1_or_1_2_takes_for_no_text_is_quoted(path: Path, word: str) -> None:
    """https://yaml.org/spec/1.2.2/#103-core-schema and https://yaml.org/type/"""
    draft = Draft.of(path)
    draft.change_webhook("support", {"rate": word, "when": {"department": [word]}})
    assert f'rate: "{word}"\n' in draft.text
    assert f'when: {{department: ["{word}"]}}\n' in draft.text


def test_a_link_stays_and_its_target_is_replaced(path: Path) -> None:
    target = path.parent / "real" / "ours.yaml"
    target.parent.mkdir()
    path.rename(target)
    path.symlink_to("real/ours.yaml")
    draft = Draft.of(path)
    draft.remove_webhook("shop")
    draft.save()
    assert path.is_symlink()
    assert target.read_text("utf-8") == draft.text
    assert {each.name for each in target.parent.iterdir()} == {"ours.yaml", "ours.yaml.bak"}


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="there are no users here")
@pytest.mark.parametrize("folder_mode", [0o555, 0o777])
def test_a_folder_or_an_owner_that_is_not_ours_is_told(folder_mode: int) -> None:
    """In a folder that takes files, the new one could not get the owner of the old one."""
    own = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(OWNED, "utf-8")
        path.chmod(0o644)  # both may read it
        Path(folder).chmod(folder_mode)
        if own == 0:
            os.seteuid(65534)
        elif folder_mode == 0o777:
            pytest.skip("only root can play two users")
        try:
            draft = Draft.of(path)
            draft.remove_webhook("shop")
            with pytest.raises(EditError, match=r"cannot be written: .* own the file"):
                draft.save()
        finally:
            os.seteuid(own)
            Path(folder).chmod(0o755)
        assert [each.name for each in Path(folder).iterdir()] == ["config.yaml"]
        assert path.read_text("utf-8") == OWNED


def test_the_owner_stays(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(path, 65534, 65534)
    draft = Draft.of(path)
    draft.remove_webhook("shop")
    draft.save()
    for each in path.parent.iterdir():
        assert (each.stat().st_uid, each.stat().st_gid) == (65534, 65534)


# Any config, any edit.


@dataclass
class Written:
    """A config: the lines before the webhooks, of each with what stands above it, and after them."""

    head: list[str]
    gaps: list[list[str]]
    bodies: list[list[str]]
    tail: list[str]
    newline: str
    mark: bytes
    ends: bool

    def text_of(self, lines: list[str]) -> str:
        return "".join(f"{line}{self.newline}" for line in lines)

    def before(self, index: int) -> str:
        parts = [
            line
            for gap, body in zip(self.gaps[:index], self.bodies[:index], strict=True)
            for line in gap + body
        ]
        return self.text_of([*self.head, *parts, *self.gaps[index]])

    def after(self, index: int) -> str:
        rest = zip(self.gaps[index + 1 :], self.bodies[index + 1 :], strict=True)
        text = self.text_of([*(line for gap, body in rest for line in gap + body), *self.tail])
        return text if self.ends else text.removesuffix(self.newline)

    @property
    def text(self) -> str:
        text = self.before(0) + self.text_of(self.bodies[0]) + self.after(0)
        return text if self.ends else text.removesuffix(self.newline)

    @property
    def content(self) -> bytes:
        return self.mark + self.text.encode()


remarks = st.sampled_from(["", "", "", " # a remark", "    # it's: [one]"])
words = st.sampled_from([word for word in WORDS if "\n" not in word]) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12
)
texts = st.lists(
    st.sampled_from(["%subject%", "# no comment", "  deep", "- a: b", "", "\ttab", "Sold for $5", "'\"", "a\\nb", "   "])
    | st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=10),
    min_size=1, max_size=4,
).map("\n".join)  # fmt: skip


def quoted(word: str) -> str:
    """Independently of the code that is tested: everything but plain ASCII is escaped."""
    inner = "".join(sign if sign.isascii() and sign.isalnum() else f"\\U{ord(sign):08x}" for sign in word)
    return f'"{inner}"'


@st.composite
def scalars(draw: st.DrawFn, word: str) -> str:
    plain = (
        word.isascii()
        and word.isalpha()
        and word.casefold() not in ("on", "no", "y", "yes", "off", "null", "true")
    )
    styles = [quoted(word)] + (
        ["'" + word.replace("'", "''") + "'"] if word.isascii() and word.isprintable() else []
    )
    return draw(st.sampled_from(styles + ([word] if plain else [])))


@st.composite
def messages(draw: st.DrawFn, column: int) -> list[str]:
    """The value of ``message:`` as lines; the first is what follows the colon."""
    indent = " " * (column + draw(st.integers(1, 4)))
    words = draw(st.lists(st.sampled_from(["New", "%subject%", "# five", "a: b"]), min_size=1, max_size=3))
    style = draw(st.sampled_from(["|", "|-", "|+", ">", "plain", "double", "below"]))
    if style == "plain":
        return [" New" + draw(remarks)]
    if style == "double":
        return [' "New', f'{indent}and # old"' + draw(remarks)]
    if style == "below":
        return [draw(remarks), f"{indent}New"]
    return [
        f" {style}" + draw(remarks),
        *(indent + word for word in words),
        *draw(st.sampled_from([[], [""]])),
    ]


@st.composite
def bodies(draw: st.DrawFn, name: str, dash: int, column: int) -> list[str]:
    """One webhook's lines, in any style."""
    margin, start = " " * column, " " * dash + "-" + " " * (column - dash - 1)
    action = draw(st.sampled_from(["flow", "block", "one"]))
    if draw(st.integers(0, 4)) == 0:
        opened = f"{start}{{name: {name}, action: [Submit, Close],{draw(remarks)}"
        return [
            opened,
            f"{margin}options: {{username: {draw(scalars(draw(words)))}}}, message: 'x' }}{draw(remarks)}",
        ]
    parts = [[f"name: {name}{draw(remarks)}"], ["message:" + draw(st.just(""))]]
    first, *others = draw(messages(column))
    parts[1] = [parts[1][0] + first, *others]
    parts.append({
        "flow": [f"action: [ Submit,Close ]{draw(remarks)}"],
        "block": ["action:" + draw(remarks), f"{margin}- Submit{draw(remarks)}", f"{margin}- Close"],
        "one": ["action :   Submit" + draw(remarks)],
    }[action])  # fmt: skip
    if draw(st.booleans()):
        deeper = margin + " " * draw(st.integers(1, 3))
        parts.append(
            [
                "options:" + draw(remarks),
                f"{deeper}# inner",
                f"{deeper}username: {draw(scalars(draw(words)))}",
            ]
        )
    if draw(st.booleans()):
        parts.append([f"rate: {draw(scalars('5/2s'))}{draw(remarks)}"])
    lines = list[str]()
    for number, part in enumerate(draw(st.permutations(parts))):
        if number and draw(st.integers(0, 3)) == 0:
            lines += draw(
                st.sampled_from([[f"{margin}# between"], ["", "# far left"], ["  "], [" " * 12 + "# deep"]])
            )
        lines += [(margin if number else start) + part[0], *part[1:]]
    return cleared(lines, column)


def cleared(lines: list[str], column: int) -> list[str]:
    """A deep comment is moved to where it cannot be a part of a text block before it."""
    return [" " * column + line.lstrip() if line.lstrip().startswith("# deep") else line for line in lines]


@st.composite
def configs(draw: st.DrawFn) -> Written:
    dash = draw(st.sampled_from([0, 2, 3, 4]))
    column = dash + draw(st.sampled_from([2, 2, 3, 5]))
    gap = st.lists(st.sampled_from(["", " " * dash + "# above", "# left", "   "]), max_size=3)
    count = draw(st.integers(1, 4))
    top = [
        ["version: 1"],
        ["timezone:   UTC   # here"],
        ["retention: { delivered: 7d,", "   dead:  30d }"],
        ["# lonely"],
    ]
    others = draw(st.permutations(top))
    cut = draw(st.integers(0, len(others)))
    head = draw(st.sampled_from([[], ["---"], ["# first", ""]])) + [
        line for part in others[:cut] for line in part
    ]
    return Written(
        head=[*head, "webhooks:" + draw(remarks)],
        gaps=[draw(gap) for _ in range(count)],
        bodies=[draw(bodies(f"w{number}", dash, column)) for number in range(count)],
        tail=draw(gap) + [line for part in others[cut:] for line in part],
        newline=draw(st.sampled_from(["\n", "\n", "\r\n"])),
        mark=draw(st.sampled_from([b"", b"\xef\xbb\xbf"])),
        ends=draw(st.integers(0, 3)) > 0,
    )


changes = st.fixed_dictionaries(
    {},
    optional={
        "message": texts,
        "enabled": st.booleans(),
        "rate": words | st.none(),
        "action": st.lists(words, min_size=1, max_size=3) | words,
        "options": st.dictionaries(
            words.filter("<<".__ne__), words | st.integers() | st.booleans(), max_size=3
        )
        | st.none(),
        "when": st.fixed_dictionaries({"department": st.lists(words, max_size=2)}),
    },
)
ANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def as_written(value: Any) -> Any:
    """The dollars of a value that is no message, as the config wants them; no word of these tests is a reference."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: as_written(item) for key, item in value.items()}
    return [as_written(item) for item in value] if isinstance(value, list) else value


def applied(entry: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own idea of an edit."""
    new = {key: value if key == "message" else as_written(value) for key, value in changes.items()}
    return {key: value for key, value in {**entry, **new}.items() if value is not None}


def comparable(data: Any) -> Any:
    """Nobody sees the end of a message, nor how its lines were broken."""
    entries = [
        {**entry, "message": "\n".join(split_lines(entry["message"])).rstrip()}
        if "message" in entry
        else entry
        for entry in data["webhooks"] or []
    ]
    return {**data, "webhooks": entries}


def solid(text: str) -> list[str]:
    return [line for line in split_lines(text) if line.strip()]


def comments(text: str) -> Counter[str]:
    return Counter(
        word
        for word in ("# above", "# left", "# lonely", "# first", "# here")
        for _ in range(text.count(word))
    )


def check_saved(draft: Draft, expected: Any) -> None:
    """What is on the disk is what deskbell reads, and each webhook that it accepts is the one that was meant."""
    assert comparable(data_of(draft.text)) == comparable(expected)
    draft.save()
    loaded = load(draft._path)
    if loaded.config is not None:
        event("deskbell would start with it")
        for entry, webhook in zip(expected["webhooks"], loaded.config.webhooks, strict=True):
            assert webhook.template.source.rstrip() == entry["message"].rstrip()
            assert (webhook.name, webhook.enabled) == (entry["name"], entry.get("enabled", True))


@ANY
@given(written=configs(), changes=changes, data=st.data())
def test_any_change_of_a_webhook(written: Written, changes: dict[str, Any], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(written.bodies) - 1))
    with drafted(written.content) as draft:
        expected = data_of(written.text)
        expected["webhooks"][index] = applied(expected["webhooks"][index], changes)
        draft.change_webhook(f"w{index}", changes)
        assert draft.text.startswith(written.before(index))
        assert draft.text.removesuffix(written.newline).endswith(
            written.after(index).removesuffix(written.newline)
        )
        assert len(draft.text) >= len(written.before(index)) + len(written.after(index))
        check_saved(draft, expected)


@ANY
@given(written=configs(), entry=changes)
def test_any_new_webhook(written: Written, entry: dict[str, Any]) -> None:
    with drafted(written.content) as draft:
        expected = data_of(written.text)
        expected["webhooks"].append(applied({"name": "new"}, entry))
        draft.add_webhook({**entry, "name": "new"})
        kept = sum(
            1 for _ in takewhile(lambda two: two[0] == two[1], zip(draft.text, written.text, strict=False))
        )
        rest = written.text[kept:].removesuffix(written.newline)
        assert draft.text.removesuffix(written.newline).endswith(rest)
        check_saved(draft, expected)


@ANY
@given(written=configs(), data=st.data())
def test_any_webhook_removed(written: Written, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(written.bodies) - 1))
    with drafted(written.content) as draft:
        expected = data_of(written.text)
        del expected["webhooks"][index]
        draft.remove_webhook(f"w{index}")
        wanted = solid(written.before(index) + written.after(index))
        if expected["webhooks"]:
            assert solid(draft.text) == wanted
        else:
            assert Counter(solid(draft.text.replace("webhooks: []", "webhooks:"))) == Counter(wanted)
        check_saved(draft, expected)


@ANY
@given(written=configs(), data=st.data())
def test_any_webhook_moved(written: Written, data: st.DataObject) -> None:
    last = len(written.bodies) - 1
    index, to = data.draw(st.integers(0, last)), data.draw(st.integers(0, last))
    with drafted(written.content) as draft:
        expected = data_of(written.text)
        expected["webhooks"].insert(to, expected["webhooks"].pop(index))
        draft.move_webhook(f"w{index}", to)
        assert Counter(split_lines(draft.text.rstrip("\r\n"))) == Counter(
            split_lines(written.text.rstrip("\r\n"))
        )
        assert draft.text.startswith(written.text_of(written.head))
        check_saved(draft, expected)


@ANY
@given(
    written=configs(), edits=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), changes), max_size=5)
)
def test_any_edits_one_after_the_other(
    written: Written, edits: list[tuple[int, int, dict[str, Any]]]
) -> None:
    with drafted(written.content) as draft:
        expected = data_of(written.text)
        entries = expected["webhooks"]
        for kind, place, values in edits:
            index = place % max(1, len(entries))
            if kind == 0 or not entries:
                name = f"n{len(entries)}{kind}{place}"
                if all(each["name"] != name for each in entries):
                    draft.add_webhook({"name": name, **values})
                    entries.append(applied({"name": name}, values))
            elif kind == 1:
                draft.remove_webhook(entries.pop(index)["name"])
            elif kind == 2:
                draft.change_webhook(entries[index]["name"], values)
                entries[index] = applied(entries[index], values)
            else:
                draft.move_webhook(entries[index]["name"], 0)
                entries.insert(0, entries.pop(index))
        assert comments(draft.text) == comments(written.text)
        assert comparable(data_of(draft.text)) == comparable(expected)


def test_the_shipped_config_edited_differs_in_the_lines_of_the_edit_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(SHIPPED.read_bytes())
    draft = Draft.of(path)
    for webhook in draft.webhooks:
        draft.change_webhook(str(webhook["name"]), webhook)
    assert not draft.changed
    draft.change_webhook("discord-replies", {"action": "Reply"})
    assert [line[:19].replace(" ", "") for line in changed_lines(draft)] == [
        "-action:[Reply", "+action:Reply",
    ]  # fmt: skip
    assert not [one for one in draft.problems(load) if one.severity is Severity.ERROR]
