"""Event time keeps its ratio to the clock on the wall, gaps are skipped, and people are heard while it waits."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import axiom.pace
from axiom.control import NoControl
from axiom.pace import MaxSpeed, Paced

SECOND = 1_000_000_000
START = 1_450_967_400 * SECOND


class Clock:
    """Stands for the module `time`: sleeping moves it, and nothing else does."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


class Stopping(NoControl):
    """Somebody asked the run to end."""

    should_stop = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(axiom.pace, "time", found)
    return found


def until_due(pace: Paced, ts: int) -> int:
    """Wait as the run does: it looks for commands each time the pace comes back early. Returns how often it looked."""
    looks = 0
    while not pace.wait(ts, NoControl()):
        looks += 1
    return looks


def test_at_full_speed_nothing_waits(clock: Clock) -> None:
    assert all(MaxSpeed().wait(START + i * SECOND, Stopping()) for i in range(3))
    assert clock.naps == []


@given(speed=st.floats(0.5, 100), gaps=st.lists(st.integers(0, 5 * SECOND), min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_event_time_runs_so_many_times_as_fast_as_the_clock(clock: Clock, speed: float, gaps: list[int]) -> None:
    pace = Paced(speed)
    until_due(pace, START)
    began, ts = clock.now, START
    for gap in gaps:
        ts += gap
        until_due(pace, ts)
        assert clock.now - began == pytest.approx((ts - START) * 1e-9 / speed, abs=1e-6)


def test_first_event_is_not_waited_for(clock: Clock) -> None:
    assert Paced(1.0).wait(START, NoControl())
    assert clock.naps == []


def test_long_gap_is_skipped_and_the_pace_goes_on_after_it(clock: Clock) -> None:
    pace = Paced(1.0, skip_ns=30 * SECOND)
    until_due(pace, START)
    until_due(pace, START + 31 * SECOND)
    assert clock.now == 1_000.0
    until_due(pace, START + 61 * SECOND)
    assert clock.now == pytest.approx(1_030.0)


def test_people_are_heard_every_twentieth_of_a_second(clock: Clock) -> None:
    pace = Paced(1.0)
    until_due(pace, START)
    looks = until_due(pace, START + SECOND)
    assert looks >= 19
    assert max(clock.naps) <= 0.05


def test_late_run_catches_up_without_a_nap(clock: Clock) -> None:
    pace = Paced(1.0)
    until_due(pace, START)
    clock.now += 10
    assert all(pace.wait(START + second * SECOND, NoControl()) for second in range(1, 11))
    assert clock.naps == []


def test_stop_ends_the_wait(clock: Clock) -> None:
    pace = Paced(1.0)
    until_due(pace, START)
    assert pace.wait(START + SECOND, Stopping()) is False
    assert pace.wait(START + 70_000_000, Stopping()) is False
    assert len(clock.naps) == 2
