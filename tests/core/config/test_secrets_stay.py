"""A secret of the owner's appears in no report, whatever is wrong with the file round it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from deskbell.config import Loaded, report, to_json

Load = Callable[..., Loaded]
CANARY = "canaryOfTheTests0123456789"
DISCORD = f"https://discord.com/api/webhooks/1/{CANARY}"


def everything_said(loaded: Loaded) -> str:
    return report(loaded.problems) + json.dumps(to_json(loaded.problems), ensure_ascii=False)


BROKEN = {
    "unknown url": f"webhooks: [{{name: a, url: 'https://example.com/{CANARY}', action: x, message: ''}}]",
    "misspelt key": f"webhooks:\n  - {{name: a, ulr: '{DISCORD}', tokn: {CANARY}, pasword: {CANARY}}}",
    "url as a list": f"webhooks:\n  - url: ['{DISCORD}', {CANARY}]",
    "url as a mapping": f"webhooks:\n  - url:\n      here: {CANARY}\n      - no",
    "url in the wrong key": f"webhooks:\n  - name: {DISCORD}\n    transport: {DISCORD}\n    action: {DISCORD}",
    "url in a list of entries": f"webhooks:\n  - {DISCORD}\n",
    "url for the whole list": f"webhooks: {DISCORD}",
    "a url alone": DISCORD,
    "url twice": f"webhooks:\n  - url: {DISCORD}\n    url: {DISCORD}x\n",
    "url without scheme": f"webhooks:\n  - url: discord.com/{CANARY}",
    "url with a space": f"webhooks:\n  - url: https://discord.com/a {CANARY}",
    "url with a bad port": f"webhooks:\n  - url: https://{CANARY}:99999/",
    "url with a bad host": f"webhooks:\n  - url: https://[{CANARY}/",
    "url on its own line": f"webhooks:\n  - url:\n      {DISCORD}\n    transport: nope\n    action: %",
    "url as a block": f"webhooks:\n  - url: |\n      {DISCORD}\n      {CANARY}\n",
    "half a reference": f"webhooks:\n  - url: ${{A{DISCORD}\n    token: x${{{CANARY}",
    "default of a reference": f"store: ${{STORE:-postgresql://u:{CANARY}@h/d}}",
    "password in the store": f"store: postgresql://user:{CANARY}@host/db",
    "short token": f"sources: [{{name: a, token: {CANARY[:9]}}}]",
    "three tokens": f"sources: [{{name: a, token: [{CANARY}, {CANARY}b, {CANARY}c]}}]",
    "token with a space": f"sources:\n  - name: a\n    token: '{CANARY} {CANARY}'",
    "token with a remark": f"sources:\n  - name: a\n    token: {CANARY} #{CANARY}",
    "token as a comment": f"sources:\n  - name: a\n    token: #{CANARY}",
    "token with an unset variable": f"sources:\n  - name: a\n    token: {CANARY}${{UNSET}}",
    "token as a bool": "sources:\n  - name: a\n    token: true",
    "token in a block list": f"sources:\n  - name: a\n    token:\n      - {CANARY}\n      - [{CANARY}]\n",
    "signing secret": f"sources: [{{name: a, signing_secret: whsec_{CANARY}}}]",
    "secret option of a wrong type": f"webhooks:\n  - options: {{api_token: [{CANARY}], silent: {CANARY[:0]}x}}\n"
    "    url: demo:discord",
    "option of an unknown transport": f"webhooks:\n  - transport: nope\n    options: {{password: {CANARY}, b: [}}",
    "secret named twice": f"timezone: {CANARY}\nsources: [{{name: a, token: {CANARY}}}]",
    "anchor": f"sources:\n  - token: &{CANARY}\n",
    "alias": f"sources:\n  - token: *{CANARY}\n",
    "tag": f"sources:\n  - token: !{CANARY}!b\n",
    "undefined tag": f"sources:\n  - token: !{CANARY}!x y",
    "a sign first": f"sources:\n  - token: @{CANARY}",
    "a sign first in a list": f"sources:\n  - token: [%{CANARY}]",
    "a colon inside": f"sources:\n  - token: {CANARY}: {CANARY}",
    "no space": f"sources:\n  - token:{CANARY}\n    name: a",
    "no space, parsed": f"sources:\n  - token:{CANARY}\n",
    "a tag with a handle": f"sources:\n  - token: !a!{CANARY} x",
    "text behind quotes": f"sources:\n  - token: '{CANARY}'{CANARY}",
    "backslash": f'sources:\n  - token: "{CANARY}\\q"',
    "unclosed quote": f"sources:\n  - token: '{CANARY}\n",
    "quote closed elsewhere": f'sources:\n  - token: "a\n{CANARY}" {CANARY}\n',
    "unclosed bracket": f"sources:\n  - {{name: a, token: {CANARY}, b: [c\nwebhooks: x",
    "indentation": f"sources:\n  - token: {CANARY}\n   name: {DISCORD}",
    "tab": f"sources:\n  - name: a\n\ttoken: {CANARY}",
    "control character": f"sources:\n  - token: {CANARY}\x01",
    "half a character": f'sources:\n  - token: "{CANARY}\\ud800"',
    "explicit key": f"sources:\n  - ? token\n    : {CANARY}\n    url: [",
    "quoted key": f"sources:\n  - 'token': {CANARY}\n    \"url\": @{CANARY}",
    "two traps": f"sources:\n  - token: `{CANARY}\n    name: %a\n    password: |{CANARY}",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_no_broken_file_makes_a_report_tell_a_secret(load: Load, text: str) -> None:
    said = everything_said(load(text))
    assert "problem" in said or "warning" in said
    assert CANARY[:9] not in said


def test_no_secret_of_the_environment_is_told(load: Load, good: str) -> None:
    environ = {"KEY": CANARY, "URL": DISCORD}
    for line in ("rate: ${KEY}", "transport: ${KEY}", "when: {source: '${URL}'}", "options: {silent: '${KEY}'}",
                 "retry: ${KEY}", "retry: 1s, ${KEY}", "max_age: ${KEY}",
                 "when: {priority: '${KEY}'}", "options: {'${KEY}': 1}", "options: {username: ['${KEY}']}"):  # fmt: skip
        assert CANARY not in everything_said(load(f"{good}    {line}\n", environ=environ)), line
    for key in ("delivered", "dead"):
        text = f"{good}retention: {{{key}: '${{KEY}}'}}\n"
        assert CANARY not in everything_said(load(text, environ=environ)), key
    for old in ("support", "https://discord.com/api/webhooks/1/a-secret-part", "Submit", "clientxcms"):
        for new in ("${KEY}", "${URL}", "x ${URL} y"):
            assert CANARY not in everything_said(load(good.replace(old, new), environ=environ)), (old, new)


def test_no_secret_of_a_file_is_told(load: Load, good: str) -> None:
    from pathlib import Path

    Path("key").write_text(f"{CANARY} {CANARY}")
    url = "url: https://discord.com/api/webhooks/1/a-secret-part"
    text = good.replace(url, "url_file: key").replace("token: a-token-of-the-tests", "token_file: key")
    loaded = load(text.replace("version: 1", f"timezone: {CANARY[:5]}"))
    assert loaded.config is None
    assert CANARY not in everything_said(loaded)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"    url: {DISCORD}x y", "    url: •••"),
        (f"    url: '{DISCORD} y'  # {CANARY}", "    url: •••"),
        ("    url: ${UNSET}", "    url: ${UNSET}"),
        ("    {enabled: perhaps, url: abc, name: x}", "    {enabled: perhaps, url: •••, name: x}"),
    ],
)
def test_a_masked_line_keeps_the_rest_and_its_caret(load: Load, line: str, shown: str) -> None:
    flow = line.lstrip().startswith("{")
    text = f"webhooks:\n  -\n{line}\n" if flow else f"webhooks:\n  - name: a\n{line}\n"
    found = next(one for one in load(text).problems if one.line == 3 and one.column > 5)
    assert found.shown == shown
    assert found.caret == (15 if flow else 10)


def test_a_caret_behind_a_mask_moves_with_what_it_points_at(load: Load) -> None:
    loaded = load(f"webhooks:\n  - {{url: '{DISCORD}', bogus: 1}}\n")
    found = next(one for one in loaded.problems if "bogus" in one.message)
    assert found.shown == "  - {url: •••, bogus: 1}"
    assert found.column == len(f"  - {{url: '{DISCORD}', ") + 1
    assert found.shown[found.caret - 1 :].startswith("bogus")


def test_a_transport_that_fails_to_redact_hides_the_whole_line(load: Load, good: str) -> None:
    import deskbell

    class Careless(deskbell.Transport):
        name = "careless"
        max_length = 10

        def format(self, notice: deskbell.Notice, options: deskbell.Options) -> deskbell.Payload:
            return {"text": notice.text(deskbell.plain, 10), **options.model_dump()}

        @classmethod
        def redact(cls, text: str) -> str:
            raise ValueError(text)

    (found,) = load(good.replace("Submit", "Submt"), transports=[Careless()]).problems
    assert (found.shown, found.message) == ("•••", "•••")
