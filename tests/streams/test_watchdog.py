"""What stands is noticed, and what has an excuse is not accused."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from streams.kafka_message import Place
from streams.watchdog import LoopGuard, Progress

A, B = Place("a", 0), Place("b", 0)


def test_a_partition_that_stands_while_messages_wait_is_stalled() -> None:
    progress = Progress(5.0)
    assert progress.look({A: 7, B: 1}, {A: 3, B: 0}, 0.0) == []
    assert progress.look({A: 7, B: 1}, {A: 4, B: 0}, 4.9) == []
    assert progress.look({A: 7, B: 1}, {A: 9, B: 0}, 5.0) == [A]


@given(moves=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_nobody_is_accused_who_moves_or_has_nothing_to_read(moves: list[tuple[int, int]]) -> None:
    progress, position, since = Progress(3.0), 0, 0
    for now, (step, lag) in enumerate(moves):
        position += step
        if step or not lag:
            since = now
        assert (progress.look({A: position}, {A: lag}, float(now)) == [A]) is (now - since >= 3)


def test_an_absent_broker_is_an_excuse() -> None:
    progress = Progress(5.0)
    progress.look({A: 7}, {A: 3}, 0.0)
    progress.excuse()
    assert progress.look({A: 7}, {A: 3}, 6.0) == []
    assert progress.look({A: 7}, {A: 3}, 11.0) == [A]


def test_a_partition_that_was_given_back_begins_anew() -> None:
    progress = Progress(5.0)
    progress.look({A: 7}, {A: 3}, 0.0)
    progress.look({}, {}, 2.0)
    assert progress.look({A: 7}, {A: 3}, 6.0) == []


def test_a_loop_that_stands_is_noticed_once_and_one_that_turns_is_not() -> None:
    stalled = threading.Event()
    guard = LoopGuard(0.1, stalled.set, look_s=0.02)
    guard.start()
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        guard.turned()
        assert guard.is_turning
        stalled.wait(0.005)
    assert not stalled.is_set()
    assert stalled.wait(5.0)
    assert not guard.is_turning
    guard.stop()
