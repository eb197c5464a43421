"""Signing in and out, on real sockets: the cookie, the form, the limits."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from deskbell.web.guesses import MOST_FROM_ONE

from .conftest import HEAD, PASSWORD, PASSWORD_HASH, Answer, Open, Site, with_password

DESK = 'webhooks:\n  - {name: desk, url: "demo:slack", action: "*", message: "%subject%"}\n'
PUBLIC = {"Host": "desk.example", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir() if path.is_file()]


async def sign_in(site: Site, password: str = PASSWORD, path: str = "/login") -> Answer:
    return await site.send(path, {"password": password}, at="/login")


async def test_a_page_leads_to_the_password_and_then_back_to_itself(open_site: Open) -> None:
    site = await open_site(DESK, head=with_password())
    sent = await site.get("/?state=dead&text=a%26b")
    login = sent.headers["location"]
    assert (sent.status, login) == (303, "/login?next=/?state%3Ddead%26text%3Da%2526b")
    page = await site.page(login)
    (field,) = page.all("input", type="password")
    assert (field["autocomplete"], field["name"]) == ("current-password", "password")
    assert page.all("nav") == []
    (form,) = [each for each in page.all("form") if each["action"].startswith("/login")]
    entered = await sign_in(site, path=form["action"])
    assert (entered.status, entered.headers["location"]) == (303, "/?state=dead&text=a%26b")
    assert (await site.page("/")).all("form", action="/logout")


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "/%0A/evil.example",
        "evil",
        "",
    ],
)
async def test_signing_in_leads_nowhere_else(open_site: Open, wanted: str) -> None:
    site = await open_site(DESK, head=with_password())
    page = await site.page(f"/login?next={wanted}")
    assert page.all("form", action="/login?next=%2F")
    entered = await sign_in(site, path=f"/login?next={wanted}")
    assert entered.headers["location"] == "/"


async def test_a_wrong_password_is_told_and_opens_nothing(open_site: Open) -> None:
    site = await open_site(DESK, head=with_password())
    for guess in ("", PASSWORD[:-1], PASSWORD_HASH, PASSWORD.upper()):
        answer = await sign_in(site, guess)
        assert (answer.status, "set-cookie" in answer.headers) == (403, False)
        (alert,) = answer.page.all("p", role="alert")
        (field,) = answer.page.all("input", type="password")
        assert (field["aria-describedby"], field["aria-invalid"], "value" in field) == (
            alert["id"],
            "true",
            False,
        )
    assert (await site.get("/")).status == 303


@pytest.mark.parametrize(
    ("public_url", "headers", "name", "flags"),
    [
        ("", {}, "deskbell_session", {"httponly", "samesite=strict", "path=/"}),
        ("http://desk.example", PUBLIC, "deskbell_session", {"httponly", "samesite=strict", "path=/"}),
        (
            "https://desk.example",
            PUBLIC,
            "__Host-deskbell_session",
            {"httponly", "samesite=strict", "path=/", "secure"},
        ),
        ("https://desk.example", {}, "deskbell_session", {"httponly", "samesite=strict", "path=/"}),
    ],
)
async def test_the_cookie_is_out_of_reach(
    open_site: Open, public_url: str, headers: dict[str, str], name: str, flags: set[str]
) -> None:
    site = await open_site(DESK, head=with_password(HEAD, public_url))
    site.headers = headers
    given, *rest = [part.strip() for part in (await sign_in(site)).headers["set-cookie"].split(";")]
    assert given.partition("=")[0] == name
    told = {part.lower() for part in rest}
    assert {part for part in told if not part.startswith(("max-age", "expires"))} == flags
    assert "max-age=604800" in told


async def test_each_sign_in_is_a_session_of_its_own(open_site: Open) -> None:
    """A cookie that somebody planted before the sign-in is worth nothing after it."""
    site = await open_site(DESK, head=with_password())
    cookies, tokens = set(), set()
    for _ in range(2):
        site.session.cookie_jar.clear()
        cookies.add((await sign_in(site)).headers["set-cookie"].partition(";")[0])
        tokens.add((await site.page("/health")).form_token)
    assert (len(cookies), len(tokens)) == (2, 2)
    site.session.cookie_jar.clear()
    for cookie in cookies:
        assert (await site.get("/health", Cookie=cookie)).status == 200
        assert (await site.get("/health", Cookie=cookie[:-1])).status == 303
        assert (await site.get("/health", Cookie=cookie.partition(".")[0])).status == 303


async def test_a_form_of_one_session_does_not_count_in_another(open_site: Open) -> None:
    site = await open_site(DESK, head=with_password())
    await sign_in(site)
    stranger = (await site.page("/health")).form_token
    site.session.cookie_jar.clear()
    await sign_in(site)
    answer = await site.ask("POST", "/language", data={"language": "fr", "form_token": stranger})
    assert answer.status == 403


async def test_signing_out_ends_the_session_for_every_copy_of_it(open_site: Open) -> None:
    site = await open_site(DESK, head=with_password())
    cookie = (await sign_in(site)).headers["set-cookie"].partition(";")[0]
    answer = await site.send("/logout")
    assert (answer.status, answer.headers["location"]) == (303, "/login?said=signed_out")
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert (await site.page(answer.headers["location"])).all("p", role="status")
    assert (await site.get("/", Cookie=cookie)).status == 303


async def test_a_new_password_signs_everybody_out(open_site: Open) -> None:
    site = await open_site(DESK, head=with_password())
    await sign_in(site)
    assert (await site.get("/health")).status == 200
    config = site.folder / "config.yaml"
    config.write_text(
        config.read_text("utf-8").replace(f'admin_password: "{PASSWORD_HASH}"', "admin_password_file: new")
    )
    (site.folder / "new").write_text("another set of words")
    assert (await site.door.reload()).ok
    assert (await site.get("/health")).status == 303
    assert (await sign_in(site)).status == 403
    assert (await sign_in(site, "another set of words")).status == 303
    assert (await site.get("/health")).status == 200


async def test_a_password_may_come_and_go_with_a_reload(open_site: Open) -> None:
    site = await open_site(DESK, head=with_password())
    config = site.folder / "config.yaml"
    config.write_text(HEAD + DESK, "utf-8")
    assert (await site.door.reload()).ok
    assert (await site.get("/health")).status == 200
    assert (await site.get("/login?next=/demo/")).headers["location"] == "/demo/"
    config.write_text(with_password() + DESK, "utf-8")
    assert (await site.door.reload()).ok
    assert (await site.get("/health")).status == 303


async def test_whoever_guesses_too_often_waits_and_nobody_who_is_signed_in(open_site: Open) -> None:
    site = await open_site(DESK, head=with_password())
    cookie = (await sign_in(site)).headers["set-cookie"].partition(";")[0]
    site.session.cookie_jar.clear()
    token = (await site.page("/login")).form_token
    stranger = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}

    async def guess(password: str, **headers: str) -> Answer:
        fields = {"password": password, "form_token": token}
        return await site.ask("POST", "/login", headers={**stranger, **headers}, data=fields)

    answers = await asyncio.gather(*(guess(f"guess {number}") for number in range(MOST_FROM_ONE + 5)))
    assert sorted(answer.status for answer in answers) == [403] * MOST_FROM_ONE + [429] * 5
    right, wrong = await guess(PASSWORD), await guess("wrong")
    assert (right.status, "set-cookie" in right.headers) == (429, False)
    assert 0 < int(right.headers["retry-after"]) <= 600
    assert re.sub(r"\d+ min", "", right.text) == re.sub(r"\d+ min", "", wrong.text)
    elsewhere = await guess(PASSWORD, **{"X-Forwarded-For": "203.0.113.9, 198.51.100.1"})
    assert elsewhere.status == 303
    site.session.cookie_jar.clear()
    assert (await site.get("/health", Cookie=cookie, **{"X-Forwarded-For": "203.0.113.9"})).status == 200


async def test_who_guesses_is_logged_and_what_is_not(
    open_site: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    site = await open_site(DESK, head=with_password())
    await site.send("/login", {"password": "a wrong guess"}, at="/login")
    await sign_in(site)
    told = [record.getMessage() for record in caplog.records if record.name.endswith("sign_in")]
    assert told == [
        "a wrong password at the pages, from this machine",
        "a sign-in at the pages, from this machine",
    ]
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8700", "desk.example", "Desk.Example:443"]
)
async def test_names_that_are_ours(open_site: Open, host: str) -> None:
    site = await open_site(DESK, head=with_password(HEAD, "https://desk.example:443"))
    assert (await site.get("/login", Host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "desk.example.evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0",  # noqa: S104 - a name, not a bind
        "10.0.0.1",
        "[::1",
        "a:b:c",
        "127.0.0.1@evil.example",
    ],
)
async def test_names_that_are_not_ours(open_site: Open, host: str) -> None:
    site = await open_site(DESK, head=with_password(HEAD, "https://desk.example"))
    answer = await site.get("/login", Host=host)
    assert (answer.status, answer.headers["content-type"]) == (421, "application/problem+json")
    assert "server.public_url" in answer.text


async def test_the_language_of_the_login_page_may_be_chosen(open_site: Open) -> None:
    site = await open_site(DESK, head=with_password())
    answer = await site.send("/language", {"language": "fr", "back": "/login?next=/demo/"}, at="/login")
    assert (answer.status, answer.headers["location"]) == (303, "/login?next=/demo/")
    assert "Mot de passe" in (await site.page("/login")).words


async def test_no_store_keeps_a_key_of_sessions(open_site: Open, tmp_path: Path) -> None:
    site = await open_site(DESK, head=with_password())
    cookie = (await sign_in(site)).headers["set-cookie"].partition(";")[0].partition("=")[2]
    name = cookie.partition(".")[0].encode()
    assert not [path for path in contents(tmp_path) if name in path]
