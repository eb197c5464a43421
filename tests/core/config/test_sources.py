"""``sources:`` who may post events."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from deskbell import EventRequest, Source, TicketEvent
from deskbell.config import Loaded

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]
TOKEN = "a-token-of-the-tests"
SIGNING = "whsec_" + base64.b64encode(bytes(range(24))).decode()
LONG_SIGNING = "whsec_" + base64.b64encode(bytes(range(64))).decode()


class Zammad(Source):
    """An adapter that no source of the file uses, with labels of its own."""

    name = "zammad"
    actions = ("merged",)
    priorities = {"1 low": "low", "3 High": "high"}  # noqa: RUF012 - a class that lives as long as a test

    def parse(self, request: EventRequest) -> TicketEvent:
        return TicketEvent(action=request.body.decode())

    def sample(self, action: str) -> dict[str, str]:
        return {"action": action}


def test_each_source_with_all_that_it_may_have(load: Load, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}1\n{TOKEN}2\n")
    loaded = load(
        f"sources:\n  - {{name: clientxcms, token: {TOKEN}, variables: plan}}\n"
        f"  - {{name: own, token: [{TOKEN}, ''], signing_secret: [{SIGNING}, {LONG_SIGNING}]}}\n"
        "  - {name: second.CMS, adapter: clientxcms, token_file: token}\n  - {name: open, token: '${T:-}'}\n"
    )
    assert loaded.config is not None, loaded.problems
    found = loaded.config.sources
    assert {name: source.adapter.name for name, source in found.items()} == {
        "clientxcms": "clientxcms", "own": "deskbell", "second.CMS": "clientxcms", "open": "deskbell",
    }  # fmt: skip
    assert [secret.reveal() for secret in found["own"].tokens] == [TOKEN]
    assert [secret.reveal() for secret in found["own"].signing_secrets] == [SIGNING, LONG_SIGNING]
    assert [secret.reveal() for secret in found["second.CMS"].tokens] == [f"{TOKEN}1", f"{TOKEN}2"]
    assert (found["open"].tokens, found["open"].signing_secrets) == ((), ())
    assert found["clientxcms"].variables == ("plan",)


def test_the_labels_of_every_adapter_count(load: Load, good: str) -> None:
    config = load(good, sources=[Zammad()]).config
    assert config is not None
    assert config.priorities == {
        "low": "low", "medium": "medium", "high": "high", "haute": "high", "basse": "low",
        "1 low": "low", "3 high": "high",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{name: a, token: ¦short}", "error this token is shorter than 16 characters -> make one:  python3 -c"),
        ("{name: a, token: ¦123456789012345}", "error this token is shorter than 16 characters"),
        (f"{{name: a, token: [{TOKEN}, ¦x]}}", "error this token is shorter than 16 characters"),
        ("{name: a, token: ¦'sixteen char act '}", "error this token holds a space, or a character that is not ASCII"),
        ("{name: a, token: ¦sixteenchar-é-act}", "error this token holds a space, or a character that is not ASCII"),
        ("{name: a, token: ¦sixteen/chars+or=so}", "warning this token holds one of / ? # % \\, which must be"),
        (f"{{name: a, token: ¦[{TOKEN}, {TOKEN}, {TOKEN}]}}", "error token: at most two, the old one and the new one"),
        ("{name: a, token: ¦{b: c}}", "error token: must be text or a list of it"),
        ("{name: a, token: ¦true}", "error token: must be text -> put quotes round it if it is text"),
        (f"{{name: a, token: {TOKEN}, ¦token_file: f}}", "error there is a token and a token_file -> keep one of"),
        ("{name: a, token_file: ¦none}", "error token_file: 'none' cannot be read: no such file or directory"),
        ("{name: a, token_file: ¦.}", "error token_file: '.' cannot be read: is a directory"),
        ("{name: a, token_file: ¦empty}", "error token_file: 'empty' is empty"),
        ("{name: a, token_file: ¦binary}", "error token_file: 'binary' is no file with text in UTF-8"),
        ("{name: a, signing_secret: ¦whsec_abc}", "error a signing secret is whsec_ and the base64 of 24 to 64"),
        (f"{{name: a, signing_secret: ¦{SIGNING[6:]}}}", "error a signing secret is whsec_ and the base64 of 24 to 64"),
        ("{name: a, variables: [¦'%plan%']}", "error variables: '%plan%' is no name of a variable -> write the name"),
        ("{name: a, variables: [ok, ¦2x]}", "error variables: '2x' is no name of a variable -> letters, digits and"),
        ("¦{token: ''}", "error this source has no name -> give it one:  name: …"),
        ("{name: ¦''}", "error name: '' does not fit into commands and addresses -> letters, digits, '.', '_' and"),
        ("{name: ¦a/b}", "error name: 'a/b' does not fit into commands and addresses -> for example:  name: a-b"),
        ("{name: ¦Équipe 1}", "error name: 'Équipe 1' does not fit into commands and addresses -> for example:  name: E"),
        ("{name: a, adapter: ¦clientxcm}", "error adapter: 'clientxcm' is not one of clientxcms, deskbell -> did you"),
        ("{name: a, adapter: ¦zammad}", "error adapter: 'zammad' is not one of clientxcms, deskbell -> if it is a plug"),
        ("{name: a, adapter: ¦Os Ticket}", "error adapter: 'Os Ticket' is not one of clientxcms, deskbell -> `deskbell"),
        ("{name: a, adapter: ¦osticket}", "error adapter: 'osticket' could not be loaded: no module named 'x'"),
        ("{name: ¦osticket}", "error adapter: 'osticket' could not be loaded: no module named 'x'"),
        ("{name: ¦clientxcms2}", "warning the source 'clientxcms2' takes deskbell's own event -> for the other:  "),
        ("{name: ¦clientxsms}", "warning the source 'clientxsms' takes deskbell's own event -> for the other:  "),
        ("{name: A}\n  - {name: ¦a}", "error the source name 'a' is used twice; the first is on line 2 -> give one of"),
        ("{name: a, ¦tokn: x}", "error unknown key 'tokn' -> did you mean 'token'?"),
        ("¦nonsense", "error each entry must be a mapping (key: value)"),
    ],
)  # fmt: skip
def test_a_wrong_source_is_told_at_its_place(
    only_problem: Callable[..., str], tmp_path: Path, entry: str, expected: str
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff" * 20)
    text = f"sources:\n  - {entry}\nwebhooks: [{{name: w, url: demo:discord, action: Submit, message: x}}]\n"
    assert only_problem(text, broken={"osticket": "no module named 'x'"}).startswith(expected)


def test_a_source_whose_adapter_is_unknown_makes_no_word_unknown(problems: Problems, good: str) -> None:
    """Its actions and variables cannot be known: complaining of them would hide the one thing to mend."""
    text = good.replace("name: clientxcms", "name: x\n    adapter: other").replace("Submit", "odd_action")
    assert len(problems(text.replace("%subject%", "%odd_variable%"))) == 1
