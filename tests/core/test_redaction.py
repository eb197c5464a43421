"""What a service may repeat of a webhook's secrets: the whole, a part that tells, another spelling of it."""

from __future__ import annotations

import base64

import pytest
from tests.kit import webhook

import deskbell
from deskbell.redaction import SHORTEST_SECRET, Redactor
from deskbell.secret import MASK

URL_TOKEN = "abcdefghijklmnopqrstuv"
URL = f"https://chat.example/h/{URL_TOKEN}"


class KeyOptions(deskbell.Options):
    keys: tuple[deskbell.Secret, ...] = ()


class Keyed(deskbell.Transport[KeyOptions]):
    """A transport with any secrets."""

    name = "keyed"
    max_length = 1000

    def format(self, notice: deskbell.Notice, _: KeyOptions) -> deskbell.Payload:
        return {"text": notice.text(escape=deskbell.plain, limit=self.max_length)}


def masked(text: str, *secrets: str, url: str = URL) -> str:
    options = KeyOptions.model_validate({"keys": secrets})
    return Redactor(webhook("w", url, Keyed(), options=options), deskbell.Secret(url))(text)


@pytest.mark.parametrize("short", ["abc", "1", "h", "abcd", "abcdefgh", "key: abcdefgh"])
def test_a_short_secret_hides_no_longer_one_that_it_is_a_part_of(short: str) -> None:
    assert masked(f"no hook {URL_TOKEN}", short) == f"no hook {MASK}"
    assert masked(f"no hook at /h/{URL_TOKEN}", short) == f"no hook at {MASK}"


def test_a_secret_that_is_too_short_to_be_one_is_left_alone() -> None:
    assert masked("1 of 3 keys: abc", "abc", "1") == "1 of 3 keys: abc"
    assert masked("four", "x" * SHORTEST_SECRET, "four") == MASK


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("Bearer hunterhunter", "hunterhunter"),
        ("Bearer hunterhunter", "Bearer hunterhunter"),
        ("Basic dXNlcjpodW50ZXIyMg==", "dXNlcjpodW50ZXIyMg"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("a=k3y-of-the-house; b", "k3y-of-the-house"),
        ('Digest username="ann", response="6629fae49393"', "6629fae49393"),
        ("key=abcdefghijklmnop, v=1", "abcdefghijklmnop"),
        ("user:password!", "password!"),
        ('Bearer he"l\\lo-hello', 'Bearer he\\"l\\\\lo-hello'),
    ],
)
def test_the_part_of_an_option_that_tells_is_masked_by_itself(secret: str, said: str) -> None:
    assert masked(f"wrong: {said}.", secret) == f"wrong: {MASK}."


@pytest.mark.parametrize(
    "secret", ["customer support", "Bearer hunterhunter", "Helpdesk of ours", "Token abc", "a, b; c"]
)
def test_ordinary_words_of_an_option_are_no_secrets(secret: str) -> None:
    words = "the Helpdesk of our customer support wants a Bearer or a Token, abc"
    assert masked(words, secret) == words.replace(secret, MASK)


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("https://ann:s3cret@chat.example/h", "ann:s3cret"),
        ("https://ann:p%40ss%3Aword@chat.example/h", "ann:p@ss:word"),
        ("https://ann@chat.example/h", "ann:"),
        ("https://ann:caf%C3%A9@chat.example/h", "ann:café"),
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_the_login_of_a_url_is_masked_as_it_is_sent(url: str, login: str, charset: str) -> None:
    """As ``Authorization: Basic`` carries it: https://www.rfc-editor.org/rfc/rfc7617#section-2"""
    sent = base64.b64encode(login.encode(charset)).decode()
    assert masked(f"got Basic {sent}, no", url=url) == f"got Basic {MASK}, no"


def test_the_name_of_a_played_channel_is_a_word_and_no_secret() -> None:
    played = deskbell.Secret(f"http://127.0.0.1:40000/played/{URL_TOKEN}")
    redact = Redactor(webhook("w", "demo:discord", Keyed()), played)
    assert redact(f"discord is down, see demo:discord and /{URL_TOKEN}") == (
        f"discord is down, see demo:discord and /{MASK}"
    )


def test_a_webhook_that_has_no_url_yet_has_none_to_mask() -> None:
    assert masked("a message", url="") == "a message"
