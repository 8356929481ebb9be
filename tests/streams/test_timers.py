"""Timers fire on a grid, each point once and in order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.timers import Timers

PERIODS = st.integers(1, 10**10)
TIMES = st.integers(0, 2**61)


@given(period=PERIODS, now=TIMES, count=st.integers(1, 20))
def test_firings_are_the_grid_points_after_the_start(period: int, now: int, count: int) -> None:
    timers = Timers("1s", period, "XYZ")
    timers.start(now)
    fired = [timers.fire() for _ in range(count)]
    times = [event.ts_event for event in fired]
    assert now < times[0] <= now + period
    assert all(ts % period == 0 for ts in times)
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [period] * (count - 1)
    assert timers.due == times[-1] + period
    assert timers.offset == count
    assert {(event.timer, event.underlying) for event in fired} == {("1s", "XYZ")}
    assert all(event.ts_init == event.ts_event for event in fired)


@given(period=PERIODS, now=TIMES, before=st.integers(0, 5), after=st.integers(1, 5))
def test_state_carries_over(period: int, now: int, before: int, after: int) -> None:
    whole, half = Timers("t", period, ""), Timers("t", period, "")
    for timers in (whole, half):
        timers.start(now)
        for _ in range(before):
            timers.fire()
    other = Timers("t", period, "")
    other.set_state(*half.state())
    assert [other.fire() for _ in range(after)] == [whole.fire() for _ in range(after)]
    assert other.state() == whole.state()


def test_timer_that_is_not_armed_does_not_fire() -> None:
    timers = Timers("t", 10, "")
    with pytest.raises(RuntimeError, match="not armed"):
        timers.fire()
    timers.start(5)
    timers.fire()
    timers.stop()
    assert timers.due is None
    with pytest.raises(RuntimeError, match="not armed"):
        timers.fire()


def test_offsets_go_on_after_a_stop() -> None:
    """The pair (source, offset) names an input for ever, so a second session must not start from 0."""
    timers = Timers("t", 10, "")
    timers.start(0)
    timers.fire()
    timers.stop()
    timers.start(100)
    assert timers.offset == 1
    assert timers.fire().ts_event == 110
