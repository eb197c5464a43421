"""Secrets between two views of a form."""

from __future__ import annotations

from deskbell.web.keepsakes import MOST, Keepsakes


def test_a_word_leads_back_to_its_secret_and_tells_nothing_of_it() -> None:
    keepsakes = Keepsakes()
    word, other = keepsakes.keep("hunter2hunter2"), keepsakes.keep("hunter2hunter2")
    assert word != other
    assert "hunter" not in word
    assert keepsakes.find(word) == keepsakes.find(other) == "hunter2hunter2"


def test_nothing_has_no_word_and_an_unknown_word_no_secret() -> None:
    keepsakes = Keepsakes()
    assert keepsakes.keep("") == ""
    assert (keepsakes.find(""), keepsakes.find("x")) == ("", "")


def test_the_oldest_are_forgotten() -> None:
    keepsakes = Keepsakes()
    words = [keepsakes.keep(str(number)) for number in range(MOST + 1)]
    assert [keepsakes.find(word) for word in (words[0], words[1], words[-1])] == ["", "1", str(MOST)]
