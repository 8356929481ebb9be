"""A feed publishes a day's events in order of time, the same ones under the same names whenever it is asked."""

from __future__ import annotations

from typing import Final

import pytest

from domain.events import ChainListed, RunEnded, RunStarted, SessionChanged, TimerFired
from streams.publishing import SECOND_NS, Day, Published, merged, published
from streams.synthetic import SyntheticMarket
from streams.synthetic_settings import SyntheticSettings

SMALL: Final = SyntheticSettings(session_minutes=2, contracts=200, step_ms=1_000)


def day(symbol: str = "SYN", trade_date: str = "2026-03-02") -> Day:
    recording = SyntheticMarket(
        SyntheticSettings(symbol=symbol, trade_date=trade_date, session_minutes=2, contracts=200), 1
    )
    started = RunStarted(
        ts_event=0, ts_init=0, underlying=symbol, run="r", seed=1, source=recording.name, is_synthetic=True,
        trade_date=trade_date, settings="{}",
    )  # fmt: skip
    return Day(started, recording, ())


@pytest.fixture(scope="module")
def whole() -> list[Published]:
    return list(published(day()))


def test_numbers_are_dense_and_times_never_go_back(whole: list[Published]) -> None:
    assert [each.item.offset for each in whole] == list(range(len(whole)))
    times = [each.item.event.ts_event for each in whole]
    assert times == sorted(times)
    assert len({each.item.source for each in whole}) == 1


def test_a_day_begins_with_its_run_and_ends_with_its_end(whole: list[Published]) -> None:
    kinds = [type(each.item.event) for each in whole]
    assert kinds[:2] == [RunStarted, ChainListed]
    assert kinds[-1] is RunEnded
    assert kinds.count(RunStarted) == kinds.count(RunEnded) == 1


def test_a_timer_fires_each_second_while_the_session_is_open(whole: list[Published]) -> None:
    open_ts, close_ts = (
        next(
            e.item.event.ts_event for e in whole if isinstance(e.item.event, SessionChanged) and e.item.event.state == s
        )
        for s in ("open", "closed")
    )
    fired = [each.item.event.ts_event for each in whole if isinstance(each.item.event, TimerFired)]
    assert fired == list(range(open_ts + SECOND_NS, close_ts, SECOND_NS))


def test_reading_twice_gives_the_same(whole: list[Published]) -> None:
    assert list(published(day())) == whole


def test_days_of_different_dates_run_side_by_side() -> None:
    both = list(merged([day(), day("ABC", "2026-03-03")]))
    since = [each.since_open for each in both]
    assert since == sorted(since)
    half = {each.item.source for each in both[: len(both) // 2]}
    assert len(half) == 2
    for source in half:
        offsets = [each.item.offset for each in both if each.item.source == source]
        assert offsets == list(range(len(offsets)))
