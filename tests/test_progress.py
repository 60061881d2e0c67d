from __future__ import annotations

import logging

import pytest

from mechlearn.progress import countdown, duration, tracked


@pytest.mark.parametrize(("seconds", "words"), [
    (4.4, "4 s"), (75, "1 min 15 s"), (7300, "2 h 1 min"),
])
def test_durations_are_words(seconds, words):
    assert duration(seconds) == words


def test_every_item_is_yielded_and_reported(caplog):
    with caplog.at_level(logging.INFO):
        items = list(tracked([1, 2], "fit", log=logging.getLogger("test")))
    assert items == [1, 2]
    assert "fit: 2 of 2 done" in caplog.messages[-1]
    assert "to go" in caplog.messages[0]


def test_a_callback_reports_as_well(caplog):
    with caplog.at_level(logging.INFO):
        countdown("fit", log=logging.getLogger("test"))(32, 128)
    assert "fit: 32 of 128 done" in caplog.messages[0]
