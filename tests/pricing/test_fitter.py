"""The fitter as a stage: when it fits, what it keeps, and what it makes of the recorded day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import SECOND_NS
from domain.chain import Chain
from domain.errors import DataError, InputError, UnknownContract
from domain.events import (
    Event,
    ForwardImplied,
    NbboUpdated,
    RunEnded,
    SessionChanged,
    SessionState,
    SurfaceFitted,
    TimerFired,
    UnderlyingUpdated,
)
from domain.frames import NbboFrame
from domain.stage import Stage
from pricing.fitter import Fitter, FitterSettings
from pricing.surface import SliceStatus, VolSurface

if TYPE_CHECKING:
    from tests.pricing.conftest import MadeUpMarket, RecordedDay

Array = npt.NDArray[np.float64]


def feed(stage: Fitter, events: Iterable[Event]) -> list[Event]:
    return [out for event in events if type(event) in stage.reads for out in stage.apply(event)]


def timer(ts: int) -> TimerFired:
    return TimerFired(ts_event=ts, ts_init=ts, underlying="XYZ", timer="1s")


def session(state: SessionState, ts: int) -> SessionChanged:
    return SessionChanged(ts_event=ts, ts_init=ts, underlying="XYZ", state=state, open_ts=ts, close_ts=ts)


def surfaces(events: Iterable[Event]) -> list[SurfaceFitted]:
    return [event for event in events if isinstance(event, SurfaceFitted)]


def test_it_is_a_stage(european: MadeUpMarket) -> None:
    assert isinstance(Fitter(european.chain), Stage)
    with pytest.raises(InputError, match="not read by this stage"):
        Fitter(european.chain).apply(RunEnded(ts_event=0, ts_init=0, underlying="XYZ", reason="over"))


def test_the_first_complete_market_is_fitted_at_once(european: MadeUpMarket) -> None:
    fitter, quotes = Fitter(european.chain), european.nbbo(*european.quotes(seed=1))
    assert list(fitter.apply(quotes)) == []
    fitter.apply(european.underlying())
    out = list(fitter.apply(quotes))
    assert [type(event) for event in out] == [ForwardImplied, SurfaceFitted]
    implied, fitted = out
    assert isinstance(implied, ForwardImplied)
    assert isinstance(fitted, SurfaceFitted)
    assert implied.spot == fitted.spot == european.spot
    assert implied.ts_event == quotes.ts_event
    np.testing.assert_array_equal(implied.frame.forward, fitted.frame.forward)
    np.testing.assert_allclose(implied.frame.forward, european.forward, atol=0.05)
    np.testing.assert_array_equal(fitted.frame.expiry, np.arange(len(european.chain.expiries)))


def test_american_quotes_give_the_true_rate_yield_and_vol(american_market: MadeUpMarket) -> None:
    """Parity of American quotes holds only net of premiums, which need the rate that parity gives: they settle both.

    The rate is 5 % and nobody says so; the carry alone would leave rate and yield undetermined.
    """
    market = american_market
    fitter = Fitter(market.chain, FitterSettings(first_passes=12))
    fitter.apply(market.underlying())
    implied, fitted = fitter.apply(market.nbbo(*market.quotes(half_width=0.02)))
    assert isinstance(implied, ForwardImplied)
    assert isinstance(fitted, SurfaceFitted)
    assert implied.frame.rate[0] == pytest.approx(0.05, abs=0.002)
    np.testing.assert_allclose(implied.frame.carry_yield, 0.0, atol=0.002)
    surface = VolSurface.from_frame(fitted.frame)
    np.testing.assert_allclose(surface.forward, market.forward, atol=0.02)
    at_money = surface.vol(market.forward, np.arange(len(market.years)))
    np.testing.assert_allclose(at_money[1:], 0.3, atol=0.002)


def test_later_fits_settle_what_the_first_left_open(american_market: MadeUpMarket) -> None:
    market = american_market
    fitter = Fitter(market.chain, FitterSettings(interval_ms=0, first_passes=1))
    fitter.apply(market.underlying())
    rates = []
    for _ in range(12):
        implied = fitter.apply(market.nbbo(*market.quotes(half_width=0.02)))[0]
        assert isinstance(implied, ForwardImplied)
        rates.append(float(implied.frame.rate[0]))
    assert rates[0] < 0.02
    assert rates[-1] == pytest.approx(0.05, abs=0.002)


def test_quotes_between_two_fits_are_conflated_and_none_is_lost(european: MadeUpMarket) -> None:
    """Two routes to the same last quotes: every quote on its own, and only the last. The timer brings the last fit."""
    bid, ask = european.quotes(seed=2)
    later = [european.quotes(seed=seed) for seed in (3, 4, 5)]
    start, tick = european.ts, SECOND_NS // 10
    busy, calm = Fitter(european.chain), Fitter(european.chain)
    for fitter in (busy, calm):
        fitter.apply(european.underlying())
        assert len(surfaces(fitter.apply(european.nbbo(bid, ask)))) == 1
    for step, quotes in enumerate(later, start=1):
        assert list(busy.apply(european.nbbo(*quotes, ts=start + step * tick))) == []
    calm.apply(european.nbbo(*later[-1], ts=start + len(later) * tick))
    assert list(busy.apply(timer(start + SECOND_NS - 1))) == []
    outs = [list(fitter.apply(timer(start + SECOND_NS))) for fitter in (busy, calm)]
    assert outs[0] == outs[1]
    assert len(surfaces(outs[0])) == 1
    assert list(busy.apply(timer(start + 2 * SECOND_NS))) == []


def test_a_partial_frame_leaves_the_other_contracts_quotes(european: MadeUpMarket) -> None:
    bid, ask = european.quotes(seed=6)
    whole = european.nbbo(bid, ask)
    halves = [whole.frame.take(np.arange(len(bid)) % 2 == parity) for parity in (0, 1)]
    one, two = Fitter(european.chain, FitterSettings(interval_ms=0)), Fitter(european.chain)
    one.apply(european.underlying())
    two.apply(european.underlying())
    for half in halves:
        event = NbboUpdated(ts_event=european.ts, ts_init=european.ts, underlying="XYZ", frame=half)
        one.apply(event)
    two.apply(whole)
    np.testing.assert_array_equal(one._bid, two._bid)
    np.testing.assert_array_equal(one._ask, two._ask)


def test_a_missing_side_is_never_filled(european: MadeUpMarket) -> None:
    """A quote that loses a side loses it here too, and only bounds what it had valued."""
    fitter = Fitter(european.chain, FitterSettings(interval_ms=0))
    fitter.apply(european.underlying())
    bid, ask = european.quotes(half_width=0.02)
    before = surfaces(fitter.apply(european.nbbo(bid, ask)))[0].frame
    after = surfaces(fitter.apply(european.nbbo(bid, np.full_like(ask, np.nan))))[0].frame
    assert (before.status == SliceStatus.FITTED).any()
    assert (after.status == SliceStatus.SPARSE).all()


@pytest.mark.parametrize("state", ["halted", "closed"])
def test_nothing_is_fitted_while_the_session_is_not_open(european: MadeUpMarket, state: SessionState) -> None:
    fitter = Fitter(european.chain)
    fitter.apply(european.underlying())
    fitter.apply(session(state, european.ts))
    assert list(fitter.apply(european.nbbo(*european.quotes()))) == []
    fitter.apply(session("open", european.ts))
    assert len(surfaces(fitter.apply(timer(european.ts + 1)))) == 1


def test_an_underlying_without_a_midpoint_keeps_the_last_one(european: MadeUpMarket) -> None:
    fitter = Fitter(european.chain)
    fitter.apply(european.underlying())
    at = european.ts
    for bid, ask in ((0, 1_000_000), (1_000_000, 0), (1_010_000, 1_000_000)):
        fitter.apply(
            UnderlyingUpdated(ts_event=at, ts_init=at, underlying="XYZ", bid=bid, bid_size=1, ask=ask, ask_size=1)
        )
    assert surfaces(fitter.apply(european.nbbo(*european.quotes())))[0].spot == european.spot


def test_a_strange_contract_or_a_negative_price_is_refused_before_anything_changes(european: MadeUpMarket) -> None:
    fitter = Fitter(european.chain)
    before = fitter.snapshot()

    def one(contract: int, bid: int) -> NbboUpdated:
        frame = NbboFrame(
            contract=np.array([0, contract]),
            bid=np.array([100, bid]),
            bid_size=np.array([1, 1]),
            ask=np.array([200, 200]),
            ask_size=np.array([1, 1]),
        )
        return NbboUpdated(ts_event=1, ts_init=1, underlying="XYZ", frame=frame)

    for contract in (len(european.chain), -1):
        with pytest.raises(UnknownContract):
            fitter.apply(one(contract, 100))
    with pytest.raises(DataError, match="negative price"):
        fitter.apply(one(1, -100))
    assert fitter.snapshot() == before


@given(cut=st.integers(0, 8), seed=st.integers(0, 1_000))
def test_a_restored_fitter_goes_on_as_the_original(american_market: MadeUpMarket, cut: int, seed: int) -> None:
    market = american_market
    events: list[Event] = []
    for step in range(3):
        ts = market.ts + step * SECOND_NS
        events.append(market.underlying(market.spot + 0.1 * step, ts))
        events.append(market.nbbo(*market.quotes(seed=seed + step, gaps=0.2), ts=ts))
        events.append(timer(ts + SECOND_NS // 2))
    original, fresh = Fitter(market.chain), Fitter(market.chain)
    feed(original, events[:cut])
    fresh.restore(original.snapshot())
    assert feed(fresh, events[cut:]) == feed(original, events[cut:])
    assert fresh.snapshot() == original.snapshot()


def test_a_snapshot_of_another_chain_or_stage_is_refused(european: MadeUpMarket, american_market: MadeUpMarket) -> None:
    small = Chain("XYZ", european.chain.trade_date, european.chain.contracts[:4])
    with pytest.raises(DataError, match="another chain"):
        Fitter(small).restore(Fitter(european.chain).snapshot())
    with pytest.raises(DataError):
        Fitter(american_market.chain).restore(b"nonsense")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"interval_ms": -1}, "fitter.interval_ms"),
        ({"first_passes": 0}, "fitter.first_passes"),
        ({"spot_width_share": 0.0}, "fitter.spot_width_share"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as refused:
        FitterSettings(**settings)
    assert refused.value.fields["field"] == field


@pytest.mark.data
def test_goog_is_fitted_every_minute_without_arbitrage(goog_day: RecordedDay) -> None:
    """The first forty minutes: each minute a surface of all live expiries without arbitrage, close to the quotes."""
    fitter = Fitter(goog_day.chain)
    start = next(event.ts_event for event in goog_day.events if isinstance(event, NbboUpdated))
    early = [event for event in goog_day.events if event.ts_event < start + 40 * 60 * SECOND_NS]
    fitted = surfaces(feed(fitter, early))
    assert len(fitted) == sum(isinstance(event, NbboUpdated) for event in early)
    for event in fitted:
        frame = event.frame
        assert (frame.status != SliceStatus.ABSENT).all()
        assert (frame.min_g >= 0.0).all()
        assert (frame.rmse[1:] < 0.02).all()
        k = np.linspace(-3.0, 3.0, 301)
        svi = VolSurface.from_frame(frame).svi
        assert (np.diff(svi.columns().w(np.broadcast_to(k, (len(frame), len(k)))), axis=0) >= -1e-12).all()
