"""Laws of the synthetic market: seeded, complete, on its grid, free of arbitrage in its truth, and called synthetic."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import expiry_day
from domain.chain import Chain
from domain.errors import InputError
from domain.events import (
    ChainListed,
    NbboUpdated,
    OpenInterestPublished,
    TradesPrinted,
    UnderlyingTraded,
    UnderlyingUpdated,
)
from domain.price import PENNY, is_on_tick
from domain.random import generator
from streams.recorded import FeedItem
from streams.synthetic import SyntheticMarket, SyntheticSettings, expiry_dates, list_contracts
from streams.synthetic_model import SpotAndVol

SMALL = SyntheticSettings(step_ms=1_000, contracts=200, session_minutes=2)


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket(SMALL, seed=7)


@pytest.fixture(scope="module")
def items(market: SyntheticMarket) -> list[FeedItem]:
    return list(market.items())


def test_it_is_called_synthetic(market: SyntheticMarket, items: list[FeedItem]) -> None:
    assert market.is_synthetic
    assert market.name == "synthetic:SYN:2026-03-02:seed=7"
    assert {item.source for item in items} == {market.name}


def test_settings_and_seed_determine_every_item(items: list[FeedItem]) -> None:
    assert list(SyntheticMarket(SMALL, seed=7).items()) == items
    assert list(SyntheticMarket(SMALL, seed=8).items()) != items


def test_reading_from_an_offset_gives_the_rest(market: SyntheticMarket, items: list[FeedItem]) -> None:
    assert list(market.items(100)) == items[100:]


def test_time_never_goes_back_and_every_step_is_published(market: SyntheticMarket, items: list[FeedItem]) -> None:
    assert [item.offset for item in items] == list(range(len(items)))
    assert all(a.event.ts_event <= b.event.ts_event for a, b in itertools.pairwise(items))
    quotes = [item.event.ts_event for item in items if isinstance(item.event, UnderlyingUpdated)]
    assert len(quotes) == market.total_steps == 120
    assert quotes[-1] == market.close_ns


def test_quotes_stand_on_the_grid_and_never_cross(items: list[FeedItem]) -> None:
    frames = [item.event.frame for item in items if isinstance(item.event, NbboUpdated)]
    assert sum(map(len, frames)) > 2_000
    for frame in frames:
        assert is_on_tick(frame.bid, PENNY).all()
        assert is_on_tick(frame.ask, PENNY).all()
        both = (frame.bid > 0) & (frame.ask > 0)
        assert (frame.bid[both] < frame.ask[both]).all()
        assert ((frame.bid > 0) == (frame.bid_size > 0)).all()
        assert ((frame.ask > 0) == (frame.ask_size > 0)).all()
        assert len(np.unique(frame.contract)) == len(frame)


def test_the_first_step_quotes_nearly_every_contract_and_the_next_ones_only_changes(items: list[FeedItem]) -> None:
    frames = [item.event.frame for item in items if isinstance(item.event, NbboUpdated)]
    assert len(frames[0]) > 150
    shown: dict[int, tuple[int, ...]] = {}
    for frame in frames:
        for contract, bid, _, ask, _ in zip(*(column.tolist() for column in frame.columns().values()), strict=True):
            assert shown.get(contract) != (bid, ask)
            shown[contract] = bid, ask


def test_one_sided_markets_occur() -> None:
    wide = SyntheticMarket(SyntheticSettings(contracts=2_000, session_minutes=1), seed=3)
    frames = [item.event.frame for item in wide.items() if isinstance(item.event, NbboUpdated)]
    assert sum(int(((f.bid == 0) & (f.ask > 0)).sum()) for f in frames) > 50
    assert sum(int(((f.ask == 0) & (f.bid > 0)).sum()) for f in frames) > 5


def test_options_print_at_inside_or_a_tick_through_the_standing_quote(items: list[FeedItem]) -> None:
    bid: dict[int, int] = {}
    ask: dict[int, int] = {}
    at_touch = inside = through = 0
    for item in items:
        if isinstance(item.event, TradesPrinted):
            for contract, price, volume in zip(
                item.event.frame.contract.tolist(),
                item.event.frame.price.tolist(),
                item.event.frame.volume.tolist(),
                strict=True,
            ):
                assert volume > 0
                low, high = bid[contract], ask[contract]
                at_touch += price in {low, high}
                inside += low < price < high
                through += price < low or price > high > 0
                assert low - 500 <= price <= (high or 10**9) + 500
        elif isinstance(item.event, NbboUpdated):
            rows = (column.tolist() for column in item.event.frame.columns().values())
            for contract, b, _, a, _ in zip(*rows, strict=True):
                bid[contract], ask[contract] = b, a
    assert at_touch > inside > 0
    assert through > 0


def test_quotes_follow_the_truth(market: SyntheticMarket, items: list[FeedItem]) -> None:
    """The middle of the market lies within its own width of the true theo, but for stale quotes."""
    frame = next(item.event.frame for item in items if isinstance(item.event, NbboUpdated))
    stock = next(item.event for item in items if isinstance(item.event, UnderlyingUpdated))
    theos = market.surface.theos((stock.bid + stock.ask) / 20_000, SMALL.vol, stock.ts_event)[frame.contract]
    both = (frame.bid > 0) & (frame.ask > 0)
    middle, width = (frame.bid + frame.ask)[both] / 20_000, (frame.ask - frame.bid)[both] / 10_000
    assert (np.abs(middle - theos[both]) <= width).mean() > 0.98


def test_the_underlying_prints_inside_its_range(items: list[FeedItem]) -> None:
    for item in items:
        if isinstance(item.event, UnderlyingTraded):
            assert 0 < item.event.low <= item.event.price <= item.event.high
        elif isinstance(item.event, UnderlyingUpdated):
            assert 0 < item.event.bid < item.event.ask <= item.event.bid + 300


def test_the_listing_and_the_open_interest_cover_the_chain(market: SyntheticMarket, items: list[FeedItem]) -> None:
    listed = next(item.event for item in items if isinstance(item.event, ChainListed))
    assert listed.contracts == market.chain.contracts
    assert listed.tick_classes == {"SYN": PENNY}
    (published,) = [item.event for item in items if isinstance(item.event, OpenInterestPublished)]
    assert len(published.frame) == 200


# --- The truth --------------------------------------------------------------------------------------------------------


def chain_of(settings: SyntheticSettings) -> Chain:
    return Chain(settings.symbol, settings.date, list_contracts(settings))


@given(level=st.floats(0.05, 1.0), shift=st.floats(-0.3, 0.3))
def test_the_true_surface_is_free_of_arbitrage(market: SyntheticMarket, level: float, shift: float) -> None:
    """Calls fall and are convex in the strike; total variance grows with maturity; parity holds with a zero rate."""
    spot, ts = SMALL.spot * np.exp(shift), market.open_ns
    chain, surface = market.chain, market.surface
    theos = surface.theos(spot, level, ts)
    calls = chain.sign > 0
    assert np.abs(theos[calls] - theos[chain.partner[calls]] - (spot - chain.strike[calls])).max() < 1e-9
    for expiry in range(len(chain.expiries)):
        rows = np.arange(len(chain))[chain.expiry_slice(expiry)]
        rows = rows[chain.sign[rows] > 0]
        slope = np.diff(theos[rows]) / np.diff(chain.strike[rows])
        assert (slope <= 1e-12).all()
        assert (np.diff(slope) >= -1e-9).all()
    variance = surface.total_variance(spot, level, ts)
    strikes = chain.strike[calls]
    for strike in np.unique(strikes):
        assert (np.diff(variance[calls][strikes == strike]) > 0).all()


def test_the_spot_has_the_variance_of_its_volatility() -> None:
    settings = SyntheticSettings(jumps_per_day=0.0, vol_of_vol=0.0)
    moves = []
    for seed in range(400):
        path = SpotAndVol(settings, generator(seed, "test", "SYN"))
        for step in range(78):
            path.advance(300.0, (step + 0.5) / 78)
        moves.append(np.log(path.spot / settings.spot))
    ratio = np.std(moves) * np.sqrt(252) / settings.vol
    assert 0.9 < ratio < 1.1  # three standard errors of 400 days: 3 / sqrt(800)


def test_volatility_rises_when_the_spot_falls() -> None:
    settings = SyntheticSettings()
    path = SpotAndVol(settings, generator(1, "test", "SYN"))
    spots, levels = [path.spot], [path.level]
    for step in range(2_000):
        path.advance(1.0, step / 2_000)
        spots.append(path.spot)
        levels.append(path.level)
    correlation = np.corrcoef(np.diff(np.log(spots)), np.diff(np.log(levels)))[0, 1]
    assert correlation == pytest.approx(settings.leverage, abs=0.06)


# --- The chain and the settings ---------------------------------------------------------------------------------------


@given(pairs=st.integers(100, 10_000), spot=st.floats(5.0, 5_000.0), vol=st.floats(0.05, 2.0))
def test_the_chain_has_the_size_that_was_asked_for(pairs: int, spot: float, vol: float) -> None:
    settings = SyntheticSettings(contracts=2 * pairs, spot=spot, vol=vol)
    contracts = list_contracts(settings)
    assert len(contracts) == 2 * pairs
    assert {contract.style for contract in contracts} == {"american"}
    chain = chain_of(settings) if pairs < 300 else None
    assert chain is None or (chain.partner >= 0).all()


def test_expiries_are_settled_on_sessions_after_the_trade_date() -> None:
    dates = expiry_dates(dt.date(2026, 3, 2), 20)
    assert len(dates) == 20
    assert dates[0] == dt.date(2026, 3, 6)
    assert dt.date(2026, 4, 2) in dates  # Good Friday, 3 April 2026, is no session
    assert all(expiry_day(date) == date for date in dates)
    friday = dt.date(2026, 3, 6)
    assert expiry_dates(friday, 1) == [dt.date(2026, 3, 13)]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("contracts", 198),
        ("contracts", 201),
        ("contracts", 20_002),
        ("trade_date", "2026-03-01"),
        ("trade_date", "soon"),
        ("symbol", "syn"),
        ("step_ms", 0),
        ("vol", float("nan")),
        ("skew_eta", 1.9),
        ("session_minutes", 0),
    ],
)
def test_an_impossible_setting_is_refused_by_name(setting: str, value: float | str) -> None:
    build: Callable[..., SyntheticSettings] = SyntheticSettings
    with pytest.raises(InputError, match=rf"synthetic\.{setting}"):
        build(**{setting: value})


def test_the_largest_chain_can_be_made() -> None:
    market = SyntheticMarket(SyntheticSettings(contracts=20_000, session_minutes=1, step_ms=20_000), seed=1)
    frames = [item.event.frame for item in market.items() if isinstance(item.event, NbboUpdated)]
    assert len(frames) == 3
    assert len(frames[0]) > 15_000
