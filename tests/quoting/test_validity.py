"""What time alone does to our quotes: fresh, late, stale, and the close."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import session
from domain.price import NICKEL_DIME, tick_columns
from quoting.market import Market
from quoting.obligation_rules import OBLIGATION_RULES
from quoting.settings import MmpSettings, QuotingSettings
from quoting.target import Valuation
from quoting.validity import Validity, aged, pull_ns
from risk.limits import Limits

if TYPE_CHECKING:
    from tests.quoting.conftest import Feed

NS = 1_000_000_000
OPEN, CLOSE = 10**18, 10**18 + 12_600 * NS


def validity(**settings: float) -> Validity:
    made = Validity(QuotingSettings(**settings))  # type: ignore[arg-type]  # floats only
    made.session(OPEN, CLOSE)
    made.underlying_ts = made.theo_ts = OPEN
    return made


@given(age=st.integers(0, 400 * NS), older=st.booleans())
def test_what_is_late_widens_and_only_what_is_stale_is_pulled(age: int, *, older: bool) -> None:
    rests = validity(feed_interval_s=60.0, stale_intervals=2.5)
    ts = OPEN + 1_000 * NS
    rests.underlying_ts, rests.theo_ts = (ts - age, ts) if older else (ts, ts - age)
    assert (rests.unseen_s(ts) > 0) == (age > 60 * NS)
    assert rests.latches(ts)["stale"] == (age > 150 * NS)


@given(st.integers(0, 12_700 * NS), st.integers(0, 300 * NS))
def test_it_says_beforehand_when_something_changes(after: int, age: int) -> None:
    rests = validity()
    ts = OPEN + after
    rests.underlying_ts = rests.theo_ts = ts - age
    due = rests.next_change(ts)
    assert due > ts
    if due < 2**62:
        assert rests.latches(due) != rests.latches(ts)
        assert rests.latches(due - 1) == rests.latches(ts)
    late = rests.late_after(ts)
    assert rests.unseen_s(late) > 0 or late > 2**61
    assert rests.unseen_s(ts) > 0 or rests.unseen_s(late - 1) == 0


def test_nothing_is_open_before_a_session_is_announced() -> None:
    assert Validity(QuotingSettings()).latches(OPEN)["closed"]


@given(asked=st.floats(0, 4_000), seconds=st.integers(60, 23_400))
def test_quotes_are_pulled_as_asked_and_for_a_twentieth_of_the_session_at_most(asked: float, seconds: int) -> None:
    away = pull_ns(asked, OPEN, OPEN + seconds * NS)
    assert away == min(round(asked * NS), seconds * NS // 20)


def test_every_dated_obligation_can_be_met_on_a_half_day_whatever_is_asked() -> None:
    half = session(dt.date(2015, 12, 24), "equity_option")
    length = half.close_ns - half.open_ns
    for asked in (QuotingSettings().pull_before_close_s, 1e9):
        left = 1 - pull_ns(asked, half.open_ns, half.close_ns) / length
        assert left > max(rule.required_share for rule in OBLIGATION_RULES)


# --- uncertainty ------------------------------------------------------------------------------------------------------
SETTINGS = QuotingSettings()


@pytest.fixture(scope="module")
def seen(feed: Feed) -> tuple[Valuation, Market]:
    ticks = tick_columns([NICKEL_DIME], np.zeros(feed.n, dtype=np.int64))
    value, market = Valuation(feed.chain, ticks, SETTINGS), Market(ticks, feed.chain.multiplier, SETTINGS)
    value.update(feed.theos().frame, feed.spot)
    market.update(feed.nbbo().frame, feed.noon)
    return value, market


@given(seconds=st.floats(0, 1_000), more=st.floats(1, 1_000))
def test_quotes_grow_uncertain_with_the_time_not_seen(
    seen: tuple[Valuation, Market], seconds: float, more: float
) -> None:
    value, market = seen
    error, base = value.error.copy(), market.base.copy()
    (first, wide), (second, wider) = aged(*seen, seconds, SETTINGS), aged(*seen, seconds + more, SETTINGS)
    assert (value.error == error).all()
    assert (market.base == base).all()
    assert (error <= first.error).all()
    assert (first.error <= second.error).all()
    assert (first.edge <= second.edge).all()
    assert (base <= wide.base).all()
    assert (wide.base <= wider.base).all()
    assert (first.theo == value.theo).all()


def test_they_widen_by_what_the_contract_moves_in_that_time(seen: tuple[Valuation, Market], feed: Feed) -> None:
    """A minute of a 750-dollar stock at 25 %: 750 * 0.25 / sqrt(252 * 390) = 0.598 dollars, half of it at the money."""
    value, market = seen
    at = int(np.argmin(np.abs(feed.chain.strike - 750.0)))
    _, wider = aged(value, market, 60.0, SETTINGS)
    moved = (wider.base[at] - market.base[at]) / 10_000
    assert moved == pytest.approx(0.598 * abs(value.delta[at]), rel=0.05)


# --- defaults that belong together ------------------------------------------------------------------------------------
def test_defaults_of_quoter_and_gate_agree_on_what_is_stale() -> None:
    assert QuotingSettings().stale_s * 1_000 == Limits().stale_ms


def test_protection_lets_a_customer_trade_and_leaves_the_gate_room() -> None:
    settings, mmp, limits = QuotingSettings(), MmpSettings(), Limits()
    shown = 2 * settings.size  # of one series, at two venues
    assert mmp.max_contracts == 5 * shown
    assert mmp.max_delta == mmp.max_contracts * 100 * 0.5
    assert 3 * mmp.max_delta < limits.held_delta
    assert 20 * mmp.max_vega < limits.held_vega
