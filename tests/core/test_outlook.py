"""What is told of a delivery that waits, and in which order deliveries are replayed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.kit import NOW

from deskbell.delivery import Delivery, Destination, State
from deskbell.outlook import HELPING, Outlook, helpings, outlook, worst

LATER = NOW + timedelta(seconds=30)
READY = Delivery(
    id=1,
    event_id="e",
    webhook="w",
    transport="t",
    ticket="1",
    action="Submit",
    state=State.READY,
    due_from=NOW,
)
FAILED = replace(READY, reason="503 mine", next_at=NOW)
PAUSED = Destination(paused=True, reason="404 gone")
WAITING = Destination(until=LATER, reason="503 busy")


@pytest.mark.parametrize(
    ("delivery", "trouble", "told"),
    [
        (READY, None, Outlook()),
        (FAILED, None, Outlook("", "503 mine", NOW)),
        (READY, PAUSED, Outlook("paused", "404 gone")),
        (FAILED, PAUSED, Outlook("paused", "503 mine")),
        (READY, WAITING, Outlook("waits", "503 busy", LATER)),
        (FAILED, WAITING, Outlook("", "503 mine", LATER)),
        (replace(FAILED, state=State.HELD), WAITING, Outlook("held")),
        (replace(FAILED, state=State.DEAD, next_at=None), WAITING, Outlook("", "503 mine")),
        (replace(READY, webhook="v"), PAUSED, Outlook()),
    ],
)
def test_a_delivery_stands_where_its_webhook_or_it_itself_put_it(
    delivery: Delivery, trouble: Destination | None, told: Outlook
) -> None:
    assert outlook(delivery, {"w": trouble} if trouble else {}) == told


def test_what_holds_up_longest_is_told_and_a_mere_pace_is_not() -> None:
    longer = Destination(until=LATER + timedelta(seconds=1), reason="429")
    assert worst([WAITING, longer], NOW) == longer
    assert worst([longer, PAUSED], NOW) == PAUSED
    assert worst([Destination(until=LATER), Destination(until=NOW, reason="503 over")], NOW) is None


def test_helpings_are_the_oldest_first_and_each_is_bounded() -> None:
    ids = range(HELPING * 2 + 1, 0, -1)
    assert [list(each) for each in helpings(ids)] == [
        list(range(1, HELPING + 1)),
        list(range(HELPING + 1, HELPING * 2 + 1)),
        [HELPING * 2 + 1],
    ]
    assert list(helpings([])) == []
