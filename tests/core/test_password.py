"""How a password is kept and compared."""

from __future__ import annotations

import base64
import hashlib

import pytest

from deskbell.password import Password, hash_password
from deskbell.secret import Secret

WORDS = "correct horse battery staple"
SALT = bytes(range(16))


def written(n: int = 16, r: int = 1, p: int = 1, words: str = WORDS) -> str:
    """A hash as another program would write it."""
    key = hashlib.scrypt(words.encode(), salt=SALT, n=n, r=r, p=p, dklen=32)
    salt, made = (base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (SALT, key))
    return f"scrypt:{n}:{r}:{p}:{salt}:{made}"


def test_a_hash_opens_for_its_password_alone() -> None:
    made = hash_password(WORDS, SALT)
    assert made.startswith("scrypt:32768:8:3:")
    assert "$" not in made
    password = Password(Secret(made))
    assert (password.hashed, password.matches(WORDS)) == (True, True)
    assert not any(
        Password(Secret(written())).matches(guess) for guess in ("", WORDS.upper(), WORDS + " ", made)
    )


def test_a_hash_of_another_cost_is_read() -> None:
    assert Password(Secret(written(n=1024, r=4, p=2))).matches(WORDS)


def test_a_password_itself_is_compared_as_it_is() -> None:
    password = Password(Secret(WORDS))
    assert (password.hashed, password.matches(WORDS), password.matches(WORDS[:-1])) == (False, True, False)


@pytest.mark.parametrize("hashed", [False, True])
def test_an_accent_may_be_one_sign_or_two(hashed: bool) -> None:
    words = "caf\u00e9 au lait"
    password = Password(Secret(written(words=words) if hashed else words))
    assert password.matches("cafe\u0301 au lait")


def test_what_is_no_unicode_is_no_match_and_no_crash() -> None:
    assert not Password(Secret(written())).matches("\ud800" * 12)


@pytest.mark.parametrize(
    "text",
    [
        "scrypt:",
        written()[:-1],
        written() + "x",
        written().replace(":16:", ":15:"),
        written().replace(":16:", ":0:"),
        written().replace(":16:", ":262144:"),
        written().replace(":1:1:", ":1:0:"),
        written().replace(":1:1:", ":99:1:"),
        "scrypt:16:1:1:$alt:" + "k" * 43,
    ],
)
def test_a_hash_that_is_broken_or_too_dear_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="this hash is not whole"):
        Password(Secret(text))


def test_it_does_not_print() -> None:
    assert WORDS not in repr(Password(Secret(WORDS)))
