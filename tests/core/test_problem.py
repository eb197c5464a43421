"""Error answers: the members of RFC 9457 that are promised, and nothing that could break out of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from deskbell import Fault
from deskbell.problem import Problem


def content(response: web.Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    assert response.body.isascii()
    found: dict[str, Any] = json.loads(response.body)
    return found


@pytest.mark.parametrize(
    ("status", "title"),  # as RFC 9110 names them
    [(400, "Bad Request"), (401, "Unauthorized"), (404, "Not Found"), (503, "Service Unavailable")],
)
def test_the_answer_is_problem_json_and_keeps_the_connection(status: int, title: str) -> None:
    response = Problem(status, "do this").response()
    assert (response.status, response.content_type) == (status, "application/problem+json")
    assert content(response) == {"title": title, "status": status, "detail": "do this"}
    assert response.keep_alive is not False


def test_faults_headers_and_the_end_of_the_connection_go_with_it() -> None:
    faults = [Fault("payload.subject", "must be a string"), Fault("", "not an object")]
    response = Problem(422, "no event", faults=faults, headers={"Retry-After": "5"}, close=True).response()
    assert content(response)["errors"] == [
        {"path": "payload.subject", "message": "must be a string"},
        {"path": "", "message": "not an object"},
    ]
    assert response.headers["Retry-After"] == "5"
    assert response.keep_alive is False


@pytest.mark.parametrize("text", ['"}\r\nX: 1', "\ud800", "\0\x1b[31m\u2028", "é</script>"])
def test_any_text_stays_inside_its_string(text: str) -> None:
    response = Problem(422, text, faults=[Fault(text, text)]).response()
    found = content(response)
    assert (found["detail"], found["errors"]) == (text, [{"path": text, "message": text}])


def test_it_is_raised_with_its_detail_as_the_words_for_the_log() -> None:
    with pytest.raises(Problem, match="send a POST"):
        raise Problem(405, "send a POST")
